//! `pblink flash esp32c3`: a program onto the ESP32-C3, over its serial port or its own USB.

use std::path::PathBuf;

use pblink_flash::coprocessor::{Program, Serial, size_text};
use pblink_flash::esp32c3::{self, Connect, Job, Loader};
use pblink_flash::{Chip, Progress, Region};
use pblink_image::manifest::ESP32C3;

use super::coprocessor::BoardArgs;
use super::report::Report;
use crate::exit::Exit;
use crate::global::Global;
use crate::hardware::error::failed;
use crate::hardware::images::{self, Named};
use crate::hardware::progress::Bar;

/// Arguments of `pblink flash esp32c3`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink flash esp32c3                                   what `pblink build esp32c3` made
  pblink flash esp32c3 --image firmware.factory.bin      any other program, at address 0
  pblink flash esp32c3 --image pblink-esp32c3-0.1.0      a release of ours, unpacked
  pblink flash esp32c3 --image target/riscv32imc-unknown-none-elf/release/mine     an ELF file: with its bootloader
  pblink flash esp32c3 --no-erase --image app.bin@0x10000
  pblink flash esp32c3 --serial /dev/ttyACM0 --yes --json | jq .boot

pblink checks the chip and the images before it erases anything. It erases all of the flash, so that no old \
file or password stays; --no-erase keeps the sectors that are not written. It compares what it has written. \
The bootloader goes first and comes last: if flashing is interrupted, a half-written program never starts. \
Then it starts the board and shows its first words.

A board that is not reached: hold its BOOT button (GPIO9 to ground), tap RESET, release BOOT, and run this \
with --before no-reset.

A program that `pblink build` made must greet within 5 s of its start and not restart again and again, or \
flashing has failed. Silence and restarts of another program are a warning.

Exit codes: 0 flashed, 1 it failed, 2 wrong flags, 3 there is nothing to flash, 130 stopped.")]
pub struct Args {
    /// The board.
    #[command(flatten)]
    pub board: BoardArgs,
    /// A file and its address in flash, 0 if none is given; may be repeated. Or an ELF file, or the folder of a release,
    /// with its manifest.json. Default: the program that `pblink build` made.
    #[arg(short, long, value_name = "FILE[@ADDR]|DIR")]
    pub image: Vec<Named>,
    /// Use the loader in the chip's ROM alone, if the faster one in RAM fails. It erases only what is written.
    #[arg(long)]
    pub no_stub: bool,
    /// Amount that is compared afterwards.
    #[arg(long, value_enum, default_value_t = Much::Full, value_name = "HOW")]
    pub verify: Much,
    /// The folder with the sources of pblink, under which `pblink build` left its files.
    #[arg(long, value_name = "DIR")]
    pub source: Option<PathBuf>,
    /// Print what was done as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Amount that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Much {
    /// Every byte, by its hash.
    Full,
    /// Nothing.
    None,
}

/// Runs the verb.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let regions = if args.image.is_empty() {
        images::built(ESP32C3, args.source.as_deref())?
    } else {
        with_elf_files(images::read(&args.image, ESP32C3)?).map_err(failed)?
    };
    let job = Job { erase: args.board.erase(), no_verify: args.verify == Much::None };
    // What is wrong with the files shows before anything is waited for.
    esp32c3::check(&regions, &job).map_err(failed)?;
    let mut progress = Bar::new(global);
    let (port, open) = args.board.open(Chip::Esp32c3, &regions, None, &mut progress)?;
    let report = work(&args, (&port, open), &regions, &job, &mut progress).map_err(failed)?;
    drop(progress);
    report.show(args.json)?;
    Ok(Exit::Ok)
}

/// Replaces each ELF file by what is flashed of it.
fn with_elf_files(regions: Vec<Region>) -> pblink_flash::Result<Vec<Region>> {
    let mut all = Vec::new();
    for region in regions {
        match region.address == 0 && region.bytes.starts_with(b"\x7fELF") {
            true => all.extend(pblink_image::esp32c3::regions(&region.bytes)?),
            false => all.push(region),
        }
    }
    Ok(all)
}

fn work(
    args: &Args,
    (path, port): (&str, Serial),
    regions: &[Region],
    job: &Job,
    progress: &mut dyn Progress,
) -> pblink_flash::Result<Report> {
    let connect =
        Connect { before: args.board.before.into(), baud: args.board.baud, no_stub: args.no_stub };
    let mut loader = Loader::connect((path, port), connect, progress)?;
    let device = loader.device().clone();
    progress.note(&format!(
        "{} {} with {} of flash on {path}",
        device.chip,
        device.mac,
        size_text(device.flash_size)
    ));
    let flashed = loader.flash(regions, job, progress)?;
    let (baud, in_stub) = (loader.baud()?, loader.in_stub());
    let built = args.image.is_empty() || images::has_folder(&args.image);
    let program = if built { Program::Pblink } else { Program::Other };
    let boot = loader.boot(program, progress)?;
    if let Some(warning) = boot.warning() {
        progress.note(&format!("warning: {warning}"));
    }
    Ok(Report {
        port: path.to_owned(),
        chip: device.chip,
        mac: device.mac,
        flash_id: None,
        flash_size: device.flash_size,
        loader: if in_stub { "stub" } else { "rom" },
        baud,
        flashed,
        boot,
    })
}
