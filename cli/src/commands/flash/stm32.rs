//! `pblink flash stm32`

mod image;

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use pblink_flash::stm32::{
    Bus, Found, Outcome, Target, UsbBus, Via, board_of, check_program, connect, write_program,
};
use pblink_flash::{Error, Kind, Progress, Region};
use pblink_image::map::{Map, PYBOARD};
use serde::Serialize;

use crate::exit::{Exit, Failed};
use crate::global::Global;
use crate::hardware::confirm::{Consent, ask_yes_no};
use crate::hardware::error::failed;
use crate::hardware::images;
use crate::hardware::progress::Bar;
use crate::hardware::target::Way;
use crate::output::json::line;
use crate::settings::BoardKind;

/// Arguments of `pblink flash stm32`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  pblink flash stm32                      what `pblink build` made, by the one device that is there
  pblink flash stm32 --via dfu --wait 60  over the board's own USB, once it is in its bootloader
  pblink flash stm32 --probe 0483:374b:066CFF --image target/thumbv7em-none-eabihf/release/echo
  pblink flash stm32 --image vectors.bin --image program.bin@0x08020000
  pblink flash stm32 --lock               as the last step, when the board has its settings and keys

A Pyboard enters its bootloader when its pin P1/DFU is connected to the 3V3 beside it and RST is pressed; a Black Pill \
when BOOT0 is held while NRST is pressed. A Nucleo is written by the probe on it.

A program that pblink has built knows its kind of board, and is not put onto a chip with other flash sectors. Through a \
probe the device number is checked, too; over USB a Black Pill and a Nucleo-F446RE cannot be told apart.

Nothing is waited for or erased before the image was checked. Only the sectors that it needs are erased, and of these \
only those that differ; the settings of the board stay. All of it is read back and compared, and a \
program that was written only in part does not start: just flash again.

Exit codes: 0 the program is on the board and runs, 1 it failed, 2 wrong flags, 3 there is nothing to \
flash, 130 stopped by ctrl-C.")]
pub struct Args {
    /// Way to the board.
    #[command(flatten)]
    pub way: Way,
    /// A program: an ELF file, or bytes for this address (0x08000000 if none is given). Repeat it for a
    /// program in several files. Without it: what `pblink build` made; where there are no sources, the demo that is
    /// part of this program, in a release.
    #[arg(long, value_name = "FILE[@ADDR]")]
    pub image: Vec<String>,
    /// Do not ask before writing. Needed where there is no terminal to ask on.
    #[arg(short, long)]
    pub yes: bool,
    /// Afterwards, turn the chip's read-out protection on (level 1): nobody reads settings and keys out of it then. This
    /// cannot be undone without erasing all of them.
    #[arg(long)]
    pub lock: bool,
    /// Print what was done as JSON.
    #[arg(long)]
    pub json: bool,
    /// The folder with the sources of pblink, where `pblink build` left its image. Without it: the
    /// folder around you that has them.
    #[arg(long, value_name = "DIR")]
    pub source: Option<PathBuf>,
}

/// Runs the verb.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let mut bar = Bar::new(global);
    let mut ask = |question: &str| ask_yes_no(question, true);
    let mut consent = Consent::of(args.yes, &mut ask);
    work(&args, &mut UsbBus, &mut bar, &mut consent, &mut io::stdout().lock())
}

