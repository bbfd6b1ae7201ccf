//! The verbs on boards that are only software.

use std::path::PathBuf;

use clap::Parser;
use pblink_fakes::stm32::{Bootloader, Chip, Debugger, Desk, Opens, SECTORS};
use pblink_flash::Step;
use pblink_flash::stm32::{PROGRAM, SETTINGS};
use pblink_image::identity;
use pblink_image::settings::MAX_SIZE;

use super::*;
use crate::commands::config::Verb;
use crate::commands::{Cli, Command};

/// The notes that the user gets.
#[derive(Default)]
struct Notes(Vec<String>);

impl Progress for Notes {
    fn begin(&mut self, _: Step, _: &str, _: u64) {}
    fn advance(&mut self, _: u64) {}
    fn end(&mut self) {}
    fn note(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }
}

impl Notes {
    fn warning(&self) -> Option<&String> {
        self.0.iter().find(|note| note.starts_with("warning"))
    }
}

fn verb(words: &[&str]) -> Verb {
    let all = ["pblink", "config"].iter().chain(words);
    match Cli::try_parse_from(all).unwrap().command {
        Command::Config(args) => args.verb,
        other => panic!("{other:?}"),
    }
}

fn push_args(words: &[&str]) -> PushArgs {
    let Verb::Push(args) = verb(&[&["push", "--wait", "0"], words].concat()) else { panic!() };
    args
}

fn pull_args(words: &[&str]) -> PullArgs {
    let Verb::Pull(args) = verb(&[&["pull", "--wait", "0"], words].concat()) else { panic!() };
    args
}

/// Returns the beginning of a program: the end of the stack, the first instruction, other vectors,
/// what it is.
fn program() -> Vec<u8> {
    let mut program = [0x2002_0000_u32.to_le_bytes(), (PROGRAM + 0x201).to_le_bytes()].concat();
    program.resize(0x188, 0xab);
    program.extend(identity::bytes("demo", "1.2.3", "pyboard"));
    program
}

const NO_KEYS: &str = "link.keys = \"\"\n";

/// Returns a folder with a pblink.toml for a network with a password, whose boards get no keys.
fn folder() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("pblink.toml");
    let text = "[server]\nhost = \"10.0.0.5\"\nclients = []\n[wifi]\nssid = \"home\"\n";
    std::fs::write(&config, format!("{NO_KEYS}{text}")).unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "correct horse\n").unwrap();
    (folder, config, password)
}

/// Returns both ways to a chip.
fn ways(chip: &Chip) -> [Desk; 2] {
    [
        Desk::default().with("1", Opens::Bootloader(Bootloader::of(chip))),
        Desk::default().with("1", Opens::Debugger(Debugger::of(chip))),
    ]
}

/// Runs `pblink config push` with these flags; `online` are the boards that the server sees.
fn push_online(
    desk: &mut Desk,
    words: &[&str],
    online: &[&str],
) -> (anyhow::Result<String>, Notes) {
    let args = push_args(words);
    let settings = settings_of(&args).unwrap();
    let password = args.settings.password(&settings).unwrap();
    let online: Vec<_> = online.iter().map(|id| (*id).to_owned()).collect();
    let mut register = Register::beside(&settings).unwrap();
    let mut notes = Notes::default();
    let wanted = Wanted { settings: &settings, password: password.as_ref(), online: &online };
    let text = push_to(desk, &args, &wanted, &mut register, &mut notes);
    (text, notes)
}

fn push(desk: &mut Desk, words: &[&str]) -> (String, Notes) {
    let (text, notes) = push_online(desk, words, &[]);
    (text.unwrap(), notes)
}

fn pull(desk: &mut Desk, words: &[&str]) -> String {
    pull_from(desk, &pull_args(words), &mut Notes::default()).unwrap()
}

