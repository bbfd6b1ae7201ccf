//! The WiFi password: where it may come from, and that it never shows itself.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use pblink_protocol::config::{MAX_PASSWORD, is_password};
use toml::de::{DeTable, DeValue};

use super::problem::{BYTE_ORDER_MARK, Lines};
use super::{Problem, Settings, failed, shell_word};
use crate::exit::{Exit, Failed};

/// The environment variable that may hold the WiFi password; empty counts as not set.
pub const PASSWORD_ENV: &str = "PBLINK_WIFI_PASSWORD";

/// The one key of the secrets file.
pub(super) const SECRETS_KEY: &str = "wifi_password";

/// The environment variable that may hold the password for the MQTT broker; empty counts as not set.
pub(crate) const MQTT_PASSWORD_ENV: &str = "PBLINK_MQTT_PASSWORD";

/// A password. It does not show itself: `Debug` hides it, `Display` does not exist.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Returns the text itself. Never print or log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// Place at which the password was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordSource {
    /// The file of `--password-file`.
    Flag(PathBuf),
    /// [`PASSWORD_ENV`]
    Environment,
    /// The secrets file.
    Secrets(PathBuf),
}

impl fmt::Display for PasswordSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(path) if path == Path::new("-") => f.write_str("standard input"),
            Self::Flag(path) | Self::Secrets(path) => path.display().fmt(f),
            Self::Environment => f.write_str(PASSWORD_ENV),
        }
    }
}

/// Returns true if someone who writes this key wants to give a password.
pub(crate) fn is_password_key(key: &str) -> bool {
    let leaf = key.rsplit('.').next().unwrap_or(key).to_ascii_lowercase();
    let leaf = leaf.strip_prefix("wifi_").unwrap_or(&leaf);
    ["password", "passwd", "passphrase"].iter().any(|p| strsim::damerau_levenshtein(leaf, p) <= 2)
        || ["pass", "psk", "pw", "pwd"].contains(&leaf)
}

/// Checks a password.
///
/// # Errors
/// A message that says what is allowed; the password is not in it.
pub(crate) fn check_password(text: &str) -> Result<Secret, String> {
    if !text.is_empty() && !is_password(text) {
        return Err(match text.len() {
            MAX_PASSWORD => "a WiFi password has 8 to 63 bytes, or it is a key of 64 hex digits (0-9, a-f); this \
                             one has 64 bytes, not all of them hex digits"
                .to_owned(),
            len => format!("a WiFi password has 8 to 63 bytes, this one has {len}"),
        });
    }
    if text.contains(char::is_control) {
        return Err("the WiFi password has a control character, such as a tab or newline".into());
    }
    Ok(Secret(text.to_owned()))
}

/// Returns the password by precedence: flag, environment, secrets file. An empty one does not
/// count.
pub(crate) fn find(
    settings: &Settings,
    flag: Option<&Path>,
) -> anyhow::Result<Option<(Secret, PasswordSource)>> {
    let found = if let Some(path) = flag {
        Some((read_password(path)?, PasswordSource::Flag(path.to_owned())))
    } else if let Some(value) = std::env::var_os(PASSWORD_ENV).filter(|value| !value.is_empty()) {
        let secret = value.to_str().ok_or("it must be UTF-8 text".to_owned());
        let secret = secret
            .and_then(check_password)
            .map_err(|problem| Failed::with(Exit::Config, format!("{PASSWORD_ENV}: {problem}")))?;
        Some((secret, PasswordSource::Environment))
    } else {
        let path = settings.secrets_path();
        from_secrets(&path)?.map(|secret| (secret, PasswordSource::Secrets(path)))
    };
    Ok(found.filter(|(secret, _)| !secret.0.is_empty()))
}

