//! `pblink build`: the firmwares from their sources.
//!
//! The compiling itself is done by `build.sh` beside each firmware, which also works without this
//! program. This verb runs them, shows that they live, turns what comes out into images, and writes a
//! manifest that says what is to be flashed where.

mod esp32c3;
mod esp8266;
mod script;
mod settings;
mod table;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use pblink_image::identity;
use pblink_image::manifest::{ESP32C3, ESP8266, Image, Manifest, Place, STM32};
use pblink_image::map::Map;
use pblink_image::sizes::Sizes;
use pblink_image::stm32;

use crate::exit::{Exit, Failed};
use crate::global::Global;
use crate::hardware::settings_args::SettingsArgs;
use crate::hardware::{checkout, sdk};
use crate::output::diagnostics::{note, say};
use crate::output::json::line;
use crate::settings::{BoardKind, CoprocessorKind, shell_word};
use script::{Outcome, Script};
use settings::Compiled;

/// Arguments of `pblink build`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink build                           the STM32's and the coprocessor's
  pblink build esp32c3                   the ESP32-C3's alone: no SDK is needed
  pblink build stm32 --client kitchen    the STM32's alone, for the board with this id
  pblink build stm32 --app kitchen       your application, made by `pblink new kitchen`
  pblink build stm32 --kind black-pill   for another board than board.kind says
  pblink build --json | jq -r '.images[].file'

What pblink.toml says is compiled into the STM32's program; it counts while the board's flash holds no \
settings. An image with a WiFi password in it can only be read by you.

An ESP32-C3's firmware needs `rustup target add riscv32imc-unknown-none-elf`, and nothing that is not fetched by \
cargo.

For an ESP8266 image that can be flashed, Espressif's SDK is needed: `git clone \
https://github.com/espressif/ESP8266_NONOS_SDK`, and name its folder in the variable ESP8266_NONOS_SDK or \
the key build.esp8266_sdk. Without it, the image for the emulator is built, and the chip's program only \
checked.

Images and manifest.json (address, file, size, sha256, version, settings) go into target/pblink/ of the \
source folder, or, where there is none, of the application. Compilers that are missing are named with the line that installs them. The first build \
takes some minutes, since the core library is built too.

Exit codes: 0 built, 1 it does not compile, 2 wrong flags, 3 a tool is missing, or the configuration or \
the SDK is wrong.")]
pub struct Args {
    /// Programs to build.
    #[arg(value_enum, default_value_t = Target::All)]
    pub target: Target,
    /// Settings that are compiled in.
    #[command(flatten)]
    pub settings: SettingsArgs,
    /// Coprocessor that `all` builds for. Without it: board.coprocessor of pblink.toml.
    #[arg(long, value_enum, value_name = "KIND")]
    pub coprocessor: Option<CoprocessorKind>,
    /// The folder of an application, to be built instead of the demo. Its pblink.toml is used unless
    /// --config names another.
    #[arg(long, value_name = "DIR")]
    pub app: Option<PathBuf>,
    /// Kind of board to build for. Without it: board.kind of pblink.toml. An application knows its own.
    #[arg(long, value_enum, value_name = "KIND", conflicts_with = "app")]
    pub kind: Option<BoardKind>,
    /// The folder with the sources of pblink. Without it: the folder around you that has them.
    #[arg(long, value_name = "DIR")]
    pub source: Option<PathBuf>,
    /// Print the manifest as JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Programs to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Target {
    /// The STM32's demo, or your application.
    Stm32,
    /// The ESP8266's fixed firmware.
    Esp8266,
    /// The ESP32-C3's fixed firmware.
    Esp32c3,
    /// The STM32's, and the coprocessor's.
    All,
}

/// A run of a script, and the program that it leaves.
struct Job {
    board: &'static str,
    /// Name of the program, in words.
    program: String,
    script: Script,
    elf: PathBuf,
}

