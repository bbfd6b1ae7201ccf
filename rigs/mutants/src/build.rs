//! A copy of the tree, with mutants, and the programs of its tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::list::Mutant;
use crate::programs::Program;
use crate::weave::{Woven, weave};

/// The crate of the switches, as a mutated package depends on it.
const SWITCH: &str = "pblink-mutant-switch";

/// A copy of the tree.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    target: PathBuf,
    /// The files that have mutants, as they were.
    originals: BTreeMap<String, String>,
    /// The package whose tests are built.
    package: String,
    digest: String,
}

/// Tests with all mutants that go behind a switch.
#[derive(Debug)]
pub struct Built {
    /// The programs.
    pub programs: Vec<Program>,
    /// The mutants in them.
    pub mutants: BTreeSet<u32>,
    /// Those of them in a `const fn`.
    pub constant: BTreeSet<u32>,
}

/// A message of cargo's, as far as it is of interest.
#[derive(Debug, Deserialize)]
struct Said {
    reason: String,
    #[serde(default)]
    message: Option<Message>,
    #[serde(default)]
    manifest_path: Option<PathBuf>,
    #[serde(default)]
    executable: Option<PathBuf>,
    #[serde(default)]
    profile: Option<Profile>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Profile {
    test: bool,
}

#[derive(Debug, Deserialize)]
struct Message {
    level: String,
    #[serde(default)]
    rendered: Option<String>,
    spans: Vec<Span>,
    children: Vec<Message>,
}

#[derive(Debug, Deserialize)]
struct Span {
    file_name: String,
    byte_start: usize,
    byte_end: usize,
}

impl Span {
    const fn bytes(&self) -> Range<usize> {
        self.byte_start..self.byte_end
    }
}

impl Tree {
    /// Copies the tree of `root`, as git sees it, into `folder`; `mutants` are those of `package`, in the folder `home`, whose tests judge
    /// them.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn copy(
        root: &Path,
        folder: &Path,
        home: &str,
        mutants: &[Mutant],
        package: &str,
    ) -> io::Result<Self> {
        let tree = folder.join("tree");
        if tree.exists() {
            fs::remove_dir_all(&tree)?;
        }
        let files = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()?;
        let mut digest = DefaultHasher::new();
        for name in String::from_utf8_lossy(&files.stdout).split_terminator('\0') {
            let (from, to) = (root.join(name), tree.join(name));
            // What was removed and not committed is still listed.
            if !from.is_file() {
                continue;
            }
            to.parent().map_or(Ok(()), fs::create_dir_all)?;
            let bytes = fs::read(&from)?;
            fs::write(&to, &bytes)?;
            (name, bytes).hash(&mut digest);
            // Cargo builds again what is newer than what it has built.
            File::options().write(true).open(&to)?.set_modified(from.metadata()?.modified()?)?;
        }
        let manifest = tree.join(home).join("Cargo.toml");
        let up = "../".repeat(Path::new(home).components().count());
        let switch =
            format!("[dependencies]\n{SWITCH} = {{ path = \"{up}rigs/mutants/switch\" }}\n");
        let text = fs::read_to_string(&manifest)?.replacen("[dependencies]\n", &switch, 1);
        fs::write(&manifest, text)?;
        let names: BTreeSet<&String> = mutants.iter().map(|mutant| &mutant.file).collect();
        let originals =
            names.into_iter().map(|name| Ok((name.clone(), fs::read_to_string(tree.join(name))?)));
        let originals = originals.collect::<io::Result<_>>()?;
        let (target, digest) = (folder.join("target"), format!("{:x}", digest.finish()));
        Ok(Self { root: tree, target, originals, package: package.to_owned(), digest })
    }

