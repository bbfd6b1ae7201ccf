//! Checks of the ports and of the board: what is plugged in, who may use it, whether it agrees with pblink.toml.

use pblink_flash::coprocessor::{Adapter, adapters};
use pblink_flash::stm32::{Bus, Found, UsbBus, Via, connect};
use pblink_flash::{Chip, Result, Silent};

use super::finding::{Finding, Group};
use crate::hardware::board::Board;
use crate::hardware::keys::difference;
use crate::hardware::target::Way;
use crate::settings::Settings;

/// Reports what is plugged in. Opens nothing.
pub(super) fn check(chip: Chip) -> Vec<Finding> {
    let allowed = |found: &Found| UsbBus.may_open(found);
    report(chip, adapters(chip), UsbBus.list(), allowed)
}

fn report(
    chip: Chip,
    adapters: Result<Vec<Adapter>>,
    devices: Result<Vec<Found>>,
    allowed: impl Fn(&Found) -> Result<()>,
) -> Vec<Finding> {
    let mut group = Group::new("devices");
    match adapters {
        Ok(adapters) if adapters.is_empty() => group.warning(
            "no USB serial adapter of a known kind is plugged in",
            format!(
                "plug the {}'s board in when you flash it, or name its port with --serial",
                chip.name()
            ),
        ),
        Ok(adapters) => {
            for adapter in adapters {
                let what = format!("the serial adapter {} at {}", adapter.name, adapter.path);
                outcome(&mut group, &what, adapter.may_open());
            }
        }
        Err(error) => group.error(error.cause(), error.remedy()),
    }
    match devices {
        Ok(found) if found.is_empty() => group.warning(
            "there is no debug probe, and no STM32 in its USB bootloader",
            "`pblink flash stm32` waits for one, and says how to get your kind of board into it",
        ),
        Ok(found) => {
            for device in found {
                let what = match device.via {
                    Via::Probe => format!("the debug {device}"),
                    Via::Dfu => format!("an STM32 in its bootloader: {device}"),
                };
                outcome(&mut group, &what, allowed(&device));
            }
        }
        // A machine without USB may still be a server.
        Err(error) => group.warning(error.cause(), error.remedy()),
    }
    group.done()
}

fn outcome(group: &mut Group, what: &str, allowed: Result<()>) {
    match allowed {
        Ok(()) => group.ok(what),
        Err(error) => group.error(format!("{what}: {}", error.cause()), error.remedy()),
    }
}

