//! Cases from the field: files that are not what they seem, and values as people write them.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use super::*;

/// A user without rights.
const NOBODY: u32 = 65534;

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

/// Says why a part of a test is left out.
fn pass_over(why: &str) {
    eprintln!("passed over: {why}");
}

impl Home {
    /// Runs the command as [`NOBODY`], for which this process must be root.
    fn config_as_nobody(&self, args: &[&str]) -> Said {
        fs::set_permissions(self.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
        // Whoever may not enter the folder of the build could not run it.
        let program = self.path("pblink");
        process::copy_program(&program);
        let output = Command::new(&program)
            .arg("config")
            .args(args)
            .current_dir(self.0.path())
            .env_remove("PBLINK_WIFI_PASSWORD")
            .stdin(Stdio::null())
            .uid(NOBODY)
            .gid(NOBODY)
            .output()
            .unwrap();
        fs::remove_file(program).unwrap();
        Said {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

#[test]
fn a_configuration_that_is_there_and_cannot_be_read_is_an_error() {
    let home = Home::new();
    let verbs: [&[&str]; 5] =
        [&["config", "check"], &["config", "show"], &["serve"], &["simulate"], &["monitor"]];
    let all_refuse = |why: &str| {
        for verb in verbs {
            let said = home.run(verb, &[], "");
            assert_eq!(said.code, 3, "{verb:?}: {said:?}");
            assert!(
                said.err.contains("cannot read pblink.toml") && said.err.contains(why),
                "{said:?}"
            );
        }
    };
    symlink("nowhere.toml", home.path("pblink.toml")).unwrap();
    all_refuse("it is a link to nowhere.toml, which does not exist");
    let doctor = home.run(&["doctor", "--wait", "0"], &[], "");
    assert!(doctor.out.contains("cannot read pblink.toml"), "{doctor:?}");
    fs::remove_file(home.path("pblink.toml")).unwrap();
    fs::create_dir(home.path("pblink.toml")).unwrap();
    all_refuse("it is a folder");
    fs::remove_dir(home.path("pblink.toml")).unwrap();
    fs::write(home.path("pblink.toml"), b"[server]\nhost = \"\xff\"\n").unwrap();
    all_refuse("UTF-8");
    home.write("pblink.toml", &"# much\n".repeat(1 << 20));
    all_refuse("longer than 4 MB");

    home.write("pblink.toml", "");
    fs::set_permissions(home.path("pblink.toml"), fs::Permissions::from_mode(0o000)).unwrap();
    if is_root() {
        let said = home.config_as_nobody(&["check"]);
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.err.contains("Permission denied"), "{said:?}");
    } else {
        all_refuse("Permission denied");
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_password() {
    let home = Home::new();
    home.init();
    let marked = format!("\u{feff}{PASSWORD}\r\n");
    home.write("password", &marked);
    for (file, stdin) in [("password", ""), ("-", &*marked)] {
        let args = ["config", "set", "wifi.password", "--password-file", file];
        assert_eq!(home.run(&args, &[], stdin).code, 0);
        assert!(home.read(SECRETS).ends_with(&format!("\nwifi_password = \"{PASSWORD}\"\n")));
    }
    // Nor does one at the beginning of either file disturb.
    home.write(SECRETS, &format!("\u{feff}{}", home.read(SECRETS)));
    home.write("pblink.toml", &format!("\u{feff}{}", home.read("pblink.toml")));
    assert_eq!(home.config(&["set", "server.port", "9000"]).code, 0);
    assert!(home.read("pblink.toml").starts_with("\u{feff}#:schema"));
    assert_eq!(home.config(&["check"]).out, "ok\n");
}

#[test]
fn a_list_of_ids_is_taken_as_people_write_it() {
    let home = Home::new();
    home.init();
    for (words, expected) in [
        (&["[\"1\",\"2\"]"][..], r#"["1", "2"]"#),
        (&["[1,", "kitchen]"], r#"["1", "kitchen"]"#),
        (&["kitchen,", "attic"], r#"["kitchen", "attic"]"#),
        (&["kitchen,attic"], r#"["kitchen", "attic"]"#),
        (&["living room", "attic"], r#"["living room", "attic"]"#),
        (&["\"a,b\""], r#"["a,b"]"#),
    ] {
        let said = home.config(&[&["set", "server.clients"], words].concat());
        assert!(
            said.out.ends_with(&format!("server.clients = {expected}\n")),
            "{words:?}: {said:?}"
        );
    }
    for wrong in ["[\"1\"", "\"a"] {
        let said = home.config(&["set", "server.clients", wrong]);
        assert_eq!(said.code, 2, "{said:?}");
    }
}

#[test]
fn times_are_taken_with_their_unit() {
    let home = Home::new();
    home.init();
    let said = home.config(&["set", "server.timeout_ms", "1s"]);
    assert!(said.out.ends_with("server.timeout_ms = 1000\n"), "{said:?}");
    let said = home.config(&["set", "board.report_s", "2min"]);
    assert!(said.out.ends_with("board.report_s = 120\n"), "{said:?}");
    let said = home.config(&["set", "server.timeout_ms", "2h"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("from 100 to 60000, or a time such as \"2s\""), "{said:?}");
}

#[test]
fn flags_have_one_name_and_the_old_ones_still_work() {
    let home = Home::new();
    let new = ["init", "--config", "a.toml", "--server", "10.0.0.7:9000", "--client", "kitchen"];
    let new = [&new[..], &["--timeout", "1s", "--report", "1min"]].concat();
    let old =
        ["init", "--path", "b.toml", "--host", "10.0.0.7", "--port", "9000", "--id", "kitchen"];
    let old = [&old[..], &["--timeout-ms", "1000", "--report-s", "60"]].concat();
    for args in [&new, &old] {
        let said = home.config(args);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    }
    assert_eq!(home.read("a.toml"), home.read("b.toml"));
    assert!(home.read("a.toml").contains("clients = [\"kitchen\"]"));
}

#[test]
fn the_old_name_of_an_app_is_still_taken_and_the_new_one_shown_and_written() {
    let home = Home::new();
    home.write("pblink.toml", "[server]\napp = \"log\"\n");
    assert_eq!(home.config(&["check"]).code, 0);
    let said = home.config(&["show"]);
    assert!(said.out.contains("server.app             \"print\" "), "{said:?}");
    let said = home.config(&["set", "server.app", "log"]);
    assert!(said.out.ends_with("server.app = \"print\"\n"), "{said:?}");
    assert_eq!(home.read("pblink.toml"), "[server]\napp = \"print\"\n");
    // It is not offered.
    let said = home.config(&["set", "server.app", "banana"]);
    assert!(said.err.contains(r#"must be "print", "echo" or "demo", not "banana""#), "{said:?}");
    assert!(!home.config(&["schema"]).out.contains("\"log\","));
}

#[test]
fn where_a_mode_cannot_be_changed_other_ways_are_named() {
    let home = Home::new();
    home.init();
    for mode in [0o440, 0o777] {
        home.secrets(mode);
        let said = home.config(&["check"]);
        assert_eq!(said.code, 3, "{said:?}");
        for way in ["chmod 600", "wifi.secrets", "PBLINK_WIFI_PASSWORD", "--password-file"] {
            assert!(said.out.contains(way), "{way}: {said:?}");
        }
    }
    // And they work.
    assert_eq!(home.run(&["config", "check"], &[("PBLINK_WIFI_PASSWORD", PASSWORD)], "").code, 0);
}

#[test]
fn a_secrets_file_is_a_regular_file_of_this_user_and_nothing_of_it_is_shown() {
    let home = Home::new();
    home.init();
    assert!(Command::new("mkfifo").arg(home.path(SECRETS)).status().unwrap().success());
    fs::set_permissions(home.path(SECRETS), fs::Permissions::from_mode(0o600)).unwrap();
    let said = home.config(&["check"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.out.contains("must be a regular file"), "{said:?}");
    let args = ["config", "set", "wifi.password", "--password-file", "-"];
    let said = home.run(&args, &[], PASSWORD);
    assert!(said.code == 3 && said.err.contains("is not a secrets file"), "{said:?}");
    fs::remove_file(home.path(SECRETS)).unwrap();

    home.secrets(0o600);
    for text in
        ["api_key = \"private\"\n", "private = [\n", "private\n", "[private]\nprivate = 1\n"]
    {
        home.write(SECRETS, text);
        let said = home.config(&["check"]);
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.out.contains("the only key here is `wifi_password`"), "{said:?}");
        assert!(!said.out.contains("private") && !said.out.contains("api_key"), "{said:?}");
    }

    symlink("nowhere", home.path("link")).unwrap();
    home.write("pblink.toml", "[wifi]\nsecrets = \"link\"\n");
    assert_eq!(home.config(&["check"]).code, 3);

    if !is_root() {
        return pass_over("only root can give a file to another user");
    }
    home.write("pblink.toml", "");
    home.secrets(0o600);
    chown(home.path(SECRETS), Some(NOBODY), Some(NOBODY)).unwrap();
    let said = home.config(&["check"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.out.contains("another user (uid 65534)"), "{said:?}");
    assert!(said.out.contains("PBLINK_WIFI_PASSWORD"), "{said:?}");
}

#[test]
fn what_a_terminal_would_obey_is_escaped_in_messages() {
    let home = Home::new();
    home.write("pblink.toml", "\"k\\u001b[31mX\" = 1\n[server]\nhost = \"a\\u009b\\u202eb\"\n");
    let said = home.config(&["check"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.out.contains(r"unknown key `k\u{1b}[31mX`"), "{said:?}");
    assert!(!said.out.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{said:?}");
    let said = home.config(&["set", "server.\u{1b}[31m", "1"]);
    assert!(said.code == 2 && !said.err.contains('\u{1b}'), "{said:?}");
    home.write("pblink.toml", "[server]\nclients = [\"1\", \"kitchen\u{a0}\"]\n");
    let said = home.config(&["check"]);
    assert!(said.code == 3 && said.out.contains(r"kitchen\u{a0}"), "{said:?}");
}

#[test]
fn a_file_that_cannot_be_replaced_is_written_in_place() {
    let home = Home::new();
    home.init();
    let expected = |port: &str| format!("port = {port}");
    if is_root() {
        // Its user may write the file, but create nothing beside it.
        fs::set_permissions(home.path("pblink.toml"), fs::Permissions::from_mode(0o600)).unwrap();
        chown(home.path("pblink.toml"), Some(NOBODY), Some(NOBODY)).unwrap();
        let said = home.config_as_nobody(&["set", "server.port", "9001"]);
        assert_eq!(said.code, 0, "{said:?}");
        assert!(home.read("pblink.toml").contains(&expected("9001")));
        assert_eq!(fs::metadata(home.path("pblink.toml")).unwrap().uid(), NOBODY);
    } else {
        pass_over("only root can become another user");
    }
    let mount = "mount --bind pblink.toml pblink.toml";
    let unshare = |script: &str| {
        Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-ec", script])
            .env("PBLINK", PBLINK)
            .current_dir(home.0.path())
            .stdin(Stdio::null())
            .output()
    };
    if !unshare(mount).is_ok_and(|output| output.status.success()) {
        return pass_over("nothing can be mounted here: run it as root, outside of a container");
    }
    let output = unshare(&format!("{mount}; $PBLINK config set server.port 9002")).unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(home.read("pblink.toml").contains(&expected("9002")));
    assert_eq!(home.names(), ["pblink.toml"]);
}

#[test]
fn the_schema_is_printed_and_the_file_points_to_it() {
    let home = Home::new();
    home.init();
    let said = home.config(&["schema"]);
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../templates/pblink.schema.json");
    assert_eq!(said.out, fs::read_to_string(kept).unwrap());
    assert!(home.read("pblink.toml").starts_with("#:schema ./pblink.schema.json\n"));
}