/// Runs the verb without the world around it: devices come from `bus`, `consent` is asked
/// whether to go on, results go to `out`.
///
/// # Errors
/// With the exit code of the verb.
pub fn work(
    args: &Args,
    bus: &mut dyn Bus,
    progress: &mut dyn Progress,
    consent: &mut Consent<'_>,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let images = match args.image.as_slice() {
        [] => images::built("stm32", args.source.as_deref())?,
        files => {
            files.iter().map(|file| image::read(file)).collect::<Result<_, _>>().map_err(failed)?
        }
    };
    let built_for = images.iter().min_by_key(|image| image.address).and_then(board_of);
    if let (Some(kind), Some(map)) = (args.way.kind, built_for)
        && kind.map() != map
    {
        let kind = kind.map();
        return Err(failed(Error::new(
            Kind::Image,
            format!("the program was built for a {}, not for a {}", map.title, kind.title),
            format!(
                "build it with `pblink build stm32 --kind {}`, or leave out --kind",
                kind.board
            ),
        )));
    }
    // What is wrong with the files shows before anything is waited for.
    check_program(&images).map_err(failed)?;
    consent.check("the program on the board would be replaced", "")?;
    let usual = built_for.unwrap_or(&PYBOARD);
    let (found, mut target) = connect(bus, &args.way.wanted(usual), progress).map_err(failed)?;
    if let Some(map) = args.way.kind.map(BoardKind::map) {
        check_kind(&*target, map).map_err(failed)?;
    }
    if args.lock {
        progress.note(LOCK);
    }
    if !consent.ask(&question(&images, &found, args.lock))? {
        return Err(Failed::with(Exit::Interrupted, "nothing was written"));
    }
    let outcome = write_program(&mut *target, &images, progress).map_err(failed)?;
    if args.lock {
        target.lock().map_err(failed)?;
    } else {
        args.way.start(&mut *target).map_err(failed)?;
    }
    let started = !args.lock && !args.way.no_start;
    let report = Report { locked: args.lock, ..Report::of(&found, &outcome, started) };
    if args.json { writeln!(out, "{}", line(&report)?) } else { report.print(out) }
        .context("cannot print the result")?;
    Ok(Exit::Ok)
}

/// Checks that the device can be a board of this kind, whatever the program says of itself.
fn check_kind(target: &dyn Target, map: &Map) -> pblink_flash::Result<()> {
    if target.layout().is_of(map) {
        return Ok(());
    }
    let kb = (target.layout().end() - u64::from(target.layout().start())) >> 10;
    let cause = format!(
        "{} is no {}: it has {kb} KB of flash in {} sectors",
        target.name(),
        map.title,
        target.layout().sectors().len()
    );
    Err(Error::new(Kind::WrongChip, cause, "name the board that is connected with --kind"))
}

/// Consequences that a user has to know before a chip is locked.
const LOCK: &str = "\
--lock: nobody reads this chip's flash by probe or USB any more, you neither. It cannot be flashed, given settings or \
keys then, and `pblink config pull` shows nothing, until the protection is taken off, which erases program, settings and \
keys. It keeps out whoever has a cable, not a laboratory.";

fn question(images: &[Region], found: &Found, lock: bool) -> String {
    let names: Vec<_> = images.iter().map(|image| image.name.as_str()).collect();
    let size: usize = images.iter().map(|image| image.bytes.len()).sum();
    let lock = if lock { ", and lock the chip" } else { "" };
    format!("Write {} ({size} bytes) to {found}{lock}?", names.join(", "))
}

/// Result of flashing an STM32.
#[derive(Debug, Serialize)]
struct Report {
    board: &'static str,
    via: &'static str,
    device: String,
    bytes_written: u64,
    bytes_unchanged: u64,
    sectors_erased: usize,
    started: bool,
    locked: bool,
}

impl Report {
    fn of(found: &Found, outcome: &Outcome, started: bool) -> Self {
        Self {
            board: "stm32",
            via: match found.via {
                Via::Probe => "probe",
                Via::Dfu => "dfu",
            },
            device: found.to_string(),
            bytes_written: outcome.written,
            bytes_unchanged: outcome.unchanged,
            sectors_erased: outcome.erased,
            started,
            locked: false,
        }
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { device, bytes_written, bytes_unchanged, sectors_erased, .. } = self;
        match bytes_written {
            0 => writeln!(out, "stm32: {bytes_unchanged} bytes were there already, by {device}")?,
            _ => writeln!(
                out,
                "stm32: {bytes_written} bytes written and compared, {bytes_unchanged} unchanged, \
                 {sectors_erased} sectors erased, by {device}"
            )?,
        }
        if self.locked {
            let next = "unplug the board's supply and plug it in again: then its program starts";
            return writeln!(out, "stm32: the chip is locked; {next}");
        }
        match self.started {
            true => writeln!(out, "stm32: the program was started; the settings were not touched"),
            false => {
                writeln!(out, "stm32: the program was not started; the settings were not touched")
            }
        }
    }
}
