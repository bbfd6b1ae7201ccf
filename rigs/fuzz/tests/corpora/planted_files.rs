//! Faults that are planted in what reads files, disks and chips.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use pblink_cli::commands::config::SetArgs;
use pblink_cli::settings::Settings;
use pblink_fakes::stm32::Bootloader;
use pblink_flash::coprocessor::Port;
use pblink_flash::esp8266::Verify;
use pblink_flash::stm32::{Alternate, DfuIo, IoError, request};
use pblink_fuzz::store::{Gateway, Reader};
use pblink_fuzz::{dfu, image, loader, session, settings, store};
use pblink_image::esp8266;
use pblink_image::program::Flaw;
use pblink_server::{BadState, SessionState};

use super::found_after;
use super::planted::MANY;

/// A reader of records that does not look at their ids.
#[derive(Default)]
struct Nameless(Gateway);

impl Reader for Nameless {
    fn add(&mut self, number: u64, part: Option<&str>, payload: &[u8]) -> Option<(u64, String)> {
        let part = part.map(|part| match part.split_once(' ') {
            Some((_, rest)) => format!("x {rest}"),
            None => part.to_owned(),
        });
        self.0.add(number, part.as_deref(), payload)
    }
}

/// A reader of records that goes on with one after another has come between its parts.
#[derive(Default)]
struct Patient(Gateway);

impl Reader for Patient {
    fn add(&mut self, number: u64, part: Option<&str>, payload: &[u8]) -> Option<(u64, String)> {
        match part {
            Some(_) => self.0.add(number, part, payload),
            None => Gateway::default().add(number, part, payload),
        }
    }
}

#[test]
fn a_record_of_parts_that_do_not_belong_together() {
    let nameless = found_after("record", MANY, |data| store::run_with(data, Nameless::default()));
    let patient = found_after("record", MANY, |data| store::run_with(data, Patient::default()));
    assert!(nameless.is_some() && patient.is_some(), "{nameless:?} {patient:?}");
    println!("ids that differ after {nameless:?} inputs, another between after {patient:?}");
}

/// Looks at the beginning of the check only.
fn hasty(bytes: &[u8]) -> Result<SessionState, BadState> {
    let fits = |last: u8| {
        let mut bytes = bytes.to_vec();
        *bytes.last_mut()? = last;
        SessionState::decode(&bytes).ok()
    };
    (0..=255).find_map(fits).ok_or(BadState::Damaged)
}

#[test]
fn a_session_of_which_the_end_is_not_looked_at() {
    let found = found_after("session", MANY, |data| session::run_with(data, hasty));
    assert!(found.is_some());
    println!("found after {found:?} inputs");
}

#[test]
fn an_image_whose_check_sum_nobody_looks_at() {
    let found = found_after("image", MANY, |data| {
        image::run_with(data, |image| match esp8266::check(image) {
            Err(Flaw::Damaged) => Ok(()),
            other => other,
        });
    });
    assert!(found.is_some());
    println!("found after {found:?} inputs");
}

/// A line that changes two bytes of each block so that its check sum is right all the same.
struct Garbling<P>(P);

impl<P: Port> Port for Garbling<P> {
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> std::io::Result<usize> {
        self.0.read(buffer, timeout)
    }
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let mut bytes = bytes.to_vec();
        // Behind the heads of frame, packet and block.
        if let [0xc0, 0, 3, ..] = bytes[..] {
            bytes[60..62].iter_mut().for_each(|byte| *byte ^= 1);
        }
        self.0.write(&bytes)
    }
    fn set_baud(&mut self, baud: u32) -> std::io::Result<()> {
        self.0.set_baud(baud)
    }
    fn set_lines(&mut self, dtr: bool, rts: bool) -> std::io::Result<()> {
        self.0.set_lines(dtr, rts)
    }
    fn drain(&mut self) -> std::io::Result<()> {
        self.0.drain()
    }
    fn wait(&mut self, time: Duration) {
        self.0.wait(time);
    }
}

#[test]
fn a_program_that_nobody_reads_back() {
    let found = found_after("loader", 100, |data| loader::run_with(data, Verify::No, Garbling));
    assert!(found.is_some());
    println!("found after {found:?} inputs");
}

/// A chip that keeps another byte, and does not say so when it is read.
struct Forgetful(Bootloader);

/// Place in a block of the byte that it forgets: an odd one in each block of the program.
const FORGOTTEN: usize = 101;

impl DfuIo for Forgetful {
    fn name(&self) -> String {
        self.0.name()
    }
    fn alternates(&self) -> &[Alternate] {
        self.0.alternates()
    }
    fn transfer_size(&self) -> usize {
        self.0.transfer_size()
    }
    fn select(&mut self, alternate: u8) -> Result<(), IoError> {
        self.0.select(alternate)
    }
    fn control_out(&mut self, request: u8, value: u16, data: &[u8]) -> Result<(), IoError> {
        let mut data = data.to_vec();
        if let (request::DNLOAD, 2.., Some(byte)) = (request, value, data.get_mut(FORGOTTEN)) {
            *byte &= !1;
        }
        self.0.control_out(request, value, &data)
    }
    fn control_in(&mut self, request: u8, value: u16, out: &mut [u8]) -> Result<usize, IoError> {
        let count = self.0.control_in(request, value, out)?;
        if let (request::UPLOAD, 2.., Some(byte)) = (request, value, out.get_mut(FORGOTTEN)) {
            *byte |= 1;
        }
        Ok(count)
    }
    fn pause(&mut self, time: Duration) {
        self.0.pause(time);
    }
    fn now(&self) -> Duration {
        self.0.now()
    }
}

#[test]
fn a_chip_that_reads_what_it_has_not_kept() {
    let found = found_after("dfu", MANY, |data| dfu::run_with(data, Forgetful));
    assert!(found.is_some());
    println!("found after {found:?} inputs");
}

/// Reads settings, and counts the last line of a file twice.
fn miscounting(path: &Path) -> anyhow::Result<Settings> {
    let text = std::fs::read(path).unwrap_or_default();
    let lines = 1 + text.iter().filter(|byte| **byte == b'\n').count();
    Settings::load(Some(path)).map_err(|error| {
        let words = format!("{error:#}");
        anyhow::Error::msg(
            words.replace(&format!("toml:{lines}:"), &format!("toml:{}:", lines + 1)),
        )
    })
}

/// Writes a key at the end of the file, whatever is there.
fn careless(args: &SetArgs) -> anyhow::Result<String> {
    let path = args.config.as_deref().unwrap_or(Path::new(""));
    let mut file = std::fs::OpenOptions::new().append(true).open(path)?;
    writeln!(file, "\n{} = {:?}", args.key, args.value.concat())?;
    Ok(String::new())
}

#[test]
fn settings_with_a_line_that_is_not_there_and_a_key_that_is_not_checked() {
    let lines = found_after("settings", 2000, |data| {
        settings::run_with(data, miscounting, pblink_cli::commands::config::set);
    });
    let unchecked = found_after("settings", 2000, |data| {
        settings::run_with(data, |path| Settings::load(Some(path)), careless);
    });
    assert!(lines.is_some() && unchecked.is_some(), "{lines:?} {unchecked:?}");
    println!("a line after {lines:?} inputs, a key after {unchecked:?}");
}