/// Reads a file that holds nothing but the password; `-` is standard input. One newline at its end
/// is not part of it, nor is the byte order mark that some editors begin a text with.
pub(crate) fn read_password(path: &Path) -> anyhow::Result<Secret> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(super::MAX_FILE).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(super::MAX_FILE).read_to_string(&mut text))
    };
    let fail = |what: String| Failed::with(Exit::Config, what);
    read.map_err(|e| fail(format!("cannot read the password file {}: {e}", path.display())))?;
    let line = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
    let line = line.strip_suffix('\n').unwrap_or(line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    check_password(line).map_err(|problem| fail(format!("{}: {problem}", path.display())))
}

/// The ways to give a password where a file cannot be closed to others.
const OTHER_WAYS: &str = "where that is not possible (a mounted drive, a container's or a service's secret), \
                          let `wifi.secrets` name a file elsewhere, or give the password by \
                          PBLINK_WIFI_PASSWORD or --password-file";

/// Returns the password in the secrets file; `None` when the file does not exist. Nothing of its
/// content is in an error: it may be another program's file.
fn from_secrets(path: &Path) -> anyhow::Result<Option<Secret>> {
    let whole = |message: String| failed(&[Problem::of_file(path, message)]);
    let cannot = |e: std::io::Error| whole(format!("cannot read it: {e}"));
    let file = match open_secrets(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !path.is_symlink() => {
            return Ok(None);
        }
        Err(e) => return Err(cannot(e)),
    };
    // Asked of the open file, not of its path: nobody can exchange it in between.
    let metadata = file.metadata().map_err(cannot)?;
    if !metadata.is_file() {
        return Err(whole(
            "the secrets file must be a regular file; correct `wifi.secrets`".into(),
        ));
    }
    if let Some(uid) = stranger(&metadata) {
        return Err(whole(format!(
            "the secrets file belongs to another user (uid {uid}); make it yours with `sudo chown $USER {}`; \
             {OTHER_WAYS}",
            shell_word(path)
        )));
    }
    if let Some(mode) = open_to_others(&metadata) {
        return Err(whole(format!(
            "others can read the WiFi password (mode {mode:04o}); close it with `chmod 600 {}`; {OTHER_WAYS}",
            shell_word(path)
        )));
    }
    let mut text = String::new();
    file.take(super::MAX_FILE).read_to_string(&mut text).map_err(cannot)?;
    let lines = Lines::new(&text);
    let at = |byte: usize, message: String| {
        let place = Some(lines.place(byte));
        failed(&[Problem { file: path.to_owned(), place, message, excerpt: None }])
    };
    let form = format!("the only key here is `{SECRETS_KEY}`, with the password in quotes");
    let document = DeTable::parse(&text)
        .map_err(|e| at(e.span().unwrap_or_default().start, format!("this is not TOML: {form}")))?;
    let mut secret = None;
    for (key, value) in document.get_ref() {
        let start = key.span().start;
        if key.get_ref() != SECRETS_KEY {
            return Err(at(start, format!("unknown key; {form}")));
        }
        let DeValue::String(text) = value.get_ref() else {
            return Err(at(start, format!("`{SECRETS_KEY}` must be text in quotes")));
        };
        secret = Some(check_password(text).map_err(|problem| at(start, problem))?);
    }
    Ok(secret)
}

/// Returns the password for the broker: from the environment, else from the file that `mqtt.password_file` names.
#[cfg(feature = "mqtt")]
pub(crate) fn of_broker(settings: &Settings) -> anyhow::Result<Option<String>> {
    let fail = |what: String| Failed::with(Exit::Config, what);
    if let Some(value) = std::env::var_os(MQTT_PASSWORD_ENV).filter(|value| !value.is_empty()) {
        let text = value.into_string();
        return text
            .map(Some)
            .map_err(|_| fail(format!("{MQTT_PASSWORD_ENV}: it must be UTF-8 text")));
    }
    if let Some(text) = credential("mqtt.password")? {
        return Ok(Some(text));
    }
    let file = &settings.mqtt.password_file;
    let Some(path) = settings.path_of("mqtt.password_file", file) else { return Ok(None) };
    private_text(&path).map(|text| Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Folder with the secrets that systemd gives a service, from `LoadCredential=`.
pub(crate) const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Returns the secret of this name that systemd has given the service, without the end of its line. It keeps others from reading
/// it, by rights that this user need not understand.
///
/// # Errors
/// [`Exit::Config`] if it cannot be read.
pub(crate) fn credential(name: &str) -> anyhow::Result<Option<String>> {
    let folder = std::env::var_os(CREDENTIALS).filter(|folder| !folder.is_empty());
    let Some(path) = folder.map(|folder| Path::new(&folder).join(name)) else { return Ok(None) };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let what = format!("{}: cannot read it: {error}", path.display());
            Err(Failed::with(Exit::Config, what))
        }
    }
}

