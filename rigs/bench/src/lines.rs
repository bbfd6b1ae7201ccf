//! Lines as bare programs see them: raw server and clients that only acknowledge.

use std::io;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Bytes that are read at a time: as many as the server reads.
const SEGMENT: usize = 16 * 1024;

/// Reads a stream, and cuts it into lines.
#[derive(Debug)]
pub struct Lines {
    buffer: Vec<u8>,
    len: usize,
}

impl Lines {
    pub fn new() -> Self {
        Self { buffer: vec![0; SEGMENT], len: 0 }
    }

    /// Reads what is there, and hands each whole line to `each`, without its newline. False at the end.
    pub async fn read(
        &mut self,
        stream: &mut TcpStream,
        mut each: impl FnMut(&[u8]),
    ) -> io::Result<bool> {
        let n = stream.read(&mut self.buffer[self.len..]).await?;
        self.len += n;
        let mut from = 0;
        while let Some(end) = self.buffer[from..self.len].iter().position(|&b| b == b'\n') {
            each(&self.buffer[from..from + end]);
            from += end + 1;
        }
        self.buffer.copy_within(from..self.len, 0);
        self.len -= from;
        Ok(n > 0)
    }
}

/// Adds the acknowledgement of a line, if it is a message.
pub fn acknowledge(line: &[u8], out: &mut Vec<u8>) {
    if let [high, low, _, ..] = *line {
        out.extend([high, low, b'\n']);
    }
}
