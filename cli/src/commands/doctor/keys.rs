//! Checks of keys: which boards have some, and what stays open without.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::finding::{Finding, Group};
use crate::git;
use crate::keys::{KeyFile, Known, Store};
use crate::output::events;
use crate::settings::{Settings, shell_word};

/// The consequence of a link without keys.
const OPEN: &str = "anyone in the network can read lines and pass for boards (SECURITY.md)";

/// Checks the server's file of keys, and who is served without.
pub(super) fn check(settings: &Settings) -> Vec<Finding> {
    let mut group = Group::new("configuration");
    let store = Store::of(None, settings);
    let known = match store.read() {
        Ok(keys) => {
            if let Some(keys) = &keys {
                file(&mut group, store.path(), keys);
            }
            keys.map(|keys| keys.known())
        }
        Err(error) => {
            group.error(format!("{error:#}"), "mend it, or bring a backup of it back");
            return group.done();
        }
    };
    if settings.keys_path().is_none() {
        without(&mut group, settings);
        return group.done();
    }
    let listed = |id: &str| settings.link.classic.iter().any(|classic| classic == id);
    if known.is_none() && ids(settings).into_iter().any(|id| !listed(id)) {
        group.warning(
            format!("no board has keys yet: {} does not exist", store.path().display()),
            "pblink config push   gives a board keys, and makes the file",
        );
    }
    let known = known.unwrap_or_default();
    refused(&mut group, settings, &known);
    for known in known.iter().filter(|known| known.next.is_some()) {
        let id = events::id(&known.id);
        if known.over_link {
            group.ok(format!("the board {id} is being given a key over its link, when it is up"));
            continue;
        }
        group.warning(
            format!("the board {id} is being given keys, and was not heard to have them"),
            match known.current {
                Some(_) => format!(
                    "`pblink config push` again, or `pblink keys rotate {id} --finish` or --cancel"
                ),
                None => "`pblink config push` again".to_owned(),
            },
        );
    }
    classic(&mut group, settings, &known);
    group.done()
}

/// Reports the boards in a file of keys, and who could exchange it or copy it.
fn file(group: &mut Group, path: &Path, keys: &KeyFile) {
    let known = keys.known();
    let count = known.iter().filter(|known| known.revoked.is_none()).count();
    let (server, name) = (keys.server_public().fingerprint(), path.display());
    let boards = if count == 1 { "board has" } else { "boards have" };
    group.ok(format!("{count} {boards} keys of the server {server}, in {name}: back it up"));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    // In one with a sticky bit nobody exchanges the files of others.
    let mode = folder.metadata().map_or(0, |folder| folder.mode());
    if mode & 0o022 != 0 && mode & 0o1000 == 0 {
        group.warning(
            format!("others can exchange {name}: they can write into its folder"),
            format!("chmod go-w {}", shell_word(folder)),
        );
    }
    if let Some(command) = git::ignore_command(path) {
        group.warning(format!("git does not ignore {name}: it would keep the keys"), command);
    }
}

/// Reports that boards need no keys, and who can make use of that.
fn without(group: &mut Group, settings: &Settings) {
    if !settings.is_configured() {
        group.ok(
            "without pblink.toml boards need no keys, and only this machine reaches the server",
        );
        return;
    }
    let server = &settings.server;
    let reached = match server.listen {
        listen if listen.is_loopback() => false,
        // A list of clients opens it.
        listen => !(listen.is_unspecified() && server.clients.is_empty()),
    };
    match reached {
        true => group.warning(
            format!("link.keys is empty, so that boards need no keys, and the server listens at {}: {OPEN}", server.listen),
            "pblink config set link.keys pblink.keys.toml   then `pblink config push` for each board",
        ),
        false => group.ok("link.keys is empty, so that boards need no keys; only this machine reaches the server"),
    }
}

/// Reports the ids that pblink.toml names, and that the server refuses for want of keys.
fn refused(group: &mut Group, settings: &Settings, known: &[Known]) {
    let of = |id: &str| known.iter().find(|known| known.id == id);
    let listed = |id: &str| settings.link.classic.iter().any(|classic| classic == id);
    let ids = ids(settings);
    let lacking: Vec<_> =
        ids.iter().copied().filter(|id| of(id).is_none() && !listed(id)).collect();
    if !lacking.is_empty() {
        let (boards, have, them) = match lacking[..] {
            [_] => ("the board", "has", "it"),
            _ => ("the boards", "have", "them"),
        };
        group.warning(
            format!("{boards} {} {have} no keys: the server refuses {them}", events::ids(&lacking)),
            "pblink config push   gives a board some; or list it in link.classic, if it is to do without",
        );
    }
    for known in ids.into_iter().filter_map(of) {
        if let Some((_, at)) = &known.revoked {
            group.warning(
                format!("the keys of {} were revoked at {at}: the server refuses it", events::id(&known.id)),
                "take the id out of pblink.toml, or `pblink config push --replace` gives its board new ones",
            );
        }
    }
}

