//! Where settings come from beside `./pblink.toml`, and the verbs that print and change a part of them.

use super::*;

#[test]
fn a_variable_overrides_the_file_and_is_named_as_the_source() {
    let home = Home::new();
    home.write("pblink.toml", "[server]\nport = 9000\n");
    let env = [("PBLINK_SERVER_PORT", "9001"), ("PBLINK_SERVER_TIMEOUT_MS", "")];
    let said = home.run(&["config", "get", "server.port"], &env, "");
    assert_eq!((said.code, &*said.out, &*said.err), (0, "9001\n", ""));
    let said = home.run(&["config", "show"], &env, "");
    let row = said.out.lines().find(|line| line.starts_with("server.port")).unwrap();
    assert!(row.ends_with("9001                     PBLINK_SERVER_PORT"), "{row}");
    let said = home.run(&["config", "show", "--json"], &env, "");
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let port = serde_json::json!({
        "value": 9001, "source": "environment", "variable": "PBLINK_SERVER_PORT", "line": null
    });
    assert_eq!(json["settings"]["server.port"], port);
    // A change of the file says that it has no effect.
    let said = home.run(&["config", "set", "server.port", "9002"], &env, "");
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("PBLINK_SERVER_PORT is set and overrides the file"), "{said:?}");

    // Mistakes stop every verb, as those of the file do.
    for (name, why) in [
        ("PBLINK_SERVER_PROT", "unknown key `server.prot`; did you mean `server.port`?"),
        ("PBLINK_SERVER_PORT", "`server.port` must be a whole number from 1 to 65535, not \"x\""),
    ] {
        for verb in [&["config", "check"][..], &["config", "show"], &["serve"], &["status"]] {
            let said = home.run(verb, &[(name, "x")], "");
            assert_eq!(said.code, 3, "{verb:?}: {said:?}");
            let all = said.out + &said.err;
            assert!(all.contains(&format!("{name}: {why}")), "{verb:?}: {all}");
        }
    }
    // The file is valid by itself.
    let said =
        home.run(&["config", "set", "server.port", "9003"], &[("PBLINK_SERVER_PROT", "1")], "");
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn the_nearest_file_is_used_and_path_says_which() {
    let home = Home::new();
    let xdg = home.path("xdg");
    let of_user = "xdg/pblink/pblink.toml";
    fs::create_dir_all(home.path("xdg/pblink")).unwrap();
    let user = [("XDG_CONFIG_HOME", xdg.to_str().unwrap())];
    let port = |env: &[(&str, &str)]| home.run(&["config", "get", "server.port"], env, "").out;
    let path = |env: &[(&str, &str)]| home.run(&["config", "path"], env, "");
    if !std::path::Path::new("/etc/pblink/pblink.toml").exists() {
        let said = path(&user);
        assert_eq!((said.code, &*said.out), (3, ""));
        assert!(said.err.contains("pblink config init"), "{said:?}");
        assert!(said.err.contains(of_user) && said.err.contains("/etc/pblink/"), "{said:?}");
    }
    home.write(of_user, "[server]\nport = 1001\n");
    assert_eq!(port(&user), "1001\n");
    assert_eq!(path(&user).out, format!("{}\n", home.path(of_user).display()));
    // Whoever is told "ok" is told of which file.
    let said = home.run(&["config", "check"], &user, "");
    assert_eq!(said.out, format!("ok: {}\n", home.path(of_user).display()));
    // It is the one that is changed, too.
    assert_eq!(home.run(&["config", "set", "server.port", "1002"], &user, "").code, 0);
    assert_eq!(home.read(of_user), "[server]\nport = 1002\n");

    home.write("pblink.toml", "[server]\nport = 1003\n");
    assert_eq!(port(&user), "1003\n");
    home.write("other.toml", "[server]\nport = 1004\n");
    let named = [user[0], ("PBLINK_CONFIG", "other.toml")];
    assert_eq!(port(&named), "1004\n");
    let args = ["config", "get", "server.port", "--config", "pblink.toml"];
    assert_eq!(home.run(&args, &named, "").out, "1003\n");
    let said = home.run(&["config", "path", "--all"], &named, "");
    let states: Vec<_> =
        said.out.lines().map(|line| line.rsplit("  ").next().unwrap().trim()).collect();
    let above = "not used: the one above takes precedence";
    assert_eq!(states[..3], ["used", above, above], "{said:?}");
    let said = home.run(&["config", "path", "--json"], &named, "");
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&json["file"], &json["places"][1]["used"]), (&"other.toml".into(), &false.into()));

    // One that is named and is not there is an error, never a reason to take another one.
    let said = home.run(&["config", "get", "server.port"], &[("PBLINK_CONFIG", "gone.toml")], "");
    assert_eq!((said.code, &*said.out), (3, ""));
    assert!(said.err.contains("cannot read gone.toml"), "{said:?}");
}

