//! `pblink simulate --seed`: boards, network and server in memory, with faults by chance.

use pblink_protocol::time::Duration;
use pblink_simulator::scene::{Chances, LEAST, MOST, Scene};

use super::{Args, minimise, scenario};
use crate::exit::{Exit, Failed};
use crate::output::diagnostics::say;

/// Runs the scene that follows from a seed.
///
/// # Errors
/// If the time is out of range, or the smallest scene cannot be found or written.
pub(super) fn run(seed: u32, args: &Args) -> anyhow::Result<Exit> {
    let asked = args.limit.map(|limit| Duration::from_micros(limit.as_micros() as u64));
    let length = asked.unwrap_or(MOST);
    if !(LEAST..=MOST).contains(&length) {
        let why = "--for must be from 1min to 1h with --seed: run more seeds for more hours";
        return Err(Failed::with(Exit::Usage, why.to_owned()));
    }
    let scene = Scene::random(&format!("seed-{seed}"), &Chances { seed, length, link: args.link });
    let minutes = length.as_millis() / 60_000;
    say(format_args!("seed {seed}: {} faults in {minutes} min", scene.faults()));
    match &args.minimise {
        Some(file) => {
            let (milliseconds, link) = (length.as_millis(), args.link);
            let origin = format!("--seed {seed} --for {milliseconds}ms --link {link}");
            minimise::run(&scene, &origin, file, args)
        }
        None => Ok(scenario::run_all(&scene, args.flaw, args.json)),
    }
}
