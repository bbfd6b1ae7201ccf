use super::super::KEYS;
use super::*;

fn problems(text: &str) -> Vec<String> {
    let (_, problems) = read(Path::new("pblink.toml"), text);
    problems.iter().map(Problem::to_string).collect()
}

#[test]
fn the_template_gives_the_defaults_and_comments_every_key() {
    let text = super::super::edits::TEMPLATE;
    let (mut settings, problems) = read(Path::new("pblink.toml"), text);
    assert_eq!(problems, []);
    for entry in &KEYS {
        let line = settings.line_of(entry.path).expect(entry.path);
        let above = text.lines().nth(line - 2).unwrap();
        assert!(above.starts_with("# "), "{}: no comment above line {line}", entry.path);
    }
    settings.places.clear();
    settings.file = None;
    assert_eq!(settings, Settings::default());
}

#[test]
fn the_template_names_the_limits_of_each_number() {
    use super::super::key::Rule;
    let text = super::super::edits::TEMPLATE;
    for entry in &KEYS {
        let Rule::Number(limits) = entry.rule else { continue };
        let about = super::super::json_schema::comment(text, entry.path).expect(entry.path);
        let range = format!("{} to {}", limits.least, limits.most);
        assert!(about.contains(&range), "{}: {range} is not in {about:?}", entry.path);
    }
}

#[test]
fn an_empty_file_gives_the_defaults() {
    let (settings, problems) = read(Path::new("x"), "");
    assert_eq!(problems, []);
    assert_eq!(settings.server, Settings::default().server);
}

