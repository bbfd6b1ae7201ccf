//! Access: who may read, who may write.
//!
//! Reading is free on this machine. Writing, and reading from another one, needs the token, as `Authorization: Bearer`
//! or, for browsers, as the cookie that [`open_session`] trades it for. A web page could send requests in the name of
//! whoever looks at it: so the `Host` has to be one of this server's, an `Origin` has to be the server itself, and a
//! cookie writes only with an `Origin`.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::super::token::{Token, random_hex};
use super::body::read_body;
use super::{Api, error, listener};
use crate::web;

/// Name of the cookie.
const COOKIE: &str = "pblink_session";

/// Sessions of browsers at a time; the oldest goes for a new one.
const SESSIONS: usize = 64;

/// Time for which one is good.
const SESSION: Duration = Duration::from_secs(12 * 3600);

/// Who may use a control API.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The word that lets write, and read from other machines. Without it nobody may.
    pub token: Option<Token>,
    /// The file in which programs of the same user find the token.
    pub token_file: Option<PathBuf>,
    /// Names of hosts that are answered, beside those of this machine for itself and addresses.
    pub hosts: Vec<String>,
}

/// [`Access`] at work.
#[derive(Debug)]
pub(super) struct Gate {
    access: Access,
    /// The API listens on this machine only.
    loopback: bool,
    /// Cookies and when they were given.
    sessions: Mutex<VecDeque<(String, Instant)>>,
}

/// The right of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    /// None but that of this machine.
    None,
    /// It has the token.
    Token,
    /// It has a cookie; true: and comes from the server's own page.
    Cookie(bool),
}

impl Gate {
    pub(super) fn new(access: Access, loopback: bool) -> Self {
        Self { access, loopback, sessions: Mutex::default() }
    }

    /// Returns true if these rights are those at work.
    #[cfg(feature = "nats")]
    pub(super) fn is(&self, access: &Access, loopback: bool) -> bool {
        self.access == *access && self.loopback == loopback
    }

    /// Returns the file of the token.
    pub(super) fn token_file(&self) -> Option<&PathBuf> {
        self.access.token_file.as_ref()
    }

    fn admits(&self, host: &str) -> bool {
        let host = without_port(host);
        is_loopback_name(host)
            || self.access.hosts.iter().any(|name| name.eq_ignore_ascii_case(host))
            // A page that makes its own name point here has a name: an address is nobody else's.
            || (!self.loopback && bare(host).parse::<IpAddr>().is_ok())
    }

    /// Returns true if a cookie was given less than twelve hours ago, and forgets those that were given earlier.
    fn knows(&self, cookie: &str, now: Instant) -> bool {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|(_, since)| now.saturating_duration_since(*since) < SESSION);
        sessions.iter().any(|(known, _)| known == cookie)
    }

    fn needs_token(&self, what: &str) -> Response {
        let Some(_) = self.access.token else {
            return error(
                StatusCode::FORBIDDEN,
                format!(
                    "{what} needs a token, and this server has none: see --token-file of `pblink serve`"
                ),
            );
        };
        let hint = match &self.access.token_file {
            Some(file) => format!("it is in {} on the server's machine", file.display()),
            None => "the server got it by PBLINK_TOKEN or --token-file".to_owned(),
        };
        unauthorized(&format!("{what} needs the token, as `Authorization: Bearer TOKEN`; {hint}"))
    }
}

