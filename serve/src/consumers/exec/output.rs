//! The lines that a program prints, each bounded.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Something that a program has printed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Printed {
    /// A line, without its newline.
    Line(String),
    /// A line that is longer than it may be; it is not kept.
    TooLong,
    /// A line that is not valid UTF-8.
    NotText,
    /// The program ended within a line.
    Torn,
    /// The program has closed its output. It may run on.
    Closed,
}

/// Cuts what a program prints into lines.
#[derive(Debug)]
pub(super) struct Output<R> {
    read: BufReader<R>,
    line: Vec<u8>,
    most: usize,
    /// The line is too long already.
    skipping: bool,
}

impl<R: AsyncRead + Unpin> Output<R> {
    /// Lines may have `most` bytes.
    pub(super) fn new(read: R, most: usize) -> Self {
        Self { read: BufReader::new(read), line: Vec::new(), most, skipping: false }
    }

    /// Waits for the next line; `None` at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// If the pipe cannot be read.
    pub(super) async fn next(&mut self) -> io::Result<Option<Printed>> {
        loop {
            let bytes = self.read.fill_buf().await?;
            if bytes.is_empty() {
                let torn = !self.line.is_empty() || self.skipping;
                self.line.clear();
                self.skipping = false;
                return Ok(torn.then_some(Printed::Torn));
            }
            let end = bytes.iter().position(|&byte| byte == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if self.line.len() + part.len() > self.most {
                self.skipping = true;
                self.line.clear();
            } else if !self.skipping {
                self.line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.read.consume(used);
            if end.is_some() {
                return Ok(Some(self.take()));
            }
        }
    }

    fn take(&mut self) -> Printed {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.skipping) {
            return Printed::TooLong;
        }
        String::from_utf8(line).map_or(Printed::NotText, Printed::Line)
    }

    /// Returns the next line if it is there whole already.
    pub(super) fn ready(&mut self) -> Option<Printed> {
        match self.read.buffer().contains(&b'\n') {
            true => futures::FutureExt::now_or_never(self.next())?.ok()?,
            false => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(text: &[u8], most: usize) -> Vec<Printed> {
        let mut output = Output::new(text, most);
        let mut all = Vec::new();
        while let Some(printed) = output.next().await.unwrap() {
            all.push(printed);
        }
        all
    }

    #[tokio::test]
    async fn lines_are_cut_and_what_is_no_line_is_named() {
        let line = |text: &str| Printed::Line(text.into());
        assert_eq!(all(b"a\n\nb c\r\n", 5).await, [line("a"), line(""), line("b c\r")]);
        assert_eq!(
            all(b"12345\n123456\n1\n", 5).await,
            [line("12345"), Printed::TooLong, line("1")]
        );
        assert_eq!(all(b"\xff\nx", 5).await, [Printed::NotText, Printed::Torn]);
        let long = vec![b'x'; 100_000];
        assert_eq!(all(&long, 5).await, [Printed::Torn]);
    }
}
