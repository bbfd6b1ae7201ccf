//! Keys of boards: read at the start, by SIGHUP, and whenever their file has changed, so that a board which was given keys a
//! moment ago is served.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use pblink_secure_suite::keys::ServerKeys;
use pblink_server::Keys;
use tokio::time::{Instant, sleep_until};

use crate::keys::Store;
use crate::output::diagnostics::warning;
use crate::output::events;
use crate::settings::Settings;

/// Interval of the looks at the file.
const LOOK: Duration = Duration::from_secs(1);

/// The keys of boards, and who may do without.
#[derive(Debug)]
pub(super) struct Loaded {
    /// `None`: there are no keys, and pblink.toml wants none.
    pub(super) keys: Option<Keys>,
    /// Those that boards are being given over their links.
    pub(super) given: Vec<ServerKeys>,
    /// Ids that have keys, or had some.
    ids: BTreeSet<String>,
    /// The file is there.
    pub(super) file: bool,
    /// A text that only the same keys have, for other gateways of a store.
    pub(super) told: String,
}

/// Reads the keys.
///
/// # Errors
/// If others can read the file, or it has a mistake.
pub(super) fn load(settings: &Settings) -> anyhow::Result<Loaded> {
    let wanted = settings.keys_path().is_some();
    let file = Store::of(None, settings).read()?;
    let (given, ids) = (Vec::new(), BTreeSet::new());
    let told = "none".to_owned();
    let mut loaded = Loaded { keys: None, given, ids, file: file.is_some(), told };
    if file.is_none() && !wanted {
        return Ok(loaded);
    }
    // Boards get their keys one by one where nobody has said that all have some.
    let mut keys = Keys::new().classic(&settings.link.classic).others_classic(!wanted);
    if let Some(file) = file {
        loaded.given.extend(file.over_link());
        loaded.ids = file.known().into_iter().map(|known| known.id).collect();
        keys = file.revoked().fold(keys, |keys, id| keys.revoked(id));
        keys = file.server_keys().fold(keys, Keys::board);
    }
    loaded.told = keys.digest()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    loaded.keys = Some(keys);
    Ok(loaded)
}

/// Notes in the file that a board has proven these keys: those before them are gone then, and the server may say so to the board.
/// Nothing changes if the file has others by now.
///
/// # Errors
/// If the file cannot be read or written.
pub(super) fn note_proven(settings: &Settings, keys: &ServerKeys) -> anyhow::Result<()> {
    Store::of(None, settings).change(|file| Ok(file.settle(keys))).map(drop)
}

/// The clients of a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clients<'a> {
    /// Those that are expected.
    pub(super) expected: &'a [String],
    /// Others may connect, too.
    pub(super) anybody: bool,
    /// Other machines reach the server.
    pub(super) reachable: bool,
}

/// Reports who is refused for want of keys, and which clients may be anyone.
pub(super) fn warn(settings: &Settings, loaded: &Loaded, clients: Clients<'_>) {
    warnings(settings, &loaded.ids, clients).iter().for_each(warning);
}

fn warnings(settings: &Settings, keyed: &BTreeSet<String>, clients: Clients<'_>) -> Vec<String> {
    if settings.keys_path().is_none() {
        let remedy = match settings.is_configured() {
            true => "`pblink config set link.keys pblink.keys.toml` lets boards have keys",
            false => "`pblink config init` makes a pblink.toml, with which boards have keys",
        };
        let open = clients.reachable.then(|| {
            format!(
                "boards need no keys here: anyone in the network can read their lines and pass for them; {remedy}"
            )
        });
        return Vec::from_iter(open);
    }
    let listed = &settings.link.classic;
    let mut all = Vec::new();
    let refused = |id: &&String| !keyed.contains(*id) && !listed.contains(id);
    let refused: Vec<_> = clients.expected.iter().filter(refused).map(String::as_str).collect();
    if !refused.is_empty() {
        let (have, them) = if refused.len() == 1 { ("has", "it") } else { ("have", "them") };
        all.push(format!(
            "{} {have} no keys, and the server refuses {them}: `pblink config push` gives a board keys, and link.classic \
             lists ids that do without",
            events::ids(&refused)
        ));
    }
    if clients.anybody {
        all.push(
            "of clients that are not expected, those without keys are refused, too".to_owned(),
        );
    }
    let open = listed.iter().filter(|id| !keyed.contains(*id)).map(String::as_str);
    let open: Vec<_> = open.collect();
    if !open.is_empty() {
        let (have, them) = if open.len() == 1 { ("has", "it") } else { ("have", "them") };
        all.push(format!(
            "link.classic: {} {have} no keys, and anyone in the network can pass for {them}",
            events::ids(&open)
        ));
    }
    all
}

