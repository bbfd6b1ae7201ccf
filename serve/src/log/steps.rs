//! Steps of the wall clock, and deletion by age, which waits after one.
//!
//! A clock that is set wrong for a moment would make every line a week old, and cost all of them. So nothing is deleted
//! for its age within an hour after the clock was set, and within an hour after a start that cannot know whether it was.
//! The limit of size goes on.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Notify;

use super::lock;

/// Difference between both clocks that is a step. What is less is corrected by time services day by day.
const STEP: Duration = Duration::from_secs(60);

/// Time for which nothing is deleted for its age.
const HOLD: Duration = Duration::from_secs(3600);

/// Steps that wait for whoever shows them; more are one with the last.
const WAITING: usize = 16;

/// A step of the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockStep {
    /// The time that it should have been, in milliseconds since the Unix epoch.
    pub from_ms: u64,
    /// The time that it was instead.
    pub to_ms: u64,
}

/// Times that the last server has left in the log; 0: none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Marks {
    /// When it was last alive.
    pub alive_ms: u64,
    /// When the newest line came.
    pub newest_ms: u64,
    /// Rest of the time for which nothing was to be deleted for its age.
    pub hold_ms: u64,
}

/// Compares the wall clock with the one that only passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Watch {
    passed: Duration,
    wall_ms: u64,
    /// Nothing is deleted for its age until then.
    until: Duration,
}

impl Watch {
    /// Begins to watch. Returns a step, too, if the clock was certainly set back while no server was running. That it was
    /// set forward looks like a long absence.
    pub(super) fn new(passed: Duration, wall_ms: u64, marks: Marks) -> (Self, Option<ClockStep>) {
        let last_ms = marks.alive_ms.max(marks.newest_ms);
        let mut watch =
            Self { passed, wall_ms, until: passed + Duration::from_millis(marks.hold_ms) };
        if last_ms == 0 || last_ms.abs_diff(wall_ms) <= STEP.as_millis() as u64 {
            return (watch, None);
        }
        watch.until = passed + HOLD;
        let back = wall_ms < last_ms;
        (watch, back.then_some(ClockStep { from_ms: last_ms, to_ms: wall_ms }))
    }

    /// Takes in both clocks. Returns the step between this look and the last.
    pub(super) fn look(&mut self, passed: Duration, wall_ms: u64) -> Option<ClockStep> {
        let since = passed.saturating_sub(self.passed).as_millis() as u64;
        let from_ms = self.wall_ms.saturating_add(since);
        (self.passed, self.wall_ms) = (passed, wall_ms);
        if from_ms.abs_diff(wall_ms) <= STEP.as_millis() as u64 {
            return None;
        }
        self.until = passed + HOLD;
        Some(ClockStep { from_ms, to_ms: wall_ms })
    }

    /// Returns the time for which nothing is to be deleted for its age; zero if it may.
    pub(super) fn hold(&self) -> Duration {
        self.until.saturating_sub(self.passed)
    }
}

/// Steps that nobody has shown yet.
#[derive(Debug, Default)]
pub(super) struct Steps {
    waiting: Mutex<VecDeque<ClockStep>>,
    changed: Notify,
}

impl Steps {
    pub(super) fn push(&self, step: ClockStep) {
        let mut waiting = lock(&self.waiting);
        let full = waiting.len() == WAITING;
        match waiting.back_mut() {
            Some(last) if full => last.to_ms = step.to_ms,
            _ => waiting.push_back(step),
        }
        drop(waiting);
        self.changed.notify_one();
    }

    /// Waits for the next one. For one task.
    pub(super) async fn next(&self) -> ClockStep {
        loop {
            // The guard must not live as long as the wait.
            let step = lock(&self.waiting).pop_front();
            match step {
                Some(step) => return step,
                None => self.changed.notified().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_772_366_400_000;
    const MINUTE: u64 = 60_000;

    fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_step_of_more_than_a_minute_holds_for_an_hour() {
        let (mut watch, step) = Watch::new(at(100), NOON, Marks::default());
        assert_eq!((step, watch.hold()), (None, at(0)), "a new log");
        assert_eq!(watch.look(at(110), NOON + 10_000), None);
        assert_eq!(watch.look(at(120), NOON + 20_000 + MINUTE), None, "a minute is no step");
        let stepped = NOON + 30_000 + 2 * MINUTE + 1;
        let step = ClockStep { from_ms: NOON + 30_000 + MINUTE, to_ms: stepped };
        assert_eq!(watch.look(at(130), stepped), Some(step));
        assert_eq!(watch.hold(), at(3600));
        assert_eq!(watch.look(at(3729), stepped + 3_599_000), None, "seen once");
        assert_eq!(watch.hold(), at(1));
        let back = watch.look(at(3730), 5).unwrap();
        assert_eq!(back, ClockStep { from_ms: stepped + 3_600_000, to_ms: 5 });
        assert_eq!(watch.hold(), at(3600), "back, too, and once more an hour");
        assert_eq!(watch.look(at(7330), 3_600_005), None);
        assert_eq!(watch.hold(), at(0));
    }

    #[test]
    fn a_start_compares_with_what_the_last_server_has_left() {
        let marks = Marks { alive_ms: NOON, newest_ms: NOON - 5, hold_ms: 0 };
        let start = |wall_ms, marks| Watch::new(at(7), wall_ms, marks);
        let (watch, step) = start(NOON + MINUTE, marks);
        assert_eq!((step, watch.hold()), (None, at(0)));
        let (watch, step) = start(NOON - MINUTE - 1, marks);
        assert_eq!(step, Some(ClockStep { from_ms: NOON, to_ms: NOON - MINUTE - 1 }));
        assert_eq!(watch.hold(), at(3600));
        // Eight days without a server, or a clock that was set: nobody knows, so there is time to put it right.
        let (watch, step) = start(NOON + 8 * 24 * 60 * MINUTE, marks);
        assert_eq!((step, watch.hold()), (None, at(3600)));
        // The line is newer than the mark, which is set each ten seconds.
        let (_, step) = start(NOON, Marks { newest_ms: NOON + 2 * MINUTE, ..marks });
        assert_eq!(step.unwrap().from_ms, NOON + 2 * MINUTE);
        let (watch, _) = start(NOON, Marks { hold_ms: 5_000, ..marks });
        assert_eq!(watch.hold(), at(5), "a hold outlives the server");
    }

    #[tokio::test]
    async fn steps_that_nobody_shows_are_bounded_and_none_is_without_a_word() {
        let steps = Steps::default();
        for n in 0..100 {
            steps.push(ClockStep { from_ms: n, to_ms: n + 1 });
        }
        for n in 0..15 {
            assert_eq!(steps.next().await, ClockStep { from_ms: n, to_ms: n + 1 });
        }
        assert_eq!(steps.next().await, ClockStep { from_ms: 15, to_ms: 100 });
        assert!(futures::poll!(std::pin::pin!(steps.next())).is_pending());
    }
}
