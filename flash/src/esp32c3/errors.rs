//! Failures of the library in words for the person with the cable.

use std::error::Error as _;
use std::io;
use std::path::Path;

use espflash::Error as Cause;

use crate::{Error, Kind};

/// The word that an ESP8266 has where newer chips have another, as the library writes it.
const ESP8266_MAGIC: &str = "0xfff0c101";

/// The advice against another board that resets it meanwhile.
const HOLD: &str = "if an STM32 with a pblink program is wired to it, pull its reset wire or hold the STM32 in its bootloader \
                    (pblink config pull --no-start), since it resets a coprocessor that does not answer it";

/// The work that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum During {
    /// Meeting the loader. `reset`: by the wires of the port.
    Connecting { reset: bool },
    /// Anything after it. `touched`: flash was erased or written.
    Working { touched: bool },
}

/// Returns the error in all words that it has.
pub(super) fn words(cause: &Cause) -> String {
    let mut text = cause.to_string();
    let mut source = cause.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text += &format!(": {inner_text}");
        }
        source = inner.source();
    }
    text.trim_end_matches(['.', '!']).to_owned()
}

/// Returns true if the port itself is gone.
pub(super) fn is_gone(cause: &Cause, path: &str) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected, NotFound};
    let mut source = cause.source();
    while let Some(inner) = source {
        let of_io = inner.downcast_ref::<io::Error>().map(io::Error::kind);
        let of_port = match inner.downcast_ref::<serialport::Error>().map(|error| error.kind) {
            Some(serialport::ErrorKind::Io(kind)) => Some(kind),
            Some(serialport::ErrorKind::NoDevice) => Some(NotFound),
            _ => None,
        };
        if matches!(of_io.or(of_port), Some(BrokenPipe | ConnectionReset | NotConnected | NotFound))
        {
            return true;
        }
        source = inner.source();
    }
    // The library's own errors keep no kind.
    cfg!(unix) && !Path::new(path).exists()
}

/// Returns the error for the user.
pub(super) fn to_error(cause: Cause, path: &str, during: During) -> Error {
    let said = words(&cause);
    let touched = matches!(during, During::Working { touched: true });
    let again = match touched {
        true => {
            "run the same command again: it starts from the beginning, and until then no program starts"
        }
        false => "nothing was changed; run the same command again",
    };
    let (kind, what, remedy) = match (&cause, during) {
        _ if is_gone(&cause, path) => {
            (Kind::Vanished, format!("{path} is gone: the cable was pulled, or has a loose contact"), again.to_owned())
        }
        (Cause::ChipMismatch(_, found), _) => {
            let name = chip_name(found);
            (
                Kind::WrongChip,
                format!("this is an {name}, not an ESP32-C3"),
                "plug in the ESP32-C3, or name its port with --serial; nothing was changed on this one".to_owned(),
            )
        }
        (Cause::ChipDetectError(found), _) => {
            let esp8266 = found.contains(ESP8266_MAGIC);
            let what = if esp8266 { "this is an ESP8266" } else { "this is a chip of another kind" };
            let remedy = match esp8266 {
                true => "`pblink flash esp8266` is for this one; nothing was changed on it",
                false => "plug in the ESP32-C3, or name its port with --serial; nothing was changed on this one",
            };
            (Kind::WrongChip, format!("{what}, not an ESP32-C3 ({found})"), remedy.to_owned())
        }
        (_, During::Connecting { reset }) => {
            let way = match reset {
                true => {
                    "hold BOOT (GPIO9), tap RESET, let go of BOOT, and run it again with --before no-reset; if nothing \
                     helps, take another cable: many carry power only"
                }
                false => "hold BOOT (GPIO9), tap RESET, let go of BOOT, and run it again",
            };
            (Kind::NoAnswer, format!("no ESP32-C3 answers on {path} ({said})"), format!("{way}; {HOLD}"))
        }
        (Cause::VerifyFailed, _) => (
            Kind::Verify,
            "flash does not hold what was written, three times over".to_owned(),
            "the flash of this board is worn out or its supply too weak: take another board, or another supply; until then \
             no program starts"
                .to_owned(),
        ),
        (Cause::RomError(_), _) => (
            Kind::Refused,
            format!("the chip refuses: {said}"),
            format!("tap RESET and {again}; if it stays so, the flash may be protected or broken"),
        ),
        (Cause::FlashConnect, _) => (
            Kind::Refused,
            "the chip does not reach its flash".to_owned(),
            "check that nothing is wired to the pins of the flash (GPIO11 to GPIO17)".to_owned(),
        ),
        _ => (
            Kind::NoAnswer,
            format!("the chip has stopped answering on {path} ({said})"),
            format!("check cable and supply, or take a lower --baud; {again}; {HOLD}"),
        ),
    };
    Error::new(kind, what, remedy).from_source(cause)
}

/// Returns the name as it is printed on the chip.
fn chip_name(name: &str) -> String {
    match name.strip_prefix("esp32") {
        Some("") => "ESP32".to_owned(),
        Some(rest) => format!("ESP32-{}", rest.trim_start_matches('-').to_uppercase()),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chips_have_the_names_that_are_printed_on_them() {
        for (name, printed) in
            [("esp32", "ESP32"), ("esp32s3", "ESP32-S3"), ("esp32c61", "ESP32-C61"), ("x", "x")]
        {
            assert_eq!(chip_name(name), printed);
        }
    }

    #[test]
    fn each_failure_says_what_happened_and_what_to_do() {
        let there = "/dev/null";
        let connecting = During::Connecting { reset: true };
        let working = During::Working { touched: true };
        let io = |kind: io::ErrorKind| Cause::from(io::Error::from(kind));
        let cases = [
            (
                Cause::ChipMismatch("esp32c3".into(), "esp32s3".into()),
                there,
                connecting,
                Kind::WrongChip,
                "an ESP32-S3",
            ),
            (
                Cause::ChipDetectError("unrecognized magic value: 0xfff0c101".into()),
                there,
                connecting,
                Kind::WrongChip,
                "pblink flash esp8266",
            ),
            (io(io::ErrorKind::TimedOut), there, connecting, Kind::NoAnswer, "GPIO9"),
            (io(io::ErrorKind::BrokenPipe), there, working, Kind::Vanished, "again"),
            (
                Cause::VerifyFailed,
                "/dev/no-such-port",
                working,
                Kind::Vanished,
                "/dev/no-such-port is gone",
            ),
            (Cause::VerifyFailed, there, working, Kind::Verify, "worn out"),
            (Cause::FlashConnect, there, working, Kind::Refused, "GPIO11"),
            (io(io::ErrorKind::TimedOut), there, working, Kind::NoAnswer, "--baud"),
        ];
        for (cause, path, during, kind, text) in cases {
            let error = to_error(cause, path, during);
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
