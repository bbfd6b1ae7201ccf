//! Progress of what takes its time: a bar with the time left on a terminal, one line for each step
//! elsewhere. All of it goes to stderr.

use std::io::{IsTerminal, Write, stderr};
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pblink_flash::{Progress, Step};

use crate::exit::Exit;
use crate::global::Global;
use crate::output::diagnostics::{newline, say};
use crate::runtime;
use crate::signals::Signals;

/// The user pressed ctrl-C.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The user is being asked something: nothing has been changed yet.
static ASKING: AtomicBool = AtomicBool::new(false);

/// Asks the user. Ctrl-C then ends the program, instead of only being noted.
pub(crate) fn asking<T>(ask: impl FnOnce() -> T) -> T {
    ASKING.store(true, Ordering::Relaxed);
    let answer = ask();
    ASKING.store(false, Ordering::Relaxed);
    answer
}

/// Shows the progress of flashing, and knows whether the user wants it to stop.
#[derive(Debug)]
pub struct Bar {
    bar: Option<ProgressBar>,
    terminal: bool,
    colour: bool,
    /// Nothing is shown.
    quiet: bool,
    /// Subject of the current step.
    what: String,
    step: Option<Step>,
    total: u64,
}

impl Bar {
    /// Shows a bar on stderr. From now on ctrl-C stops the work at the next safe place.
    pub fn new(global: &Global) -> Self {
        let terminal = stderr().is_terminal();
        watch_interrupts();
        Self {
            bar: None,
            terminal,
            colour: global.color.enabled(terminal),
            quiet: global.quiet,
            what: String::new(),
            step: None,
            total: 0,
        }
    }

    fn style(&self) -> ProgressStyle {
        let amount = match self.step {
            _ if self.total == 0 => "{elapsed}",
            Some(Step::Wait) => "{pos} of {len} s",
            _ => "{bytes} of {total_bytes}, {eta} left",
        };
        let bar = match (self.total, self.colour) {
            (0, _) => "{spinner}",
            (_, true) => "{bar:30.cyan/blue}",
            (_, false) => "{bar:30}",
        };
        // The templates are the constants above: a mistake in one shows in the tests.
        ProgressStyle::with_template(&format!("{{prefix:.bold}} {{msg}} {bar} {amount}"))
            .unwrap_or_else(|_| ProgressStyle::default_bar())
    }
}

/// Returns the name of a step in progress.
fn doing(step: Step) -> &'static str {
    match step {
        Step::Wait => "waiting for",
        Step::Erase => "erasing",
        Step::Write => "writing",
        Step::Verify => "verifying",
        Step::Read => "reading",
        _ => "working on",
    }
}

/// Returns the name of a finished step.
fn done(step: Step) -> &'static str {
    match step {
        Step::Wait => "found",
        Step::Erase => "erased",
        Step::Write => "wrote",
        Step::Verify => "verified",
        Step::Read => "read",
        _ => "done with",
    }
}

impl Progress for Bar {
    fn begin(&mut self, step: Step, what: &str, total: u64) {
        self.finish();
        (self.step, self.total) = (Some(step), total);
        what.clone_into(&mut self.what);
        if self.quiet {
            return;
        }
        if self.terminal {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            bar.set_style(self.style());
            bar.set_prefix(doing(step));
            bar.set_message(self.what.clone());
            bar.enable_steady_tick(std::time::Duration::from_millis(200));
            self.bar = Some(bar);
        } else if step == Step::Wait {
            // Nobody would know what it waits for.
            let _ = writeln!(stderr(), "waiting for {what}");
        }
    }

    fn advance(&mut self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
    }

    fn end(&mut self) {
        self.finish();
        if let Some(step) = self.step.take()
            && !self.quiet
        {
            let amount = match step {
                Step::Wait => String::new(),
                _ if self.total == 0 => String::new(),
                _ => format!(": {} bytes", self.total),
            };
            let _ = writeln!(stderr(), "{} {}{amount}", done(step), self.what);
        }
    }

    fn note(&mut self, text: &str) {
        if self.quiet {
            return;
        }
        // Warnings and notes have the dress of all diagnostics; the rest says how it goes on.
        let labelled = ["warning: ", "note: "].iter().any(|label| text.starts_with(label));
        let text = &if labelled { format!("pblink: {text}") } else { text.to_owned() };
        match &self.bar {
            Some(bar) => bar.suspend(|| {
                let _ = writeln!(stderr(), "{text}");
            }),
            None => {
                let _ = writeln!(stderr(), "{text}");
            }
        }
    }

    fn cancelled(&self) -> bool {
        INTERRUPTED.load(Ordering::Relaxed)
    }
}

impl Bar {
    /// Takes the bar off the screen.
    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Notes ctrl-C, SIGTERM and SIGHUP instead of ending the program: a board must not be left half written.
fn watch_interrupts() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let (listens, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let _ = runtime::block_on(async {
                let Ok(mut signals) = Signals::listen() else { return };
                let _ = listens.send(());
                loop {
                    signals.next().await;
                    let asking = ASKING.load(Ordering::Relaxed);
                    if INTERRUPTED.swap(true, Ordering::Relaxed) || asking {
                        // The second time the user means it.
                        std::process::exit(i32::from(Exit::Interrupted as u8));
                    }
                    newline();
                    say("stopping at the next safe place; press ctrl-C again to stop at once");
                }
            });
        });
        // Until then a signal ends the program, whatever it has begun. Without signals nobody sends it.
        let _ = wait.recv();
    });
}
