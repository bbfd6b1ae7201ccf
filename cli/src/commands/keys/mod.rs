//! `pblink keys`

mod show;

use std::path::PathBuf;

use pblink_secure_suite::keys::Id;
use serde_json::json;

use crate::exit::{Exit, Failed};
use crate::hardware::confirm::{Consent, ask_yes_no};
use crate::keys::{BoardFile, Given, Store, Wish, give, prepare};
use crate::output::events;
use crate::output::json::pretty;
use crate::output::stdout::print;
use crate::settings::Settings;

/// Arguments of `pblink keys`.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "\
Examples:
  pblink keys list                              ids, fingerprints and generations
  pblink keys issue kitchen --to kitchen.toml   keys for a board that is a program
  pblink keys revoke kitchen                    that board is locked out

The file of keys is the one that `link.keys` in pblink.toml names, else pblink.keys.toml beside it; a service of systemd may \
have it as a credential of that name. It holds the server's private key: keep it to yourself (mode 0600), and back it up \
after each change. Private and shared keys are never printed, only fingerprints: ten characters of a public key's hash, to be \
compared by eye.

A board on a cable gets its keys by `pblink config push`.

`pblink serve` reads the file again when it has changed.

Exit codes: 0 done, 1 not done, 2 wrong command line, 3 no file of keys, one that others can read or that has a mistake, or an \
id that has no keys."
)]
pub struct Args {
    /// The server's file of keys. Without it: `link.keys` of pblink.toml, else pblink.keys.toml beside that.
    #[arg(long, value_name = "FILE", global = true)]
    pub keys: Option<PathBuf>,
    /// Configuration file. Without it the one that `pblink config path` prints, if there is one.
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// The action.
    #[command(subcommand)]
    pub what: What,
}

/// The verbs on keys.
#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Print all ids with their fingerprints and generations, and the server's fingerprint.
    #[command(after_help = LIST)]
    List,
    /// Print what is known of one id's keys.
    #[command(after_help = SHOW)]
    Show {
        /// The id.
        id: String,
    },
    /// Make keys for an id, and write the board's half into a file, for a board that is a program.
    #[command(after_help = ISSUE)]
    Issue {
        /// The id.
        id: String,
        /// File for the board's half. One with the keys of this id is kept if they are right.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// The id may have keys, or may have been revoked: what has the old ones is locked out.
        #[arg(long)]
        replace: bool,
    },
    /// Give a board a new key over its link; or make the next keys of a program, and take both until that is ended.
    #[command(after_help = ROTATE)]
    Rotate(RotateArgs),
    /// Take an id's keys away. Its board is locked out, and the id gets new keys only on purpose.
    #[command(after_help = REVOKE)]
    Revoke {
        /// The id.
        id: String,
        /// Do not ask. Needed where there is no terminal to ask on.
        #[arg(short, long)]
        yes: bool,
    },
    /// Print the public keys of the server and of boards, for other programs. They are no secrets.
    #[command(after_help = EXPORT)]
    ExportPublic {
        /// The ids; all without any.
        ids: Vec<String>,
    },
}

/// Arguments of `pblink keys rotate`.
#[derive(Debug, clap::Args)]
pub struct RotateArgs {
    /// The id.
    pub id: String,
    /// Begin, for a program that takes no keys over its link: make the keys, and write the board's half into this file, which
    /// must not exist.
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
    /// End: the board has its new keys, and the old ones are forgotten.
    #[arg(long, conflicts_with_all = ["to", "cancel"])]
    pub finish: bool,
    /// End: the new keys are forgotten, and the old ones stay.
    #[arg(long, conflicts_with = "to")]
    pub cancel: bool,
}

const LIST: &str = "\
Examples:
  pblink keys list
  pblink keys list --json | jq -r '.boards[] | select(.next) | .id'";

const SHOW: &str = "\
Examples:
  pblink keys show kitchen
  pblink keys show kitchen --json | jq -r .current.fingerprint

