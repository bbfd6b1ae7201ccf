//! `pblink flash esp8266`: a program onto the ESP8266, over its serial port.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use pblink_flash::esp8266::{
    self, Before, Boot, Connect, Device, Erase, Flashed, Header, Job, Loader, Program, Serial,
    Size, Stub, Verified, Verify,
};
use pblink_flash::{Error, Kind, Progress, Region};
use pblink_image::manifest::ESP8266;
use serde_json::json;

use crate::exit::{Exit, Failed};
use crate::global::Global;
use crate::hardware::error::failed;
use crate::hardware::images::{self, Named};
use crate::hardware::progress::Bar;
use crate::output::diagnostics::prompt;
use crate::output::json::line;
use crate::settings::limits::Limits;

/// Arguments of `pblink flash esp8266`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink flash esp8266                                   what `pblink build` made
  pblink flash esp8266 --image firmware-combined.bin     any other program, at address 0
  pblink flash esp8266 --image pblink-esp8266-0.1.0      a release of ours, unpacked
  pblink flash esp8266 --image 0x00000.bin --image 0x10000.bin@0x10000
  pblink flash esp8266 --serial /dev/ttyUSB1 --yes --json | jq .boot

pblink checks the chip before it erases anything. It erases all of the flash, so that no old file or \
password stays; --no-erase keeps the sectors that are not written. It reads back what it has written. It \
writes the first sector of the program last: if flashing is interrupted, a half-written program never \
starts. Then it starts the board and shows its first words.

A board without reset wires: hold its FLASH button (GPIO0 to ground), tap RESET, release FLASH, and run \
this with --before no-reset.

A program that `pblink build` made must greet within 5 s of its start, or flashing has failed. The silence \
of another program is a warning.

Exit codes: 0 flashed, 1 it failed, 2 wrong flags, 3 there is nothing to flash, 130 stopped.")]
pub struct Args {
    /// Serial port of the ESP8266. Default: the only USB adapter of a kind that ESP8266 boards have;
    /// other ports are never touched.
    #[arg(long, alias = "port", short_alias = 'p', value_name = "PORT", value_parser = port)]
    pub serial: Option<String>,
    /// Bits per second. Default: a speed that is safe. On a bad line pblink retries at a lower one.
    #[arg(short, long, value_name = "N", value_parser = BAUD.parser())]
    pub baud: Option<u32>,
    /// A file and its address in flash, 0 if none is given; may be repeated. Or the folder of a release, with its
    /// manifest.json. Default: the program that `pblink build` made.
    #[arg(short, long, value_name = "FILE[@ADDR]|DIR")]
    pub image: Vec<Named>,
    /// Way into the board's loader.
    #[arg(long, value_enum, default_value_t = How::DefaultReset, value_name = "HOW")]
    pub before: How,
    /// Erase only the sectors that are written.
    #[arg(long)]
    pub no_erase: bool,
    /// Use the loader in the chip's ROM alone, if the faster one in RAM fails.
    #[arg(long)]
    pub no_stub: bool,
    /// Amount that is read back. `auto` is everything if the loader can hash, else samples.
    #[arg(long, value_enum, default_value_t = Much::Auto, value_name = "HOW")]
    pub verify: Much,
    /// Size of flash in the header of the program: the board's, as MicroPython wants it, or the one
    /// in the file, as programs made with Espressif's SDK 3 want it. Default: `keep` for programs that
    /// `pblink build` made and for those with a second file at 0x10000, as the SDK makes them, else
    /// `board`.
    #[arg(long, value_enum, value_name = "WHAT")]
    pub header_size: Option<HeaderSize>,
    /// Size of the board's flash, such as 512KB or 4MB, if the chip does not report it.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub flash_size: Option<u32>,
    /// The folder with the sources of pblink, under which `pblink build` left its files.
    #[arg(long, value_name = "DIR")]
    pub source: Option<PathBuf>,
    /// Do not ask before erasing. Needed where there is no terminal to ask on.
    #[arg(short, long)]
    pub yes: bool,
    /// Print what was done as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Of `--baud`, in bits per second.
const BAUD: Limits = Limits::number(9600, 4_000_000, 115_200);

/// Way into the board's loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum How {
    /// The adapter's wires DTR and RTS do it.
    DefaultReset,
    /// It is in its loader already.
    NoReset,
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

/// Size of flash in the header of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum HeaderSize {
    /// The one in its file.
    Keep,
    /// The board's.
    Board,
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

/// Returns true if files are as Espressif's SDK makes them: a program at 0, and its code in a file of its own. With SDK 3
/// it only starts with the size of flash that it was compiled for.
fn of_sdk(regions: &[Region]) -> bool {
    /// Address at which its linker scripts put the code.
    const CODE: u32 = 0x10000;
    [0, CODE].iter().all(|&address| regions.iter().any(|region| region.address == address))
}

fn port(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => {
            Err("name a port, such as /dev/ttyUSB0, or leave --serial out to have it found"
                .to_owned())
        }
        _ => Ok(text.to_owned()),
    }
}

