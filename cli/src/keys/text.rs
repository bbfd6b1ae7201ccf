//! The server's file of keys, as text.

use std::fmt::Write;

use zeroize::Zeroizing;

use super::fields::{put_id, put_key};
use super::model::{Half, KeyFile};

/// Version of the file's format.
pub(super) const FORMAT: u32 = 1;

const HEAD: &str = "\
# The keys of this server and of its boards. pblink writes this file; notes in it do not stay.
#
# Whoever reads it can stand in for the server. Keep it to yourself (mode 0600), and out of version control.
# BACK IT UP, after each change: without it, or with an older copy, boards are locked out until they get new keys over
# their cable.
";

/// Returns the text of the file.
pub(super) fn text(keys: &KeyFile) -> Zeroizing<String> {
    // Room for all of it: a text that moves leaves a copy behind.
    let room = 1024 + 1024 * (keys.boards.len() + keys.revoked.len());
    let mut out = Zeroizing::new(String::with_capacity(room));
    *out += HEAD;
    let _ = write!(out, "format = {FORMAT}\n\n[server]\n");
    put_key(&mut out, "private", keys.server.expose());
    for entry in &keys.boards {
        *out += "\n[[board]]\n";
        put_id(&mut out, &entry.id);
        if let Some(current) = &entry.current {
            put_half(&mut out, current);
        }
        if let Some(next) = &entry.next {
            *out += "\n# Keys that it is being given, and perhaps has.\n[board.next]\n";
            put_half(&mut out, next);
        }
    }
    for revoked in &keys.revoked {
        *out += "\n[[revoked]]\n";
        put_id(&mut out, &revoked.id);
        let _ = writeln!(out, "generation = {}\nat = \"{}\"", revoked.generation, revoked.at);
    }
    out
}

fn put_half(out: &mut String, half: &Half) {
    let _ = writeln!(out, "generation = {}", half.generation);
    put_key(out, "public", &half.public.0);
    put_key(out, "shared", half.shared.expose());
    let _ = writeln!(out, "issued = \"{}\"", half.issued);
}