#[test]
fn get_prints_one_value_for_scripts() {
    let home = Home::new();
    home.write("pblink.toml", "[server]\nclients = [\"a\", \"b c\"]\nhost = \"pi\"\n");
    for (args, expected) in [
        (&["server.host"][..], "pi\n"),
        (&["server.port"], "8123\n"),
        (&["server.clients"], "a\nb c\n"),
        (&["server.clients", "--json"], "[\"a\",\"b c\"]\n"),
        (&["board.forward_reports"], "true\n"),
        (&["wifi.ssid"], ""),
    ] {
        let said = home.config(&[&["get"], args].concat());
        assert_eq!((said.code, &*said.out, &*said.err), (0, expected, ""), "{args:?}");
    }
    for (key, why) in [
        ("server.prot", "did you mean `server.port`?"),
        ("wifi.password", "the WiFi password is never shown"),
        ("board[0].id", "there is no [[board[0]]]"),
    ] {
        let said = home.config(&["get", key]);
        assert_eq!((said.code, &*said.out), (2, ""), "{key}");
        assert!(said.err.contains(why), "{said:?}");
    }
    home.write(
        "pblink.toml",
        "[server]\nclients = []\n[[board]]\nid = \"a\"\n[[board]]\nid = \"b\"\n",
    );
    assert_eq!(home.config(&["get", "board[1].id"]).out, "b\n");
    let said = home.config(&["get", "board.id"]);
    assert!(said.code == 2 && said.err.contains("write board[N].id"), "{said:?}");
}

#[test]
fn unset_takes_one_key_out_and_leaves_everything_else() {
    let home = Home::new();
    for (key, before, after) in [
        (
            "server.port",
            "[server]\n# why\nport = 1 # one\nhost = \"a\"\n",
            "[server]\n# why\nhost = \"a\"\n",
        ),
        ("server.clients", "[server]\nclients = [\n  \"1\",\n  \"2\",\n]\n", "[server]\n"),
        ("server.port", "server.port = 1\nserver.host = \"a\"\n", "server.host = \"a\"\n"),
        ("server.port", "server = { port = 1, host = \"a\" }\n", "server = { host = \"a\" }\n"),
        ("server.port", "\u{feff}server.port = 1\r\n# b\r\n", "\u{feff}# b\r\n"),
        (
            "board[1].log",
            "[server]\nclients=[]\n[[board]]\nlog = \"off\"\n[[board]]\nid = \"b\"\nlog = \"off\"\n",
            "[server]\nclients=[]\n[[board]]\nlog = \"off\"\n[[board]]\nid = \"b\"\n",
        ),
    ] {
        home.write("pblink.toml", before);
        let said = home.config(&["unset", key]);
        assert_eq!((said.code, &*said.err), (0, ""), "{said:?}");
        assert!(said.out.contains("its default is"), "{said:?}");
        assert_eq!(home.read("pblink.toml").replace("{  host", "{ host"), after, "{key}");
        // Once more is no mistake.
        let said = home.config(&["unset", key]);
        assert!(said.code == 0 && said.out.contains("does not give"), "{said:?}");
    }
    // The value that is wrong can go; another mistake keeps the file as it was.
    home.write("pblink.toml", "[server]\nport = 0\n");
    assert_eq!(home.config(&["unset", "server.port"]).code, 0);
    let broken = "[server]\nport = 1\nhots = 1\n";
    home.write("pblink.toml", broken);
    let said = home.config(&["unset", "server.port"]);
    assert!(said.code == 3 && said.err.contains("stays as it was"), "{said:?}");
    assert_eq!(home.read("pblink.toml"), broken);
    assert_eq!(home.config(&["unset", "server.prot"]).code, 2);
    assert_eq!(home.names(), ["pblink.toml"]);
}

