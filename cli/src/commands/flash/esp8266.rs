//! `pblink flash esp8266`: a program onto the ESP8266, over its serial port.

mod header;

use std::path::PathBuf;

use pblink_flash::coprocessor::{Program, Serial, size_text};
use pblink_flash::esp8266::{self, Connect, Job, Loader, Stub, Verify};
use pblink_flash::{Chip, Progress, Region};
use pblink_image::manifest::ESP8266;

use super::coprocessor::BoardArgs;
use super::report::Report;
use crate::exit::Exit;
use crate::global::Global;
use crate::hardware::error::failed;
use crate::hardware::images::{self, Named};
use crate::hardware::progress::Bar;
use header::{HeaderArgs, larger_board};

/// Arguments of `pblink flash esp8266`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink flash esp8266                                   what `pblink build` made
  pblink flash esp8266 --image firmware-combined.bin     any other program, at address 0
  pblink flash esp8266 --image pblink-esp8266-0.1.0      a release of ours, unpacked
  pblink flash esp8266 --image 0x00000.bin --image 0x10000.bin@0x10000
  pblink flash esp8266 --serial /dev/ttyUSB1 --yes --json | jq .boot
  pblink flash esp8266 --image tasmota.bin --flash-mode dout     onto an ESP8285

pblink checks the chip before it erases anything. It erases all of the flash, so that no old file or \
password stays; --no-erase keeps the sectors that are not written. It reads back what it has written. It \
writes the first sector of the program last: if flashing is interrupted, a half-written program never \
starts. Then it starts the board and shows its first words.

A board without reset wires: hold its FLASH button (GPIO0 to ground), tap RESET, release FLASH, and run \
this with --before no-reset.

A program that `pblink build` made must greet within 5 s of its start and not restart again and again, or \
flashing has failed. Silence and restarts of another program are a warning.

Exit codes: 0 flashed, 1 it failed, 2 wrong flags, 3 there is nothing to flash, 130 stopped.")]
pub struct Args {
    /// The board.
    #[command(flatten)]
    pub board: BoardArgs,
    /// A file and its address in flash, 0 if none is given; may be repeated. Or the folder of a release, with its
    /// manifest.json. Default: the program that `pblink build` made.
    #[arg(short, long, value_name = "FILE[@ADDR]|DIR")]
    pub image: Vec<Named>,
    /// Use the loader in the chip's ROM alone, if the faster one in RAM fails.
    #[arg(long)]
    pub no_stub: bool,
    /// Amount that is read back. `auto` is everything if the loader can hash, else samples.
    #[arg(long, value_enum, default_value_t = Much::Auto, value_name = "HOW")]
    pub verify: Much,
    /// Changes to the program's header.
    #[command(flatten)]
    pub header: HeaderArgs,
    /// Size of the board's flash, such as 512KB or 4MB, if the chip does not report it.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub flash_size: Option<u32>,
    /// The folder with the sources of pblink, under which `pblink build` left its files.
    #[arg(long, value_name = "DIR")]
    pub source: Option<PathBuf>,
    /// Print what was done as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Amount that is read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Much {
    /// Everything if the loader can hash, else samples.
    Auto,
    /// 64 bytes of every sector.
    Sampled,
    /// Everything; with the loader in ROM about a minute for 40 KB.
    Full,
    /// Nothing.
    None,
}

fn size(text: &str) -> Result<u32, String> {
    let upper = text.to_ascii_uppercase();
    let (digits, shift) = match (upper.strip_suffix("KB"), upper.strip_suffix("MB")) {
        (Some(digits), _) => (digits, 10),
        (_, Some(digits)) => (digits, 20),
        _ => return Err("write it like 512KB or 4MB".to_owned()),
    };
    let size = digits.parse().ok().and_then(|n: u32| n.checked_mul(1 << shift));
    size.filter(|size| size.is_power_of_two() && (1 << 18..=1 << 24).contains(size))
        .ok_or_else(|| "flash has 256KB to 16MB, a power of two".to_owned())
}

/// Runs the verb.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let regions = if args.image.is_empty() {
        images::built(ESP8266, args.source.as_deref())?
    } else {
        images::read(&args.image, ESP8266)?
    };
    // What is wrong with the files shows before anything is waited for.
    let (job, note) = args.job(&regions);
    esp8266::check(&regions, &job).map_err(failed)?;
    let mut progress = Bar::new(global);
    let note = note.map(|note| format!("note: {note}"));
    let (port, open) = args.board.open(Chip::Esp8266, &regions, note, &mut progress)?;
    let report = work(&args, (&port, open), &regions, &job, &mut progress).map_err(failed)?;
    drop(progress);
    report.show(args.json)?;
    Ok(Exit::Ok)
}

impl Args {
    /// Returns true if `pblink build` made the program.
    fn is_built(&self) -> bool {
        self.image.is_empty() || images::has_folder(&self.image)
    }

    /// Returns what is to be done with these files, and a note about their header.
    fn job(&self, regions: &[Region]) -> (Job, Option<String>) {
        let (header, note) = self.header.header(regions, self.is_built());
        let job = Job {
            erase: self.board.erase(),
            verify: match self.verify {
                Much::Auto => Verify::Auto,
                Much::Sampled => Verify::Sampled,
                Much::Full => Verify::Full,
                Much::None => Verify::No,
            },
            header,
        };
        (job, note)
    }
}

fn work(
    args: &Args,
    (path, port): (&str, Serial),
    regions: &[Region],
    job: &Job,
    progress: &mut dyn Progress,
) -> pblink_flash::Result<Report> {
    let connect = Connect {
        before: args.board.before.into(),
        baud: args.board.baud,
        stub: Stub::builtin().filter(|_| !args.no_stub),
        flash_size: args.flash_size,
    };
    let mut loader = Loader::connect(port, connect, progress)?;
    let device = loader.device().clone();
    progress.note(&format!(
        "{} {} with {} of flash on {path}",
        device.chip,
        device.mac,
        size_text(device.flash_size)
    ));
    if let Some(note) = larger_board(&job.header, device.flash_size) {
        progress.note(&format!("note: {note}"));
    }
    let flashed = loader.flash(regions, job, progress)?;
    let (baud, in_stub) = (loader.baud(), loader.in_stub());
    let program = if args.is_built() { Program::Pblink } else { Program::Other };
    let boot = loader.boot(program, progress)?;
    if let Some(warning) = boot.warning() {
        progress.note(&format!("warning: {warning}"));
    }
    let loader = if in_stub { "stub" } else { "rom" };
    Ok(Report {
        port: path.to_owned(),
        chip: device.chip.to_owned(),
        mac: device.mac.to_string(),
        flash_id: Some(device.flash_id),
        flash_size: device.flash_size,
        loader,
        baud,
        flashed,
        boot,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_on_the_label() {
        assert_eq!(
            (size("512KB"), size("4mb"), size("16MB")),
            (Ok(512 << 10), Ok(4 << 20), Ok(16 << 20))
        );
        for wrong in ["4", "3MB", "32MB", "4GB", "MB", "99999999MB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
