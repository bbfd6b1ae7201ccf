//! Espressif's own tool, with which fakes, images and stub are compared. It is not part of pblink.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The version that tests were made with.
const PACKAGE: &str = "esptool==5.6.0";

/// Returns the command of esptool: the one in the path, else one that is installed below `target/`.
/// `None` means that it is not available and the test cannot run: on a desk it reports so and is skipped.
///
/// # Panics
/// If it cannot be had and the variable `CI` is set, since a test that is always skipped proves nothing.
pub fn esptool() -> Option<&'static Path> {
    // Tests run at the same time: only one of them installs it.
    static ESPTOOL: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match ESPTOOL.get_or_init(find) {
        Ok(esptool) => Some(esptool),
        Err(missing) => {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "{missing}");
            eprintln!("SKIPPED, this test needs more programs:\n{missing}");
            None
        }
    }
}

fn find() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/esptool");
    let program = folder.join("bin/esptool");
    let works = |program: &Path| {
        Command::new(program).arg("version").output().is_ok_and(|run| run.status.success())
    };
    if let Some(found) = [Path::new("esptool"), &program].into_iter().find(|path| works(path)) {
        return Ok(found.to_owned());
    }
    let run = |command: &mut Command| match command.output() {
        Ok(run) if run.status.success() => Ok(()),
        Ok(run) => Err(String::from_utf8_lossy(&run.stderr).into_owned()),
        Err(why) => Err(why.to_string()),
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder))
        .and_then(|()| {
            let pip = ["-m", "pip", "install", "--quiet", PACKAGE];
            run(Command::new(folder.join("bin/python3")).args(pip))
        })
        .map(|()| program)
        .map_err(|why| {
            format!(
                "missing: esptool\n    install it with: python3 -m pip install {PACKAGE}\n({why})"
            )
        })
}
