//! `config.py` of `pb_link`, from the settings.

use std::fmt::Write;

use pblink_protocol::config::Config;
use pblink_templates::PB_LINK_CONFIG_PY;

use crate::exit::{Exit, Failed};
use crate::output::cells::is_plain;
use crate::settings::{Board, BoardKind, Pins};

/// The beginning of the file, by which a later run knows that it may replace it.
pub(crate) const CONFIG_PY_MARK: &str = "# Configuration of pb_link, written by pblink";

/// Returns the file for this board with its configuration. It does not hold the id, which stands in the user's program;
/// it holds the password.
///
/// # Errors
/// [`Exit::Config`] if the board is none that pb_link runs on.
pub(crate) fn config_py(config: &Config, board: &Board) -> anyhow::Result<String> {
    match board.kind {
        BoardKind::Pyboard => Ok(text(config, &board.pins)),
        other => Err(Failed::with(
            Exit::Config,
            format!(
                "pb_link runs on a Pyboard with MicroPython, and `board.kind` says that the board {:?} is a {}\n  set it \
                 right with `pblink config set board.kind pyboard`; a {} gets its program from `pblink build stm32`",
                board.id,
                other.map().title,
                other.map().title
            ),
        )),
    }
}

fn text(config: &Config, pins: &Pins) -> String {
    let values = [
        ("port", config.port.to_string()),
        ("host", literal(&config.server)),
        ("timeout_ms", config.timeout_ms.to_string()),
        ("report_s", config.report_s.to_string()),
        ("ssid", literal(&config.ssid)),
        ("password", literal(&config.password)),
        ("bus", pins.bus().to_string()),
        ("scl", pins.scl.clone()),
        ("sda", pins.sda.clone()),
        ("syn", literal(&pins.syn)),
        ("ack", literal(&pins.ack)),
        ("reset", literal(&pins.reset)),
    ];
    // Piece by piece: a network may be called {{password}}.
    let mut text = String::new();
    let mut rest = PB_LINK_CONFIG_PY;
    while let Some((before, (name, behind))) =
        rest.split_once("{{").and_then(|(before, rest)| Some((before, rest.split_once("}}")?)))
    {
        text += before;
        let value = values.iter().find(|(known, _)| *known == name);
        text += value.map_or("", |(_, value)| value);
        rest = behind;
    }
    text + rest
}

/// Returns a text as Python writes it. What could not be seen in an editor is escaped.
fn literal(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        let code = u32::from(c);
        let _ = match c {
            '\'' | '\\' => write!(out, "\\{c}"),
            c if is_plain(c) => write!(out, "{c}"),
            _ if code < 0x100 => write!(out, "\\x{code:02x}"),
            _ if code < 0x1_0000 => write!(out, "\\u{code:04x}"),
            _ => write!(out, "\\U{code:08x}"),
        };
    }
    out + "'"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn list_and_pins_stand_in_the_order_of_pb_link() {
        let mut settings = Settings::default();
        settings.server.host = "10.0.0.7".into();
        settings.wifi.ssid = "it's {{password}} \\".into();
        settings.board.pins = Pins {
            scl: "Y9".into(),
            sda: "Y10".into(),
            syn: "X1".into(),
            reset: "X2".into(),
            ack: "X3".into(),
        };
        let text = config_py(&settings.board_config(None).unwrap(), &settings.board).unwrap();
        let code = |line: &str| line.split("  #").next().unwrap_or_default().trim().to_owned();
        let lines: Vec<_> = text.lines().map(code).collect();
        let list = lines.iter().position(|line| line == "config = [").unwrap();
        assert_eq!(
            lines[list + 1..list + 8],
            ["8123,", "'10.0.0.7',", "2000,", "10,", r"'it\'s {{password}} \\',", "'',", "]"]
        );
        let hardware = lines.iter().position(|line| line == "hardware = [").unwrap();
        assert_eq!(
            lines[hardware + 1..hardware + 6],
            ["I2C(2, mode=I2C.SLAVE),", "Pin('X1'),", "Pin('X3'),", "(Pin('X2'), 0, 200),", "]"]
        );
        assert!(text.contains("# scl on Y9, sda on Y10\n"), "{text}");
        assert!(text.starts_with(CONFIG_PY_MARK));
        // It holds no id, and nothing of the template is left.
        assert_eq!(text.matches("{{").count(), 1, "{text}");
    }

    #[test]
    fn texts_are_literals_of_python() {
        assert_eq!(literal("a'b\\c"), r"'a\'b\\c'");
        assert_eq!(literal("Küche 厨\"房"), "'Küche 厨\"房'");
        assert_eq!(literal("a\u{a0}\u{7f}\u{202e}\u{e0001}"), r"'a\xa0\x7f\u202e\U000e0001'");
    }
}
