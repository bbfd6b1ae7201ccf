//! Reports what is missing for the steps of a plan. Nothing is written, and no board or port is touched.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use pblink_flash::Chip;
use pblink_flash::coprocessor::adapters;
use pblink_flash::stm32::{Bus, UsbBus, Via, Wanted};
use pblink_image::map::{Map, PYBOARD};

use super::{Args, Step};
use crate::hardware::images::{self, Named};
use crate::hardware::tools::{self, Tools};
use crate::hardware::{checkout, sdk};
use crate::settings::{CoprocessorKind, DEFAULT_FILE, Settings};

/// Looks at what the steps of a plan need.
pub(super) struct Look<'a> {
    args: &'a Args,
    /// The steps of the plan.
    steps: Vec<Step>,
    /// The settings, or what is wrong with them.
    settings: Result<Settings, String>,
}

impl<'a> Look<'a> {
    pub(super) fn new(args: &'a Args, plan: &[(Step, Vec<String>)]) -> Self {
        let settings = Settings::load(args.config.as_deref()).map_err(|why| format!("{why:#}"));
        Self { args, steps: plan.iter().map(|(step, _)| *step).collect(), settings }
    }

    fn does(&self, step: Step) -> bool {
        self.steps.contains(&step)
    }

    /// Returns what is missing for a step, each with its remedy.
    pub(super) async fn missing(&self, step: Step) -> Vec<String> {
        match step {
            Step::Check => Vec::new(),
            Step::Build => self.for_build(),
            Step::Stm32 => [self.image("stm32"), stm32(self.args)].into_iter().flatten().collect(),
            Step::Hold | Step::Start => Vec::from_iter(stm32(self.args)),
            Step::Coprocessor => self.for_coprocessor(),
            Step::Config => self.for_config(),
            Step::Serve => self.for_serve().await,
        }
    }

    fn for_build(&self) -> Vec<String> {
        let mut missing = Vec::from_iter(self.settings.as_ref().err().cloned());
        let source = match checkout::find(None) {
            Ok(source) => source,
            Err(why) => {
                missing.push(format!("{why:#}"));
                return missing;
            }
        };
        let mut ask = |folder: &str, words: &[&str], sdk: Option<&Path>| match tools::ask(
            &source.join(folder),
            words,
            sdk,
        ) {
            Tools::Complete => {}
            Tools::Missing(all) => {
                missing.extend(all.into_iter().map(|(what, install)| format!("{what}\n{install}")))
            }
            Tools::Broken(why) => missing.push(why),
        };
        ask(checkout::STM32, &["check"], None);
        // With an image of the user's own, nothing is built for the coprocessor.
        if !self.args.images.is_empty() {
            return missing;
        }
        if self.args.coprocessor() == CoprocessorKind::Esp32c3 {
            ask(checkout::ESP32C3, &["check", "chip"], None);
        } else {
            let sdk = self.settings.as_ref().ok().and_then(|s| sdk::find(s).ok().flatten());
            match &sdk {
                Some(sdk) => ask(checkout::ESP8266, &["check", "sdk"], Some(sdk)),
                None => ask(checkout::ESP8266, &["check", "emulator"], None),
            }
        }
        missing
    }

    /// Reports an image that was not built, where that is not a step of the plan.
    fn image(&self, board: &str) -> Option<String> {
        let built = self.does(Step::Build);
        let why = (!built).then(|| images::built(board, None).err()).flatten()?;
        Some(format!("{why:#}"))
    }

    fn for_coprocessor(&self) -> Vec<String> {
        let kind = self.args.coprocessor();
        let named = &self.args.images;
        let mut missing = Vec::new();
        for image in named {
            if let Ok(Named { path, .. }) = image.parse()
                && !path.exists()
            {
                missing.push(format!("the image {}\n{}", path.display(), images::REMEDY));
            }
        }
        if named.is_empty() && !self.does(Step::Build) {
            missing.extend(self.image(kind.name()));
        } else if named.is_empty() && kind == CoprocessorKind::Esp8266 {
            match self.settings.as_ref().map(sdk::find) {
                Ok(Ok(Some(_))) | Err(_) => {}
                Ok(Ok(None)) => missing.push(format!(
                    "Espressif's SDK: without it nothing is built that the ESP8266 could be flashed with\n\
                     get it with `{}`, then `pblink config set build.esp8266_sdk DIR`, or name another program \
                     with --coprocessor-image; an ESP32-C3 (--coprocessor esp32c3) needs none",
                    sdk::DOWNLOAD
                )),
                Ok(Err(why)) => missing.push(format!("{why:#}")),
            }
        }
        missing.extend(adapter(kind.chip(), self.args.serial.as_deref()));
        missing
    }