#[test]
fn what_is_pushed_is_pulled_and_nothing_else_is_touched() {
    for way in 0..2 {
        let (_folder, config, password) = folder();
        let config = ["--config", config.to_str().unwrap()];
        let words = [&config[..], &["--password-file", password.to_str().unwrap()]].concat();
        let program = program();
        let chip = Chip::new().with(PROGRAM, &program).with(PROGRAM + 0x4_0000, &[7; 999]);
        let before = chip.bytes(PROGRAM, (SETTINGS - PROGRAM) as usize);
        let (text, notes) = push(&mut ways(&chip)[way], &words);
        assert!(text.starts_with("the board 1 has its settings"), "{text}");
        assert_eq!(notes.warning(), None);
        assert!(chip.started());
        assert_eq!(chip.erased(), [SECTORS.len() - 1]);
        assert_eq!(chip.bytes(PROGRAM, before.len()), before);
        let there = BoardSettings::read(&chip.bytes(SETTINGS, MAX_SIZE)).unwrap();
        assert_eq!((&*there.config.server, &*there.config.password), ("10.0.0.5", "correct horse"));

        let pulled: serde_json::Value =
            serde_json::from_str(&pull(&mut ways(&chip)[way], &["--json"])).unwrap();
        let settings = &pulled["settings"];
        assert_eq!((&settings["id"], &settings["server"]), (&"1".into(), &"10.0.0.5".into()));
        assert_eq!((&settings["ssid"], &settings["password_set"]), (&"home".into(), &true.into()));
        assert_eq!(pulled["program"], format!("demo 1.2.3 (pblink {})", env!("CARGO_PKG_VERSION")));
        let shown = pull(&mut ways(&chip)[way], &[]);
        assert!(shown.contains("wifi.password          ********\n"), "{shown}");
        assert!(!shown.contains("correct horse") && !pulled.to_string().contains("correct horse"));

        // Once more: nothing is to be done.
        let (text, _) = push(&mut ways(&chip)[way], &words);
        assert!(text.contains("had these settings already"), "{text}");
        assert_eq!(chip.erased(), [SECTORS.len() - 1], "no second time");
    }
}

#[test]
fn a_board_without_settings_is_told_apart_from_a_damaged_one() {
    let chip = Chip::new();
    let shown = pull(&mut ways(&chip)[0], &[]);
    assert!(shown.contains("no settings are written: the program's built-in"), "{shown}");
    assert!(shown.contains("program                not known"), "{shown}");
    let mut bytes = [0; MAX_SIZE];
    let len = BoardSettings::built_in().write(&mut bytes).unwrap();
    bytes[len - 3] ^= 1;
    let chip = Chip::new().with(SETTINGS, &bytes[..len]);
    let shown = pull(&mut ways(&chip)[0], &[]);
    assert!(shown.contains("the settings are damaged"), "{shown}");
}

#[test]
fn client_picks_the_id_and_one_that_another_board_has_is_warned_of() {
    let (_folder, config, _) = folder();
    let config = config.to_str().unwrap();
    let (kitchen, other) = (Chip::new(), Chip::new());
    let words = &["--config", config, "--client", "kitchen"];
    let (text, notes) = push(&mut ways(&kitchen)[0], words);
    assert!(text.starts_with("the board kitchen"), "{text}");
    assert_eq!(notes.warning(), None);
    // The same board again, with something else: it may keep its id.
    let text = std::fs::read_to_string(config).unwrap().replace("10.0.0.5", "10.0.0.6");
    std::fs::write(config, text).unwrap();
    assert_eq!(push(&mut ways(&kitchen)[1], words).1.warning(), None);
    // Another board.
    let warned = push(&mut ways(&other)[0], words).1;
    assert!(
        warned.warning().unwrap().contains("was given to another board on 20"),
        "{warned:?}",
        warned = warned.0
    );
    // It gets an id of its own, then the first one may be written again.
    push(&mut ways(&other)[0], &["--config", config, "--client", "attic"]);
    let (_, notes) = push(&mut ways(&Chip::new())[0], &["--config", config, "--client", "attic"]);
    assert!(notes.warning().is_some());
}

#[test]
fn an_id_that_is_connected_now_is_warned_of() {
    let (_folder, config, _) = folder();
    let words = ["--config", config.to_str().unwrap(), "--client", "kitchen"];
    let chip = Chip::new();
    let (text, notes) = push_online(&mut ways(&chip)[0], &words, &["attic", "kitchen"]);
    assert!(text.is_ok());
    assert!(notes.warning().unwrap().contains("connected to the server now"));
    let (_, notes) = push_online(&mut ways(&chip)[0], &words, &["kitchen"]);
    assert_eq!(notes.warning(), None, "it is this board");
}