/// Returns the text of a file that nobody else may read.
#[cfg(any(feature = "mqtt", feature = "nats"))]
pub(crate) fn private_text(path: &Path) -> anyhow::Result<String> {
    let fail = |what: String| Failed::with(Exit::Config, format!("{}: {what}", path.display()));
    let cannot = |e: std::io::Error| fail(format!("cannot read it: {e}"));
    let file = open_secrets(path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    if let Some(uid) = stranger(&metadata) {
        return Err(fail(format!("it belongs to another user (uid {uid})")));
    }
    if let Some(mode) = open_to_others(&metadata) {
        let remedy = format!("close it with `chmod 600 {}`", shell_word(path));
        return Err(fail(format!("others can read it (mode {mode:04o}); {remedy}")));
    }
    let mut text = String::new();
    file.take(super::MAX_FILE).read_to_string(&mut text).map_err(cannot)?;
    Ok(text)
}

/// Opens the secrets file for reading. A pipe in its place does not make us wait for its other end, and a
/// terminal does not become ours.
#[cfg(unix)]
pub(super) fn open_secrets(path: &Path) -> std::io::Result<File> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    File::options().read(true).custom_flags(flags.bits() as i32).open(path)
}

#[cfg(not(unix))]
pub(super) fn open_secrets(path: &Path) -> std::io::Result<File> {
    File::open(path)
}

/// Returns the user that a file belongs to, if that is neither this user nor root, nor the one who
/// has become root by sudo.
#[cfg(unix)]
fn stranger(metadata: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let (owner, me) = (metadata.uid(), rustix::process::geteuid().as_raw());
    let before = || std::env::var("SUDO_UID").ok()?.parse::<u32>().ok();
    let ours = owner == me || owner == 0 || (me == 0 && before() == Some(owner));
    (!ours).then_some(owner)
}

#[cfg(not(unix))]
fn stranger(_metadata: &std::fs::Metadata) -> Option<u32> {
    None
}

/// Returns the mode of a file that is open to the group or to others.
#[cfg(unix)]
fn open_to_others(metadata: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o7777;
    (mode & 0o077 != 0).then_some(mode)
}

/// Returns nothing: elsewhere the folder's access list decides, which a mode does not show.
#[cfg(not(unix))]
fn open_to_others(_metadata: &std::fs::Metadata) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = check_password("hunter2hunter2").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(hidden)");
        assert!(!format!("{:?}", (Some(&secret), PasswordSource::Environment)).contains("hunter2"));
    }

    #[test]
    fn passwords_have_8_to_63_bytes_or_none_or_are_a_key() {
        let key = "0123456789abCDEF".repeat(4);
        for good in ["", "12345678", &"p".repeat(63), "with space", "éééé", &key] {
            assert_eq!(check_password(good).unwrap().expose(), good);
        }
        let longer = format!("{key}0");
        for bad in ["1234567", &"p".repeat(64), &longer, "ééé", "tab\tinside", "12345678\n"] {
            let problem = check_password(bad).unwrap_err();
            assert!(!problem.contains(bad), "{problem}");
        }
    }

    #[test]
    fn keys_that_want_to_be_a_password_are_recognised() {
        for key in ["password", "wifi.password", "wifi_password", "wifi.pasword", "wifi.PSK", "pw"]
        {
            assert!(is_password_key(key), "{key}");
        }
        for entry in &super::super::KEYS {
            assert!(!is_password_key(entry.path), "{}", entry.path);
        }
    }
}
