//! `pblink simulate --scenario`: a scene of the simulator.

use std::io::{Write, stdout};
use std::time::Instant;

use pblink_simulator::Flaw;
use pblink_simulator::scene::{BUILT_IN, Report, Scene};
use serde::Serialize;

use super::failure::{TELLS, words};
use super::{Args, minimise};
use crate::exit::{Exit, Failed};
use crate::output::diagnostics::say;
use crate::output::envelope;

/// The word in place of a scene that asks for a list of them.
const LIST: &str = "list";

/// The longest file that is read.
const MOST: u64 = 256 * 1024;

/// Runs a scene, by the name of a built-in one or by its file, or lists those that are built in.
///
/// # Errors
/// If there is no such scene, or its file has a mistake.
pub(super) fn run(scene: &str, args: &Args) -> anyhow::Result<Exit> {
    if scene == LIST {
        list(args.json)?;
        return Ok(Exit::Ok);
    }
    let (origin, scene) = (format!("--scenario {scene}"), read(scene)?);
    match &args.minimise {
        Some(file) => minimise::run(&scene, &origin, file, args),
        None => Ok(run_all(&scene, args.flaw, args.json)),
    }
}

/// Runs all cases of a scene, and prints what came of it.
pub(super) fn run_all(scene: &Scene, flaw: Option<Flaw>, json: bool) -> Exit {
    let mut told = Instant::now();
    let report = scene.run_telling(flaw, |report| {
        if told.elapsed() >= TELLS {
            told = Instant::now();
            say(format_args!("{} cases, {} s simulated", report.cases, report.simulated_ms / 1000));
        }
    });
    // Who reads no more has what it wanted; the exit code stays.
    let _ = print(scene, &report, json);
    if report.failure.is_none() { Exit::Ok } else { Exit::Lines }
}

/// Returns a built-in scene.
fn built_in(name: &str, text: &str) -> anyhow::Result<Scene> {
    Ok(Scene::parse(&format!("{name}.toml"), text)?)
}

fn read(scene: &str) -> anyhow::Result<Scene> {
    if let Some((name, text)) = BUILT_IN.iter().find(|(name, _)| *name == scene) {
        return built_in(name, text);
    }
    let failed = |why: String| Failed::with(Exit::Config, why);
    let length = std::fs::metadata(scene).map_err(|e| {
        failed(format!(
            "{scene:?} is no scene that is built in (`pblink simulate --scenario list` lists them), and no file: {e}"
        ))
    })?;
    if !length.is_file() || length.len() > MOST {
        return Err(failed(format!("{scene:?} must be a file of at most {MOST} bytes")));
    }
    let text = std::fs::read_to_string(scene)
        .map_err(|e| failed(format!("{scene:?} cannot be read: {e}")))?;
    Scene::parse(scene, &text).map_err(|e| failed(e.to_string()))
}

/// A scene in the list.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    name: &'a str,
    protects: &'a str,
}

fn list(json: bool) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    for (name, text) in BUILT_IN {
        let scene = built_in(name, text)?;
        let (name, protects) = (scene.name(), scene.protects());
        let written = if json {
            let fields = envelope::fields(&Listed { name, protects })?;
            writeln!(out, "{}", envelope::wrap("scene", envelope::now_ms(), None, fields)?)
        } else {
            writeln!(out, "{name}\n    {protects}")
        };
        if written.is_err() {
            break;
        }
    }
    Ok(())
}

/// The last line of a run.
#[derive(Debug, Serialize)]
struct Judged<'a> {
    scenario: &'a str,
    #[serde(flatten)]
    report: &'a Report,
}

fn print(scene: &Scene, report: &Report, json: bool) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    if json {
        let fields = envelope::fields(&Judged { scenario: scene.name(), report })?;
        writeln!(out, "{}", envelope::wrap("ledger", envelope::now_ms(), None, fields)?)?;
        return Ok(());
    }
    writeln!(out, "{}: {}", scene.name(), scene.protects())?;
    if let Some(failure) = &report.failure {
        writeln!(out, "{}", words(failure))?;
    }
    let totals = &report.totals;
    writeln!(
        out,
        "ledger: {} cases, {} faults, {} s simulated; {} lines written, {} arrived, missing {}, duplicates {}, out of \
         order {}, unknown {}: {}",
        report.cases,
        report.faults,
        report.simulated_ms / 1000,
        totals.written,
        totals.arrived,
        totals.missing,
        totals.duplicated,
        totals.reordered,
        totals.unknown,
        if report.failure.is_none() { "as the scene asks" } else { "NOT AS THE SCENE ASKS" },
    )?;
    Ok(())
}