fn unauthorized(message: &str) -> Response {
    let mut response = error(StatusCode::UNAUTHORIZED, message);
    let challenge = header::HeaderValue::from_static("Bearer realm=\"pblink\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

/// Lets a request pass, or answers it.
pub(super) async fn check(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let gate = &api.gate;
    let local = listener::peer(&request).is_some_and(|peer| peer.ip().to_canonical().is_loopback());
    let headers = request.headers();
    let mut right = Right::None;
    if let Some(given) = bearer(headers) {
        match &gate.access.token {
            Some(token) if token.matches(given) => right = Right::Token,
            Some(_) => return unauthorized("this is not the server's token"),
            None => {}
        }
    }
    if right != Right::Token {
        // A request line may carry the whole URL; its host then counts, as HTTP says.
        let host = request.uri().authority().map(|authority| authority.as_str());
        let host = host.or_else(|| headers.get(header::HOST)?.to_str().ok());
        let Some(host) = host.filter(|host| gate.admits(host)) else {
            return error(
                StatusCode::FORBIDDEN,
                "this host name is not answered: ask for localhost, 127.0.0.1 or [::1] on the server's machine, \
                 or list the name in control.hosts of pblink.toml",
            );
        };
        let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
        if origin.is_some_and(|origin| !is_origin_of(origin, host)) {
            return error(StatusCode::FORBIDDEN, "pages of other sites are not answered");
        }
        if cookie(headers).is_some_and(|cookie| gate.knows(cookie, Instant::now())) {
            right = Right::Cookie(origin.is_some());
        }
        if !local && right == Right::None && !is_public(&request) {
            return gate.needs_token("asking from another machine");
        }
    }
    request.extensions_mut().insert(right);
    next.run(request).await
}

/// A login has the token in its body, and the files of the page are those of the program: they say nothing of this server.
fn is_public(request: &Request) -> bool {
    let (method, path) = (request.method(), request.uri().path());
    web::is_page(path) || (method == Method::POST && path == "/api/v1/session")
}

/// A request that may write. Each handler that changes something asks for it.
#[derive(Debug)]
pub(super) struct MayWrite;

impl FromRequestParts<Api> for MayWrite {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Response> {
        match parts.extensions.get() {
            Some(Right::Token | Right::Cookie(true)) => Ok(Self),
            Some(Right::Cookie(false)) => Err(error(
                StatusCode::FORBIDDEN,
                "a cookie writes only from the server's own pages",
            )),
            _ => Err(api.gate.needs_token("writing")),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    token: String,
}

/// Trades the token, in `Authorization` or as JSON, for a cookie that no script can read and no other site can use.
pub(super) async fn open_session(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let gate = &api.gate;
    let body = match read_body(body).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    let given = match bearer(&headers) {
        Some(given) => given.to_vec(),
        None => match serde_json::from_slice::<Login>(&body) {
            Ok(login) => login.token.into_bytes(),
            Err(_) => return gate.needs_token("a session"),
        },
    };
    match &gate.access.token {
        Some(token) if token.matches(&given) => {}
        Some(_) => return unauthorized("this is not the server's token"),
        None => return gate.needs_token("a session"),
    }
    let Ok(cookie) = random_hex(32) else {
        return error(StatusCode::INTERNAL_SERVER_ERROR, "the system gives no random bytes");
    };
    let mut sessions = gate.sessions.lock().unwrap_or_else(PoisonError::into_inner);
    if sessions.len() == SESSIONS {
        sessions.pop_front();
    }
    sessions.push_back((cookie.clone(), Instant::now()));
    drop(sessions);
    let age = SESSION.as_secs();
    let cookie = format!("{COOKIE}={cookie}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict");
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}

/// Ends the session of the cookie.
pub(super) async fn close_session(
    _: MayWrite,
    State(api): State<Api>,
    headers: HeaderMap,
) -> Response {
    if let Some(cookie) = cookie(&headers) {
        let mut sessions = api.gate.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|(known, _)| known != cookie);
    }
    let cookie = format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}

/// Answers whether a request may write.
pub(super) async fn show_session(_: MayWrite) -> Json<serde_json::Value> {
    Json(serde_json::json!({ "may_write": true }))
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|list| list.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// Returns true if a page with this origin is one of the server that was asked as `host`.
fn is_origin_of(origin: &str, host: &str) -> bool {
    let origin = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    origin.is_some_and(|origin| origin.eq_ignore_ascii_case(host))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // "[::1]" has colons but no port.
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
}

fn is_loopback_name(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || bare(host).parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_hosts_pass() {
        for host in ["localhost", "LOCALHOST:8124", "127.0.0.1", "127.1.2.3:80", "[::1]", "[::1]:9"]
        {
            assert!(is_loopback_name(without_port(host)), "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example:8124", "10.0.0.1", "[::2]:80", "::"]
        {
            assert!(!is_loopback_name(without_port(host)), "{host}");
        }
    }

    #[test]
    fn names_have_to_be_listed_and_addresses_only_where_others_can_reach() {
        let gate = |loopback| {
            let access = Access { hosts: vec!["box.lan".into()], ..Access::default() };
            Gate::new(access, loopback)
        };
        for host in ["localhost", "box.lan:8124", "BOX.LAN"] {
            assert!(gate(true).admits(host) && gate(false).admits(host), "{host}");
        }
        for host in ["10.0.0.1:8124", "[fe80::1]:9"] {
            assert!(!gate(true).admits(host) && gate(false).admits(host), "{host}");
        }
        assert!(!gate(false).admits("evil.example:8124"));
    }

    #[test]
    fn an_origin_is_the_server_itself_or_another() {
        assert!(is_origin_of("http://localhost:8124", "LOCALHOST:8124"));
        assert!(is_origin_of("https://box.lan", "box.lan"));
        for origin in ["null", "http://localhost", "http://evil.example:8124", "localhost:8124"] {
            assert!(!is_origin_of(origin, "localhost:8124"), "{origin}");
        }
    }

    #[test]
    fn a_cookie_ends_after_twelve_hours_whatever_the_browser_does() {
        let (gate, given) = (Gate::new(Access::default(), true), Instant::now());
        gate.sessions.lock().unwrap().push_back(("a".to_owned(), given));
        let later = given + SESSION - Duration::from_secs(1);
        assert!(gate.knows("a", later) && !gate.knows("b", later));
        gate.sessions.lock().unwrap().push_back(("b".to_owned(), later));
        let later = given + SESSION;
        assert!(!gate.knows("a", later) && gate.knows("b", later));
        assert_eq!(gate.sessions.lock().unwrap().len(), 1);
    }
}
