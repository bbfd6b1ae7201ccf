//! `pblink build`: both firmwares from their sources.
//!
//! The compiling itself is done by `build.sh` beside each firmware, which also works without this
//! program. This verb runs them, shows that they live, turns what comes out into images, and writes a
//! manifest that says what is to be flashed where.

pub(crate) mod images;
mod manifest;
mod script;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Global;
use crate::exit::{Exit, Failed};
use crate::source;
use manifest::{Image, Manifest};
use script::Outcome;

/// Arguments of `pblink build`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink build              both firmwares
  pblink build stm32        the STM32's alone
  pblink build --json | jq -r '.images[].file'

Images and manifest.json (address, file, size, sha256, version) go into target/pblink/ of the source \
folder. Compilers that are missing are named with the line that installs them. The first build takes \
some minutes, since the core library is built too.

The ESP8266's image is for the emulator so far: it cannot be flashed.

Exit codes: 0 built, 1 it does not compile, 2 wrong flags, 3 a tool is missing.")]
pub struct Args {
    /// What to build.
    #[arg(value_enum, default_value_t = Target::All)]
    pub target: Target,
    /// The folder with the sources of pblink. Without it: the folder around you that has them, or
    /// the one that this program was built from.
    #[arg(long, value_name = "DIR")]
    pub source: Option<PathBuf>,
    /// Print the manifest as JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// What to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Target {
    /// The STM32's demo.
    Stm32,
    /// The ESP8266's fixed firmware.
    Esp8266,
    /// Both.
    All,
}

/// One firmware: where its sources are, and what its script makes.
struct Firmware {
    board: &'static str,
    folder: &'static str,
    arguments: &'static [&'static str],
    elf: &'static str,
}

const STM32: Firmware = Firmware {
    board: "stm32",
    folder: source::STM32,
    arguments: &[],
    elf: "target/thumbv7em-none-eabihf/release/demo",
};

const ESP8266: Firmware = Firmware {
    board: "esp8266",
    folder: source::ESP8266,
    arguments: &["emulator"],
    elf: "target/emulator/pblink-esp8266.elf",
};

/// Runs the verb.
pub fn run(args: Args, _global: &Global) -> anyhow::Result<Exit> {
    let source = source::find(args.source.as_deref())?;
    let wanted = match args.target {
        Target::Stm32 => vec![STM32],
        Target::Esp8266 => vec![ESP8266],
        Target::All => vec![STM32, ESP8266],
    };
    let out = source.join("target/pblink");
    std::fs::create_dir_all(&out)
        .with_context(|| format!("cannot make the folder {}", out.display()))?;
    let mut missing = false;
    let mut images = Vec::new();
    for firmware in &wanted {
        eprintln!("pblink: building the firmware of the {}", firmware.board);
        match script::run(&source.join(firmware.folder), firmware.arguments)? {
            // It has named them.
            Outcome::ToolsMissing => missing = true,
            Outcome::Built => images.push(image(firmware, &source, &out)?),
        }
    }
    if missing {
        return Err(Failed::with(
            Exit::Config,
            "tools are missing: install them with the lines above, and try again",
        ));
    }
    let manifest = Manifest::new(images);
    manifest.write(&out.join("manifest.json"))?;
    let mut stdout = std::io::stdout().lock();
    if args.json {
        writeln!(stdout, "{}", serde_json::to_string(&manifest)?)?;
    } else {
        manifest.print(&mut stdout)?;
    }
    Ok(Exit::Ok)
}

fn image(firmware: &Firmware, source: &Path, out: &Path) -> anyhow::Result<Image> {
    let elf = source.join(firmware.folder).join(firmware.elf);
    let bytes =
        std::fs::read(&elf).with_context(|| format!("the build made no {}", elf.display()))?;
    if firmware.board == "stm32" {
        let flash = images::flash(&bytes).map_err(|e| {
            Failed::with(Exit::Failure, format!("{} cannot be flashed: {e}", elf.display()))
        })?;
        Image::write(firmware.board, Some(flash.address), &flash.bytes, &out.join("stm32.bin"))
    } else {
        Image::write(firmware.board, None, &bytes, &out.join("esp8266-emulator.elf"))
    }
}