Compare the fingerprint with that of `pblink config pull`, which reads it from the board.";

const ISSUE: &str = "\
Examples:
  pblink keys issue kitchen --to kitchen.toml
  pblink keys issue kitchen --to /run/kitchen.toml --replace

The file is TOML, with the board's private key: only you can read it (mode 0600). docs/PROTOCOL.md says what a client in \
another language does with it. Interrupted, this command is to be repeated; what has worked before goes on working until it is \
done.";

const ROTATE: &str = "\
Examples:
  pblink keys rotate kitchen                   over its link: the server gives it the key
  pblink keys show kitchen                     has it got it?
  pblink keys rotate kitchen --cancel          end, and keep the old key
  pblink keys rotate kitchen --to next.toml    a program: begin, then give it the file
  pblink keys rotate kitchen --finish          end, once it has it
  pblink config push --new-keys                a board on a cable: all in one go

The new key is in the server's file before anything else happens, and a server takes both. Over the link the key that board \
and server share is exchanged, and no other; `pblink serve` ends that by itself, once the board has proven that it has the key. \
Whatever is killed or loses its power meanwhile, the board is not locked out. A board that is away gets its key when it is back. \
--finish while it does not have the key yet locks it out until it gets keys over its cable.";

const REVOKE: &str = "\
Examples:
  pblink keys revoke kitchen
  pblink keys revoke kitchen --yes

For a board that was stolen or sold. The id is remembered: `pblink config push` and `pblink keys issue` refuse it without \
--replace, and no server takes it without keys.";

const EXPORT: &str = "\
Examples:
  pblink keys export-public
  pblink keys export-public kitchen --json | jq -r '.boards[0].public'";

/// Runs the verb.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let settings = Settings::load(args.config.as_deref())?;
    let store = Store::of(args.keys.as_deref(), &settings);
    match &args.what {
        What::List => show::list(&store, args.json),
        What::Show { id } => show::one(&store, id, args.json),
        What::Issue { id, to, replace } => {
            let wish = Wish { replace: *replace, renew: false };
            let given = give(&store, &checked(id)?, &mut BoardFile::at(to), wish)?;
            issued(&args, &store, id, to, given)
        }
        What::Rotate(rotate) => self::rotate(&args, &store, rotate),
        What::Revoke { id, yes } => revoke(&args, &store, id, *yes),
        What::ExportPublic { ids } => show::public(&store, ids, args.json),
    }
}

/// Checks that an argument is an id.
fn checked(id: &str) -> anyhow::Result<Id> {
    Id::new(id).map_err(|why| {
        Failed::with(Exit::Usage, format!("{} cannot be an id: {why}", events::id(id)))
    })
}

fn issued(
    args: &Args,
    store: &Store,
    id: &str,
    to: &std::path::Path,
    given: Given,
) -> anyhow::Result<Exit> {
    let Given { fingerprint, generation, new } = given;
    let fields = json!({
        "id": id, "fingerprint": fingerprint.to_string(), "generation": generation, "new": new,
        "board_file": to, "file": store.path(),
    });
    let what = if new { "has new keys" } else { "has its keys already" };
    let id = events::id(id);
    let text =
        format!("{id} {what}: {fingerprint}, generation {generation}, in {}\n", to.display());
    let remember = if new { backup(store) } else { String::new() };
    say(args, &fields, &(text + &remember))
}

fn backup(store: &Store) -> String {
    format!("{} has changed: back it up\n", store.path().display())
}

