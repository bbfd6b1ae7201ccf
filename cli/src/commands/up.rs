//! `pblink up`: from two boards and a cable to a link on a screen, in one go.
//!
//! Each step is a command line of this program, so that the plan that `--dry-run` prints is just what
//! is done, and a user can do any step by hand.

mod look;

use std::io::stderr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use clap::{Parser, ValueEnum};
use pblink_serve::control::Client;

use super::Cli;
use crate::child::{shown, step};
use crate::exit::{Exit, Failed};
use crate::global::Global;
use crate::hardware::sdk;
use crate::output::diagnostics::{note, say};
use crate::output::envelope;
use crate::output::stdout::print;
use crate::runtime;
use crate::settings::{BoardArg, BoardKind, CoprocessorKind, Settings};
use crate::signals::Signals;
use crate::typed::has_terminal;
use look::Look;

/// Arguments of `pblink up`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink up --dry-run                 what would be done, and what is missing for it
  pblink up                           check, build, flash both, configure, serve and watch
  pblink up --skip check --skip build
  pblink up --coprocessor esp32c3     with an ESP32-C3, whatever board.coprocessor says
  pblink up --coprocessor-image firmware-combined.bin@0 --serial /dev/ttyUSB0

Before it starts, pblink reports steps that cannot succeed. It stops at the first step that fails, names it, \
and ends with that step's exit code. The steps before it need not be done again: --skip leaves them out.")]
pub struct Args {
    /// Configuration file. Without it the one that `pblink config path` prints, if there is one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A step to leave out; may be repeated.
    #[arg(long = "skip", value_enum, value_name = "STEP")]
    pub skip: Vec<Step>,
    /// Print the plan with what is missing for each step, and do nothing: sources, tools, SDK, images, boards, ports.
    #[arg(long)]
    pub dry_run: bool,
    /// Which of several boards.
    #[command(flatten)]
    pub board: BoardArg,
    /// The board's id. Default: `board.id` of the configuration.
    #[arg(long, value_name = "ID", conflicts_with = "board")]
    pub client: Option<String>,
    /// The chip that gives the board its network. Without it: board.coprocessor of the configuration.
    #[arg(long, value_enum, value_name = "KIND")]
    pub coprocessor: Option<CoprocessorKind>,
    /// Serial port of the coprocessor. Default: the only one of a kind that its boards have.
    #[arg(long, alias = "port", value_name = "PORT")]
    pub serial: Option<String>,
    /// Way into the coprocessor's loader: default-reset or no-reset.
    #[arg(long, value_name = "HOW")]
    pub before: Option<String>,
    /// Image for the coprocessor instead of the one that is built; may be repeated.
    #[arg(long = "coprocessor-image", alias = "esp8266-image", value_name = "FILE[@ADDR]")]
    pub images: Vec<String>,
    /// Way to the STM32: probe, dfu or auto.
    #[arg(long, value_name = "WAY")]
    pub via: Option<String>,
    /// Probe or bootloader to use if there are several.
    #[arg(long, value_name = "VID:PID[:SERIAL]")]
    pub probe: Option<String>,
    /// Wires by which an ESP8266 reads its flash: an ESP8285 needs dout. See pblink flash esp8266.
    #[arg(long, value_name = "MODE")]
    pub flash_mode: Option<String>,
    /// Clock of an ESP8266's flash in MHz.
    #[arg(long, value_name = "MHZ")]
    pub flash_freq: Option<String>,
    /// Longest wait for serial port, probe or bootloader, such as `30s`; a plain number is seconds.
    #[arg(long, value_name = "TIME")]
    pub wait: Option<String>,
    /// A file with nothing but the WiFi password. Without it: PBLINK_WIFI_PASSWORD, else the file that
    /// wifi.secrets names.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Do not ask before the boards are written. Needed where there is no terminal to ask on.
    #[arg(long)]
    pub yes: bool,
    /// Print the steps as JSON, one object per line, and then what the server prints; it has no screen then. What other
    /// steps print goes to standard error.
    #[arg(long)]
    pub json: bool,
    /// Kind of the board by its settings, if it is not the usual one.
    #[arg(skip)]
    pub kind: Option<&'static str>,
    /// Its coprocessor by its settings, if it is not the usual one.
    #[arg(skip)]
    pub usual: Option<CoprocessorKind>,
}

