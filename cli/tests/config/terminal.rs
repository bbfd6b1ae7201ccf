//! `pblink config` in real terminals.

use super::*;
use crate::process::terminal::{Terminal, then_ask};

const TO_PASSWORD: [(&str, &str); 7] = [
    ("as boards reach it [", "10.0.0.7"),
    ("TCP port [8123]: ", ""),
    ("as an outage [2000]: ", ""),
    ("Id of the board [1]: ", "kitchen"),
    ("any) [kitchen]: ", ""),
    ("never) [10]: ", ""),
    ("WiFi network (", "Home"),
];

fn walk_to_password(terminal: &mut Terminal) {
    for (prompt, answer) in TO_PASSWORD {
        terminal.expect(prompt);
        terminal.press(&format!("{answer}\n"));
    }
    terminal.expect("(empty = none): ");
}

#[test]
fn init_asks_and_does_not_show_the_password() {
    let home = Home::new();
    let mut terminal = Terminal::run(home.0.path(), &then_ask("$PBLINK config init"));
    walk_to_password(&mut terminal);
    terminal.press("hunter2\n");
    terminal.expect("8 to 63 bytes, this one has 7");
    terminal.expect("(empty = none): ");
    terminal.press(&format!("{PASSWORD}\n"));
    let text = terminal.finish();
    assert!(text.contains("code=0\r\n"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.contains("\nisig\r\n") && text.contains("\necho\r\n"), "{text}");
    assert!(home.read("pblink.toml").contains("ssid = \"Home\""));
    assert!(home.read(SECRETS).contains(PASSWORD));
    assert_eq!(fs::metadata(home.path(SECRETS)).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(home.config(&["check"]).out, "ok\n");
}

#[test]
fn control_c_at_the_password_restores_the_terminal_and_writes_nothing() {
    let home = Home::new();
    let mut terminal = Terminal::run(home.0.path(), &then_ask("$PBLINK config init"));
    walk_to_password(&mut terminal);
    terminal.press("hunter2\x03");
    let text = terminal.finish();
    assert!(text.contains("stopped; nothing was written"), "{text}");
    assert!(text.contains("code=130\r\n"), "{text}");
    for mode in ["icanon", "isig", "echo"] {
        assert!(text.contains(&format!("\n{mode}\r\n")), "{mode}: {text}");
    }
    assert_eq!(home.names(), [""; 0]);
}

/// A terminal with Latin-1 sends one byte for é.
#[test]
fn what_another_encoding_sends_is_asked_again_and_nothing_is_lost() {
    let home = Home::new();
    let mut terminal = Terminal::run(home.0.path(), &then_ask("$PBLINK config init"));
    for (prompt, answer) in &TO_PASSWORD[..6] {
        terminal.expect(prompt);
        terminal.press(&format!("{answer}\n"));
    }
    terminal.expect("WiFi network (");
    terminal.press_bytes(b"Caf\xe9\n");
    terminal.expect("that is not UTF-8 text");
    terminal.expect("WiFi network (");
    terminal.press("Home \n");
    terminal.expect("has a blank at its end");
    terminal.expect("(empty = none): ");
    terminal.press_bytes(b"hunter2\xff\n");
    terminal.expect("that is not UTF-8 text");
    terminal.expect("(empty = none): ");
    terminal.press(&format!("{PASSWORD}\n"));
    let text = terminal.finish();
    assert!(text.contains("code=0\r\n") && !text.contains("hunter2"), "{text}");
    let file = home.read("pblink.toml");
    assert!(file.contains("host = \"10.0.0.7\"") && file.contains("ssid = \"Home \""), "{file}");
    assert!(home.read(SECRETS).contains(PASSWORD));
}

#[test]
fn the_end_of_input_stops_init_at_any_question() {
    let home = Home::new();
    let mut terminal = Terminal::run(home.0.path(), &then_ask("$PBLINK config init"));
    terminal.expect("as boards reach it [");
    terminal.press("\x04");
    let text = terminal.finish();
    assert!(text.contains("stopped; nothing was written"), "{text}");
    assert!(text.contains("code=130\r\n"), "{text}");
    assert_eq!(home.names(), [""; 0]);
}

#[test]
fn yes_asks_nothing_on_a_terminal() {
    let home = Home::new();
    let terminal = Terminal::run(home.0.path(), &then_ask("$PBLINK config init --yes"));
    let text = terminal.finish();
    assert!(text.contains("code=0\r\n") && !text.contains("Enter takes"), "{text}");
    assert_eq!(home.names(), ["pblink.toml"]);
}

#[test]
fn set_asks_for_a_password_without_showing_it() {
    let home = Home::new();
    home.init();
    let mut terminal = Terminal::run(home.0.path(), &then_ask("$PBLINK config set wifi.password"));
    terminal.expect("(empty = none): ");
    terminal.press(&format!("{PASSWORD}\n"));
    let text = terminal.finish();
    assert!(text.contains("code=0\r\n") && !text.contains("hunter2"), "{text}");
    assert!(home.read(SECRETS).contains(PASSWORD));
}

#[test]
fn an_answer_of_another_encoding_to_edit_it_again_loses_nothing() {
    let home = Home::new();
    home.write("pblink.toml", "[server]\nport = 8123\n");
    let line = "EDITOR='sed -i s/8123/90000/' VISUAL= $PBLINK config edit";
    let mut terminal = Terminal::run(home.0.path(), &then_ask(line));
    terminal.expect("Edit it again? [Y/n] ");
    terminal.press_bytes(b"n\xe9\n");
    let text = terminal.finish();
    assert!(text.contains("code=3\r\n") && text.contains("what you wrote is in "), "{text}");
    let copy = home.names().into_iter().find(|name| name.contains(".edit-")).expect("it is kept");
    assert!(text.contains(&copy) && home.read(&copy).contains("90000"), "{text}");
}