/// Compares the board with pblink.toml.
pub(super) fn board(settings: &Settings, way: &Way, bus: &mut dyn Bus) -> Vec<Finding> {
    let mut group = Group::new("board");
    let read = connect(bus, &way.wanted(settings.board.kind.map()), &mut Silent).and_then(
        |(found, mut target)| {
            let board = Board::read(&mut *target)?;
            way.start(&mut *target)?;
            Ok((found, board))
        },
    );
    let (found, board) = match read {
        Ok(read) => read,
        Err(error) => {
            group.error(error.cause(), error.remedy());
            return group.done();
        }
    };
    let own = env!("CARGO_PKG_VERSION");
    match &board.program {
        Some(program) if program.pblink == own => {
            group.ok(format!("it runs {program} ({found})"));
        }
        Some(program) => group.warning(
            format!("it runs {program}, this is pblink {own} ({found})"),
            "`pblink build stm32 && pblink flash stm32` brings it up to date",
        ),
        None => group.warning(
            format!("unknown program: no pblink identity found ({found})"),
            "`pblink build stm32 && pblink flash stm32` writes ours",
        ),
    }
    let push = "pblink config push   writes what the file has";
    match settings.board_password(None).map(|password| settings.board_settings(password.as_ref())) {
        Ok(Ok(wanted)) => {
            let differences = board.differences(&wanted);
            if differences.is_empty() {
                group.ok("its settings are those of pblink.toml");
            }
            for difference in differences {
                group.error(difference, push);
            }
        }
        Ok(Err(error)) => group.error(error.to_string(), push),
        // Told among the configuration already.
        Err(_) => {}
    }
    match (difference(board.key.as_ref(), settings, None), &board.key) {
        (Ok(Some(difference)), key) => {
            let id = settings.board.id.as_str();
            let remedy = match (key, settings.is_keyed(id), settings.keys_path()) {
                (Some(_), false, Some(_)) => {
                    "take the id out of link.classic: a board with keys does not speak without"
                }
                (Some(_), false, None) => {
                    "pblink config set link.keys pblink.keys.toml   a board with keys does not speak without"
                }
                (Some(_), true, _) => {
                    "pblink config push   gives it new ones; with --replace, if its id has keys that it does not have"
                }
                (None, ..) => push,
            };
            group.error(difference, remedy);
        }
        (Ok(None), Some(key)) => {
            group.ok(format!("its keys are those of the server's file: {key}"))
        }
        // Told among the keys already.
        (Ok(None), None) | (Err(_), _) => {}
    }
    group.done()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use pblink_fakes::stm32::{Bootloader, Chip, Desk, Opens};
    use pblink_flash::stm32::{PROGRAM, SETTINGS};
    use pblink_image::identity;

    use super::*;
    use crate::commands::doctor::finding::Level;
    use crate::hardware::board::encoded;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        way: Way,
    }

    fn findings(chip: &Chip, settings: &Settings) -> Vec<(Level, String)> {
        let way = Flags::try_parse_from(["doctor", "--wait", "0"]).unwrap().way;
        let mut desk = Desk::default().with("1", Opens::Bootloader(Bootloader::of(chip)));
        let found = board(settings, &way, &mut desk);
        found.into_iter().map(|finding| (finding.level, finding.message)).collect()
    }

    #[test]
    fn what_is_plugged_in_is_named_and_what_may_not_be_used_has_a_remedy() {
        use pblink_flash::{Error, Kind};
        let adapter = Adapter { path: "/dev/null".into(), name: "CH340", serial_number: None };
        let probe = Found {
            via: Via::Probe,
            name: "STLink V2-1".into(),
            vendor: 0x0483,
            product: 0x374b,
            serial: Some("066C".into()),
        };
        let forbidden = |found: &Found| {
            Err(Error::new(
                Kind::Permission,
                format!("you may not open {}", found.name),
                "allow it",
            ))
        };
        let found =
            report(pblink_flash::Chip::Esp8266, Ok(vec![adapter]), Ok(vec![probe]), forbidden);
        let levels: Vec<_> = found.iter().map(|f| (f.level, f.message.as_str())).collect();
        let expected = [
            (Level::Ok, "the serial adapter CH340 at /dev/null"),
            (
                Level::Error,
                "the debug probe 0483:374b:066C (STLink V2-1): you may not open STLink V2-1",
            ),
        ];
        assert_eq!(levels, expected);
        assert_eq!(found[1].remedy.as_deref(), Some("allow it"));

        let nothing =
            report(pblink_flash::Chip::Esp8266, Ok(Vec::new()), Ok(Vec::new()), |_| Ok(()));
        assert!(nothing.iter().all(|finding| finding.level == Level::Warning));
        // It may be for a Black Pill or a Nucleo.
        let remedy = nothing[1].remedy.as_deref().unwrap();
        assert!(remedy.contains("flash stm32") && !remedy.contains("Pyboard"), "{remedy}");
        let no_usb = || Error::new(Kind::Other, "no USB", "plug it in");
        let broken = report(pblink_flash::Chip::Esp8266, Err(no_usb()), Err(no_usb()), |_| Ok(()));
        assert_eq!([broken[0].level, broken[1].level], [Level::Error, Level::Warning]);
    }

    #[test]
    fn a_board_that_agrees_and_one_that_does_not() {
        let mut settings = Settings::default();
        let bytes = encoded(&settings.board_settings(None).unwrap()).unwrap();
        let program = identity::bytes("demo", "1.0.0", "pyboard");
        let chip = Chip::new().with(SETTINGS, &bytes).with(PROGRAM + 0x188, &program);
        let found = findings(&chip, &settings);
        assert!(found.iter().all(|(level, _)| *level == Level::Ok), "{found:?}");
        assert!(found[0].1.starts_with("it runs demo 1.0.0"), "{found:?}");

        settings.server.timeout_ms = 1500;
        let found = findings(&chip, &settings);
        let expected = "server.timeout_ms: the file has 1500, the board 2000";
        assert_eq!(found[1], (Level::Error, expected.to_owned()));
    }

    #[test]
    fn an_older_program_and_missing_settings_are_reported() {
        let old = String::from_utf8(identity::bytes("demo", "1.0.0", "pyboard").to_vec()).unwrap();
        let version = env!("CARGO_PKG_VERSION");
        let old = old.replace(&format!(" {version} "), " 0.0.1 ");
        let chip = Chip::new().with(PROGRAM + 0x188, old.as_bytes());
        let found = findings(&chip, &Settings::default());
        assert_eq!(found[0].0, Level::Warning);
        assert!(found[0].1.contains("pblink 0.0.1"), "{found:?}");
        assert!(found[1].1.contains("no settings are written"), "{found:?}");
        let found = findings(&Chip::new(), &Settings::default());
        assert!(found[0].1.contains("no pblink identity found"), "{found:?}");
    }

    #[test]
    fn nobody_there_is_an_error_with_a_remedy() {
        let way = Flags::try_parse_from(["doctor", "--wait", "0"]).unwrap().way;
        let found = board(&Settings::default(), &way, &mut Desk::default());
        assert_eq!((found.len(), found[0].level), (1, Level::Error));
        assert!(found[0].remedy.is_some());
    }
}
