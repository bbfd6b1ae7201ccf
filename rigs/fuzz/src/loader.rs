//! The loader of an ESP8266 that lies: `Loader::connect` and `Loader::flash`, with the loader in its ROM.

use pblink_fakes::esp8266::{Board, Line, Options, image};
use pblink_flash::coprocessor::{Erase, Port};
use pblink_flash::esp8266::{Connect, Job, Loader, Verify};
use pblink_flash::{Region, Silent};

use crate::input::Input;
use crate::liar::Liar;

/// Bytes of the board's flash: what the header of its program asks for.
const FLASH: usize = 1 << 20;

/// Runs an input: what its answers are changed to.
pub fn run(data: &[u8]) {
    run_with(data, Verify::Full, |line| line);
}

/// Runs it with another check of what was written, and with a port through which the host reaches the board.
pub fn run_with<P: Port>(data: &[u8], verify: Verify, through: impl FnOnce(Line) -> P) {
    let mut lies = Input::new(data);
    let segment = [lies.byte(); 40];
    let image = image(&segment);
    let board = Board::new(Options { flash_size: FLASH, ..Options::default() });
    let port = Liar { truth: through(board.line()), lies };
    let Ok(mut loader) = Loader::connect(port, Connect::default(), &mut Silent) else { return };
    let region = Region { name: "program".into(), address: 0, bytes: image.clone() };
    let job = Job { verify, erase: Erase::Needed, ..Job::default() };
    let flashed = loader.flash(&[region], &job, &mut Silent);
    let same = board.flash().starts_with(&image);
    assert!(same || flashed.is_err(), "it says that the program is there");
    assert!(same || !board.would_start(), "half a program would start");
}
