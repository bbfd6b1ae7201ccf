//! Files of keys on a real disk, and boards that fail at each step.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use pblink_secure_suite::issue::Issued;
use pblink_secure_suite::keys::{Id, Secret};

use super::give::Held;
use super::*;
use crate::exit::{Exit, Failed};

fn store(folder: &Path) -> Store {
    Store::at(folder.join("pblink.keys.toml"))
}

fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A board that keeps its keys in memory, and may fail before or behind writing them.
#[derive(Default)]
struct Fake {
    keys: Option<Issued>,
    writes: u32,
    fails: Option<Fails>,
}

#[derive(Clone, Copy, PartialEq)]
enum Fails {
    BeforeWriting,
    BehindWriting,
}

impl Holder for Fake {
    fn held(&mut self) -> anyhow::Result<Option<Held>> {
        let held = self
            .keys
            .as_ref()
            .map(|keys| Held { half: keys.server.clone(), server: keys.board.server });
        Ok(held)
    }

    fn put(&mut self, issued: &Issued) -> anyhow::Result<()> {
        if self.fails == Some(Fails::BeforeWriting) {
            return Err(Failed::with(Exit::Failure, "gone"));
        }
        self.keys = Some(issued.clone());
        self.writes += 1;
        match self.fails {
            None => Ok(()),
            Some(_) => Err(Failed::with(Exit::Failure, "gone")),
        }
    }
}

impl Fake {
    /// Returns true if a server with this file answers the board.
    fn works(&self, store: &Store) -> bool {
        let (Some(keys), Some(board)) = (store.read().unwrap(), &self.keys) else { return false };
        board.board.server == keys.server_public()
            && keys.server_keys().any(|half| {
                half.id == board.board.id
                    && half.generation == board.board.generation
                    && half.board == board.server.board
                    && half.shared.expose() == board.board.shared.expose()
            })
    }
}

#[test]
fn a_board_gets_keys_once_and_others_on_purpose_only() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let (mut first, mut second) = (Fake::default(), Fake::default());
    let wish = Wish::default();
    let given = give(&store, &id("kitchen"), &mut first, wish).unwrap();
    assert_eq!((given.generation, given.new, first.works(&store)), (1, true, true));
    assert_eq!(mode(store.path()), 0o600);
    // Again: it has them.
    let text = fs::read(store.path()).unwrap();
    let again = give(&store, &id("kitchen"), &mut first, wish).unwrap();
    assert_eq!(again, Given { new: false, ..given });
    assert_eq!((first.writes, fs::read(store.path()).unwrap()), (1, text.clone()));

    // A second board is refused, and nothing changes.
    let error = give(&store, &id("kitchen"), &mut second, wish).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Config);
    let said = error.to_string();
    assert!(said.contains("--replace") && said.contains(&given.fingerprint.to_string()), "{said}");
    assert_eq!((second.writes, fs::read(store.path()).unwrap()), (0, text));
    let replace = Wish { replace: true, ..wish };
    let other = give(&store, &id("kitchen"), &mut second, replace).unwrap();
    assert_eq!((other.generation, second.works(&store), first.works(&store)), (2, true, false));

    // New keys for the board that has the right ones need no flag but that.
    let renew = Wish { renew: true, ..wish };
    assert_eq!(give(&store, &id("kitchen"), &mut second, renew).unwrap().generation, 3);
    assert!(second.works(&store));
    assert!(give(&store, &id("kitchen"), &mut first, renew).is_err(), "it is not that board");
    // Another id for the same board.
    let attic = give(&store, &id("attic"), &mut second, wish).unwrap();
    assert_eq!((attic.generation, second.works(&store)), (1, true));
}

#[test]
fn an_interruption_leaves_keys_that_work_or_are_mended_by_doing_it_again() {
    for fails in [Fails::BeforeWriting, Fails::BehindWriting] {
        for renew in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let store = store(folder.path());
            let mut board = Fake::default();
            let wish = Wish { renew, ..Wish::default() };
            if renew {
                give(&store, &id("kitchen"), &mut board, wish).unwrap();
            }
            // Several times: what was prepared is replaced.
            for _ in 0..3 {
                board.fails = Some(fails);
                let again = give(&store, &id("kitchen"), &mut board, wish);
                // What reached the board the first time is not written once more.
                assert!(again.is_err() || !again.is_ok_and(|given| given.new));
                // With keys before, the board has keys that the server takes, whatever happens.
                assert!(board.works(&store) || !renew && fails == Fails::BeforeWriting);
                board.fails = None;
            }
            let plain = Wish::default();
            give(&store, &id("kitchen"), &mut board, plain).unwrap();
            assert!(board.works(&store));
            let known = store.read().unwrap().unwrap().of("kitchen").unwrap();
            assert!(known.current.is_some());
            // And none but the board's are left, but for those that never reached it.
            assert!(known.next.is_none() || fails == Fails::BeforeWriting);
        }
    }
}

