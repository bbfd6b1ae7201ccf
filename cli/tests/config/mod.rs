//! `pblink config` as its users run it: real processes, each in a folder of its own.

mod boards;
mod check;
mod export;
mod field;
mod found;
mod link;
#[cfg(target_os = "linux")]
mod places;
#[cfg(target_os = "linux")]
mod terminal;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use crate::process::{self, PBLINK, output_with};
use tempfile::TempDir;

const PASSWORD: &str = "hunter2hunter2";
const SECRETS: &str = "pblink.secrets.toml";

/// A folder and the command run in it.
struct Home(TempDir);

/// The code and the output of a process.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn secrets(&self, mode: u32) {
        self.write(SECRETS, &format!("wifi_password = \"{PASSWORD}\"\n"));
        fs::set_permissions(self.path(SECRETS), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Runs the verb without a terminal; whatever it says never has the password in it.
    fn run(&self, args: &[&str], env: &[(&str, &str)], stdin: &str) -> Said {
        let mut command = Command::new(PBLINK);
        command
            .current_dir(self.0.path())
            .env_remove("PBLINK_WIFI_PASSWORD")
            .env_remove("PBLINK_LOG")
            .env_remove("PBLINK_CONFIG")
            // No file of the user who runs the test is to be found.
            .env("XDG_CONFIG_HOME", self.path("none"))
            .envs(env.iter().copied())
            .args(args);
        let output = output_with(&mut command, stdin);
        let said = Said {
            code: output.status.code().expect("it ended by itself"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        };
        assert!(!said.out.contains("hunter2") && !said.err.contains("hunter2"), "{said:?}");
        said
    }

    fn config(&self, args: &[&str]) -> Said {
        self.run(&[&["config"], args].concat(), &[], "")
    }

    fn init(&self) {
        let said = self.config(&["init", "--host", "10.0.0.7"]);
        assert_eq!(said.code, 0, "{said:?}");
    }
}

#[test]
fn init_without_a_terminal_asks_nothing_and_writes_flags_and_defaults() {
    let home = Home::new();
    let said = home.config(&["init", "--host", "10.0.0.7", "--id", "kitchen", "--port", "9000"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let next = "next: `pblink config check`\n      \
                `pblink config push` with a board on its cable: settings, and keys of its own\n      \
                `pblink serve`\n";
    assert_eq!(said.out, format!("wrote pblink.toml\n{next}"));
    let template = include_str!("../../../templates/pblink.toml");
    let expected = template
        .replace("host = \"192.168.0.42\"", "host = \"10.0.0.7\"")
        .replace("port = 8123", "port = 9000")
        .replace("clients = [\"1\"]", "clients = [\"kitchen\"]")
        .replace("id = \"1\"", "id = \"kitchen\"");
    assert_eq!(home.read("pblink.toml"), expected);
    assert_eq!(home.names(), ["pblink.toml"]);
    let said = home.config(&["check"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "ok\n", ""));
}

#[test]
fn init_never_overwrites() {
    let home = Home::new();
    home.write("pblink.toml", "# mine\n");
    let said = home.config(&["init"]);
    assert_eq!((said.code, said.out.as_str()), (3, ""));
    assert!(said.err.contains("pblink.toml exists") && said.err.contains("config set"), "{said:?}");
    assert_eq!(home.read("pblink.toml"), "# mine\n");

    // Not through a link that leads nowhere, either.
    symlink("elsewhere", home.path("link.toml")).unwrap();
    assert_eq!(home.config(&["init", "--path", "link.toml"]).code, 3);

    home.secrets(0o600);
    home.write("password", "another password\n");
    let before = home.read(SECRETS);
    let said = home.config(&["init", "--path", "b.toml", "--password-file", "password"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("pblink.secrets.toml exists"), "{said:?}");
    assert_eq!(home.read(SECRETS), before);
    assert!(!home.path("b.toml").exists() && !home.path("elsewhere").exists());
}

#[test]
fn init_writes_the_password_only_into_a_private_file() {
    let home = Home::new();
    home.write("password", &format!("{PASSWORD}\n"));
    fs::create_dir(home.path(".git")).unwrap();
    let said = home.config(&["init", "--ssid", "Home", "--password-file", "password"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("echo pblink.secrets.toml >> .gitignore"), "{said:?}");
    assert!(!home.read("pblink.toml").contains("hunter2"));
    assert!(home.read(SECRETS).ends_with(&format!("wifi_password = \"{PASSWORD}\"\n")));
    assert_eq!(fs::metadata(home.path(SECRETS)).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(home.config(&["check"]).out, "ok\n");
    let said = home.config(&["show"]);
    assert!(said.out.contains("set (from pblink.secrets.toml)"), "{said:?}");

    // From standard input, which is then not asked for anything else.
    let home = Home::new();
    let args = ["config", "init", "--ssid", "Home", "--password-file", "-"];
    assert_eq!(home.run(&args, &[], PASSWORD).code, 0);
    assert!(home.read(SECRETS).contains(PASSWORD));
}

#[test]
fn init_writes_nothing_when_something_is_wrong() {
    let home = Home::new();
    home.write("short", "hunter2");
    for (code, args) in [
        (2, &["init", "--port", "0"] as &[&str]),
        (2, &["init", "--id", ""]),
        (3, &["init", "--password-file", "short"]),
        (3, &["init", "--password-file", "missing"]),
        (1, &["init", "--path", "no/such/folder/x.toml"]),
    ] {
        let said = home.config(args);
        assert_eq!((said.code, said.out.as_str()), (code, ""), "{args:?}: {said:?}");
    }
    assert_eq!(home.names(), ["short"]);
}

#[test]
fn set_changes_one_value_and_nothing_else() {
    let home = Home::new();
    home.init();
    let before = home.read("pblink.toml");
    let said = home.config(&["set", "server.port", "9000"]);
    assert_eq!(said.code, 0, "{said:?}");
    let after = home.read("pblink.toml");
    assert_eq!(after, before.replace("port = 8123", "port = 9000"));
    let line = 1 + after.lines().position(|l| l == "port = 9000").unwrap();
    assert_eq!(said.out, format!("pblink.toml:{line}: server.port = 9000\n"));

    for (args, expected) in [
        (&["server.clients", "1", "2"] as &[&str], "clients = [\"1\", \"2\"]"),
        (&["server.clients", "[]"], "clients = []"),
        (&["board.forward_reports", "false"], "forward_reports = false"),
        (&["board.id", "-7"], "id = \"-7\""),
        (&["wifi.ssid", "a \"b\" \\"], "ssid = 'a \"b\" \\'"),
        (&["server.control", "off"], "control = \"off\""),
    ] {
        let said = home.config(&[&["set"], args].concat());
        assert_eq!(said.code, 0, "{said:?}");
        let text = home.read("pblink.toml");
        assert!(text.lines().any(|line| line == expected), "{expected} in {text}");
    }
    assert_eq!(home.names(), ["pblink.toml"]);
}

#[test]
fn set_keeps_permissions_and_symbolic_links() {
    let home = Home::new();
    fs::create_dir(home.path("real")).unwrap();
    home.write("real/config.toml", "[server]\nport = 1 # one\n");
    fs::set_permissions(home.path("real/config.toml"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real/config.toml", home.path("pblink.toml")).unwrap();
    assert_eq!(home.config(&["set", "server.port", "2"]).code, 0);
    assert!(home.path("pblink.toml").is_symlink());
    assert_eq!(home.read("real/config.toml"), "[server]\nport = 2 # one\n");
    assert_eq!(fs::metadata(home.path("real/config.toml")).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(fs::read_dir(home.path("real")).unwrap().count(), 1);
}

#[test]
fn set_refuses_what_is_not_valid_and_leaves_the_file_alone() {
    let home = Home::new();
    let text = "[server]\nport = 1\nhots = \"a\"\n";
    home.write("pblink.toml", text);
    for (code, args, said_why) in [
        (
            2,
            &["server.prot", "1"] as &[&str],
            "unknown key `server.prot`; did you mean `server.port`?",
        ),
        (
            2,
            &["server.port", "x"],
            "`server.port` must be a whole number from 1 to 65535, not \"x\"",
        ),
        (2, &["server.port", "-1"], "not -1"),
        (2, &["server.port", "1", "2"], "`server.port` takes one value, not 2"),
        (2, &["server.port"], "`server.port` takes one value, not 0"),
        (2, &["server.clients"], "[] makes the list empty"),
        (2, &["server.clients", "1", "1"], "different ids"),
        (2, &["wifi.password", PASSWORD], "--password-file"),
        (2, &["password", PASSWORD], "--password-file"),
        (2, &["wifi.password"], "no terminal"),
        // The value is good, but the file is not.
        (
            3,
            &["server.port", "2"],
            "pblink.toml:3:1: unknown key `server.hots`; did you mean `server.host`?",
        ),
        (3, &["server.port", "2", "--config", "none.toml"], "config init --config none.toml"),
    ] {
        let said = home.config(&[&["set"], args].concat());
        assert_eq!((said.code, said.out.as_str()), (code, ""), "{args:?}: {said:?}");
        assert!(said.err.contains(said_why), "{args:?}: {said:?}");
    }
    assert_eq!(home.read("pblink.toml"), text);
    assert_eq!(home.names(), ["pblink.toml"]);
}

#[test]
fn set_repairs_the_value_that_is_wrong() {
    let home = Home::new();
    home.write("pblink.toml", "[server]\nport = 0 # bad\n");
    assert_eq!(home.config(&["check"]).code, 3);
    assert_eq!(home.config(&["set", "server.port", "5"]).code, 0);
    assert_eq!(home.read("pblink.toml"), "[server]\nport = 5 # bad\n");
}

#[test]
fn set_puts_a_password_into_the_secrets_file_and_closes_it() {
    let home = Home::new();
    home.init();
    let args = ["config", "set", "wifi.password", "--password-file", "-"];
    let before = home.read("pblink.toml");
    for (old_mode, new) in [(None, "hunter2-the-first\n"), (Some(0o644), "hunter2-\"second\"\n")] {
        if let Some(mode) = old_mode {
            fs::set_permissions(home.path(SECRETS), fs::Permissions::from_mode(mode)).unwrap();
        }
        let said = home.run(&args, &[], new);
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(fs::metadata(home.path(SECRETS)).unwrap().mode() & 0o7777, 0o600);
        assert!(home.read(SECRETS).contains(new.trim_end()));
        assert_eq!(home.config(&["check"]).out, "ok\n");
    }
    assert_eq!(home.read("pblink.toml"), before);
    assert_eq!(home.names(), [SECRETS, "pblink.toml"]);
}

#[test]
fn set_does_not_take_another_file_for_the_secrets_file() {
    let home = Home::new();
    let args = ["config", "set", "wifi.password", "--password-file", "-"];
    home.write("notes.txt", "buy milk\n");
    for secrets in ["pblink.toml", "notes.txt"] {
        let text = format!("[wifi]\nsecrets = \"{secrets}\"\n");
        home.write("pblink.toml", &text);
        let said = home.run(&args, &[], PASSWORD);
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.err.contains("is not a secrets file"), "{said:?}");
        assert_eq!(home.read("pblink.toml"), text);
    }
    assert_eq!(home.read("notes.txt"), "buy milk\n");
    assert_eq!(home.names(), ["notes.txt", "pblink.toml"]);
}

#[test]
fn show_does_not_cut_long_values() {
    let home = Home::new();
    let id = "i".repeat(64);
    home.write("pblink.toml", &format!("[board]\nid = \"{id}\"\n"));
    assert!(home.config(&["show"]).out.contains(&id));
}

#[test]
fn a_secrets_file_that_others_can_read_is_refused() {
    let home = Home::new();
    home.init();
    for mode in [0o644, 0o640, 0o604, 0o620] {
        home.secrets(mode);
        let said = home.config(&["check"]);
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.out.contains("chmod 600 pblink.secrets.toml"), "{said:?}");
        let said = home.config(&["show"]);
        assert_eq!(said.code, 3);
        assert!(said.out.contains("not usable") && said.err.contains("chmod 600"), "{said:?}");
    }
    // The command that it names helps.
    home.secrets(0o600);
    assert_eq!(home.config(&["check"]).code, 0);
}

#[test]
fn a_broken_secrets_file_is_explained_without_its_content() {
    let home = Home::new();
    home.init();
    for (text, why) in [
        ("wifi_password = hunter2hunter2\n", "pblink.secrets.toml:1:"),
        ("\nwifi_password = \"hunter2hunter2\n", "pblink.secrets.toml:2:"),
        ("wifi_password = 12345678\n", "must be text in quotes"),
        ("wifi_password = \"hunter2\"\n", "8 to 63 bytes, this one has 7"),
        ("password = \"hunter2hunter2\"\n", "the only key here is `wifi_password`"),
    ] {
        home.secrets(0o600);
        home.write(SECRETS, text);
        let said = home.config(&["check"]);
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.out.contains(why), "{why}: {said:?}");
    }
}

#[test]
fn the_environment_goes_before_the_secrets_file() {
    let home = Home::new();
    home.init();
    home.secrets(0o600);
    let show = |value: &str| {
        let args = ["config", "show", "--json"];
        let said = home.run(&args, &[("PBLINK_WIFI_PASSWORD", value)], "");
        (
            said.code,
            serde_json::from_str::<serde_json::Value>(&said.out).unwrap()["password"].clone(),
        )
    };
    let from = |source: &str| serde_json::json!({"set": true, "source": source});
    assert_eq!(show("hunter2-of-env"), (0, from("PBLINK_WIFI_PASSWORD")));
    // Empty counts as not set.
    assert_eq!(show(""), (0, from(SECRETS)));
    assert_eq!(show("hunter2").0, 3);
}

#[test]
fn show_tells_where_each_setting_comes_from() {
    let home = Home::new();
    home.write("pblink.toml", "\n[server]\nport = 9000\n");
    let said = home.config(&["show"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let row = |key: &str| {
        let line = said.out.lines().find(|line| line.starts_with(key)).expect(key);
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("server.port"), "9000 pblink.toml:3");
    assert_eq!(row("server.host"), "\"192.168.0.42\" default");
    assert_eq!(row("wifi.password"), "not set");
    assert_eq!(said.out.lines().count(), 43);

    let json = home.config(&["show", "--json"]).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["file"], "pblink.toml");
    let port = serde_json::json!({"value": 9000, "source": "file", "line": 3});
    assert_eq!(json["settings"]["server.port"], port);
    assert_eq!(json["settings"]["server.clients"]["value"], serde_json::json!(["1"]));
}

#[test]
fn the_secrets_file_is_looked_for_beside_the_configuration() {
    let home = Home::new();
    fs::create_dir(home.path("sub")).unwrap();
    home.write("sub/my.toml", "[wifi]\nsecrets = \"s.toml\"\n");
    home.write("sub/s.toml", &format!("wifi_password = \"{PASSWORD}\"\n"));
    fs::set_permissions(home.path("sub/s.toml"), fs::Permissions::from_mode(0o600)).unwrap();
    let said = home.config(&["show", "--config", "sub/my.toml"]);
    assert!(said.out.contains("set (from sub/s.toml)"), "{said:?}");
}

#[test]
fn settings_and_password_together_must_fit_into_one_line_for_the_esp8266() {
    let home = Home::new();
    // Without the password it fits.
    let host = "abcdefghi.".repeat(7);
    home.write(
        "pblink.toml",
        &format!("[server]\nhost = \"{host}\"\n[wifi]\nssid = \"{}\"\n", "s".repeat(32)),
    );
    assert_eq!(home.config(&["check"]).code, 0);
    let long = format!("hunter2{}", "p".repeat(56));
    let env = [("PBLINK_WIFI_PASSWORD", long.as_str())];
    let said = home.run(&["config", "check"], &env, "");
    assert_eq!(said.code, 3);
    assert!(said.out.contains("bytes for the ESP8266, which takes 200"), "{said:?}");
}