/// Runs the verb.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let regions = if args.image.is_empty() {
        images::built(ESP8266, args.source.as_deref())?
    } else {
        images::read(&args.image, ESP8266)?
    };
    let port = match &args.serial {
        Some(port) => port.clone(),
        None => {
            let adapters = esp8266::adapters().map_err(failed)?;
            esp8266::only(&adapters).map_err(failed)?.path.clone()
        }
    };
    let asked = confirm(&args, &port)?;
    let mut progress = Bar::new(global);
    if !asked {
        progress.note(&format!("note: {WIRED}"));
    }
    let report = work(&args, &port, &regions, &mut progress).map_err(failed)?;
    drop(progress);
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", line(&report.json())?)?;
    } else {
        report.print(&mut out)?;
    }
    Ok(Exit::Ok)
}

/// Warning about an ESP8266 that is flashed while it is wired to an STM32.
const WIRED: &str = "If an STM32 with a pblink program is wired to this ESP8266, it resets it while it is flashed: hold \
                     the STM32 in its bootloader (pblink config pull --no-start), or pull the reset wire.";

/// Asks before all is erased; returns whether it has asked. Where nobody can be asked, --yes has to be there.
fn confirm(args: &Args, port: &str) -> anyhow::Result<bool> {
    if args.yes || args.no_erase {
        return Ok(false);
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failed::with(
            Exit::Usage,
            "all of the board's flash would be erased, and there is no terminal to ask on\n  \
             add --yes to do it, or --no-erase to keep what is not written",
        ));
    }
    prompt(format_args!(
        "All of the flash of the ESP8266 on {port} will be erased, with all files and passwords that \
         are on it.\n{WIRED}\nGo on? [y/N] "
    ));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(true);
    }
    Err(failed(Error::new(
        Kind::Cancelled,
        "stopped before anything was changed",
        "run the command again when you like",
    )))
}

/// Result of flashing an ESP8266.
struct Report {
    port: String,
    device: Device,
    loader: &'static str,
    baud: u32,
    flashed: Vec<Flashed>,
    boot: Boot,
}

fn work(
    args: &Args,
    port: &str,
    regions: &[Region],
    progress: &mut dyn Progress,
) -> pblink_flash::Result<Report> {
    let connect = Connect {
        before: match args.before {
            How::DefaultReset => Before::DefaultReset,
            How::NoReset => Before::NoReset,
        },
        baud: args.baud,
        stub: Stub::builtin().filter(|_| !args.no_stub),
        flash_size: args.flash_size,
    };
    let built = args.image.is_empty() || images::has_folder(&args.image);
    let size = match args.header_size {
        Some(HeaderSize::Keep) => Size::Keep,
        Some(HeaderSize::Board) => Size::OfBoard,
        None if built || of_sdk(regions) => Size::Keep,
        None => Size::OfBoard,
    };
    let job = Job {
        erase: if args.no_erase { Erase::Needed } else { Erase::All },
        verify: match args.verify {
            Much::Auto => Verify::Auto,
            Much::Sampled => Verify::Sampled,
            Much::Full => Verify::Full,
            Much::None => Verify::No,
        },
        header: Header { size, ..Header::default() },
    };
    let mut loader = Loader::connect(Serial::open(port)?, connect, progress)?;
    let device = loader.device().clone();
    progress.note(&format!(
        "{} {} with {} of flash on {port}",
        device.chip,
        device.mac,
        esp8266::size_text(device.flash_size)
    ));
    let flashed = loader.flash(regions, &job, progress)?;
    let (baud, in_stub) = (loader.baud(), loader.in_stub());
    let boot = loader.boot(if built { Program::Pblink } else { Program::Other }, progress)?;
    if let Some(warning) = boot.warning() {
        progress.note(&format!("warning: {warning}"));
    }
    let loader = if in_stub { "stub" } else { "rom" };
    Ok(Report { port: port.to_owned(), device, loader, baud, flashed, boot })
}

impl Report {
    fn json(&self) -> serde_json::Value {
        let regions: Vec<_> = self
            .flashed
            .iter()
            .map(|part| {
                json!({
                    "name": part.name,
                    "address": format!("{:#010x}", part.address),
                    "bytes": part.length,
                    "written": part.written,
                    "verified": verified(part.verified).0,
                })
            })
            .collect();
        json!({
            "port": self.port,
            "chip": self.device.chip,
            "mac": self.device.mac.to_string(),
            "flash_id": format!("{:#08x}", self.device.flash_id),
            "flash_size": self.device.flash_size,
            "loader": self.loader,
            "baud": self.baud,
            "regions": regions,
            "boot": {
                "greeting": self.boot.greeting,
                "lines": self.boot.lines,
                "warning": self.boot.warning(),
            },
        })
    }

    fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        for part in &self.flashed {
            let done = if part.written { "written" } else { "unchanged" };
            writeln!(
                out,
                "{:#010x}  {:<28} {:>8} bytes, {done}, {}",
                part.address,
                part.name,
                part.length,
                verified(part.verified).1
            )?;
        }
        match &self.boot.greeting {
            Some(greeting) => writeln!(out, "the board says: {greeting}"),
            None => {
                self.boot
                    .lines
                    .iter()
                    .try_for_each(|line| writeln!(out, "the board says: {line}"))?;
                if self.boot.garbled {
                    writeln!(out, "(it speaks at another speed than {} baud)", esp8266::BOOT_BAUD)?;
                }
                Ok(())
            }
        }
    }
}

/// Describes the verification in one word, and in a few.
fn verified(verified: Verified) -> (&'static str, &'static str) {
    match verified {
        Verified::Fully => ("full", "every byte verified"),
        Verified::Sampled => ("sampled", "64 bytes of every sector verified"),
        Verified::No => ("no", "not verified"),
    }
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