#[test]
fn every_problem_is_reported_in_the_order_of_lines() {
    insta::assert_snapshot!(problems(concat!(
        "port = 1\n",
        "wifi_password = \"hunter2hunter2\"\n",
        "[server]\n",
        "prot = 8123\n",
        "port = 70000\n",
        "timeout_ms = \"2000\"\n",
        "host = 12\n",
        "clients = [\"1\", 2]\n",
        "app = 1979-05-27\n",
        "listen = 99999999999999999999\n",
        "[wifi]\n",
        "password = \"hunter2hunter2\"\n",
        "ssid = { a = 1 }\n",
        "[sever]\n",
        "port = 1\n",
        "[[build]]\n",
        "esp8266_sdk = \"1\"\n",
    )).join("\n"), @r#"
    pblink.toml:1:1: unknown key `port`; did you mean `server.port`?
      1 | port …
        | ^^^^
    pblink.toml:2:1: `wifi_password` must not stand here, since this file is copied and shared: write `wifi_password = "..."` into the file that `wifi.secrets` names (mode 0600), or set PBLINK_WIFI_PASSWORD
      2 | wifi_password …
        | ^^^^^^^^^^^^^
    pblink.toml:4:1: unknown key `server.prot`; did you mean `server.port`?
      4 | prot …
        | ^^^^
    pblink.toml:5:8: `server.port` must be a whole number from 1 to 65535, not 70000
      5 | port = 70000
        |        ^^^^^
    pblink.toml:6:14: `server.timeout_ms` must be a whole number of milliseconds from 100 to 60000, or a time such as "2s" (keepalives go out four times as often: less would flood the WiFi, more would hide an outage), not "2000" (write it without quotes)
      6 | timeout_ms = "2000"
        |              ^^^^^^
    pblink.toml:7:8: `server.host` must be the IP address or host name that boards connect to, such as "192.168.0.42", not 12 (write it with quotes)
      7 | host = 12
        |        ^^
    pblink.toml:8:11: `server.clients` must be a list of different ids of 1 to 64 bytes without invisible characters, such as ["1", "2"]; [] is any, not ["1", 2]
      8 | clients = ["1", 2]
        |           ^^^^^^^^
    pblink.toml:9:7: `server.app` must be "print", "echo" or "demo", not the date 1979-05-27
      9 | app = 1979-05-27
        |       ^^^^^^^^^^
    pblink.toml:10:10: `server.listen` must be an IP address of this machine, "0.0.0.0" (any IPv4), "::" (any) or "localhost", not 99999999999999999999
      10 | listen = 99999999999999999999
         |          ^^^^^^^^^^^^^^^^^^^^
    pblink.toml:12:1: `wifi.password` must not stand here, since this file is copied and shared: write `wifi_password = "..."` into the file that `wifi.secrets` names (mode 0600), or set PBLINK_WIFI_PASSWORD
      12 | password …
         | ^^^^^^^^
    pblink.toml:13:8: `wifi.ssid` must be the network's name: text of at most 32 bytes without control characters; "" is the network that the ESP8266 remembers, not a section
      13 | ssid = { a = 1 }
         |        ^^^^^^^^^
    pblink.toml:14:2: unknown section `sever`; did you mean `server`?
      14 | [sever]
         |  ^^^^^
    pblink.toml:16:3: `build` is a section: write [build] on a line of its own
      16 | [[build]]
         |   ^^^^^
    "#);
}

#[test]
fn syntax_errors_have_lines_and_do_not_hide_the_rest() {
    insta::assert_snapshot!(problems(concat!(
        "[server]\n",
        "port = \n",
        "host = \"a\n",
        "listn = \"::\"\n",
        "port = 1\n",
        "[wifi\n",
        "ssid = \"a\" password = \"hunter2\"\n",
        "password = \"hunter2\n",
    )).join("\n"), @r#"
    pblink.toml:2:8: string values must be quoted, expected literal string
      2 | port = 
        |        ^
    pblink.toml:3:10: invalid basic string, expected `"`
      3 | host = "a
        |          ^
    pblink.toml:4:1: unknown key `server.listn`; did you mean `server.listen`?
      4 | listn …
        | ^^^^^
    pblink.toml:5:1: duplicate key
      5 | port = 1
        | ^^^^
    pblink.toml:6:6: unclosed table, expected `]`
      6 | [wifi
        |      ^
    pblink.toml:7:12: unexpected key or value, expected newline, `#`
      7 | ssid …
        |     ^
    pblink.toml:8:1: `password` must not stand here, since this file is copied and shared: write `wifi_password = "..."` into the file that `wifi.secrets` names (mode 0600), or set PBLINK_WIFI_PASSWORD
      8 | password …
        | ^^^^^^^^
    "#);
}

#[test]
fn no_problem_shows_what_may_be_a_password() {
    for text in [
        "wifi = { password = \"hunter2\", ssid = 5 }",
        "wifi = { ssid = 5, password = \"hunter2\" }",
        "[wifi]\nssid = 5 # hunter2",
        "[wifi]\nssid = \"a\" password = \"hunter2\"",
        "[wifi]\npassword = \"\"\"\nhunter2\n",
        "[wifi]\nkey = hunter2 hunter2",
        "[\"hunter2\"",
        "x = \"hunter2\" y",
        "[server]\nport = # hunter2",
        "hunter2 hunter2 = 5 = 7",
    ] {
        let text = text.replace("hunter2 hunter2 =", "password = hunter2 =");
        let said = problems(&text).join("\n");
        assert!(!said.is_empty() && !said.contains("hunter2"), "{text:?}: {said}");
    }
}

#[test]
fn inline_and_dotted_sections_count_too() {
    let (settings, problems) =
        read(Path::new("x"), "server = { port = 1 }\nboard.id = \"b\"\r\nlink.keys=\"k.toml\"");
    assert_eq!(problems, []);
    assert_eq!((settings.server.port, settings.board.id.as_str()), (1, "b"));
    assert_eq!(settings.line_of("link.keys"), Some(3));
}

#[test]
fn times_may_be_written_with_their_unit() {
    let text = "[server]\ntimeout_ms = \"1s\"\n[board]\nreport_s = \"2min\"\n";
    let (settings, problems) = read(Path::new("x"), text);
    assert_eq!(problems, []);
    assert_eq!((settings.server.timeout_ms, settings.board.report_s), (1000, 120));
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_file() {
    assert_eq!(problems("\u{feff}[server]\nport = 1\n"), [""; 0]);
    assert!(problems("\u{feff}port = 1\n")[0].starts_with("pblink.toml:1:1: unknown key `port`"));
}

#[test]
fn keys_reach_the_terminal_without_control_characters() {
    let said = problems("\"k\\u001b[31mX\" = 1\n\"\\u009b\" = 1\n[\"a\\u202eb\"]\n").join("\n");
    assert!(said.contains(r"unknown key `k\u{1b}[31mX`"), "{said}");
    let harmless = |c: char| c == '\n' || crate::output::cells::is_plain(c);
    assert!(said.chars().all(harmless), "{said:?}");
}

#[test]
fn very_many_problems_are_counted_and_not_all_shown() {
    let mut text: String = (0..100_000).map(|n| format!("key{n} = 1\n")).collect();
    let shown = problems(&text);
    assert_eq!(shown.len(), MOST + 1);
    assert_eq!(shown[MOST], "pblink.toml: 99950 problems more are not shown");
    assert!(shown[0].starts_with("pblink.toml:1:1: unknown key `key0`"), "{}", shown[0]);
    // As many lines that are no TOML.
    text = "x\n".repeat(100_000);
    assert_eq!(problems(&text)[MOST], "pblink.toml: 99950 problems more are not shown");
    // As many in one line.
    text = format!("[server]\nclients = [{}]", "1, ".repeat(100_000));
    assert!(problems(&text)[0].len() < 1000);
    text = format!("{}x = 1", "a.".repeat(100_000));
    assert!(problems(&text).iter().map(String::len).sum::<usize>() < 1000);
}

#[test]
fn one_port_cannot_serve_both_boards_and_control() {
    let both = "[server]\nport = 8124\n";
    assert!(
        problems(both)[0]
            .starts_with("pblink.toml:2:1: `server.control` has the port of `server.port`")
    );
    assert_eq!(problems("[server]\nport = 8124\nlisten = \"10.0.0.1\"\n"), [""; 0]);
    assert_eq!(problems("[server]\nport = 8124\ncontrol = \"off\"\n"), [""; 0]);
}

#[test]
fn a_configuration_too_long_for_the_esp8266_is_refused() {
    let mut settings = Settings::default();
    settings.wifi.ssid = "s".repeat(32);
    let used = settings.board_config(None).unwrap().encode(&mut [0; 200]).unwrap();
    let room = 200 - used + settings.server.host.len();
    let host = |len: usize| {
        let name = "abcdefghi.".repeat(len / 10 + 1);
        format!("[server]\nhost = \"{}\"\n[wifi]\nssid = \"{}\"\n", &name[..len], "s".repeat(32))
    };
    assert_eq!(problems(&host(room)), [""; 0]);
    let problems = problems(&host(room + 1));
    assert_eq!(problems.len(), 1);
    let start =
        "pblink.toml: the settings make a line of 201 bytes for the ESP8266, which takes 200";
    assert!(problems[0].starts_with(start), "{problems:?}");
}

#[test]
fn pins_that_no_program_would_look_at_are_a_mistake() {
    let usual = "pins = [\"X9\", \"X10\", \"X11\", \"X12\", \"Y8\"]\n";
    let pins = "pins = [\"Y9\", \"Y10\", \"X1\", \"X2\", \"X3\"]\n";
    for kind in ["", "kind = \"pyboard\"\n"] {
        assert_eq!(problems(&format!("[board]\n{kind}{pins}")), [""; 0]);
    }
    for (kind, title) in [("black-pill", "Black Pill"), ("nucleo-f446", "Nucleo-F446RE")] {
        // As in the file that users begin with.
        assert_eq!(problems(&format!("[board]\n{usual}kind = \"{kind}\"\n")), [""; 0]);
        let said = problems(&format!("[board]\n{pins}kind = \"{kind}\"\n"));
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("pblink.toml:2:1: `board.pins` is for a Pyboard"), "{said:?}");
        assert!(said[0].contains(&format!("this board is a {title}")), "{said:?}");
    }
    // Of several boards the one that they belong to counts.
    let said = problems(&format!(
        "[[board]]\nid = \"a\"\n{pins}[[board]]\nid = \"b\"\nkind = \"black-pill\"\n{pins}"
    ));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("pblink.toml:7:1: "), "{said:?}");
}
