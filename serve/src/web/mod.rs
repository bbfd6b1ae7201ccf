//! The page at `/` of the control address: its files, and the headers with which they go out.
//!
//! The files are part of the program. They are public: all that the page shows it asks of the API, which asks for the
//! token. `docs/WEB.md` says what the page does.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// One file of the page.
#[derive(Debug)]
pub(crate) struct File {
    /// Its path.
    pub(crate) path: &'static str,
    kind: &'static str,
    text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const DRAWING: &str = "image/svg+xml";

/// Makes the entry of a file in this folder.
macro_rules! file {
    ($path:expr, $kind:expr, $name:literal) => {
        File { path: $path, kind: $kind, text: include_str!($name) }
    };
}

/// All files of the page.
pub(crate) const FILES: &[File] = &[
    file!("/", HTML, "index.html"),
    file!("/web/page.css", CSS, "page.css"),
    file!("/web/icon.svg", DRAWING, "icon.svg"),
    file!("/web/access.js", SCRIPT, "access.js"),
    file!("/web/api.js", SCRIPT, "api.js"),
    file!("/web/chart.js", SCRIPT, "chart.js"),
    file!("/web/dom.js", SCRIPT, "dom.js"),
    file!("/web/feed.js", SCRIPT, "feed.js"),
    file!("/web/lines.js", SCRIPT, "lines.js"),
    file!("/web/link.js", SCRIPT, "link.js"),
    file!("/web/links.js", SCRIPT, "links.js"),
    file!("/web/page.js", SCRIPT, "page.js"),
    file!("/web/send.js", SCRIPT, "send.js"),
    file!("/web/store.js", SCRIPT, "store.js"),
    file!("/web/timeline.js", SCRIPT, "timeline.js"),
    file!("/web/words.js", SCRIPT, "words.js"),
];

/// Scripts, styles, pictures and requests of this server only; no markup made by scripts, no frames, no forms that go
/// elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// Headers of each answer.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    // Kept by the browser, and asked for each time: after an update all files are those of the new server.
    (header::CACHE_CONTROL, "no-cache"),
];

/// Returns true if a path is one of the page.
pub(crate) fn is_page(path: &str) -> bool {
    FILES.iter().any(|file| file.path == path)
}

impl File {
    /// Returns a name of its contents.
    fn tag(&self) -> String {
        // FNV-1a: nobody chooses these contents to collide.
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        let hash = self.text.bytes().fold(0xcbf2_9ce4_8422_2325, step);
        format!("\"{hash:016x}\"")
    }

    /// Answers a `GET` or `HEAD`.
    pub(crate) fn answer(&self, method: &Method, headers: &HeaderMap) -> Response {
        let tag = self.tag();
        let mut response = if has(headers, &tag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            let body = if method == Method::HEAD { "" } else { self.text };
            let length = HeaderValue::from(self.text.len());
            let kind = HeaderValue::from_static(self.kind);
            let about = [(header::CONTENT_TYPE, kind), (header::CONTENT_LENGTH, length)];
            (about, Body::from(body)).into_response()
        };
        let sent = response.headers_mut();
        for (name, value) in HEADERS {
            sent.insert(name, HeaderValue::from_static(value));
        }
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            sent.insert(header::ETAG, tag);
        }
        response
    }
}

/// Returns true if the browser has these contents already.
fn has(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let known = known.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','));
    // A proxy that compresses makes a tag weak: the contents are the same.
    known.map(|one| one.trim()).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names in quotation marks behind `from` or `import`.
    fn imports(text: &str) -> Vec<&str> {
        let lines =
            text.lines().filter(|line| line.contains("from \"") || line.contains("import("));
        lines.map(|line| line.rsplit('"').nth(1).unwrap()).collect()
    }

    #[test]
    fn each_file_of_the_folder_is_served_and_all_that_they_name_is_there() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/web");
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".rs") && name != "index.html")
            .map(|name| format!("/web/{name}"))
            .collect();
        names.sort_unstable();
        let mut served: Vec<_> =
            FILES.iter().map(|file| file.path).filter(|path| *path != "/").collect();
        served.sort_unstable();
        assert_eq!(served, names);
        let mut found = 0;
        for file in FILES.iter().filter(|file| file.kind == SCRIPT) {
            for name in imports(file.text) {
                let path = name.replacen("./", "/web/", 1);
                assert!(is_page(&path), "{}: {name}", file.path);
                found += 1;
            }
        }
        assert!(found > 20, "{found}");
    }

    #[test]
    fn nothing_in_the_files_needs_what_the_policy_forbids() {
        for File { path, text, .. } in FILES {
            for forbidden in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "setHTML",
                "DOMParser",
                "<style",
                " style=",
                "javascript:",
                "//cdn",
                "<iframe",
                "@import",
            ] {
                assert!(!text.contains(forbidden), "{path}: {forbidden}");
            }
            let elsewhere = text.match_indices("://").filter(|(at, _)| {
                // The name of SVG's language is no request.
                !text[*at..].starts_with("://www.w3.org/2000/svg")
            });
            assert_eq!(elsewhere.count(), 0, "{path}");
        }
        let page = FILES[0].text;
        assert_eq!(page.matches("<script").count(), 1);
        assert!(page.contains("<script type=\"module\" src=\"/web/page.js\"></script>"));
    }

    #[test]
    fn contents_that_a_browser_has_are_not_sent_again() {
        let tag = FILES[0].tag();
        for (known, is) in [
            (tag.clone(), true),
            (format!("\"x\", W/{tag}"), true),
            ("*".to_owned(), true),
            ("\"x\"".to_owned(), false),
            (tag.trim_matches('"').to_owned(), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, known.parse().unwrap());
            assert_eq!(has(&headers, &tag), is, "{known}");
        }
        let mut tags: Vec<_> = FILES.iter().map(File::tag).collect();
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), FILES.len());
    }
}