#[test]
fn a_revoked_id_stays_known_and_comes_back_on_purpose_only() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let mut board = Fake::default();
    give(&store, &id("kitchen"), &mut board, Wish::default()).unwrap();
    assert_eq!(store.change(|keys| Ok(keys.revoke("kitchen"))).unwrap(), Some(1));
    assert_eq!(store.change(|keys| Ok(keys.revoke("kitchen"))).unwrap(), None);
    assert!(!board.works(&store));
    let keys = store.existing().unwrap();
    assert_eq!(keys.revoked().collect::<Vec<_>>(), ["kitchen"]);
    assert_eq!(keys.of("kitchen").unwrap().revoked.unwrap().0, 1);
    let error = give(&store, &id("kitchen"), &mut board, Wish::default()).unwrap_err();
    assert!(error.to_string().contains("was revoked at 20"), "{error}");
    let wish = Wish { replace: true, ..Wish::default() };
    let given = give(&store, &id("kitchen"), &mut board, wish).unwrap();
    assert_eq!((given.generation, board.works(&store)), (2, true), "never a generation twice");
    assert_eq!(store.existing().unwrap().revoked().count(), 0);
}

#[test]
fn both_keys_are_good_until_a_rotation_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    for keep_old in [false, true] {
        let (mut old, mut new) = (Fake::default(), Fake::default());
        let wish = Wish { replace: true, ..Wish::default() };
        give(&store, &id("kitchen"), &mut old, wish).unwrap();
        assert!(store.change(|keys| Ok(keys.end_rotation("kitchen", false))).unwrap().is_none());
        prepare(&store, &id("kitchen"), &mut new).unwrap();
        assert!(old.works(&store) && new.works(&store));
        let shown = store.change(|keys| Ok(keys.end_rotation("kitchen", keep_old))).unwrap();
        assert_eq!((old.works(&store), new.works(&store)), (keep_old, !keep_old));
        let kept = if keep_old { &old } else { &new };
        let half = &kept.keys.as_ref().unwrap().server;
        assert_eq!(shown.map(|shown| shown.public), Some(half.board));
    }
}

#[test]
fn the_board_of_a_file_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let strange = "a \"board\" \\ with = signs [é]";
    let path = folder.path().join("board.toml");
    let mut file = BoardFile::at(&path);
    assert!(file.read().unwrap().is_none());
    let given = give(&store, &id(strange), &mut file, Wish::default()).unwrap();
    assert_eq!(mode(&path), 0o600);
    let read = file.read().unwrap().unwrap();
    let (keys, seed) = (&read.keys, &read.seed);
    assert!(read.before.is_none());
    assert_eq!((keys.id.as_str(), keys.generation), (strange, 1));
    let held = file.held().unwrap().unwrap();
    assert_eq!(held.half.board.fingerprint(), given.fingerprint);
    let server = store.existing().unwrap();
    assert!(server.knows(&held.half) && held.server == server.server_public());
    assert_ne!(seed.expose(), keys.private.expose());
    assert!(!give(&store, &id(strange), &mut file, Wish::default()).unwrap().new);
    // A file of another server's keys is not taken for right.
    let other = Store::at(folder.path().join("other.toml"));
    assert!(give(&other, &id(strange), &mut file, Wish::default()).unwrap().new);
}

/// Returns a file with keys in a folder.
fn filled() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    give(&store, &id("kitchen"), &mut Fake::default(), Wish::default()).unwrap();
    let path = store.path().to_owned();
    (folder, path)
}

fn refusal(path: &Path) -> String {
    let error = Store::at(path).read().unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Config);
    error.to_string()
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    let (_folder, path) = filled();
    for open in [0o640, 0o604, 0o620, 0o601, 0o666] {
        set_mode(&path, open);
        let said = refusal(&path);
        assert!(said.contains(&format!("mode {open:04o}")) && said.contains("chmod 600"), "{said}");
    }
    for closed in [0o600, 0o400] {
        set_mode(&path, closed);
        assert!(Store::at(&path).read().unwrap().is_some());
    }
}

#[test]
fn links_folders_and_pipes_are_no_files_of_keys() {
    let (folder, path) = filled();
    let link = folder.path().join("link.toml");
    symlink(&path, &link).unwrap();
    assert!(refusal(&link).contains("it is a link, and is not followed"));
    let dangling = folder.path().join("dangling.toml");
    symlink("nowhere", &dangling).unwrap();
    assert!(refusal(&dangling).contains("it is a link"));
    let error = Store::at(&dangling).change(|_| Ok(())).unwrap_err();
    assert!(error.to_string().contains("it is a link") && !folder.path().join("nowhere").exists());
    assert!(refusal(folder.path()).contains("regular file"));
    let pipe = folder.path().join("pipe.toml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert!(refusal(&pipe).contains("regular file"));
}

#[test]
fn a_file_of_another_user_is_refused() {
    let (_folder, path) = filled();
    // Only root can give a file away; who owns what is tested for all users beside the code.
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
        let said = refusal(&path);
        assert!(said.contains("uid 12345") && said.contains("chown"), "{said}");
    }
}