impl Args {
    /// Returns the coprocessor of the board.
    fn coprocessor(&self) -> CoprocessorKind {
        self.coprocessor.or(self.usual).unwrap_or(CoprocessorKind::Esp8266)
    }

    /// Returns true if a step is to be done.
    fn does(&self, step: Step) -> bool {
        let wanted = |step| !self.skip.contains(&step);
        let due = match step {
            // Who configures the STM32 afterwards can reach it; who leaves it out in both steps may have none.
            Step::Hold => !wanted(Step::Stm32) && wanted(Step::Coprocessor) && wanted(Step::Config),
            // `config push` starts the board, too.
            Step::Start => {
                wanted(Step::Stm32) && wanted(Step::Coprocessor) && !wanted(Step::Config)
            }
            _ => true,
        };
        due && wanted(step)
    }
}

/// A step, in the order in which they are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// Check tools, configuration, server, ports and board: pblink doctor.
    Check,
    /// Build the firmwares.
    Build,
    /// Flash the STM32, and hold it: its program would reset a coprocessor that is being flashed.
    Stm32,
    /// Hold the STM32 for the same reason if it is not to be flashed but configured.
    Hold,
    /// Flash the coprocessor; also called by its name.
    #[value(alias = "esp8266", alias = "esp32c3")]
    Coprocessor,
    /// Write the configuration onto the STM32, and start it.
    Config,
    /// Start the STM32 if it is held and the configuration is skipped.
    Start,
    /// Run the server, with the monitor on its screen.
    Serve,
}

impl Step {
    /// Returns the words of its command line.
    fn words(self, args: &Args) -> Vec<String> {
        let mut words: Vec<String> = match self {
            Self::Check => vec!["doctor"],
            Self::Build if args.images.is_empty() => vec!["build", "all"],
            Self::Build => vec!["build", "stm32"],
            Self::Coprocessor => vec!["flash", args.coprocessor().name()],
            // Of what is on the board already nothing is written: then this only starts it.
            Self::Stm32 | Self::Start => vec!["flash", "stm32"],
            // Reading changes nothing.
            Self::Hold => vec!["config", "pull"],
            Self::Config => vec!["config", "push"],
            Self::Serve => vec!["serve", if args.json { "--json" } else { "--screen" }],
        }
        .into_iter()
        .map(str::to_owned)
        .collect();
        let mut add = |flag: &str, value: Option<&str>| {
            if let Some(value) = value {
                words.extend([flag.to_owned(), value.to_owned()]);
            }
        };
        let config = args.config.as_deref().map(Path::to_string_lossy);
        let password = args.password_file.as_deref().map(Path::to_string_lossy);
        match self {
            Self::Check | Self::Serve => add("--config", config.as_deref()),
            Self::Build => {
                let other = args.coprocessor.filter(|_| args.images.is_empty());
                add("--coprocessor", other.map(CoprocessorKind::name));
                add("--config", config.as_deref());
                add("--board", args.board.board.as_deref());
                add("--client", args.client.as_deref());
                add("--password-file", password.as_deref());
            }
            Self::Coprocessor => {
                add("--serial", args.serial.as_deref());
                add("--before", args.before.as_deref());
                add("--flash-mode", args.flash_mode.as_deref());
                add("--flash-freq", args.flash_freq.as_deref());
                add("--wait", args.wait.as_deref());
                args.images.iter().for_each(|image| add("--image", Some(image)));
            }
            Self::Stm32 | Self::Hold | Self::Start => {}
            Self::Config => {
                add("--config", config.as_deref());
                add("--board", args.board.board.as_deref());
                add("--client", args.client.as_deref());
                add("--password-file", password.as_deref());
            }
        }
        if matches!(self, Self::Stm32 | Self::Hold | Self::Config | Self::Start) {
            add("--via", args.via.as_deref());
            add("--probe", args.probe.as_deref());
            add("--wait", args.wait.as_deref());
            add("--kind", args.kind);
        }
        if args.yes && matches!(self, Self::Coprocessor | Self::Stm32 | Self::Start) {
            words.push("--yes".to_owned());
        }
        // One that stays in its bootloader can be configured without pressing buttons again, and leaves a
        // coprocessor alone.
        let stays = args.does(Self::Config) || args.does(Self::Coprocessor);
        if self == Self::Hold || self == Self::Stm32 && stays {
            words.push("--no-start".to_owned());
        }
        words
    }

