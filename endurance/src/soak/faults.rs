//! The faults of a soak.

use std::time::Duration;

use super::{CLOCK, Progress, Work};
use crate::process::Signal;
use crate::store;

/// The longest fault in milliseconds: longer than the link's time-out.
const LONGEST: u64 = 2500;

/// Steps of the server's clock from the right time.
const STEPS: [&str; 5] = ["+1h", "-1h", "+2d", "-2d", "+0"];

/// A kind of fault.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Kill,
    Halt,
    Cut,
    FullDisk,
    ClockStep,
}

/// Kinds as often as they are to happen, each once at first.
const KINDS: [Kind; 14] = [
    Kind::Kill,
    Kind::Halt,
    Kind::Cut,
    Kind::FullDisk,
    Kind::ClockStep,
    Kind::Kill,
    Kind::Kill,
    Kind::Halt,
    Kind::Halt,
    Kind::Cut,
    Kind::Cut,
    Kind::Cut,
    Kind::FullDisk,
    Kind::ClockStep,
];

/// Number of kinds.
const FIRST: usize = 5;

impl<F: FnMut(&Progress)> Work<'_, F> {
    /// Lets a fault happen.
    ///
    /// # Errors
    /// If the server has ended, or does not start again.
    pub(super) fn fault(&mut self) -> Result<(), String> {
        // A disk that forgets shows it after kills.
        let kind = match self.faults {
            _ if self.options.forgets => Kind::Kill,
            first @ 0..FIRST => KINDS[first],
            _ => KINDS[self.random.usize(..KINDS.len())],
        };
        self.faults += 1;
        match kind {
            Kind::Kill => self.kill()?,
            Kind::Halt => self.halt()?,
            Kind::Cut => {
                let random = &mut self.random;
                self.outcome.cuts += self.proxy.cut(|| random.bool());
            }
            Kind::FullDisk => self.fill_disk(),
            Kind::ClockStep => self.step_clock(),
        }
        Ok(())
    }

    fn kill(&mut self) -> Result<(), String> {
        let Some(server) = self.server.take() else { return Ok(()) };
        let address = server.address();
        server.kill()?;
        self.outcome.kills += 1;
        if self.options.forgets {
            self.forget().map_err(|error| format!("the log cannot be copied: {error}"))?;
        }
        self.server = Some(self.place.start(address)?);
        Ok(())
    }

    fn halt(&mut self) -> Result<(), String> {
        let time = self.length();
        let Some(server) = &self.server else { return Ok(()) };
        let signal = |signal| server.signal(signal).map_err(|error| error.to_string());
        signal(Signal::STOP)?;
        self.pass(time);
        signal(Signal::CONT)?;
        self.outcome.halts += 1;
        Ok(())
    }

    fn fill_disk(&mut self) {
        let time = self.length();
        let Some(server) = &self.server else { return };
        if let Err(error) = server.refuse_writes(true) {
            return self.pass_over(format!("full disks: no limit of files can be set ({error})"));
        }
        self.pass(time);
        if let Err(error) = server.refuse_writes(false) {
            let why = format!("the limit of the server's files cannot be taken away: {error}");
            self.outcome.problems.push(why);
        }
        self.outcome.full_disks += 1;
    }

    fn step_clock(&mut self) {
        let step = STEPS[self.random.usize(..STEPS.len())];
        // Without such clocks, that was said at the start.
        let Some(walls) = &self.place.walls else { return };
        match walls.set(CLOCK, step) {
            Ok(()) => self.outcome.clock_steps += 1,
            Err(error) => self.pass_over(format!("clock steps: {error}")),
        }
    }

    fn length(&mut self) -> Duration {
        Duration::from_millis(self.random.u64(20..LONGEST))
    }

    fn pass_over(&mut self, why: String) {
        if !self.outcome.passed_over.contains(&why) {
            self.outcome.passed_over.push(why);
        }
    }

    /// Keeps the log at the first kill, and brings it back at the third.
    fn forget(&mut self) -> std::io::Result<()> {
        let state = &self.place.state;
        match self.outcome.kills {
            1 => store::copy(state, &self.earlier),
            3 => {
                std::fs::remove_dir_all(state)?;
                store::copy(&self.earlier, state)
            }
            _ => Ok(()),
        }
    }
}