#[test]
fn a_mistake_is_named_with_its_line_and_without_its_value() {
    let (_folder, path) = filled();
    let good = fs::read_to_string(&path).unwrap();
    let line = |text: &str| 1 + good[..good.find(text).unwrap()].matches('\n').count();
    let private = good.lines().find(|line| line.starts_with("private")).unwrap();
    let public = good.lines().find(|line| line.starts_with("public")).unwrap();
    let key = "must be 32 bytes as 43 characters of base64url";
    let same = format!("private = \"{}\"", "A".repeat(43));
    for (old, new, at, message) in [
        ("format = 1", "format = 2", 1, "`format` is not 1"),
        ("[server]", "[servers]", line("[server]"), "unknown key in the file"),
        (private, "private = \"short\"", line(private), key),
        (private, "private = 7", line(private), key),
        (private, &same, line(private), key),
        (private, "", line("[server]"), "[server] has no `private`"),
        (public, "public = \"=\"", line(public), key),
        ("generation = 1", "generation = 0", line("generation"), "a whole number from 1"),
        ("generation = 1", "generation = \"1\"", line("generation"), "a whole number from 1"),
        ("id = \"kitchen\"", "id = \" \"", line("id ="), "`id` must be an id"),
        ("issued = \"20", "issued = \"x20", line("issued"), "`issued` must be a time"),
        ("[[board]]", "[board]", line("[[board]]"), "a list of sections, [[board]]"),
        ("[[board]]", "[[board]]\n[[board]]", line("[[board]]"), "has no `id`"),
        ("shared", "sahred", line("shared"), "unknown key in [[board]]"),
        ("[[board]]\n", "[[board]\n", line("[[board]]"), "this is not TOML"),
    ] {
        let text = good.replacen(old, new, 1);
        assert_ne!(text, good, "{old}");
        fs::write(&path, &text).unwrap();
        let said = refusal(&path);
        let place = format!("{}:{at}:", path.display());
        assert!(said.starts_with(&place) && said.contains(message), "{new}: {said}");
        let value = &private["private = \"".len()..private.len() - 1];
        assert!(!said.contains(value) && !said.contains("short"), "{said}");
        // Nothing is written over a file that is not understood.
        assert!(Store::at(&path).change(|keys| Ok(keys.revoke("kitchen"))).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    // An id twice, as a board and as a revoked one.
    let board = &good[good.find("[[board]]").unwrap()..];
    let revoked = "[[revoked]]\nid = \"kitchen\"\ngeneration = 1\nat = \"2026-01-01T00:00:00Z\"\n";
    for more in [board, revoked] {
        fs::write(&path, format!("{good}\n{more}")).unwrap();
        assert!(refusal(&path).contains("another section has this id, too"));
    }
    let older = board.replacen("[[board]]\nid = \"kitchen\"", "[board.next]", 1);
    fs::write(&path, format!("{good}\n{older}")).unwrap();
    assert!(refusal(&path).contains("must be greater"));
    fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(refusal(&path).contains("UTF-8"));
    fs::write(&path, "#".repeat(5 << 20)).unwrap();
    assert!(refusal(&path).contains("longer than 4 MB"));
    fs::write(&path, "").unwrap();
    assert!(refusal(&path).contains("has no `format`"));
}

#[test]
fn changes_of_several_processes_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    std::thread::scope(|scope| {
        for n in 0..8 {
            let store = &store;
            scope.spawn(move || {
                let id = id(&format!("board {n}"));
                give(store, &id, &mut Fake::default(), Wish::default()).unwrap();
            });
        }
    });
    let keys = store.existing().unwrap();
    assert_eq!(keys.server_keys().count(), 8);
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn what_is_left_of_a_process_that_was_killed_is_no_obstacle() {
    let (folder, path) = filled();
    let temporary = format!(".pblink.keys.toml.{}.tmp", std::process::id());
    symlink("elsewhere", folder.path().join(&temporary)).unwrap();
    Store::at(&path).change(|keys| Ok(keys.revoke("kitchen"))).unwrap();
    assert!(!folder.path().join("elsewhere").exists() && !folder.path().join(temporary).exists());
    assert_eq!(Store::at(&path).existing().unwrap().revoked().count(), 1);
}

#[test]
fn no_secret_is_shown() {
    let (_folder, path) = filled();
    let keys = Store::at(&path).existing().unwrap();
    let shown = format!("{keys:?}");
    assert!(shown.contains("kitchen") && shown.contains("Secret"), "{shown}");
    let bytes = |secret: &Secret| format!("{:?}", secret.expose());
    assert!(!shown.contains(bytes(keys.server()).trim_matches(['[', ']'])), "{shown}");
}
