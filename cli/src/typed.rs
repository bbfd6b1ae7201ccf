//! Lines that a user types.

use std::io::{self, BufRead, IsTerminal};

/// The most bytes of a line; terminals hold less themselves.
const LONGEST: u64 = 64 << 10;

/// Returns true if there is a terminal on which questions are seen and answered.
pub(crate) fn has_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Reads a line, with its newline, as the bytes that the terminal sends: of one with another encoding these are no
/// UTF-8, which must not cost the user all that was answered before. `None` at the end of the input.
pub(crate) fn typed_line() -> io::Result<Option<Vec<u8>>> {
    read(io::stdin().lock())
}

fn read(from: impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    from.take(LONGEST).read_until(b'\n', &mut line)?;
    Ok((!line.is_empty()).then_some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_do_not_take_the_next_line_with_them() {
        let mut typed = &b"Caf\xe9\r\nHome\n\nend"[..];
        for line in [&b"Caf\xe9\r\n"[..], b"Home\n", b"\n", b"end"] {
            assert_eq!(read(&mut typed).unwrap().as_deref(), Some(line));
        }
        assert_eq!(read(&mut typed).unwrap(), None);
    }
}