    fn for_config(&self) -> Vec<String> {
        let mut missing = Vec::new();
        match &self.settings {
            Err(why) => missing.push(why.clone()),
            Ok(settings) if settings.file().is_none() => missing.push(format!(
                "{DEFAULT_FILE}\n`pblink config init` makes one; --config names another"
            )),
            // Standard input is read once only.
            Ok(_) if self.args.password_file.as_deref() == Some(Path::new("-")) => {}
            Ok(settings) => {
                let password = settings.board_password(self.args.password_file.as_deref());
                missing.extend(password.err().map(|why| format!("{why:#}")));
            }
        }
        missing.extend(stm32(self.args));
        missing
    }

    /// Reports ports that another program has. With a server that runs already there is nothing to start.
    async fn for_serve(&self) -> Vec<String> {
        let settings = match &self.settings {
            Ok(settings) => settings,
            Err(why) => return vec![why.clone()],
        };
        let server = &settings.server;
        let boards = SocketAddr::new(server.listen, server.port);
        let wanted =
            [Some(("server.port", boards)), server.control.map(|at| ("server.control", at))];
        let busy = wanted.into_iter().flatten().filter_map(|(key, address)| {
            let error = TcpListener::bind(address).err()?;
            Some(format!("an address to listen at: {address} is not free ({error})\nchange {key}"))
        });
        let busy: Vec<_> = busy.collect();
        let runs =
            !busy.is_empty() && super::server(self.args).await.is_ok_and(|url| url.is_some());
        if runs { Vec::new() } else { busy }
    }
}

/// Reports that there is no way to the STM32.
fn stm32(args: &Args) -> Option<String> {
    let found = match UsbBus.list() {
        Ok(found) => found,
        Err(error) => return Some(format!("the STM32: {}\n{}", error.cause(), error.remedy())),
    };
    let wanted = wanted(args);
    let fitting: Vec<_> = found.iter().filter(|found| wanted.matches(found)).collect();
    match fitting[..] {
        [] => Some(format!(
            "a debug probe, or an STM32 in its USB bootloader\nthe step waits for it: {}",
            wanted.how()
        )),
        [one] => {
            let error = UsbBus.may_open(one).err()?;
            Some(format!("leave to use the {one}: {}\n{}", error.cause(), error.remedy()))
        }
        _ => Some(format!(
            "a choice: {} devices could be the STM32's\nname one with --probe VID:PID[:SERIAL] or --via",
            fitting.len()
        )),
    }
}

/// Returns the device that the steps look for.
pub(super) fn wanted(args: &Args) -> Wanted {
    let kind = args.kind.and_then(Map::named).unwrap_or(&PYBOARD);
    Wanted {
        via: match args.via.as_deref() {
            Some("probe") => Some(Via::Probe),
            Some("dfu") => Some(Via::Dfu),
            _ => None,
        },
        selector: args.probe.as_deref().and_then(|probe| probe.parse().ok()),
        chip: kind.part.to_owned(),
        wait: Duration::ZERO,
    }
}

/// Reports that there is no way to the coprocessor.
fn adapter(chip: Chip, named: Option<&str>) -> Option<String> {
    let name = chip.name();
    if let Some(port) = named {
        let there = Path::new(port).exists();
        return (!there).then(|| format!("the serial port {port}\nplug the {name}'s board in"));
    }
    match adapters(chip) {
        Ok(all) => match &all[..] {
            [] => Some(format!(
                "a USB serial adapter of a known kind\nplug the {name}'s board in, or name its port with --serial"
            )),
            [one] => {
                let error = one.may_open().err()?;
                Some(format!("leave to use {}: {}\n{}", one.path, error.cause(), error.remedy()))
            }
            many => {
                let paths: Vec<_> = many.iter().map(|adapter| adapter.path.as_str()).collect();
                Some(format!("a choice of {}\nname the port with --serial", paths.join(", ")))
            }
        },
        Err(error) => Some(format!("{}\n{}", error.cause(), error.remedy())),
    }
}