#[test]
fn unset_of_the_password_removes_the_secrets_file_and_no_other() {
    let home = Home::new();
    home.init();
    home.secrets(0o600);
    let said = home.config(&["unset", "wifi.password"]);
    assert_eq!(said.out, "removed pblink.secrets.toml, which held the WiFi password\n");
    assert_eq!(home.names(), ["pblink.toml"]);
    assert_eq!(home.config(&["unset", "wifi.password"]).code, 0);
    home.write("notes.txt", "buy milk\n");
    home.write("pblink.toml", "[wifi]\nsecrets = \"notes.txt\"\n");
    let said = home.config(&["unset", "wifi.password"]);
    assert!(said.code == 3 && said.err.contains("is not a secrets file"), "{said:?}");
    assert_eq!(home.read("notes.txt"), "buy milk\n");
}

#[test]
fn edit_takes_a_good_text_and_keeps_a_bad_one_out() {
    let home = Home::new();
    home.init();
    let before = home.read("pblink.toml");
    let edit = |editor: &str| {
        let env = [
            ("EDITOR", editor),
            ("VISUAL", ""),
            ("PBLINK_WIFI_PASSWORD", PASSWORD),
            ("PBLINK_TOKEN", "t"),
        ];
        home.run(&["config", "edit"], &env, "")
    };
    let said = edit("true");
    assert_eq!((said.code, &*said.out), (0, "pblink.toml: nothing has changed\n"));
    let said = edit("sed -i s/8123/9000/");
    assert_eq!((said.code, &*said.out, &*said.err), (0, "wrote pblink.toml\n", ""));
    let edited = home.read("pblink.toml");
    assert_eq!(edited, before.replace("port = 8123", "port = 9000").replace("8123", "9000"));
    // The editor failed, or is not there.
    for (editor, why) in [("false", "the editor failed"), ("no-such-editor", "VISUAL or EDITOR")] {
        let said = edit(editor);
        assert!(said.code == 1 && said.err.contains(why), "{said:?}");
    }
    // Secrets are not for editors and their extensions.
    assert_eq!(edit("env > seen; true").code, 0);
    let seen = home.read("seen");
    assert!(!seen.contains("hunter2") && !seen.contains("PBLINK_TOKEN"), "{seen}");
    fs::remove_file(home.path("seen")).unwrap();
    assert_eq!(home.names(), ["pblink.toml"]);

    // A mistake never gets into the file, and what was written is not lost.
    let said = edit("sed -i s/9000/90000/");
    assert_eq!((said.code, &*said.out), (3, ""), "{said:?}");
    assert!(said.err.contains("`server.port` must be a whole number"), "{said:?}");
    assert_eq!(home.read("pblink.toml"), edited);
    let copy = home.names().into_iter().find(|name| name.starts_with(".pblink.edit-")).unwrap();
    assert!(said.err.contains(&copy) && home.read(&copy).contains("90000"), "{said:?}");
    fs::remove_file(home.path(&copy)).unwrap();
    // Nor does it overwrite what somebody else wrote meanwhile.
    let said = edit("echo '# theirs' >> pblink.toml; sed -i s/9000/9001/");
    assert!(said.code == 3 && said.err.contains("was changed meanwhile"), "{said:?}");
    assert_eq!(home.read("pblink.toml"), edited + "# theirs\n");
}
