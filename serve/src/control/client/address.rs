//! The address of a control API, and the HTTP client for it.

use std::time::Duration;

use reqwest::Url;

use super::{ClientError, REQUEST, innermost};

/// Reads `http://HOST:PORT`, without which `http://` stands in front. The zone of a link-local address comes apart,
/// since a URL has no place for it: `http://[fe80::1%eth0]:8124`, or with `%25` as RFC 6874 writes it.
pub(super) fn parse(text: &str) -> Result<(Url, Option<String>), ClientError> {
    let invalid = || ClientError::Url(text.to_owned());
    let mut full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let mut zone = None;
    if let Some((start, end)) =
        full.find('%').zip(full.find(']')).filter(|(start, end)| start < end)
    {
        let name = &full[start + 1..end];
        let name = name.strip_prefix("25").filter(|name| !name.is_empty()).unwrap_or(name);
        // Sockets are bound to it by its name.
        if name.is_empty() || name.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ClientError::Zone(text.to_owned()));
        }
        zone = Some(name.to_owned());
        full.replace_range(start..end, "");
    }
    let base = Url::parse(&full).map_err(|_| invalid())?;
    if base.scheme() != "http" || !base.has_host() {
        return Err(invalid());
    }
    Ok((base, zone))
}

/// Returns a client that gives up after this silence, and goes through this interface.
pub(super) fn http(
    base: &Url,
    zone: Option<&str>,
    silence: Duration,
) -> Result<reqwest::Client, ClientError> {
    let mut builder = reqwest::Client::builder()
        // The server is on this machine, or as near: a proxy is never on the way.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(REQUEST)
        .read_timeout(silence);
    if let Some(zone) = zone {
        builder = through(builder, zone).ok_or_else(|| ClientError::Zone(base.to_string()))?;
    }
    let failed = |error: reqwest::Error| ClientError::Unreachable {
        url: base.clone(),
        reason: innermost(&error),
    };
    builder.build().map_err(failed)
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
#[allow(clippy::unnecessary_wraps)] // Other systems cannot.
fn through(builder: reqwest::ClientBuilder, zone: &str) -> Option<reqwest::ClientBuilder> {
    Some(builder.interface(zone))
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "macos")))]
fn through(_: reqwest::ClientBuilder, _: &str) -> Option<reqwest::ClientBuilder> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_comes_apart_from_the_url() {
        for (text, url, zone) in [
            ("127.0.0.1:8124", "http://127.0.0.1:8124/", None),
            ("http://pi:8124", "http://pi:8124/", None),
            ("[::1]:8124", "http://[::1]:8124/", None),
            ("http://[fe80::1%eth0]:8124", "http://[fe80::1]:8124/", Some("eth0")),
            ("[fe80::1%25eth0]:8124", "http://[fe80::1]:8124/", Some("eth0")),
        ] {
            let (base, found) = parse(text).unwrap();
            assert_eq!((base.as_str(), found.as_deref()), (url, zone), "{text}");
        }
        for text in ["[fe80::1%2]:8124", "[fe80::1%]:8124", "[fe80::1%25]:8124"] {
            assert!(matches!(parse(text), Err(ClientError::Zone(_))), "{text}");
        }
        for text in ["https://pi", "a b", "%]", ""] {
            assert!(
                matches!(parse(text), Err(ClientError::Url(_) | ClientError::Zone(_))),
                "{text}"
            );
        }
    }
}
