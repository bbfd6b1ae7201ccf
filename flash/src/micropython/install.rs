//! Files onto a board: each is new or old, never half.

use std::collections::{BTreeMap, BTreeSet};

use pblink_image::manifest::sha256;

use super::board::{Board, Identity};
use super::sources::{File, Need, OTHER_CONFIG};
use crate::serial::port::Port;
use crate::{Error, Kind, Progress, Result, Step};

/// The folders that a board may have, in the order in which they are preferred.
const FOLDERS: [&str; 2] = ["/sd", "/flash"];
/// Ends the name of a file that is not whole yet.
const PART: &str = ".part";
/// Bytes of a file that go in one piece of code.
const PIECE: usize = 384;

/// Work to be done.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// The files, in the order in which they are written.
    pub files: &'a [File],
    /// The modules that the board has to have.
    pub needs: &'a [Need],
    /// The folder on the board. `None`: `/sd` if it is there, else `/flash`.
    pub folder: Option<&'a str>,
}

/// A file that is on the board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Its name below the folder.
    pub name: String,
    /// Its length in bytes.
    pub length: usize,
    /// Of its content, in hexadecimal digits.
    pub sha256: String,
    /// False: it was there already.
    pub written: bool,
}

/// Work that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The interpreter of the board.
    pub identity: Identity,
    /// The folder that the files are in.
    pub folder: String,
    /// The files.
    pub files: Vec<Placed>,
    /// A `my_config.py` is on the board, which programs prefer to the configuration that was written.
    pub overridden: bool,
}

/// Checks that a text can be a folder on a board.
///
/// # Errors
/// The mistake in it, in one sentence.
pub fn check_folder(folder: &str) -> std::result::Result<(), String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-./".contains(&b);
    if folder.starts_with('/') && (2..=200).contains(&folder.len()) && folder.bytes().all(plain) {
        return Ok(());
    }
    Err("a folder on the board begins with / and has letters, digits and _ - . only, such as /flash"
        .to_owned())
}

/// Puts files onto a board that takes code; its interpreter is restarted first. A file is written under another name, compared by its hash as the board
/// reads it back, and only then renamed: whatever happens, there is the old file or the new one. Files that are there
/// already are left alone. [`Progress::cancelled`] is asked between all pieces.
///
/// # Errors
/// Before anything was changed: those of [`Board::identity`], [`Kind::Version`] if the board lacks a module,
/// [`Kind::NotFound`] if it lacks the folder, [`Kind::Full`] if there is no room. Later [`Kind::Full`],
/// [`Kind::Verify`], [`Kind::Refused`], [`Kind::Vanished`], [`Kind::NoAnswer`] and [`Kind::Cancelled`].
pub fn install<P: Port>(
    board: &mut Board<P>,
    job: &Job<'_>,
    progress: &mut dyn Progress,
) -> Result<Installed> {
    // Leftovers of an interrupted program may print, hold files open, and need memory.
    board.restart(progress)?;
    let identity = board.identity()?;
    modules(board, job.needs, &identity)?;
    let place = Place::find(board, job.folder)?;
    let folder = place.folder.as_str();
    let states = compare(board, folder, job.files, progress)?;
    place.has_room(&states)?;

    let new: Vec<_> = states.iter().filter(|state| !state.same).collect();
    let total: u64 = new.iter().map(|state| state.file.bytes.len() as u64).sum();
    // Also where nothing is new: what an earlier run has left half goes.
    let folders: BTreeSet<_> =
        job.files.iter().filter_map(|file| file.name.rsplit_once('/')).collect();
    for name in folders.iter().map(|(name, _)| name).collect::<BTreeSet<_>>() {
        work(board, name, &format!("pblink_dir('{folder}/{name}','{PART}')"))?;
    }
    if new.is_empty() {
        progress.note("all files are on the board already: nothing to write");
    } else {
        progress.begin(Step::Write, &format!("{} to {folder}", counted(new.len())), total);
        let mut done = 0;
        for state in &new {
            write(board, folder, state, &mut done, progress)?;
        }
        progress.end();
    }
    let other = ask(board, &format!("pblink_sum('{folder}/{OTHER_CONFIG}')"))?;
    let files = states.into_iter().map(|state| Placed {
        name: state.file.name.clone(),
        length: state.file.bytes.len(),
        sha256: state.hash,
        written: !state.same,
    });
    Ok(Installed {
        identity,
        folder: folder.to_owned(),
        files: files.collect(),
        overridden: other.first().is_some_and(|answer| answer != "-"),
    })
}

/// A file, and what is on the board in its place.
struct State<'a> {
    file: &'a File,
    hash: String,
    /// Bytes of the file that is there.
    old: u64,
    same: bool,
}

/// The folder, and the room in it.
struct Place {
    folder: String,
    /// Bytes of a piece of its storage.
    unit: u64,
    /// Pieces that are free.
    free: u64,
}

