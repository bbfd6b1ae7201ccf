//! The token of the control API: whoever has it may write, and read from other machines.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The beginning of each token that was made here.
const PREFIX: &str = "pblink-";

/// Random bytes in it.
const RANDOM: usize = 32;

/// Bounds of a token in bytes: a shorter one can be guessed.
const LENGTH: std::ops::RangeInclusive<usize> = 16..=256;

/// A secret word. It is never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// The reason why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The word cannot be one.
    #[error("a token is a word of 16 to 256 letters, digits and signs without blanks")]
    Form,
    /// The file cannot be read or written.
    #[error("the token file {path} cannot be used: {why}")]
    File {
        /// The file.
        path: String,
        /// The mistake, and its remedy.
        why: String,
    },
}

impl Token {
    /// Reads a token as someone gives it; blanks around it are dropped.
    ///
    /// # Errors
    /// If it is no token.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let word = text.trim();
        if LENGTH.contains(&word.len()) && word.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(word.to_owned()))
        } else {
            Err(TokenError::Form)
        }
    }

    /// Makes a new one.
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub fn generate() -> io::Result<Self> {
        Ok(Self(format!("{PREFIX}{}", random_hex(RANDOM)?)))
    }

    /// Reads a token file, which nobody else may read.
    ///
    /// # Errors
    /// If it cannot be read, is not this user's own, or others can read it.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        Self::read_if_there(path)?.ok_or_else(|| failed(path, "there is no such file"))
    }

    /// Reads a token file, and makes one if there is none: readable by this user only. Folders are not made.
    ///
    /// # Errors
    /// If it can be neither read nor made.
    pub fn read_or_create(path: &Path) -> Result<Self, TokenError> {
        if let Some(token) = Self::read_if_there(path)? {
            return Ok(token);
        }
        let token = Self::generate().map_err(|error| failed(path, error))?;
        let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        match new.and_then(|mut file| writeln!(file, "{}", token.0)) {
            Ok(()) => Ok(token),
            // Another process was quicker.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Self::read(path),
            Err(error) => Err(failed(path, error)),
        }
    }

    /// Reads the file that a server names, if it is one that a server makes. Whoever listens at the server's port
    /// could name any file: only what cannot be anything but a token is taken from it.
    pub fn read_made(path: &Path) -> Option<Self> {
        let token = Self::read(path).ok()?;
        let random = token.0.strip_prefix(PREFIX)?;
        let made = random.len() == 2 * RANDOM && random.bytes().all(|b| b.is_ascii_hexdigit());
        made.then_some(token)
    }

    fn read_if_there(path: &Path) -> Result<Option<Self>, TokenError> {
        // Looked at before it is opened: a FIFO would hang.
        let data = match path.metadata() {
            Ok(data) => data,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(path, error)),
        };
        if !data.is_file() {
            return Err(failed(path, "it is not a file"));
        }
        if data.mode() & 0o077 != 0 {
            let why = format!("others can read it; chmod 600 {}", path.display());
            return Err(failed(path, why));
        }
        let file = File::open(path).map_err(|error| failed(path, error))?;
        let mut text = String::new();
        file.take(1024).read_to_string(&mut text).map_err(|error| failed(path, error))?;
        match Self::parse(&text) {
            Ok(token) => Ok(Some(token)),
            Err(error) => Err(failed(path, format!("{error}; delete it, and a new one is made"))),
        }
    }

    /// Returns the word, for whoever may have it.
    #[cfg(feature = "nats")]
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Returns true if this is the word that was given. The time that this takes says nothing about where they differ.
    pub fn matches(&self, given: &[u8]) -> bool {
        let own = self.0.as_bytes();
        let differs = own.iter().zip(given).fold(0, |sum, (a, b)| sum | (a ^ b));
        own.len() == given.len() && std::hint::black_box(differs) == 0
    }

    /// Returns the word, for a request.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Returns this many random bytes in hex digits.
///
/// # Errors
/// If the system gives none.
pub(crate) fn random_hex(bytes: usize) -> io::Result<String> {
    let mut random = vec![0; bytes];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn failed(path: &Path, why: impl fmt::Display) -> TokenError {
    TokenError::File { path: path.display().to_string(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_made_once_for_this_user_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token = Token::read_or_create(&path).unwrap();
        assert_eq!(Token::read_or_create(&path).unwrap(), token);
        assert_eq!(Token::read_made(&path), Some(token.clone()));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_ne!(Token::generate().unwrap(), token);
        assert!(!format!("{token:?}").contains(token.as_str()));

        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let error = Token::read_or_create(&path).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
        assert_eq!(Token::read_made(&path), None);
    }

    #[test]
    fn a_file_that_a_server_names_is_read_only_if_it_is_a_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let write = |text: &str| {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            options.open(&path).unwrap().write_all(text.as_bytes()).unwrap();
        };
        write("a-password-of-the-user\n");
        assert!(Token::read(&path).is_ok(), "named by the user himself");
        assert_eq!(Token::read_made(&path), None, "named by someone else");
        write("two words are not one\n");
        assert!(Token::read(&path).is_err());
        assert!(Token::read(folder.path()).is_err());
        assert!(Token::read(&folder.path().join("nothing")).is_err());
    }

    #[test]
    fn only_the_whole_word_matches() {
        let token = Token::parse(" 0123456789abcdef\n").unwrap();
        assert!(token.matches(b"0123456789abcdef"));
        for wrong in ["", "0123456789abcde", "0123456789abcdeX", "0123456789abcdef0"] {
            assert!(!token.matches(wrong.as_bytes()), "{wrong}");
        }
        for wrong in ["", "short", "0123456789 bcdef", &"x".repeat(257)] {
            assert!(Token::parse(wrong).is_err(), "{wrong}");
        }
    }
}