    /// Returns a digest of all its files, as they were.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Builds the tests with all mutants that go behind a switch.
    ///
    /// # Errors
    /// If the tree does not compile for another reason than a mutant.
    pub fn weave(&self, mutants: &[Mutant]) -> io::Result<Built> {
        let mut inside: BTreeSet<u32> = (0..mutants.len() as u32).collect();
        loop {
            let mut files = BTreeMap::new();
            for (name, text) in &self.originals {
                let here: Vec<(u32, &Mutant)> = inside
                    .iter()
                    .map(|&number| (number, &mutants[number as usize]))
                    .filter(|(_, mutant)| mutant.file == *name)
                    .collect();
                let woven = weave(text, &here).map_err(io::Error::other)?;
                fs::write(self.root.join(name), &woven.text)?;
                files.insert(name.as_str(), woven);
            }
            let there = files.values().flat_map(|woven| woven.mutants.iter().copied()).collect();
            let (programs, errors) = self.cargo()?;
            if errors.is_empty() {
                let constant = files.values().flat_map(|woven| woven.constant.iter().copied());
                let constant = constant.collect();
                return Ok(Built { programs, mutants: there, constant });
            }
            let mut wrong = BTreeSet::new();
            for error in &errors {
                let blamed = blamed(error, &files);
                if blamed.is_empty() {
                    let said = error.rendered.clone().unwrap_or_default();
                    return Err(io::Error::other(format!("no mutant has done that:\n{said}")));
                }
                wrong.extend(blamed);
            }
            inside = &there - &wrong;
        }
    }

    /// Builds the tests with one mutant, as cargo-mutants has it. `None`: it does not compile.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn alone(&self, mutant: &Mutant) -> io::Result<Option<Vec<Program>>> {
        for (name, text) in &self.originals {
            let changed = match mutant.file == *name {
                true => mutant.apply(text),
                false => text.clone(),
            };
            let path = self.root.join(name);
            if fs::read_to_string(&path)? != changed {
                fs::write(path, changed)?;
            }
        }
        let (programs, errors) = self.cargo()?;
        Ok(errors.is_empty().then_some(programs))
    }

    /// Builds the tests. Returns their programs, and the errors of the compiler.
    fn cargo(&self) -> io::Result<(Vec<Program>, Vec<Message>)> {
        let mut cargo = Command::new("cargo");
        cargo.args(["test", "--no-run", "--quiet", "--message-format=json", "--lib", "--tests"]);
        cargo.args(["--package", &self.package]);
        let output = cargo
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_INCREMENTAL", "1")
            .env("RUSTFLAGS", "--cap-lints=allow --cfg=switch_in_const_fn")
            // A switch within a `const fn` needs what is not stable. Nothing else of the tree may use that.
            .env("RUSTC_BOOTSTRAP", SWITCH.replace('-', "_"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .output()?;
        let (mut programs, mut errors) = (Vec::new(), Vec::new());
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let Ok(said) = serde_json::from_str::<Said>(line) else { continue };
            match said {
                Said { message: Some(message), .. } if message.level == "error" => {
                    errors.push(message);
                }
                Said { executable: Some(path), manifest_path: Some(manifest), profile, .. }
                    if said.reason == "compiler-artifact" && profile.is_some_and(|p| p.test) =>
                {
                    let folder = manifest.parent().unwrap_or(Path::new("")).to_owned();
                    programs.push(Program { path, folder });
                }
                _ => {}
            }
        }
        if errors.is_empty() && !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr)));
        }
        Ok((programs, errors))
    }
}

/// Returns the mutants that have made an error.
fn blamed(error: &Message, files: &BTreeMap<&str, Woven>) -> Vec<u32> {
    let of = |span: &Span| files.get(&*span.file_name)?.around(&span.bytes()).map(<[u32]>::to_vec);
    let mut blamed: Vec<Vec<u32>> = error.spans.iter().filter_map(of).collect();
    // One that stands in the error is to blame, before all of the expression around it.
    blamed.sort_by_key(Vec::len);
    if let Some(first) = blamed.into_iter().next() {
        return first;
    }
    // An arm that cannot go: the compiler's help shows where another would have to come.
    let help = error.children.iter().flat_map(|child| &child.spans);
    help.filter_map(|span| files.get(&*span.file_name)?.arm_before(span.byte_end)).collect()
}