#[test]
fn check_names_each_difference_but_no_password() {
    let (_folder, config, password) = folder();
    let settings = Settings::load(Some(&config)).unwrap();
    let secret = settings.password(Some(&password)).unwrap();
    let Verb::Check(args) = verb(&["check", "--board", "--wait", "0"]) else { panic!() };
    let chip = Chip::new();
    let check = |settings: &Settings, desk: &mut Desk| {
        check_on(desk, settings, secret.as_ref(), &args.way, &mut Notes::default()).unwrap()
    };
    let (exit, text) = check(&settings, &mut ways(&chip)[0]);
    assert_eq!(exit, Exit::Config);
    assert!(text.contains("the board: no settings are written"), "{text}");

    let board = settings.board_settings(secret.as_ref()).unwrap();
    let chip = Chip::new().with(SETTINGS, &encoded(&board).unwrap());
    let (exit, text) = check(&settings, &mut ways(&chip)[1]);
    assert_eq!((exit, text.starts_with("ok: the board has the same")), (Exit::Ok, true), "{text}");

    let text = std::fs::read_to_string(&config).unwrap().replace("10.0.0.5", "10.0.0.6");
    std::fs::write(&config, text).unwrap();
    std::fs::write(&password, "wrong horse").unwrap();
    let changed = Settings::load(Some(&config)).unwrap();
    let secret = changed.password(Some(&password)).unwrap();
    let (exit, text) =
        check_on(&mut ways(&chip)[0], &changed, secret.as_ref(), &args.way, &mut Notes::default())
            .unwrap();
    assert_eq!(exit, Exit::Config);
    assert!(text.contains("server.host: the file has 10.0.0.6, the board 10.0.0.5"), "{text}");
    assert!(text.contains("wifi.password: the board has another one"), "{text}");
    assert!(!text.contains("horse"), "{text}");
}

#[test]
fn a_board_can_stay_in_its_bootloader() {
    let chip = Chip::new().with(PROGRAM, &program());
    let args = pull_args(&["--no-start"]);
    assert!(pull_from(&mut ways(&chip)[0], &args, &mut Notes::default()).is_ok());
    assert!(!chip.started());
    pull(&mut ways(&chip)[0], &[]);
    assert!(chip.started());
}

#[test]
fn without_a_network_of_its_own_a_board_gets_no_password() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("pblink.toml");
    std::fs::write(&config, NO_KEYS).unwrap();
    let secrets = folder.path().join("pblink.secrets.toml");
    std::fs::write(&secrets, "wifi_password = \"correct horse\"\n").unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&secrets, std::fs::Permissions::from_mode(0o600)).unwrap();
    let config = config.to_str().unwrap();
    let pushed = |words: &[&str]| {
        let chip = Chip::new();
        push(&mut ways(&chip)[0], words);
        BoardSettings::read(&chip.bytes(SETTINGS, MAX_SIZE)).unwrap().config.password.to_string()
    };
    assert_eq!(pushed(&["--config", config]), "");
    // With one, it gets it.
    std::fs::write(config, "[wifi]\nssid = \"home\"\n").unwrap();
    assert_eq!(pushed(&["--config", config]), "correct horse");
}

#[test]
fn defaults_are_never_pushed() {
    let error = settings_of(&push_args(&[])).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Config);
    assert!(error.to_string().contains("pblink config init"), "{error}");
}

#[test]
fn a_register_that_cannot_be_written_is_no_failure_of_the_push() {
    let (folder, config, _) = folder();
    // A link to nowhere in its place is not followed.
    std::os::unix::fs::symlink("nowhere", folder.path().join("pblink.boards.toml")).unwrap();
    let chip = Chip::new();
    let (text, notes) =
        push_online(&mut ways(&chip)[0], &["--config", config.to_str().unwrap()], &[]);
    assert!(text.unwrap().contains("has its settings"));
    assert!(notes.warning().unwrap().contains("pblink.boards.toml"), "{:?}", notes.0);
}

#[test]
fn what_keeps_settings_from_the_board_is_reported_with_a_remedy_and_noted_nowhere() {
    let (folder, config, _) = folder();
    let words = ["--config", config.to_str().unwrap()];
    let nobody = push_online(&mut Desk::default(), &words, &[]).0.unwrap_err();
    assert!(nobody.to_string().starts_with("there is no debug probe"), "{nobody}");
    let protected = Chip::new().with_protected(&[SECTORS.len() - 1]);
    for mut desk in ways(&protected) {
        let error = push_online(&mut desk, &words, &[]).0.unwrap_err();
        assert!(error.to_string().contains("write-protected"), "{error}");
        assert_eq!(error.to_string().lines().count(), 2, "cause and remedy: {error}");
    }
    let mut busy = Desk::default().with("1", Opens::Fails(pblink_flash::Kind::Busy));
    assert!(push_online(&mut busy, &words, &[]).0.is_err());
    assert!(!folder.path().join("pblink.boards.toml").exists());
}