impl Place {
    fn find<P: Port>(board: &mut Board<P>, wanted: Option<&str>) -> Result<Self> {
        let all =
            wanted.map_or_else(|| FOLDERS.to_vec(), |folder| vec![folder.trim_end_matches('/')]);
        let list: Vec<_> = all.iter().map(|folder| format!("'{folder}'")).collect();
        let answer = ask(board, &format!("pblink_place({})", list.join(",")))?;
        let words: Vec<_> = answer.first().map_or("", String::as_str).split(' ').collect();
        match words[..] {
            ["-"] => Err(Error::new(
                Kind::NotFound,
                format!("the board at {} has no folder {}", board.path(), all.join(" or ")),
                "name a folder that it has with --to; `import os; os.listdir('/')` on the board lists them",
            )),
            [folder, unit, free] => match (unit.parse(), free.parse()) {
                (Ok(unit), Ok(free)) if unit > 0 => {
                    Ok(Self { folder: folder.to_owned(), unit, free })
                }
                _ => Err(board.garbled("its free room")),
            },
            _ => Err(board.garbled("its folders")),
        }
    }

    /// Checks that all files fit, one after the other: a file that is replaced stays until the new one is whole.
    fn has_room(&self, states: &[State<'_>]) -> Result<()> {
        let units = |bytes: u64| bytes.div_ceil(self.unit).cast_signed();
        // Folders need room, too: FAT has 32 bytes for each 13 characters of a name, and for each file.
        let mut folders = BTreeMap::new();
        for state in states.iter().filter(|state| !state.same) {
            let (folder, name) = state.file.name.rsplit_once('/').unwrap_or_default();
            *folders.entry(folder).or_insert(0) += 32 * (2 + name.len().div_ceil(13) as u64);
        }
        let folders: i64 = folders.values().map(|bytes| units(*bytes) + 1).sum();
        let mut free = self.free.cast_signed() - folders;
        let mut lowest = free;
        for state in states.iter().filter(|state| !state.same) {
            free -= units(state.file.bytes.len() as u64);
            lowest = lowest.min(free);
            free += units(state.old);
        }
        if lowest >= 0 || states.iter().all(|state| state.same) {
            return Ok(());
        }
        Err(Error::new(
            Kind::Full,
            format!(
                "{} on the board has {} bytes free, and {} more are needed",
                self.folder,
                self.free * self.unit,
                lowest.unsigned_abs() * self.unit
            ),
            "delete what you do not need there, or name a folder on an SD card with --to; nothing was changed",
        ))
    }
}

/// Checks that the board has these modules.
fn modules<P: Port>(board: &mut Board<P>, needs: &[Need], identity: &Identity) -> Result<()> {
    let list: Vec<_> = needs.iter().map(|need| format!("'{}'", need.module)).collect();
    let lacks = ask(board, &format!("pblink_lacks({})", list.join(",")))?;
    let Some(need) = needs.iter().find(|need| lacks.contains(&need.module)) else { return Ok(()) };
    Err(Error::new(
        Kind::Version,
        format!(
            "MicroPython {} on the board at {} has no module {}, which {} imports",
            identity.version,
            board.path(),
            need.module,
            need.by
        ),
        match need.module.as_str() {
            "asyncio" => {
                "put MicroPython 1.21 or newer onto it, or check out an older micropython-async"
            }
            _ => "put a newer MicroPython onto it, made for a board of its kind",
        },
    ))
}

/// Asks the board what it has in the place of each file.
fn compare<'a, P: Port>(
    board: &mut Board<P>,
    folder: &str,
    files: &'a [File],
    progress: &mut dyn Progress,
) -> Result<Vec<State<'a>>> {
    let total = files.iter().map(|file| file.bytes.len() as u64).sum();
    progress.begin(Step::Read, &format!("what is in {folder}"), total);
    let mut states = Vec::new();
    let mut done = 0;
    for file in files {
        stop_if(progress, "the board was not changed")?;
        let (old, hash) = sum(board, &format!("{folder}/{}", file.name))?.unwrap_or_default();
        let expected = sha256(&file.bytes);
        let same = hash == expected;
        states.push(State { file, hash: expected, old, same });
        done += file.bytes.len() as u64;
        progress.advance(done);
    }
    progress.end();
    Ok(states)
}