/// Runs the verb.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let stm32 = matches!(args.target, Target::Stm32 | Target::All);
    let (source, alone) = match (checkout::find(args.source.as_deref()), &args.app) {
        // An application has all that it needs in its own folder.
        (Err(_), Some(app)) if args.target == Target::Stm32 && args.source.is_none() => {
            app_name(app)?;
            (app.clone(), true)
        }
        (found, _) => (found?, false),
    };
    let source =
        source.canonicalize().with_context(|| format!("cannot find {}", source.display()))?;
    if args.app.is_some() && !stm32 {
        return Err(Failed::with(Exit::Usage, "--app is for the STM32: build `stm32` or `all`"));
    }
    let settings = settings::read(&args)?;
    let coprocessor = match args.target {
        Target::Stm32 => None,
        Target::Esp8266 => Some(CoprocessorKind::Esp8266),
        Target::Esp32c3 => Some(CoprocessorKind::Esp32c3),
        Target::All => Some(args.coprocessor.unwrap_or(settings.board.coprocessor)),
    };
    let esp8266 = coprocessor == Some(CoprocessorKind::Esp8266);
    let esp32c3 = coprocessor == Some(CoprocessorKind::Esp32c3);
    let compiled = stm32.then(|| settings::compile(&settings, &args)).transpose()?;
    let sdk = if esp8266 { sdk::find(&settings)? } else { None };
    let out = source.join("target/pblink");
    std::fs::create_dir_all(&out)
        .with_context(|| format!("cannot make the folder {}", out.display()))?;
    let mut jobs = Vec::new();
    if let Some(compiled) = &compiled {
        let compiled_in = settings::hand_over(compiled, &out)?;
        let kind = args.kind.unwrap_or(settings.board.kind);
        jobs.push(stm32_job(&source, args.app.as_deref(), kind, compiled_in, compiled.secret())?);
    }
    if esp8266 {
        jobs.extend(esp8266::jobs(&source, sdk.as_deref()));
    }
    if esp32c3 {
        jobs.push(esp32c3::job(&source)?);
    }
    build(&jobs, global.quiet)?;

    let mut manifest = Manifest::new(env!("CARGO_PKG_VERSION"));
    if let Some(compiled) = compiled {
        let map = args.kind.unwrap_or(settings.board.kind).map();
        make_stm32(&jobs[0], map, &compiled, &out, &mut manifest)?;
        manifest.config = Some(compiled.summary);
    } else {
        manifest.keep(STM32, &out);
    }
    if esp8266 {
        let jobs = jobs.iter().filter(|job| job.board == ESP8266);
        esp8266::make(jobs, sdk.as_deref(), &out, &mut manifest)?;
    } else {
        manifest.keep(ESP8266, &out);
    }
    match jobs.iter().find(|job| job.board == ESP32C3) {
        Some(job) => esp32c3::make(job, &out, &mut manifest)?,
        None => manifest.keep(ESP32C3, &out),
    }
    manifest.write(&out)?;
    let mut stdout = std::io::stdout().lock();
    if args.json {
        writeln!(stdout, "{}", line(&manifest)?)?;
    } else {
        table::print(&manifest, &out, &mut stdout)?;
    }
    if let Some(app) = args.app.as_ref().filter(|_| alone) {
        // It looks for what was built around the current folder.
        let there = std::env::current_dir().is_ok_and(|here| here.starts_with(&source));
        let go = if there { String::new() } else { format!("cd {} && ", shell_word(app)) };
        note(format_args!("`{go}pblink flash stm32` writes it"));
    }
    if esp8266 && sdk.is_none() {
        note(format_args!(
            "the ESP8266's image is for the emulator, it cannot be flashed; for one that can, \
             `{}`, name its folder with `pblink config set build.esp8266_sdk DIR` or in the variable \
             {}, and build again",
            sdk::DOWNLOAD,
            sdk::VARIABLE
        ));
    }
    Ok(Exit::Ok)
}