/// Returns a folder whose boards get keys.
fn keyed_folder() -> (tempfile::TempDir, PathBuf) {
    let (folder, config, _) = folder();
    let text = std::fs::read_to_string(&config).unwrap().replace(NO_KEYS, "");
    std::fs::write(&config, format!("{text}[link]\nkeys = \"k.toml\"\nclassic = [\"old\"]\n"))
        .unwrap();
    (folder, config)
}

/// Returns fingerprint and generation of the keys that a board shows.
fn key_of(desk: &mut Desk) -> Option<(String, u64)> {
    let pulled: serde_json::Value = serde_json::from_str(&pull(desk, &["--json"])).unwrap();
    let key = pulled["keys"].as_object()?;
    Some((key["fingerprint"].as_str().unwrap().to_owned(), key["generation"].as_u64().unwrap()))
}

#[test]
fn a_board_gets_keys_where_a_file_is_named_for_them_and_keeps_them() {
    for way in 0..2 {
        let (folder, config) = keyed_folder();
        let words = ["--config", config.to_str().unwrap()];
        let chip = Chip::new().with(PROGRAM, &program());
        let (text, _) = push(&mut ways(&chip)[way], &words);
        assert!(text.contains("the board 1 has new keys: "), "{text}");
        assert!(text.contains("k.toml has changed: back it up"), "{text}");
        let (fingerprint, generation) = key_of(&mut ways(&chip)[way]).unwrap();
        assert!(generation == 1 && text.contains(&fingerprint), "{text}");
        let shown = pull(&mut ways(&chip)[way], &[]);
        assert!(
            shown.contains(&format!("keys                   {fingerprint}, generation 1 of \"1\""))
        );
        let store = Store::at(folder.path().join("k.toml"));
        let known = store.existing().unwrap().of("1").unwrap();
        assert_eq!(known.current.unwrap().fingerprint().to_string(), fingerprint);
        assert_eq!(known.next, None);

        // Again, and through the other way: nothing is done.
        let before = std::fs::read(store.path()).unwrap();
        let json = push(&mut ways(&chip)[1 - way], &[&words[..], &["--json"]].concat()).0;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&json["keys"]["written"], &json["written"]), (&false.into(), &false.into()));
        assert_eq!(std::fs::read(store.path()).unwrap(), before);

        let (text, _) = push(&mut ways(&chip)[way], &[&words[..], &["--new-keys"]].concat());
        assert!(text.contains("generation 2"), "{text}");
        assert_eq!(key_of(&mut ways(&chip)[way]).unwrap().1, 2);
        // Keys are never erased, and settings were only written once.
        assert_eq!(chip.erased(), [SECTORS.len() - 1]);
    }
}

#[test]
fn a_second_board_with_an_id_needs_a_word_more_and_is_left_as_it_was() {
    let (folder, config) = keyed_folder();
    let words = ["--config", config.to_str().unwrap(), "--client", "kitchen"];
    let (first, second) = (Chip::new(), Chip::new().with(PROGRAM, &program()));
    push(&mut ways(&first)[0], &words);
    let before = std::fs::read(folder.path().join("k.toml")).unwrap();
    for mut desk in ways(&second) {
        let error = push_online(&mut desk, &words, &[]).0.unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Config);
        assert!(error.to_string().contains("--replace"), "{error}");
        assert!(second.erased().is_empty() && second.started());
    }
    assert_eq!(std::fs::read(folder.path().join("k.toml")).unwrap(), before);
    push(&mut ways(&second)[0], &[&words[..], &["--replace"]].concat());
    assert_eq!(key_of(&mut ways(&second)[1]).unwrap().1, 2);
    // The first one has no place any more.
    assert!(push_online(&mut ways(&first)[0], &words, &[]).0.is_err());
}

/// As a pblink.toml is that somebody has written before there were keys.
#[test]
fn settings_that_say_nothing_of_keys_give_a_board_some() {
    let (folder, config, _) = folder();
    let text = std::fs::read_to_string(&config).unwrap().replace(NO_KEYS, "");
    std::fs::write(&config, text).unwrap();
    std::fs::create_dir(folder.path().join(".git")).unwrap();
    let chip = Chip::new();
    let words = ["--config", config.to_str().unwrap()];
    let (text, _) = push(&mut ways(&chip)[0], &words);
    let (fingerprint, _) = key_of(&mut ways(&chip)[0]).expect("it has keys");
    assert!(text.contains(&format!("the board 1 has new keys: {fingerprint}, gen")), "{text}");
    assert!(text.contains("pblink.keys.toml has changed: back it up"), "{text}");
    assert!(text.contains("keep the keys out of it with `echo pblink.keys.toml >> "), "{text}");
    assert!(folder.path().join("pblink.keys.toml").is_file());
    let (again, _) = push(&mut ways(&chip)[0], &words);
    assert!(again.contains("had its keys already") && !again.contains("back it up"), "{again}");
}

