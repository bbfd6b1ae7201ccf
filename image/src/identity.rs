//! The identity of a program: a text at the beginning of a board's flash, which tools find and show.
//!
//! It is 128 bytes: the magic `PBLINK-ID:`, then the application's name and version, the version of
//! this crate and the kind of board, separated by blanks, then zeros. It lies within the first [`WITHIN`]
//! bytes of the program, right behind the vectors. Programs of before had no kind, and 64 bytes.

/// Its size in bytes.
pub const SIZE: usize = 128;

/// It begins within this many bytes of the program.
pub const WITHIN: usize = 1024;

const MAGIC: &[u8] = b"PBLINK-ID:";

/// The identity of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<'a> {
    /// The application's name.
    pub app: &'a str,
    /// The application's version.
    pub version: &'a str,
    /// The version of pblink that it was built with.
    pub pblink: &'a str,
    /// The kind of board that it was built for, as [`Map::board`](crate::map::Map::board); none in programs of before.
    pub board: Option<&'a str>,
}

/// Returns the bytes for an application on a kind of board. Names and versions as cargo has them: without blanks.
///
/// # Panics
/// If they do not fit, which in a constant is an error of the compiler.
///
/// ```
/// use pblink_image::identity;
///
/// const BYTES: [u8; identity::SIZE] = identity::bytes("demo", "1.2.3", "pyboard");
/// let mut flash = [0xff; 1024];
/// flash[0x188..0x188 + BYTES.len()].copy_from_slice(&BYTES);
/// let found = identity::find(&flash).unwrap();
/// assert_eq!((found.app, found.version, found.board), ("demo", "1.2.3", Some("pyboard")));
/// ```
pub const fn bytes(app: &str, version: &str, board: &str) -> [u8; SIZE] {
    let parts: [&[u8]; 8] = [
        MAGIC,
        app.as_bytes(),
        b" ",
        version.as_bytes(),
        b" ",
        env!("CARGO_PKG_VERSION").as_bytes(),
        b" ",
        board.as_bytes(),
    ];
    let mut out = [0; SIZE];
    let (mut at, mut part) = (0, 0);
    while part < parts.len() {
        let mut n = 0;
        while n < parts[part].len() {
            // The last byte stays 0: it is the end.
            assert!(at + 1 < SIZE, "name and version of the application are too long");
            out[at] = parts[part][n];
            at += 1;
            n += 1;
        }
        part += 1;
    }
    out
}

/// The identity in the first bytes of a program, of which at least [`WITHIN`] + [`SIZE`] should be
/// given. `None` if there is none: an older or another program.
pub fn find(program: &[u8]) -> Option<Identity<'_>> {
    let at = program.windows(MAGIC.len()).position(|window| window == MAGIC)?;
    let text = &program[at + MAGIC.len()..];
    let text = &text[..text.iter().take(SIZE - MAGIC.len()).position(|byte| *byte == 0)?];
    let mut words = core::str::from_utf8(text).ok()?.split(' ');
    let (app, version, pblink) = (words.next()?, words.next()?, words.next()?);
    let identity = Identity { app, version, pblink, board: words.next() };
    words.next().is_none().then_some(identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_found_and_has_the_version_of_this_crate() {
        let mut program = [0xff_u8; WITHIN + SIZE];
        assert_eq!(find(&program), None);
        program[WITHIN..].copy_from_slice(&bytes("kitchen-light", "10.20.30-rc.1", "pyboard"));
        let expected = Identity {
            app: "kitchen-light",
            version: "10.20.30-rc.1",
            pblink: env!("CARGO_PKG_VERSION"),
            board: Some("pyboard"),
        };
        assert_eq!(find(&program), Some(expected));
        // As programs had it before there was a second kind of board.
        program[WITHIN..].fill(0);
        program[WITHIN..][..21].copy_from_slice(b"PBLINK-ID:a 1.0.0 0.9");
        let expected = Identity { app: "a", version: "1.0.0", pblink: "0.9", board: None };
        assert_eq!(find(&program), Some(expected));
    }

    #[test]
    fn what_is_cut_off_or_garbled_is_no_identity() {
        let whole = bytes("demo", "1.0.0", "pyboard");
        let end = whole.iter().position(|byte| *byte == 0).unwrap();
        for len in 0..=end {
            assert_eq!(find(&whole[..len]), None, "{len} bytes");
        }
        let mut garbled = whole;
        garbled[12] = 0xff;
        assert_eq!(find(&garbled), None);
        let mut more = whole;
        more[end] = b' ';
        assert_eq!(find(&more), None, "a fifth word");
        let mut endless = [b'x'; SIZE];
        endless[..MAGIC.len()].copy_from_slice(MAGIC);
        assert_eq!(find(&endless), None);
    }

    /// The longest name that `pblink new` takes has 64 characters.
    #[test]
    fn names_of_packages_fit() {
        let name = [b'a'; 64];
        let name = core::str::from_utf8(&name).unwrap();
        let whole = bytes(name, "100.200.300", "nucleo-f446");
        assert_eq!(find(&whole).map(|found| found.app), Some(name));
        // With the others at their shortest, 97 would.
        bytes(core::str::from_utf8(&[b'a'; 97]).unwrap(), "1.0.0", "pyboard");
    }

    #[test]
    #[should_panic(expected = "too long")]
    fn a_name_that_does_not_fit_is_refused() {
        bytes(core::str::from_utf8(&[b'a'; 98]).unwrap(), "1.0.0", "pyboard");
    }
}