    /// Returns its name in a plan: the coprocessor has the name of the chip.
    fn name(self, args: &Args) -> String {
        match self {
            Self::Coprocessor => args.coprocessor().name().to_owned(),
            step => step
                .to_possible_value()
                .map(|value| value.get_name().to_owned())
                .unwrap_or_default(),
        }
    }
}

/// Returns the steps that are to be done.
fn plan(args: &Args) -> Vec<(Step, Vec<String>)> {
    let wanted = Step::value_variants().iter().filter(|step| args.does(**step));
    wanted.map(|step| (*step, step.words(args))).collect()
}

/// Runs the verb.
pub fn run(mut args: Args, global: &Global) -> anyhow::Result<Exit> {
    let board = one_board(&args);
    (args.kind, args.usual) = board.as_ref().ok().copied().unwrap_or_default();
    let plan = plan(&args);
    check(&args, &plan)?;
    let planned = |step| plan.iter().any(|(planned, _)| *planned == step);
    if planned(Step::Build) || planned(Step::Config) {
        board?;
    }
    if planned(Step::Coprocessor) && !planned(Step::Stm32) && !planned(Step::Hold) {
        let chip = args.coprocessor().chip().name();
        note(format_args!(
            "the STM32 is not held: if it is wired to the {chip} and runs a pblink program, it resets the \
             {chip} while that is flashed; pull the reset wire, or leave out a --skip",
        ));
    }
    if args.dry_run {
        return dry_run(&args, &plan);
    }
    foresee(&args, &plan)?;
    runtime::block_on(steps(&args, &plan, global))?
}

/// Prints the plan, and what is missing for each step.
fn dry_run(args: &Args, plan: &[(Step, Vec<String>)]) -> anyhow::Result<Exit> {
    let look = Look::new(args, plan);
    let mut text = String::new();
    for (n, (step, words)) in plan.iter().enumerate() {
        let missing = runtime::block_on(look.missing(*step))?;
        if args.json {
            let fields = [("missing", missing.into())];
            text += &report("step_planned", n, (args, plan), words, fields)?;
            continue;
        }
        text += &format!("{:<8} {}\n", step.name(args), shown(words));
        for what in missing {
            text += &format!("{:<8} missing: {}\n", "", what.replace('\n', "\n                  "));
        }
    }
    print(text.as_bytes())
}

/// Checks that it is clear which board is meant, and returns its kind unless that is a Pyboard, and its coprocessor. A file
/// with mistakes is for the steps to report.
fn one_board(args: &Args) -> anyhow::Result<(Option<&'static str>, Option<CoprocessorKind>)> {
    let Ok(mut settings) = Settings::load(args.config.as_deref()) else { return Ok((None, None)) };
    match &args.client {
        Some(id) => settings.choose_client(Some(id))?,
        None => settings.choose_board(args.board.board.as_deref())?,
    }
    let kind = settings.board.kind;
    Ok(((kind != BoardKind::Pyboard).then(|| kind.name()), Some(settings.board.coprocessor)))
}

/// Runs the steps, one after the other.
async fn steps(args: &Args, plan: &[(Step, Vec<String>)], global: &Global) -> anyhow::Result<Exit> {
    let count = plan.len();
    let mut signals = Signals::listen()?;
    for (n, (of_plan, words)) in plan.iter().enumerate() {
        let (name, mut words) = (of_plan.name(args), words.clone());
        if *of_plan == Step::Serve
            && let Some(url) = server(args).await?
        {
            say("a server runs already");
            words = vec!["monitor".to_owned(), "--connect".to_owned(), url];
            words.extend(args.json.then(|| "--json".to_owned()));
        }
        let line = shown(&words);
        say(format_args!("step {} of {count}, {name}: {line}", n + 1));
        if args.json {
            print(report("step_began", n, (args, plan), &words, [])?.as_bytes())?;
        }
        // Results of other steps are for people.
        let aside = args.json && *of_plan != Step::Serve;
        let stdout = match aside {
            true => stderr().as_fd().try_clone_to_owned()?.into(),
            false => Stdio::inherit(),
        };
        let (exit, _) = step(&words, (Stdio::inherit(), stdout), &mut signals, global).await?;
        if args.json {
            let ended = [("exit", (exit as u8).into())];
            print(report("step_ended", n, (args, plan), &words, ended)?.as_bytes())?;
        }
        match exit {
            Exit::Ok => {}
            Exit::Interrupted => return Ok(Exit::Interrupted),
            exit => {
                let message = format!(
                    "step {name} failed\n  `{line}` says more; `pblink up --skip {name}` goes on \
                     without it"
                );
                return Err(Failed::with(exit, message));
            }
        }
    }
    Ok(Exit::Ok)
}