/// Writes one file, checks it, and gives it its name.
fn write<P: Port>(
    board: &mut Board<P>,
    folder: &str,
    state: &State<'_>,
    done: &mut u64,
    progress: &mut dyn Progress,
) -> Result<()> {
    let File { name, bytes } = state.file;
    let path = format!("{folder}/{name}");
    let part = format!("{path}{PART}");
    let written = (|| {
        work(board, name, &format!("pblink_open('{part}')"))?;
        for piece in bytes.chunks(PIECE) {
            stop_if(
                progress,
                "the files that were written are whole, the others are as they were",
            )?;
            work(board, name, &format!("pblink_add('{}')", base64(piece)))?;
            *done += piece.len() as u64;
            progress.advance(*done);
        }
        work(board, name, "pblink_close()")?;
        match sum(board, &part)? {
            Some((length, hash)) if length == bytes.len() as u64 && hash == state.hash => Ok(()),
            _ => Err(Error::new(
                Kind::Verify,
                format!("{name} is not on the board as it was sent: its hash is another one"),
                "run it again; if it stays, the flash or card is worn: name another folder with --to. The old file is \
                 still there",
            )),
        }
    })();
    if let Err(error) = written {
        // A board that is gone cannot; the next run takes it away.
        if error.kind() != Kind::Vanished {
            let _ = board.call(&format!("pblink_drop('{part}')"));
        }
        return Err(error);
    }
    work(board, name, &format!("pblink_name('{part}','{path}')"))
}

/// Returns length and hash of a file on the board, if it is there.
fn sum<P: Port>(board: &mut Board<P>, path: &str) -> Result<Option<(u64, String)>> {
    let answer = ask(board, &format!("pblink_sum('{path}')"))?;
    let line = answer.first().map_or("", String::as_str);
    if line == "-" {
        return Ok(None);
    }
    let hex = |hash: &str| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    match line.split_once(' ') {
        Some((length, hash)) if hex(hash) => match length.parse() {
            Ok(length) => Ok(Some((length, hash.to_owned()))),
            Err(_) => Err(board.garbled("a hash")),
        },
        _ => Err(board.garbled("a hash")),
    }
}

/// Has the board answer.
fn ask<P: Port>(board: &mut Board<P>, code: &str) -> Result<Vec<String>> {
    board.call(code)?.map_err(|why| refused(&why, "a question of pblink", board.path()))
}

/// Has the board do something with a file.
fn work<P: Port>(board: &mut Board<P>, name: &str, code: &str) -> Result<()> {
    board.call(code)?.map(drop).map_err(|why| refused(&why, name, board.path()))
}

/// Returns the error of a board that says why it cannot do something.
fn refused(why: &str, name: &str, path: &str) -> Error {
    let is = |number: &str, word: &str| {
        why.starts_with("OSError")
            && (why.contains(word) || why.split([' ', ']', ':']).any(|w| w == number))
    };
    if is("28", "ENOSPC") {
        return Error::new(
            Kind::Full,
            format!("the board at {path} has no room left for {name}"),
            "delete what you do not need there, or name a folder on an SD card with --to; the old file is still there",
        );
    }
    if is("30", "EROFS") {
        return Error::new(
            Kind::Refused,
            format!("the folder on the board at {path} can only be read: {name} is as it was"),
            "name another one with --to, or take the write protection off the card",
        );
    }
    let remedy = match why.starts_with("MemoryError") {
        true => "press the board's RST, so that its memory is free, and run this again",
        false => "press the board's RST, and run this again; -v shows more",
    };
    let why = if why.is_empty() { "it does not say why" } else { why };
    Error::new(Kind::Refused, format!("the board at {path} fails at {name}: {why}"), remedy)
}

fn stop_if(progress: &dyn Progress, how: &str) -> Result<()> {
    match progress.cancelled() {
        true => Err(Error::new(
            Kind::Cancelled,
            format!("stopped: {how}"),
            "run it again: it goes on where it was",
        )),
        false => Ok(()),
    }
}

fn counted(files: usize) -> String {
    if files == 1 { "1 file".to_owned() } else { format!("{files} files") }
}

/// Returns bytes in base64, RFC 4648, which has nothing that Python would take for something else.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word = three.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        let word = word << (8 * (3 - three.len()));
        for digit in 0..4 {
            let index = word >> (18 - 6 * digit) & 63;
            let shown = digit <= three.len();
            text.push(if shown { char::from(DIGITS[index as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xff, 0xfb, 0xfe]), "//v+");
    }

    #[test]
    fn why_a_board_refuses_is_understood_in_words_of_old_and_new() {
        for (why, kind) in [
            ("OSError: [Errno 28] ENOSPC", Kind::Full),
            ("OSError: 28", Kind::Full),
            ("OSError: [Errno 30] EROFS", Kind::Refused),
            ("OSError: 128", Kind::Refused),
            ("MemoryError: memory allocation failed, allocating 28 bytes", Kind::Refused),
            ("", Kind::Refused),
        ] {
            assert_eq!(refused(why, "a", "b").kind(), kind, "{why}");
        }
    }

    #[test]
    fn folders_are_plain() {
        for good in ["/sd", "/flash/lib"] {
            check_folder(good).unwrap();
        }
        for wrong in ["", "/", "flash", "/fl'ash", "/a b", "/é", "/a\n"] {
            check_folder(wrong).unwrap_err();
        }
    }
}