#[test]
fn boards_that_are_to_do_without_keys_get_none() {
    let (folder, config) = keyed_folder();
    let config = config.to_str().unwrap();
    let chip = Chip::new();
    let (text, _) = push(&mut ways(&chip)[0], &["--config", config, "--client", "old"]);
    assert!(!text.contains("keys"), "{text}");
    assert_eq!(key_of(&mut ways(&chip)[0]), None);
    assert!(!folder.path().join("k.toml").exists());
    assert!(pull(&mut ways(&chip)[0], &[]).contains("keys                   none"));
    let words = ["--config", config, "--client", "old", "--new-keys"];
    let error = push_online(&mut ways(&chip)[0], &words, &[]).0.unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Usage);
    assert!(error.to_string().contains("link.keys"), "{error}");
}

#[test]
fn whatever_breaks_a_push_off_a_second_one_mends_it() {
    for renew in [false, true] {
        let mut n = 0;
        // Each transfer of the way by USB is the last one once.
        loop {
            let (folder, config) = keyed_folder();
            let words = ["--config", config.to_str().unwrap()];
            let chip = Chip::new().with(PROGRAM, &program());
            if renew {
                push(&mut ways(&chip)[0], &words);
            }
            let before = key_of(&mut ways(&chip)[0]);
            let faulty = Bootloader::of(&chip).with_fault(n, pblink_fakes::stm32::Fault::Vanish);
            let mut desk = Desk::default().with("1", Opens::Bootloader(faulty));
            let more: &[&str] = if renew { &["--new-keys"] } else { &[] };
            let (broken, _) = push_online(&mut desk, &[&words[..], more].concat(), &[]);
            let now = key_of(&mut ways(&chip)[0]);
            let store = Store::at(folder.path().join("k.toml"));
            let known = store.read().unwrap().and_then(|keys| keys.of("1"));
            // The server answers to the keys that the board has.
            let halves = known.iter().flat_map(|known| [&known.current, &known.next]).flatten();
            let answered: Vec<_> = halves.map(|half| half.fingerprint().to_string()).collect();
            assert!(now.iter().all(|(key, _)| answered.contains(key)), "{n}");
            assert!(before.is_none() || now.is_some(), "{n}");

            push(&mut ways(&chip)[1], &words);
            let (key, _) = key_of(&mut ways(&chip)[0]).unwrap();
            let known = store.existing().unwrap().of("1").unwrap();
            assert_eq!(known.current.unwrap().fingerprint().to_string(), key, "{n}");
            if broken.is_ok() {
                break;
            }
            n += 1;
        }
        assert!(n > 20, "{n}");
    }
}

#[test]
fn check_names_keys_that_differ() {
    let (folder, config) = keyed_folder();
    let words = ["--config", config.to_str().unwrap()];
    let chip = Chip::new();
    let Verb::Check(args) = verb(&["check", "--board", "--wait", "0"]) else { panic!() };
    let check = || {
        let settings = Settings::load(Some(&config)).unwrap();
        let desk = &mut ways(&chip)[0];
        check_on(desk, &settings, None, &args.way, &mut Notes::default()).unwrap()
    };
    push(&mut ways(&chip)[0], &words);
    assert_eq!(check().0, Exit::Ok);
    let keys = folder.path().join("k.toml");
    let old = std::fs::read(&keys).unwrap();
    let said = |part: &str| {
        let (exit, text) = check();
        assert!(exit == Exit::Config && text.contains(part), "{part}: {text}");
    };
    push(&mut ways(&chip)[0], &[&words[..], &["--new-keys"]].concat());
    // A backup from before.
    std::fs::write(&keys, old).unwrap();
    said("keys: ");
    std::fs::remove_file(&keys).unwrap();
    said("has none of \"1\"");
    Store::at(&keys).change(|_| Ok(())).unwrap();
    said("is of the server");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("\"old\"", "\"1\"")).unwrap();
    said("the file gives \"1\" none, the board has");
}
