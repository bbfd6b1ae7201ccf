//! `pblink keys` as its users run it: real processes, real files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::process::pblink;
use serde_json::Value;
use tempfile::TempDir;

const FILE: &str = "pblink.keys.toml";

struct Home(TempDir);

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

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o7777
    }

    fn run_in(&self, args: &[&str], env: &[(&str, &str)]) -> Said {
        let mut command = pblink(&[&["keys"], args].concat());
        let output = command.current_dir(self.0.path()).envs(env.iter().copied()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(output.stdout), text(output.stderr));
        self.check_quiet(&out);
        self.check_quiet(&err);
        Said { code: output.status.code().unwrap(), out, err }
    }

    fn run(&self, args: &[&str]) -> Said {
        self.run_in(args, &[])
    }

    /// No private or shared key of any file here is in a text.
    fn check_quiet(&self, text: &str) {
        for entry in fs::read_dir(self.0.path()).unwrap() {
            let Ok(content) = fs::read_to_string(entry.unwrap().path()) else { continue };
            for line in content.lines() {
                let secret = ["private = ", "shared = ", "seed = "];
                if let Some(value) = secret.iter().find_map(|name| line.strip_prefix(name)) {
                    let value = value.trim_matches('"');
                    assert!(value.len() < 8 || !text.contains(value), "{line}\n{text}");
                }
            }
        }
    }

    fn ok(&self, args: &[&str]) -> String {
        let said = self.run(args);
        assert_eq!((said.code, &*said.err), (0, ""), "{args:?}: {}", said.out);
        said.out
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[args, &["--json"]].concat())).unwrap()
    }

    fn fails(&self, args: &[&str], code: i32, parts: &[&str]) {
        let said = self.run(args);
        assert_eq!((said.code, &*said.out), (code, ""), "{args:?}: {}", said.err);
        for part in parts {
            assert!(said.err.contains(part), "{args:?}: {part}\n{}", said.err);
        }
    }
}

#[test]
fn keys_are_made_listed_exchanged_and_taken_away() {
    let home = Home::new();
    let out = home.ok(&["issue", "kitchen", "--to", "kitchen.toml"]);
    assert!(out.contains("kitchen has new keys: ") && out.contains("back it up"), "{out}");
    assert_eq!((home.mode(FILE), home.mode("kitchen.toml")), (0o600, 0o600));
    assert!(home.read(FILE).contains("BACK IT UP"));
    let out = home.ok(&["issue", "kitchen", "--to", "kitchen.toml"]);
    assert!(out.contains("has its keys already") && !out.contains("back it up"), "{out}");
    home.ok(&["issue", "attic", "--to", "attic.toml"]);

    let all = home.json(&["list"]);
    let fingerprint = all["boards"][0]["current"]["fingerprint"].as_str().unwrap().to_owned();
    assert_eq!((all["boards"][1]["id"].as_str(), fingerprint.len()), (Some("attic"), 11));
    let table = home.ok(&["list"]);
    assert!(table.starts_with("server ") && table.contains(all["server"].as_str().unwrap()));
    assert!(table.contains(&format!("kitchen  {fingerprint}  generation 1, of 20")), "{table}");
    assert!(home.ok(&["show", "kitchen"]).contains(&fingerprint));

    let board = home.read("kitchen.toml");
    home.fails(&["rotate", "kitchen", "--to", "kitchen.toml"], 2, &["exists already"]);
    assert_eq!(home.read("kitchen.toml"), board);
    let next = home.json(&["rotate", "kitchen", "--to", "next.toml"]);
    assert_eq!((&next["generation"], &next["new"]), (&2.into(), &true.into()));
    home.fails(&["rotate", "kitchen", "--to", "third.toml"], 3, &["--finish", "--cancel"]);
    assert!(home.ok(&["list"]).contains("generation 2, of 20"));
    let shown = home.json(&["show", "kitchen"]);
    assert_eq!(shown["next"]["fingerprint"], next["fingerprint"]);
    assert_eq!(shown["current"]["fingerprint"], *fingerprint);
    let ended = home.json(&["rotate", "kitchen", "--finish"]);
    assert_eq!(ended["fingerprint"], next["fingerprint"]);
    home.fails(&["rotate", "kitchen", "--finish"], 3, &["is not being given new keys"]);
    home.ok(&["rotate", "attic", "--to", "attic2.toml"]);
    home.ok(&["rotate", "attic", "--cancel"]);
    assert_eq!(home.json(&["show", "attic"])["current"]["generation"], 1);

    // Over its link a board gets another shared key, and keeps its own one.
    let given = home.json(&["rotate", "attic"]);
    assert_eq!((&given["generation"], &given["over_link"]), (&2.into(), &true.into()));
    assert!(home.ok(&["show", "attic"]).contains("is being given over its link"));
    home.fails(&["rotate", "attic"], 3, &["being given new keys already", "--cancel"]);
    home.fails(&["rotate", "attic", "--to", "x.toml"], 3, &["being given new keys already"]);
    let shown = home.json(&["show", "attic"]);
    assert_eq!(shown["next"]["fingerprint"], shown["current"]["fingerprint"]);
    home.ok(&["rotate", "attic", "--cancel"]);
    assert!(!home.ok(&["show", "attic"]).contains("is being given"));

    home.fails(&["revoke", "kitchen"], 2, &["no terminal", "--yes", "locked out"]);
    assert_eq!(home.json(&["revoke", "kitchen", "--yes"])["revoked"], true);
    home.fails(&["revoke", "kitchen", "--yes"], 3, &["has no keys"]);
    assert!(home.ok(&["show", "kitchen"]).contains("revoked at 20"));
    home.fails(&["issue", "kitchen", "--to", "new.toml"], 3, &["was revoked", "--replace"]);
    assert!(!home.path("new.toml").exists());
    home.ok(&["issue", "kitchen", "--to", "new.toml", "--replace"]);
    assert_eq!(home.json(&["show", "kitchen"])["current"]["generation"], 3);
}

