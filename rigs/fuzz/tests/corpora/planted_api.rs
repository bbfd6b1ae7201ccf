//! Faults that are planted in the control API and in its client.

use pblink_fuzz::{answer, request};
use pblink_serve::control::{Access, Token};

use super::found_after;

#[test]
fn a_server_that_lets_others_write_and_one_that_fails() {
    // The word that inputs know, where they must not.
    let open = |access: Access| {
        let token = Token::parse("token-of-the-fuzzer").ok();
        Access { token, ..access }
    };
    let writes = found_after("request", 500, |data| request::run_with(data, open, |_| {}));
    let fails = found_after("request", 500, |data| {
        request::run_with(
            data,
            |access| access,
            |answers| {
                if let Some(status) = answers.get_mut(9..12).filter(|status| *status == b"404") {
                    status.copy_from_slice(b"500");
                }
            },
        );
    });
    assert!(writes.is_some() && fails.is_some(), "{writes:?} {fails:?}");
    println!("who writes after {writes:?} inputs, what fails after {fails:?}");
}

#[test]
fn an_answer_that_is_longer_than_it_says() {
    let found = found_after("request", 500, |data| {
        request::run_with(
            data,
            |access| access,
            |answers| {
                let text = String::from_utf8_lossy(answers).to_lowercase();
                // The length of a body of two digits becomes one of a single digit.
                if let Some(at) = text.find("content-length: ") {
                    let digit = at + "content-length: ".len();
                    if answers.get(digit + 1).is_some_and(u8::is_ascii_digit) {
                        answers.remove(digit);
                    }
                }
            },
        );
    });
    assert!(found.is_some());
    println!("found after {found:?} inputs");
}

/// Forgets at the end of each piece what it was in.
fn forgetful(pieces: &[&[u8]]) -> Option<Vec<answer::Message>> {
    let all: Option<Vec<_>> = pieces.iter().map(|piece| answer::cut(&[piece])).collect();
    Some(all?.concat())
}

#[test]
fn a_stream_that_is_cut_where_its_pieces_end() {
    let found = found_after("answer", 500, |data| answer::run_with(data, forgetful));
    assert!(found.is_some());
    println!("found after {found:?} inputs");
}
