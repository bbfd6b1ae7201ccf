//! An STM32 gets its program and its settings, over both ways, and whatever goes wrong.

mod faults;
mod finding;
mod keys;
mod lock;
mod peer;
mod refusals;
mod settings;
mod writing;

use pblink_fakes::stm32::{Bootloader, Chip, Debugger, Fault, START};
use pblink_flash::stm32::{Dfu, Outcome, Probe, Target, program};
use pblink_flash::{Error, Progress, Region, Step};

/// Returns a program of this many bytes, each of which depends on `seed`.
fn image(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut bytes: Vec<u8> = (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        })
        .collect();
    bytes[..4].copy_from_slice(&0x2002_0000_u32.to_le_bytes());
    bytes[4..8].copy_from_slice(&(START + 0x201).to_le_bytes());
    bytes
}

fn region(address: u32, bytes: &[u8]) -> Region {
    Region { name: "test.bin".to_owned(), address, bytes: bytes.to_vec() }
}

/// A way to a chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Dfu,
    Probe,
}

const WAYS: [Way; 2] = [Way::Dfu, Way::Probe];

/// The outcome of a way to the chip.
struct Run<T> {
    result: Result<T, Error>,
    /// The number of transfers.
    transfers: usize,
}

impl Way {
    /// Opens the way, and does something with the chip behind it.
    fn run<T>(
        self,
        chip: &Chip,
        fault: Option<(usize, Fault)>,
        work: impl FnOnce(&mut dyn Target) -> Result<T, Error>,
    ) -> Run<T> {
        // No run has as many transfers as this.
        let (at, fault) = fault.unwrap_or((usize::MAX, Fault::Vanish));
        match self {
            Self::Dfu => match Dfu::new(Bootloader::of(chip).with_fault(at, fault)) {
                Err(error) => Run { result: Err(error), transfers: at },
                Ok(mut dfu) => {
                    let result = work(&mut dfu);
                    Run { result, transfers: dfu.io().transfers() }
                }
            },
            Self::Probe => {
                let debugger = Debugger::of(chip).with_fault(at, fault);
                match Probe::new(debugger, "STM32F405RGTx") {
                    Err(error) => Run { result: Err(error), transfers: at },
                    Ok(mut probe) => {
                        let result = work(&mut probe);
                        Run { result, transfers: probe.link().transfers() }
                    }
                }
            }
        }
    }

    fn program(
        self,
        chip: &Chip,
        images: &[Region],
        progress: &mut Watch,
    ) -> Result<Outcome, Error> {
        self.run(chip, None, |target| program(target, images, progress)).result
    }
}

/// Follows the progress, and sees that it makes sense.
#[derive(Debug, Default)]
struct Watch {
    steps: Vec<(Step, u64)>,
    notes: Vec<String>,
    running: Option<(u64, u64)>,
    /// Answers so often that the user has not stopped it.
    patience: Option<std::cell::Cell<usize>>,
}

impl Watch {
    fn stops_after(questions: usize) -> Self {
        Self { patience: Some(questions.into()), ..Self::default() }
    }
}

impl Progress for Watch {
    fn begin(&mut self, step: Step, what: &str, total: u64) {
        assert!(self.running.is_none(), "{step:?} begins within another step");
        assert!(!what.is_empty());
        self.steps.push((step, total));
        self.running = Some((0, total));
    }

    fn advance(&mut self, done: u64) {
        let (before, total) = self.running.expect("a step goes on");
        assert!((before..=total).contains(&done), "{before} {done} {total}");
        self.running = Some((done, total));
    }

    fn end(&mut self) {
        let (_, total) = self.running.take().expect("a step goes on");
        assert!(total > 0);
    }

    fn note(&mut self, text: &str) {
        self.notes.push(text.to_owned());
    }

    fn cancelled(&self) -> bool {
        let Some(patience) = &self.patience else { return false };
        let left = patience.get();
        patience.set(left.saturating_sub(1));
        left == 0
    }
}

/// Asserts that a user can read it: cause and remedy, a sentence each.
fn check_words(error: &Error) {
    for text in [error.cause(), error.remedy()] {
        assert!(text.len() > 10, "{error:?}");
        assert!(!text.ends_with('.') && !text.contains('\n') && !text.contains("  "), "{text}");
    }
}