/// Returns the job that builds the STM32's program.
fn stm32_job(
    source: &Path,
    app: Option<&Path>,
    kind: BoardKind,
    settings: Option<PathBuf>,
    private: bool,
) -> anyhow::Result<Job> {
    let release = Path::new("thumbv7em-none-eabihf/release");
    let mut variables = vec![("PBLINK_SETTINGS", settings)];
    let mut arguments = Vec::new();
    let (folder, target, program) = if let Some(app) = app {
        let name = app_name(app)?;
        // The script takes it from there, too.
        let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or("target".into());
        (app.to_owned(), app.join(target), name)
    } else {
        variables.push(("CARGO_TARGET_DIR", None));
        let folder = source.join(checkout::STM32);
        let target = folder.join("target");
        let target = match kind {
            BoardKind::Pyboard => target,
            kind => target.join(kind.name()),
        };
        arguments.extend(["release", kind.name()]);
        (folder, target, "demo".to_owned())
    };
    let elf = target.join(release).join(&program);
    let script = Script { folder, arguments, variables, private };
    Ok(Job { board: STM32, program, script, elf })
}

/// Returns the name of an application, from its Cargo.toml.
fn app_name(folder: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    let name = text.parse::<toml::Table>().ok().and_then(|manifest| {
        let name = manifest.get("package")?.get("name")?.as_str()?;
        folder.join("build.sh").is_file().then(|| name.to_owned())
    });
    name.ok_or_else(|| {
        Failed::with(
            Exit::Usage,
            format!(
                "{} is not an application with Cargo.toml and build.sh; `pblink new NAME` makes one",
                folder.display()
            ),
        )
    })
}

/// Runs all scripts, after all of them have looked for their tools.
fn build(jobs: &[Job], quiet: bool) -> anyhow::Result<()> {
    let mut checked = None;
    let mut missing = false;
    for job in jobs {
        // Two programs of one board need the same.
        if checked != Some(job.board) {
            missing |= job.script.check(quiet)? == Outcome::ToolsMissing;
            checked = Some(job.board);
        }
    }
    for Job { board, program, script, .. } in jobs {
        if !missing {
            say(format_args!("building the program of the {board} ({program})"));
            missing = script.run(quiet)? == Outcome::ToolsMissing;
        }
    }
    if missing {
        return Err(Failed::with(
            Exit::Config,
            "tools are missing: install them with the lines above, and try again",
        ));
    }
    Ok(())
}

fn read_elf(job: &Job) -> anyhow::Result<Vec<u8>> {
    std::fs::read(&job.elf).with_context(|| format!("the build made no {}", job.elf.display()))
}

/// Returns the error of a program of which no image can be made.
fn unusable(job: &Job, why: &str) -> anyhow::Error {
    Failed::with(Exit::Failure, format!("{} cannot be flashed: {why}", job.elf.display()))
}

/// Makes the image of a program, which must be for the board of this map if it says for which one it is.
fn make_stm32(
    job: &Job,
    map: &Map,
    compiled: &Compiled,
    out: &Path,
    manifest: &mut Manifest,
) -> anyhow::Result<()> {
    let elf = read_elf(job)?;
    let flash = stm32::flash(&elf).map_err(|why| unusable(job, &why))?;
    let head = &flash.bytes[..flash.bytes.len().min(identity::WITHIN + identity::SIZE)];
    let built_for = identity::find(head).and_then(|found| found.board).and_then(Map::named);
    if let Some(other) = built_for.filter(|other| *other != map) {
        let message = format!(
            "{} was built for a {}, and board.kind is {:?}: change it with `pblink config set board.kind {}`, or the \
             features in the application's Cargo.toml, and its memory.x",
            job.elf.display(),
            other.title,
            map.board,
            other.board
        );
        return Err(Failed::with(Exit::Config, message));
    }
    let place = Place::Flash(flash.address);
    let file = (out, "stm32.bin");
    let image = Image::write(STM32, place, &flash.bytes, file, compiled.secret())?;
    manifest.images.push(image);
    let sizes = Sizes::of_stm32(map, &job.program, &elf).map_err(|why| unusable(job, &why))?;
    manifest.sizes.push(sizes);
    Ok(())
}