/// Reports the ids that are served without keys.
fn classic(group: &mut Group, settings: &Settings, known: &[Known]) {
    let has_keys = |id: &&str| known.iter().any(|known| known.id == **id);
    let listed = settings.link.classic.iter().map(String::as_str);
    let (wrong, open): (Vec<_>, Vec<_>) = listed.partition(has_keys);
    for id in wrong {
        group.error(
            format!("{} has keys, or had some, and is listed in link.classic", events::id(id)),
            "take it out of link.classic: such an id is never served without keys",
        );
    }
    if !open.is_empty() {
        let does = if open.len() == 1 { "does" } else { "do" };
        group.warning(
            format!("link.classic: {} {does} without keys: {OPEN}", events::ids(&open)),
            "right for micropython-iot; take other boards out of the list, and `pblink config push`",
        );
    }
}

/// Returns the ids that pblink.toml names: of boards, and those that the server expects.
fn ids(settings: &Settings) -> Vec<&str> {
    let boards = settings.all_boards().iter().map(|board| board.id.as_str());
    let mut ids = Vec::new();
    for id in boards.chain(settings.server.clients.iter().map(String::as_str)) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use pblink_secure_suite::keys::Id;

    use super::*;
    use crate::commands::doctor::finding::Level;
    use crate::keys::{BoardFile, Wish, give, prepare};

    fn found(text: &str, folder: &std::path::Path) -> Vec<(Level, String)> {
        let file = folder.join("pblink.toml");
        std::fs::write(&file, text).unwrap();
        let found = check(&Settings::load(Some(&file)).unwrap());
        assert!(found.iter().all(|f| f.remedy.is_some() == (f.level != Level::Ok)));
        found.into_iter().map(|finding| (finding.level, finding.message)).collect()
    }

    #[test]
    fn what_is_open_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let text = "[server]\nclients = [\"a\", \"b\", \"c\", \"d\", \"e\"]\n[board]\nid = \"a\"\n\
                    [link]\nkeys = \"k.toml\"\nclassic = [\"c\", \"d\"]\n";
        let none = found(text, path);
        assert_eq!(none[0].0, Level::Warning);
        assert!(none[0].1.starts_with("no board has keys yet"), "{none:?}");
        assert_eq!(none[1].1, "the boards a, b, e have no keys: the server refuses them");
        assert!(!path.join("k.toml").exists());

        let store = Store::at(path.join("k.toml"));
        let id = |id: &str| Id::new(id).unwrap();
        let file = |name: &str| BoardFile::at(path.join(name));
        for name in ["a", "d", "e"] {
            give(&store, &id(name), &mut file(name), Wish::default()).unwrap();
        }
        prepare(&store, &id("a"), &mut file("a2")).unwrap();
        store.change(|keys| Ok(keys.revoke("e"))).unwrap();
        let all = found(text, path);
        let said: Vec<_> = all.iter().map(|(level, what)| (*level, &what[..22])).collect();
        let expected = [
            (Level::Ok, "2 boards have keys of "),
            (Level::Warning, "the board b has no key"),
            (Level::Warning, "the keys of e were rev"),
            (Level::Warning, "the board a is being g"),
            (Level::Error, "d has keys, or had som"),
            (Level::Warning, "link.classic: c does w"),
        ];
        assert_eq!(said, expected, "{all:?}");

        std::fs::set_permissions(store.path(), Permissions::from_mode(0o644)).unwrap();
        // The server reads the file also where it wants no keys.
        for text in [text, "[link]\nkeys = \"\"\n"] {
            std::fs::copy(store.path(), path.join("pblink.keys.toml")).unwrap();
            let bad = found(text, path);
            assert_eq!((bad.len(), bad[0].0), (1, Level::Error));
            assert!(bad[0].1.contains("others can read the keys"), "{bad:?}");
        }
    }

    #[test]
    fn boards_that_need_no_keys_are_a_warning_where_others_reach_the_server() {
        let folder = tempfile::tempdir().unwrap();
        for (server, level) in [
            ("", Level::Warning),
            ("listen = \"10.0.0.1\"\nclients = []\n", Level::Warning),
            ("clients = []\n", Level::Ok),
            ("listen = \"127.0.0.1\"\n", Level::Ok),
        ] {
            let text = format!("[link]\nkeys = \"\"\n[server]\n{server}");
            let found = found(&text, folder.path());
            assert_eq!((found.len(), found[0].0), (1, level), "{server}: {found:?}");
            assert!(found[0].1.starts_with("link.keys is empty"), "{found:?}");
        }
        let none = check(&Settings::default());
        assert_eq!((none.len(), none[0].level), (1, Level::Ok), "{none:?}");
    }

    #[test]
    fn a_file_of_keys_that_others_can_exchange_or_that_git_would_keep_is_pointed_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let store = Store::at(path.join("pblink.keys.toml"));
        let board = &mut BoardFile::at(path.join("board"));
        give(&store, &Id::new("1").unwrap(), board, Wish::default()).unwrap();
        let warnings = |mode| {
            std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
            let found = found("", path);
            let warnings = found.into_iter().filter(|(level, _)| *level != Level::Ok);
            warnings.map(|(_, what)| what).collect::<Vec<_>>()
        };
        assert_eq!(warnings(0o755), [""; 0]);
        assert_eq!(warnings(0o1777), [""; 0]);
        for mode in [0o775, 0o757] {
            assert!(warnings(mode)[0].starts_with("others can exchange "), "{mode:o}");
        }
        std::fs::create_dir(path.join(".git")).unwrap();
        let kept = warnings(0o755);
        assert!(kept.len() == 1 && kept[0].starts_with("git does not ignore "), "{kept:?}");
    }
}
