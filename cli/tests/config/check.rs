//! `pblink config check`.

use super::*;

#[test]
fn check_reports_all_problems_with_their_lines() {
    let home = Home::new();
    home.write(
        "my.toml",
        "[server]\nprot = 8123\ntimeout_ms = 50\n[wifi]\npassword = \"hunter2hunter2\"\n",
    );
    let said = home.config(&["check", "--config", "my.toml"]);
    assert_eq!((said.code, said.err.as_str()), (3, ""));
    let lines: Vec<_> = said.out.lines().collect();
    assert_eq!(lines.len(), 9, "{said:?}");
    assert_eq!(lines[0], "my.toml:2:1: unknown key `server.prot`; did you mean `server.port`?");
    assert_eq!(lines[1..3], ["  2 | prot …", "    | ^^^^"]);
    assert!(lines[3].starts_with("my.toml:3:14: `server.timeout_ms` must be "), "{said:?}");
    assert_eq!(lines[4..6], ["  3 | timeout_ms = 50", "    |              ^^"]);
    assert!(lines[6].starts_with("my.toml:5:1: `wifi.password` must not stand here"), "{said:?}");
    assert_eq!(lines[7..], ["  5 | password …", "    | ^^^^^^^^"]);

    // Other verbs report the same on stderr.
    let said = home.config(&["show", "--config", "my.toml"]);
    assert_eq!((said.code, said.out.as_str()), (3, ""));
    assert!(lines.iter().all(|line| said.err.contains(line)), "{said:?}");
}

#[test]
fn check_without_a_file_checks_the_defaults() {
    let home = Home::new();
    assert_eq!(home.config(&["check"]).out, "ok: no pblink.toml here, the defaults apply\n");
    let said = home.config(&["check", "--config", "pblink.toml"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("cannot read pblink.toml"), "{said:?}");
}

#[test]
fn check_notes_what_is_allowed_but_odd() {
    let home = Home::new();
    home.write(
        "pblink.toml",
        "[server]\nhost = \"127.0.0.1\"\ncontrol = \"0.0.0.0:1\"\n[wifi]\nssid = \"Home\"\n",
    );
    let said = home.config(&["check"]);
    assert_eq!((said.code, said.out.as_str()), (0, "ok\n"));
    assert_eq!(
        said.err.lines().filter(|line| line.starts_with("pblink: note: ")).count(),
        3,
        "{said:?}"
    );
    // Whoever is strict takes them for mistakes, each at its line.
    let said = home.config(&["check", "--strict"]);
    assert_eq!((said.code, said.err.as_str()), (3, ""));
    let lines: Vec<_> = said.out.lines().collect();
    assert_eq!(lines.len(), 3, "{said:?}");
    assert!(lines[0].starts_with("pblink.toml:5:1: `wifi.ssid` has no password"), "{said:?}");
    assert!(lines[1].starts_with("pblink.toml:2:1: `server.host` is this machine"), "{said:?}");
    assert!(lines[2].starts_with("pblink.toml:3:1: `server.control` = 0.0.0.0:1"), "{said:?}");
    home.write("pblink.toml", "");
    assert_eq!(home.config(&["check", "--strict"]).out, "ok\n");
}

#[test]
fn check_takes_a_board_that_the_server_would_refuse_for_a_mistake() {
    let home = Home::new();
    home.write("pblink.toml", "[board]\nid = \"2\"\n");
    let said = home.config(&["check"]);
    assert_eq!((said.code, said.err.as_str()), (3, ""));
    let expected =
        "`server.clients` does not list this board's id \"2\": the server will refuse it";
    assert_eq!(said.out, format!("pblink.toml:2:1: {expected}\n"));
    let said = home.run(&["doctor", "--json"], &[], "");
    let all: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let found = all["findings"].as_array().unwrap().iter();
    let found: Vec<_> = found.filter(|f| f["remedy"] == "the server will refuse it").collect();
    assert_eq!((found.len(), &found[0]["level"]), (1, &"error".into()), "{said:?}");
    // The command that changes it is not in the way of itself.
    assert_eq!(home.config(&["set", "server.clients", "2"]).code, 0);
    assert_eq!(home.config(&["check"]).out, "ok\n");
}
