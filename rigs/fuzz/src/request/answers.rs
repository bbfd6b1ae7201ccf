//! Answers of HTTP/1.1, cut out of the bytes of a connection by the rules of RFC 9112, and not by a library that could be
//! as wrong as the server's.

/// An answer.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    /// Its content type; empty: none.
    pub(super) kind: &'a str,
    pub(super) body: Vec<u8>,
    /// It has ended, and has a body if its head speaks of one.
    pub(super) whole: bool,
}

/// Cuts a stream into answers. The last one may not have ended.
///
/// # Panics
/// If it is not HTTP.
pub(super) fn cut(mut bytes: &[u8]) -> Vec<Answer<'_>> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let (answer, rest) = one(bytes);
        answers.push(answer);
        bytes = rest;
    }
    answers
}

fn one(bytes: &[u8]) -> (Answer<'_>, &[u8]) {
    let end = find(bytes, b"\r\n\r\n").expect("a head has an end");
    let head = str::from_utf8(&bytes[..end]).expect("a head is text");
    let mut rest = &bytes[end + 4..];
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default();
    let status = line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "));
    let status = status.and_then(|status| status.get(..3)?.parse().ok()).expect(line);
    let (mut kind, mut length, mut chunked) = ("", None, false);
    for line in lines {
        let (name, value) = line.split_once(':').expect(line);
        let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        assert!(!name.is_empty() && name.bytes().all(token), "{line:?}");
        assert!(!value.contains(|c: char| c.is_ascii_control()), "{line:?}");
        let value = value.trim();
        match &*name.to_ascii_lowercase() {
            "content-type" => kind = value,
            "content-length" => {
                let once = length.replace(value.parse::<usize>().expect("a length is a number"));
                assert_eq!(once, None, "it has two lengths");
            }
            "transfer-encoding" => chunked = value == "chunked",
            _ => {}
        }
    }
    assert!(!chunked || length.is_none(), "it has two lengths");
    let none = matches!(status, 100..200 | 204 | 304);
    // The request is not known here: to HEAD, there is the head only.
    let headless = rest.is_empty() || rest.starts_with(b"HTTP/1.");
    let (body, whole);
    if none || headless {
        (body, whole) = (Vec::new(), none || (length == Some(0) && !chunked));
    } else if chunked {
        (body, rest, whole) = chunks(rest);
    } else if length.is_none() && line.starts_with("HTTP/1.0 ") {
        // HTTP/1.0 has no chunks: a body whose length is not known ends with the connection (§6.3), and nothing follows it.
        (body, rest, whole) = (rest.to_vec(), &[], false);
    } else {
        let length = length.expect("a body has a length");
        let (now, later) = rest.split_at(length.min(rest.len()));
        (body, rest, whole) = (now.to_vec(), later, now.len() == length);
    }
    (Answer { status, kind, body, whole }, rest)
}

/// Puts chunks together. Returns the body, what follows it, and true if it has ended.
fn chunks(mut bytes: &[u8]) -> (Vec<u8>, &[u8], bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = find(bytes, b"\r\n") else { return (body, &[], false) };
        let digits = str::from_utf8(&bytes[..end]).expect("a length is text");
        let length = usize::from_str_radix(digits, 16).expect("a length is a number");
        bytes = &bytes[end + 2..];
        let Some((chunk, rest)) = bytes.split_at_checked(length + 2) else {
            return (body, &[], false);
        };
        assert!(chunk.ends_with(b"\r\n"), "a chunk has an end");
        body.extend_from_slice(&chunk[..length]);
        bytes = rest;
        if length == 0 {
            return (body, bytes, true);
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
