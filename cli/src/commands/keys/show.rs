//! Keys as they may be seen.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::exit::{Exit, Failed};
use crate::keys::{Known, Shown, Store, public_text};
use crate::output::events;
use crate::output::json::pretty;
use crate::output::stdout::print;

/// Prints all ids.
pub(super) fn list(store: &Store, json: bool) -> anyhow::Result<Exit> {
    let keys = store.existing()?;
    let (server, known) = (keys.server_public().fingerprint(), keys.known());
    if json {
        let boards: Vec<_> = known.iter().map(value).collect();
        let all = json!({
            "file": store.path(), "server": server.to_string(), "boards": boards,
        });
        return print(pretty(&all).as_bytes());
    }
    let ids: Vec<_> = known.iter().map(|known| events::id(&known.id)).collect();
    let width = ids.iter().map(|id| id.chars().count()).max().unwrap_or(0).max("server".len());
    let mut text = format!("{:width$}  {server}  {}\n", "server", store.path().display());
    for (id, known) in ids.iter().zip(&known) {
        let _ = writeln!(text, "{id:width$}  {}", words(known).join("; "));
    }
    print(text.as_bytes())
}

/// Prints one id.
pub(super) fn one(store: &Store, id: &str, json: bool) -> anyhow::Result<Exit> {
    let keys = store.existing()?;
    let known = keys.of(id).ok_or_else(|| no_keys(store, id))?;
    let server = keys.server_public().fingerprint();
    if json {
        let mut all = value(&known);
        all["server"] = server.to_string().into();
        return print(pretty(&all).as_bytes());
    }
    let mut text = format!("{:<8} {}\n{:<8} {server}\n", "id", events::id(id), "server");
    for (name, words) in ["keys", ""].into_iter().zip(words(&known)) {
        let _ = writeln!(text, "{name:<8} {words}");
    }
    print(text.as_bytes())
}

/// Prints public keys.
pub(super) fn public(store: &Store, ids: &[String], json: bool) -> anyhow::Result<Exit> {
    let keys = store.existing()?;
    let mut all = Vec::new();
    for id in ids {
        all.push(keys.of(id).ok_or_else(|| no_keys(store, id))?);
    }
    if ids.is_empty() {
        all = keys.known();
    }
    let shown = all.iter().flat_map(|known| {
        [&known.current, &known.next].into_iter().flatten().map(|shown| (&known.id, shown))
    });
    let server = keys.server_public();
    if json {
        let boards = shown.map(|(id, shown)| {
            json!({
                "id": id, "generation": shown.generation, "public": public_text(&shown.public),
                "fingerprint": shown.fingerprint().to_string(),
            })
        });
        let all = json!({
            "server": {
                "public": public_text(&server), "fingerprint": server.fingerprint().to_string(),
            },
            "boards": boards.collect::<Vec<_>>(),
        });
        return print(pretty(&all).as_bytes());
    }
    let mut text = format!("server {} {}\n", public_text(&server), server.fingerprint());
    for (id, shown) in shown {
        let (key, fingerprint) = (public_text(&shown.public), shown.fingerprint());
        let _ = writeln!(text, "{} {} {key} {fingerprint}", events::id(id), shown.generation);
    }
    print(text.as_bytes())
}

/// Returns the error for an id without keys.
pub(super) fn no_keys(store: &Store, id: &str) -> anyhow::Error {
    let file = store.path().display();
    let hint = "`pblink keys list` has all ids";
    Failed::with(Exit::Config, format!("{} has no keys in {file}\n  {hint}", events::id(id)))
}

/// Returns an id's keys in words.
fn words(known: &Known) -> Vec<String> {
    let Known { current, next, over_link, revoked, .. } = known;
    let of = |Shown { generation, issued, public }: &Shown| {
        format!("{}  generation {generation}, of {issued}", public.fingerprint())
    };
    let current = current.iter().map(of);
    let way = if *over_link { " over its link" } else { "" };
    let next = next.iter().map(|next| format!("{}, is being given{way}", of(next)));
    let revoked =
        revoked.iter().map(|(generation, at)| format!("revoked at {at}, generation {generation}"));
    current.chain(next).chain(revoked).collect()
}

fn value(known: &Known) -> Value {
    let shown = |shown: &Shown| {
        json!({
            "fingerprint": shown.fingerprint().to_string(), "generation": shown.generation,
            "issued": shown.issued,
        })
    };
    json!({
        "id": known.id,
        "current": known.current.as_ref().map(shown),
        "next": known.next.as_ref().map(shown),
        "over_link": known.over_link,
        "revoked": known.revoked.as_ref().map(|(generation, at)| json!({ "generation": generation, "at": at })),
    })
}
