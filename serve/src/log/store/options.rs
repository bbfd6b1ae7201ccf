//! The way to a store.

use std::path::PathBuf;

/// Way to a store.
#[derive(Debug, Clone, Default)]
pub struct StoreOptions {
    /// Servers of NATS, such as `nats://10.0.0.5:4222`, with commas between; `tls://` asks for TLS.
    pub urls: String,
    /// The stream's name, which is that of the store: letters, digits, `-` and `_`.
    pub name: String,
    /// Credentials: the text of a file of NATS (`.creds`), or `USER:PASSWORD`.
    pub credentials: Option<String>,
    /// File with certificates of authorities (PEM) that servers of TLS may have, beside those that the system trusts.
    pub authorities: Option<PathBuf>,
}

/// Returns a name or password of a URL as it is: there, some characters stand as hex digits behind a `%`.
pub(super) fn plain(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        (rest, _) = match (first, byte) {
            (b'%', Some(byte)) => (&behind[2..], bytes.push(byte)),
            _ => (behind, bytes.push(*first)),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns URLs without names and passwords.
pub(super) fn without_secrets(urls: &str) -> String {
    let one = |url: &str| match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        _ => url.to_owned(),
    };
    urls.split(',').map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_may_have_any_character() {
        assert_eq!(plain("p%40ss%C3%9F"), "p@ssß");
        assert_eq!(plain("100%"), "100%");
        assert_eq!(plain("%zz%4"), "%zz%4");
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(without_secrets("nats://me:p@ss@a:4222,b"), "nats://a:4222,b");
        assert_eq!(without_secrets("token@a:4222"), "a:4222");
    }
}