#[test]
fn public_keys_are_those_of_the_files() {
    let home = Home::new();
    home.ok(&["issue", "kitchen", "--to", "kitchen.toml"]);
    let all = home.json(&["export-public"]);
    let server = all["server"]["public"].as_str().unwrap();
    assert!(home.read("kitchen.toml").contains(&format!("server = \"{server}\"")));
    let board = all["boards"][0]["public"].as_str().unwrap();
    assert!(home.read(FILE).contains(&format!("public = \"{board}\"")));
    let text = home.ok(&["export-public", "kitchen"]);
    assert!(text.contains(server) && text.contains(&format!("kitchen 1 {board} ")), "{text}");
    home.fails(&["export-public", "attic"], 3, &["attic has no keys"]);
}

#[test]
fn wrong_input_of_each_kind_is_told() {
    let home = Home::new();
    for args in [&["list"][..], &["show", "x"], &["revoke", "x", "--yes"], &["export-public"]] {
        home.fails(args, 3, &["there are no keys yet", FILE, "config push"]);
    }
    assert!(!home.path(FILE).exists(), "looking makes none");
    for id in ["", " kitchen", "a\nb", &"x".repeat(65)] {
        home.fails(&["issue", id, "--to", "b.toml"], 2, &["cannot be an id"]);
    }
    home.fails(&["issue", "kitchen"], 2, &["--to <FILE>"]);
    home.fails(&["rotate", "kitchen"], 3, &["there are no keys yet"]);
    home.fails(&["rotate", "kitchen", "--finish", "--cancel"], 2, &["cannot be used with"]);
    home.fails(&["issue", "kitchen", "--to", "no/where.toml"], 1, &["cannot write no/where.toml"]);
    assert!(!home.ok(&["list"]).contains("generation 1, of 20") || home.path(FILE).exists());
    fs::set_permissions(home.path(FILE), fs::Permissions::from_mode(0o644)).unwrap();
    home.fails(&["list"], 3, &["others can read the keys (mode 0644)", "chmod 600"]);
    fs::write(home.path("board.toml"), "id = \"kitchen\"\n").unwrap();
    fs::set_permissions(home.path("board.toml"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(home.path(FILE), fs::Permissions::from_mode(0o600)).unwrap();
    home.fails(&["issue", "attic", "--to", "board.toml"], 3, &["board.toml:1:1:", "`generation`"]);
}

#[test]
fn the_file_is_the_one_that_a_flag_the_settings_or_the_service_name() {
    let home = Home::new();
    home.ok(&["issue", "a", "--to", "a.toml", "--keys", "flag.toml"]);
    fs::write(home.path("pblink.toml"), "[link]\nkeys = \"named.toml\"\n").unwrap();
    home.ok(&["issue", "b", "--to", "b.toml"]);
    for (file, id) in [("flag.toml", "a"), ("named.toml", "b")] {
        assert_eq!(home.json(&["list", "--keys", file])["boards"][0]["id"], id);
    }
    // A service's credential: read-only, and closed to all but root and the service.
    fs::remove_file(home.path("pblink.toml")).unwrap();
    let folder = home.path("credentials");
    fs::create_dir(&folder).unwrap();
    fs::rename(home.path("named.toml"), folder.join(FILE)).unwrap();
    fs::set_permissions(folder.join(FILE), fs::Permissions::from_mode(0o440)).unwrap();
    let env = [("CREDENTIALS_DIRECTORY", folder.to_str().unwrap())];
    let said = home.run_in(&["list"], &env);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("credentials/pblink.keys.toml"), "{}", said.out);
    // The same file elsewhere is open to a group.
    fs::rename(folder.join(FILE), home.path(FILE)).unwrap();
    assert!(home.run_in(&["list"], &env).err.contains("mode 0440"));
}

#[test]
fn boards_one_after_the_other_need_a_list_settings_and_a_terminal() {
    let home = Home::new();
    fs::write(home.path("ids.csv"), "kitchen\n").unwrap();
    let run = |args: &[&str]| {
        let mut command = pblink(&[&["provision"], args].concat());
        let output = command.current_dir(home.0.path()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let fails = |args: &[&str], code: i32, part: &str| {
        let said = run(args);
        assert!(said.0 == code && said.1.contains(part), "{part}: {said:?}");
    };
    fails(&[], 2, "--from <FILE>");
    fails(&["--from", "ids.csv"], 3, "pblink config init");
    fs::write(home.path("pblink.toml"), "").unwrap();
    fails(&["--from", "ids.csv"], 2, "no terminal");
    assert!(!home.path("ids.csv.done").exists());
}
