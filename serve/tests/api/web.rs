//! The page at `/`: who gets its files, and with which headers.

use pblink_serve::control::Access;
use pblink_serve::log::Memory;
use reqwest::{Method, Response};

use super::access::other_address;
use super::{Rig, TOKEN, access, answer};
use crate::board::{Station, soon};

/// Some files of the page; the unit tests know all of them.
const FILES: [(&str, &str); 4] = [
    ("/", "text/html; charset=utf-8"),
    ("/web/page.css", "text/css; charset=utf-8"),
    ("/web/page.js", "text/javascript; charset=utf-8"),
    ("/web/icon.svg", "image/svg+xml"),
];

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn each_file_has_its_type_and_a_strict_policy() {
    let rig = Rig::start().await;
    for (path, kind) in FILES {
        let response = soon(rig.http.get(rig.url(path)).send()).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(header(&response, "content-type"), kind);
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        assert_eq!(header(&response, "referrer-policy"), "no-referrer");
        assert_eq!(header(&response, "cache-control"), "no-cache");
        assert_eq!(header(&response, "set-cookie"), "");
        let policy: Vec<_> =
            header(&response, "content-security-policy").split(';').map(str::trim).collect();
        for wanted in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "img-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ] {
            assert!(policy.contains(&wanted), "{path}: {wanted} is not in {policy:?}");
        }
        assert!(!policy.join(";").contains("unsafe"), "{policy:?}");
        assert!(!soon(response.bytes()).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_file_that_the_browser_has_is_not_sent_again() {
    let rig = Rig::start().await;
    for (path, _) in FILES {
        let whole = soon(rig.http.get(rig.url(path)).send()).await.unwrap();
        let (tag, length) =
            (header(&whole, "etag").to_owned(), header(&whole, "content-length").to_owned());
        assert!(tag.starts_with('"') && tag.len() > 8, "{tag}");
        assert_eq!(soon(whole.bytes()).await.unwrap().len().to_string(), length);
        for (known, status) in [(&*tag, 304), ("\"another\"", 200)] {
            let request = rig.http.get(rig.url(path)).header("If-None-Match", known);
            let response = soon(request.send()).await.unwrap();
            assert_eq!((response.status().as_u16(), header(&response, "etag")), (status, &*tag));
            assert!(header(&response, "content-security-policy").contains("default-src 'none'"));
            assert_eq!(soon(response.bytes()).await.unwrap().is_empty(), status == 304);
        }
        let head = soon(rig.http.head(rig.url(path)).send()).await.unwrap();
        assert_eq!((head.status().as_u16(), header(&head, "etag")), (200, &*tag));
        assert_eq!(header(&head, "content-length"), length);
        assert!(soon(head.bytes()).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn the_page_is_only_read_and_other_paths_are_not_there() {
    let rig = Rig::start().await;
    for (path, _) in FILES {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            let (status, body) = answer(rig.request(method.clone(), path)).await;
            assert_eq!(
                (status.as_u16(), &body["error"]),
                (405, &"this path only takes GET".into())
            );
        }
    }
    for path in
        ["/web", "/web/", "/web/mod.rs", "/web/nothing.js", "/index.html", "/web/../web/page.js/"]
    {
        let (status, body) = rig.get(path).await;
        assert_eq!(status, 404, "{path}: {body}");
    }
}

#[tokio::test]
async fn a_host_that_is_not_this_server_gets_no_page_either() {
    let rig = Rig::start().await;
    for (path, _) in FILES {
        for (name, value) in [("Host", "evil.example"), ("Origin", "http://evil.example")] {
            let (status, body) = answer(rig.http.get(rig.url(path)).header(name, value)).await;
            assert_eq!(status, 403, "{path} {name}: {body}");
        }
    }
}

#[tokio::test]
async fn from_another_machine_the_page_needs_no_token_and_what_it_shows_does() {
    let Some(ip) = other_address() else {
        // A machine without a network has no others.
        return;
    };
    for access in [access(), Access::default()] {
        let token = access.token.is_some();
        let station = Station::start(Memory::new("abc")).await;
        let rig = Rig::around(station, "0.0.0.0:0".parse().unwrap(), access).await;
        let url = |path: &str| format!("http://{ip}:{}{path}", rig.control.address().port());
        for (path, _) in FILES {
            assert_eq!(answer(rig.http.get(url(path))).await.0, 200, "{path}");
            let wrong = rig.http.get(url(path)).bearer_auth("wrong");
            assert_eq!(answer(wrong).await.0, if token { 401 } else { 200 }, "{path}");
            let right = rig.http.get(url(path)).bearer_auth(TOKEN);
            assert_eq!(answer(right).await.0, 200, "{path}");
        }
        for path in ["/api/v1/links", "/metrics", "/web/nothing.js", "/web"] {
            let (status, body) = answer(rig.http.get(url(path))).await;
            assert_eq!(status, if token { 401 } else { 403 }, "{path}: {body}");
        }
        // A page of another name that points here is not the server's own.
        let other = rig.http.get(url("/")).header("Host", "evil.example");
        assert_eq!(answer(other).await.0, 403);
    }
}