/// Returns what happens to the step of this index, as JSON in a line of its own.
fn report(
    event: &str,
    n: usize,
    (args, plan): (&Args, &[(Step, Vec<String>)]),
    words: &[String],
    more: impl IntoIterator<Item = (&'static str, serde_json::Value)>,
) -> anyhow::Result<String> {
    let mut fields = serde_json::Map::new();
    fields.insert("step".to_owned(), plan[n].0.name(args).into());
    fields.insert("seq".to_owned(), (n + 1).into());
    fields.insert("steps".to_owned(), plan.len().into());
    fields.insert("command".to_owned(), words.into());
    fields.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
    Ok(envelope::wrap(event, envelope::now_ms(), None, fields)? + "\n")
}

/// Checks that every step is a valid command line: a wrong flag in the last step is reported before the first one
/// begins.
fn check(args: &Args, plan: &[(Step, Vec<String>)]) -> anyhow::Result<()> {
    if plan.is_empty() {
        return Err(Failed::with(Exit::Usage, "all steps are skipped\n  leave out a --skip"));
    }
    for (step, words) in plan {
        let all = std::iter::once("pblink").chain(words.iter().map(String::as_str));
        Cli::try_parse_from(all).map_err(|error| {
            Failed::with(Exit::Usage, format!("step {}: {}", step.name(args), error.render()))
        })?;
    }
    Ok(())
}

/// Reports what would certainly make a later step fail.
fn foresee(args: &Args, plan: &[(Step, Vec<String>)]) -> anyhow::Result<()> {
    let does = |step| plan.iter().any(|(planned, _)| *planned == step);
    let asks = |step: &Step| matches!(step, Step::Coprocessor | Step::Stm32 | Step::Start);
    if !args.yes && !has_terminal() && plan.iter().any(|(step, _)| asks(step)) {
        return Err(Failed::with(
            Exit::Usage,
            "what is on the boards would be replaced, and there is no terminal to ask on\n  add --yes to do it, or \
             --skip coprocessor and --skip stm32",
        ));
    }
    let built = does(Step::Build) && does(Step::Coprocessor) && args.images.is_empty();
    if !built && !does(Step::Config) {
        return Ok(());
    }
    let settings = Settings::load(args.config.as_deref())?;
    if does(Step::Config) && settings.file().is_none() {
        return Err(Failed::with(
            Exit::Config,
            "there is no pblink.toml here to write onto the board\n  `pblink config init` makes one; \
             --config names another; --skip config leaves the board's settings as they are",
        ));
    }
    let esp8266 = args.coprocessor() == CoprocessorKind::Esp8266;
    if built && esp8266 && sdk::find(&settings)?.is_none() {
        return Err(Failed::with(
            Exit::Config,
            "without Espressif's SDK nothing is built that the ESP8266 could be flashed with\n  \
             `pblink doctor` says how to get it; or name another program with --coprocessor-image, or \
             --skip coprocessor; an ESP32-C3 (--coprocessor esp32c3) needs none",
        ));
    }
    Ok(())
}

/// Returns the address of the control API of a server that runs already.
async fn server(args: &Args) -> anyhow::Result<Option<String>> {
    // Without a control API there is no telling.
    let Ok(url) = Settings::load(args.config.as_deref())?.control_url() else { return Ok(None) };
    Ok(Client::connect(&url).await.ok().map(|_| url))
}

#[cfg(test)]
mod tests;
