//! `pblink simulate --minimise`: the smallest scene that fails in the same way.

use std::fs::File;
use std::io::{Write, stdout};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use pblink_simulator::scene::{Minimised, Progress, Scene};
use serde::Serialize;

use super::Args;
use super::failure::{TELLS, words};
use crate::exit::{Exit, Failed};
use crate::output::diagnostics::{newline, note, say};
use crate::output::envelope;
use crate::runtime;
use crate::signals::{Signal, Signals};

/// The last line.
#[derive(Debug, Serialize)]
struct Found<'a> {
    file: String,
    /// Faults that are left.
    faults: usize,
    /// The time for which its programs write, in ms.
    for_ms: u64,
    runs: u64,
    /// False if it was interrupted: a smaller one may exist.
    complete: bool,
    failure: &'a pblink_simulator::scene::Failure,
}

/// Makes a scene that fails as small as possible, and writes it. `origin`: the flags that have made it.
///
/// # Errors
/// If the file cannot be made, or the scene does not fail.
pub(super) fn run(scene: &Scene, origin: &str, file: &Path, args: &Args) -> anyhow::Result<Exit> {
    let name = name_of(file)?;
    let scene = scene.clone().named(&name);
    runtime::block_on(async {
        let mut signals = Signals::listen()?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut work = tokio::task::spawn_blocking({
            let (stop, flaw) = (Arc::clone(&stop), args.flaw);
            move || search(&scene, flaw, &stop)
        });
        let minimised = loop {
            tokio::select! {
                done = &mut work => break done?,
                signal = signals.next() => {
                    if stop.swap(true, Ordering::Relaxed) {
                        return Ok(Exit::Interrupted);
                    }
                    if signal == Signal::Interrupt {
                        newline();
                    }
                    say("ending with the smallest scene so far; ctrl-C again to stop without one");
                }
            }
        };
        let Some(minimised) = minimised else {
            let why = format!("it does not fail: there is nothing to minimise ({origin})");
            return Err(Failed::with(Exit::Failure, why));
        };
        write(&minimised, origin, file)?;
        // Who reads no more has what it wanted.
        let _ = print(&minimised, file, args.json);
        Ok(Exit::Ok)
    })?
}

/// Returns a number of faults in words.
fn counted(faults: usize) -> String {
    format!("{faults} fault{}", if faults == 1 { "" } else { "s" })
}

/// Returns the name of the scene: that of its file.
fn name_of(file: &Path) -> anyhow::Result<String> {
    let usage =
        |why: &str| Failed::with(Exit::Usage, format!("--minimise {}: {why}", file.display()));
    let name = file.file_stem().and_then(|stem| stem.to_str());
    let toml = file.extension().is_some_and(|extension| extension == "toml");
    match name.filter(|_| toml) {
        None => Err(usage("the file of a scene is NAME.toml")),
        Some(_) if file.exists() => Err(usage("this file is there already: take another name")),
        Some(name) => Ok(name.to_owned()),
    }
}

fn search(
    scene: &Scene,
    flaw: Option<pblink_simulator::Flaw>,
    stop: &AtomicBool,
) -> Option<Minimised> {
    let (mut told, mut last) = (Instant::now(), None);
    scene.minimise(flaw, |progress| {
        let Progress { runs, faults, length } = progress;
        // While nothing gets smaller, a sign of life now and then is enough.
        let every = if last == Some((*faults, *length)) { TELLS * 10 } else { TELLS };
        if told.elapsed() >= every {
            (told, last) = (Instant::now(), Some((*faults, *length)));
            say(format_args!(
                "{runs} runs: the smallest that fails has {} in {length}",
                counted(*faults)
            ));
        }
        !stop.load(Ordering::Relaxed)
    })
}

fn write(minimised: &Minimised, origin: &str, file: &Path) -> anyhow::Result<()> {
    let Minimised { scene, failure, .. } = minimised;
    let comment = format!(
        "The rest of: pblink simulate {origin}\n{}\nName and sentence are to say what this protects, once its cause is known.",
        words(failure)
    );
    let text = scene.to_toml(&comment);
    let failed = |e| Failed::with(Exit::Failure, format!("cannot write {}: {e}", file.display()));
    let mut new = File::create_new(file).map_err(failed)?;
    new.write_all(text.as_bytes()).map_err(failed)
}

fn print(minimised: &Minimised, file: &Path, json: bool) -> anyhow::Result<()> {
    let Minimised { scene, failure, runs, complete } = minimised;
    let (file, faults) = (file.display().to_string(), scene.faults());
    let mut out = stdout().lock();
    if json {
        let for_ms = scene.length().as_millis();
        let found = Found { file, faults, for_ms, runs: *runs, complete: *complete, failure };
        let fields = envelope::fields(&found)?;
        writeln!(out, "{}", envelope::wrap("minimised", envelope::now_ms(), None, fields)?)?;
        return Ok(());
    }
    writeln!(out, "{}", words(failure))?;
    writeln!(out, "{file}: {} in {}, after {runs} runs", counted(faults), scene.length())?;
    drop(out);
    if !complete {
        note("it was interrupted: a smaller scene may exist");
    }
    note(format_args!("it fails again with: pblink simulate --scenario {file}"));
    Ok(())
}