fn rotate(args: &Args, store: &Store, rotate: &RotateArgs) -> anyhow::Result<Exit> {
    let id = &rotate.id;
    checked(id)?;
    let keys = store.existing()?;
    let known = keys.of(id).filter(|known| known.current.is_some());
    let known = known.ok_or_else(|| show::no_keys(store, id))?;
    if let Some(next) = known.next.as_ref().filter(|_| !rotate.finish && !rotate.cancel) {
        let name = events::id(id);
        let ends = match known.over_link {
            true => "it gets them when it is up; --cancel takes that back".to_owned(),
            false => format!(
                "end that with `pblink keys rotate {name} --finish`, or with --cancel if the board does not have them"
            ),
        };
        return Err(Failed::with(
            Exit::Config,
            format!(
                "{name} is being given new keys already ({}, generation {})\n  {ends}",
                next.fingerprint(),
                next.generation
            ),
        ));
    }
    if rotate.to.is_none() && !rotate.finish && !rotate.cancel {
        return over_link(args, store, id);
    }
    let Some(to) = &rotate.to else {
        let shown = store.change(|keys| {
            keys.end_rotation(id, rotate.cancel).ok_or_else(|| {
                let name = events::id(id);
                let hint = format!("begin with `pblink keys rotate {name} --to FILE`");
                Failed::with(Exit::Config, format!("{name} is not being given new keys\n  {hint}"))
            })
        })?;
        let (fingerprint, generation) = (shown.fingerprint(), shown.generation);
        let fields = json!({
            "id": id, "fingerprint": fingerprint.to_string(), "generation": generation,
            "finished": rotate.finish, "file": store.path(),
        });
        let what = if rotate.finish { "has its new keys" } else { "keeps its keys" };
        let text = format!("{} {what}: {fingerprint}, generation {generation}\n", events::id(id));
        return say(args, &fields, &(text + &backup(store)));
    };
    if to.symlink_metadata().is_ok() {
        let message = format!("{} exists already: name a new file for the next keys", to.display());
        return Err(Failed::with(Exit::Usage, message));
    }
    let given = prepare(store, &checked(id)?, &mut BoardFile::at(to))?;
    issued(args, store, id, to, given)
}

/// Begins to give a board a key over its link.
fn over_link(args: &Args, store: &Store, id: &str) -> anyhow::Result<Exit> {
    let checked = checked(id)?;
    let shown =
        store.change(|keys| keys.rotate(&checked).ok_or_else(|| show::no_keys(store, id)))?;
    let (fingerprint, generation) = (shown.fingerprint(), shown.generation);
    let fields = json!({
        "id": id, "fingerprint": fingerprint.to_string(), "generation": generation, "over_link": true,
        "file": store.path(),
    });
    let name = events::id(id);
    let text = format!(
        "{name} gets a new key over its link, generation {generation}, when it is up: `pblink serve` gives it, and `pblink keys \
         show {name}` says when it has it\n"
    );
    say(args, &fields, &(text + &backup(store)))
}

fn revoke(args: &Args, store: &Store, id: &str, yes: bool) -> anyhow::Result<Exit> {
    checked(id)?;
    let keys = store.existing()?;
    let known = keys.of(id).filter(|known| known.revoked.is_none());
    let known = known.ok_or_else(|| show::no_keys(store, id))?;
    let shown = known.current.or(known.next).map(|shown| shown.fingerprint().to_string());
    let shown = shown.unwrap_or_default();
    let mut ask = |question: &str| ask_yes_no(question, false);
    let mut consent = Consent::of(yes, &mut ask);
    consent.check(&format!("the board {} would be locked out", events::id(id)), "")?;
    let question = format!("Lock the board {} ({shown}) out?", events::id(id));
    if !consent.ask(&question)? {
        return Err(Failed::with(Exit::Interrupted, "nothing was changed"));
    }
    store.change(|keys| keys.revoke(id).ok_or_else(|| show::no_keys(store, id)))?;
    let fields = json!({ "id": id, "fingerprint": shown, "revoked": true, "file": store.path() });
    let text = format!("{} is revoked: its board ({shown}) is locked out\n", events::id(id));
    say(args, &fields, &(text + &backup(store)))
}

fn say(args: &Args, fields: &serde_json::Value, text: &str) -> anyhow::Result<Exit> {
    print(if args.json { pretty(fields) } else { text.to_owned() }.as_bytes())
}
