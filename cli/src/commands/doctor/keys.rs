//! Checks of keys: which boards have some, and what stays open without.

use super::finding::{Finding, Group};
use crate::keys::Store;
use crate::output::events;
use crate::settings::Settings;

/// Checks the server's file of keys.
pub(super) fn check(settings: &Settings) -> Vec<Finding> {
    let mut group = Group::new("configuration");
    if settings.keys_path().is_none() {
        group.ok(
            "boards get no keys: anyone in the network can read lines and be any board (SECURITY.md); link.keys names a file \
             for keys",
        );
        return group.done();
    }
    let store = Store::of(None, settings);
    let file = store.path().display().to_string();
    let known = match store.read() {
        Ok(None) => {
            group.warning(
                format!("no board has keys yet: {file} does not exist"),
                "pblink config push   gives a board keys, and makes the file",
            );
            Vec::new()
        }
        Ok(Some(keys)) => {
            let known = keys.known();
            let count = known.iter().filter(|known| known.revoked.is_none()).count();
            let server = keys.server_public().fingerprint();
            let boards = if count == 1 { "board has" } else { "boards have" };
            group
                .ok(format!("{count} {boards} keys of the server {server}, in {file}: back it up"));
            known
        }
        Err(error) => {
            let remedy = "mend it, or bring a backup of it back";
            group.error(format!("{error:#}"), remedy);
            return group.done();
        }
    };
    let classic = &settings.link.classic;
    let of = |id: &str| known.iter().find(|known| known.id == id && known.revoked.is_none());
    for id in ids(settings) {
        let name = events::id(id);
        match of(id) {
            None if !classic.iter().any(|classic| classic == id) => group.warning(
                format!("the board {name} has no keys"),
                "pblink config push   gives it some; or list it in link.classic, if it is to do without",
            ),
            _ => {}
        }
    }
    for known in known.iter().filter(|known| known.next.is_some()) {
        let id = events::id(&known.id);
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
    for id in classic {
        let name = events::id(id);
        match of(id) {
            Some(_) => group.error(
                format!("the board {name} has keys, and is listed in link.classic"),
                "take it out of link.classic: a board with keys does not do without",
            ),
            None => group.ok(format!(
                "the board {name} does without keys: anyone in the network can read its lines, and be it"
            )),
        }
    }
    group.done()
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
        let open = found("", path);
        assert!(open[0].1.starts_with("boards get no keys: anyone"), "{open:?}");
        let text = "[server]\nclients = [\"a\", \"b\", \"c\", \"d\"]\n[board]\nid = \"a\"\n\
                    [link]\nkeys = \"k.toml\"\nclassic = [\"c\", \"d\"]\n";
        let none = found(text, path);
        assert_eq!(none[0].0, Level::Warning);
        assert!(
            none[0].1.starts_with("no board has keys yet") && none[1].1.contains("a has no keys")
        );
        assert!(!path.join("k.toml").exists());

        let store = Store::at(path.join("k.toml"));
        let id = |id: &str| Id::new(id).unwrap();
        let file = |name: &str| BoardFile::at(path.join(name));
        for name in ["a", "d"] {
            give(&store, &id(name), &mut file(name), Wish::default()).unwrap();
        }
        prepare(&store, &id("a"), &mut file("a2")).unwrap();
        let all = found(text, path);
        let said: Vec<_> = all.iter().map(|(level, what)| (*level, &what[..22])).collect();
        let expected = [
            (Level::Ok, "2 boards have keys of "),
            (Level::Warning, "the board b has no key"),
            (Level::Warning, "the board a is being g"),
            (Level::Ok, "the board c does witho"),
            (Level::Error, "the board d has keys, "),
        ];
        assert_eq!(said, expected, "{all:?}");

        std::fs::set_permissions(store.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        let bad = found(text, path);
        assert_eq!((bad.len(), bad[0].0), (1, Level::Error));
        assert!(bad[0].1.contains("others can read the keys"), "{bad:?}");
    }
}