/// The file of keys, as it was when it was last looked at.
#[derive(Debug)]
pub(super) struct Watched {
    path: PathBuf,
    seen: Option<Stamp>,
    /// The time of the next look, whatever else happens until then.
    at: Instant,
}

/// Properties that change with a file that is written or replaced.
type Stamp = (SystemTime, u64);

impl Watched {
    pub(super) fn new(settings: &Settings) -> Self {
        let path = Store::of(None, settings).path().to_owned();
        Self { seen: stamp(&path), path, at: Instant::now() + LOOK }
    }

    /// Looks at the file that these settings name from now on. One that was not looked at counts as changed.
    pub(super) fn follow(&mut self, settings: &Settings) {
        let path = Store::of(None, settings).path().to_owned();
        if path != self.path {
            *self = Self { path, seen: None, at: self.at };
        }
    }

    /// Waits until it is time to look at it, and returns true if it has changed. Dropping the future loses no change, and
    /// puts off no look.
    pub(super) async fn look(&mut self) -> bool {
        sleep_until(self.at).await;
        self.at = Instant::now() + LOOK;
        let now = stamp(&self.path);
        let changed = now != self.seen;
        self.seen = now;
        changed
    }
}

fn stamp(path: &PathBuf) -> Option<Stamp> {
    let meta = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let file = std::os::unix::fs::MetadataExt::ino(&meta);
    #[cfg(not(unix))]
    let file = meta.len();
    Some((meta.modified().ok()?, file))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::settings::read;

    /// A manager that wants a sign of life each half second kept a server from looking at all.
    #[tokio::test(start_paused = true)]
    async fn whatever_happens_more_often_puts_off_no_look() {
        let mut watched = Watched::new(&Settings::default());
        let end = Instant::now() + 3 * LOOK;
        let mut looks = 0;
        while Instant::now() < end {
            tokio::select! {
                _ = watched.look() => looks += 1,
                () = tokio::time::sleep(LOOK / 2) => {}
            }
        }
        assert!(looks >= 2, "{looks} looks");
    }

    fn said(text: Option<&str>, keyed: &[&str], clients: Clients<'_>) -> String {
        let settings = text.map_or(Settings::default(), |text| {
            let (settings, problems) = read(Path::new("pblink.toml"), text);
            assert_eq!(problems, []);
            settings
        });
        let keyed = keyed.iter().map(|&id| id.to_owned()).collect();
        warnings(&settings, &keyed, clients).join("\n")
    }

    #[test]
    fn who_is_refused_for_want_of_keys_and_who_may_be_anyone_is_said() {
        let all: Vec<String> = (1..=8).map(|n| n.to_string()).collect();
        let of = |expected| Clients { expected, anybody: false, reachable: true };
        // As pblink.toml is when it says nothing of keys.
        let new = said(Some(""), &[], of(&all[..1]));
        assert!(new.starts_with("1 has no keys, and the server refuses it: `pblink config push`"));
        assert!(new.contains("link.classic"), "{new}");
        assert_eq!(said(Some(""), &["1"], of(&all[..1])), "");
        let many = said(Some(""), &["1"], of(&all));
        assert!(many.starts_with("2, 3, 4, 5, 6 and 2 more have no keys, "), "{many}");

        let classic = "link.classic = [\"1\", \"2\"]";
        let open = said(Some(classic), &["2"], of(&all[..2]));
        assert_eq!(open, "link.classic: 1 has no keys, and anyone in the network can pass for it");
        let open = said(Some(classic), &[], of(&[]));
        assert!(open.starts_with("link.classic: 1, 2 have no keys"), "{open}");

        let any = Clients { anybody: true, ..of(&[]) };
        assert!(said(Some(""), &[], any).starts_with("of clients that are not expected, those w"));
    }

    #[test]
    fn a_server_without_keys_that_others_reach_says_so_and_what_to_do() {
        let here = Clients { expected: &[], anybody: true, reachable: false };
        let there = Clients { reachable: true, ..here };
        for (text, remedy) in
            [(None, "pblink config init"), (Some("link.keys = \"\""), "config set")]
        {
            let open = said(text, &[], there);
            assert!(open.starts_with("boards need no keys here: anyone in the network"), "{open}");
            assert!(open.contains(remedy), "{open}");
            assert_eq!(said(text, &[], here), "");
        }
    }
}
