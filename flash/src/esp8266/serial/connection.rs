//! Commands and their replies over a line that may garble, lose or delay them.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use super::packet::{self, Op, Reply};
use super::slip::{Decoder, LONGEST};
use crate::serial::port::Port;

/// Time-out of a short command. The chip answers within milliseconds, adapters take some more.
pub const SHORT: Duration = Duration::from_secs(1);

/// Time to wait for the answer to a sync.
const SYNC: Duration = Duration::from_millis(200);

/// The number of tries for a command that does no harm when it is done twice.
const TRIES: u32 = 3;

/// Why a command did not work.
#[derive(Debug)]
pub enum Fault {
    /// The port is gone.
    Gone(io::Error),
    /// No answer, or only noise.
    Silent,
    /// The loader says no, and why.
    Refused(Op, u8),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::Silent,
            _ => Self::Gone(error),
        }
    }
}

/// One end of the line: ours.
#[derive(Debug)]
pub struct Connection<P> {
    pub port: P,
    decoder: Decoder,
    frames: VecDeque<Vec<u8>>,
}

impl<P: Port> Connection<P> {
    pub fn new(port: P) -> Self {
        Self { port, decoder: Decoder::default(), frames: VecDeque::new() }
    }

    /// Forgets what has come in.
    pub fn forget(&mut self) -> Result<(), Fault> {
        self.port.drain()?;
        self.decoder = Decoder::default();
        self.frames.clear();
        Ok(())
    }

    pub fn send(&mut self, op: Op, data: &[u8], checksum: u32) -> Result<(), Fault> {
        Ok(self.port.write(&packet::command(op, data, checksum))?)
    }

    /// Reads the next frame, whatever is in it.
    pub fn frame(&mut self, timeout: Duration) -> Result<Vec<u8>, Fault> {
        let deadline = Instant::now() + timeout;
        let mut buffer = [0; LONGEST];
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Ok(frame);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            // Noise can last for ever, so the clock is checked as well.
            let count = if left.is_zero() { 0 } else { self.port.read(&mut buffer, left)? };
            if count == 0 {
                return Err(Fault::Silent);
            }
            let decoder = &mut self.decoder;
            self.frames.extend(buffer[..count].iter().filter_map(|&byte| decoder.push(byte)));
        }
    }

    /// Reads the next reply to `op`. Others are late ones, and thrown away.
    pub fn reply(&mut self, op: Op, timeout: Duration) -> Result<Reply, Fault> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let frame = self.frame(left)?;
            match Reply::parse(&frame) {
                Some(reply) if reply.op == op as u8 && reply.failed == 0 => return Ok(reply),
                Some(reply) if reply.op == op as u8 => {
                    return Err(Fault::Refused(op, reply.failed));
                }
                _ => {}
            }
        }
    }

    /// Sends a command once.
    pub fn once(
        &mut self,
        op: Op,
        data: &[u8],
        checksum: u32,
        timeout: Duration,
    ) -> Result<Reply, Fault> {
        self.send(op, data, checksum)?;
        self.reply(op, timeout)
    }

    /// Sends a command without payload that may be done twice: it is repeated when line or loader
    /// garble it.
    pub fn command(&mut self, op: Op, data: &[u8], timeout: Duration) -> Result<Reply, Fault> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.once(op, data, 0, timeout) {
                Ok(reply) => return Ok(reply),
                Err(Fault::Gone(error)) => return Err(Fault::Gone(error)),
                Err(fault) if tries == TRIES => return Err(fault),
                Err(_) => self.barrier()?,
            }
        }
    }

    /// Asks whether a loader is there, once. The answer is true if it is a stub in RAM: that answers
    /// with the value 0, the ROM with another.
    pub fn sync(&mut self) -> Result<bool, Fault> {
        self.forget()?;
        let mut data = vec![0x07, 0x07, 0x12, 0x20];
        data.extend([0x55; 32]);
        let reply = self.once(Op::Sync, &data, 0, SYNC)?;
        // It answers eight times, so that an automatic baud rate has something to look at.
        for _ in 1..8 {
            match self.reply(Op::Sync, SYNC / 2) {
                Ok(_) | Err(Fault::Refused(..)) => {}
                Err(Fault::Silent) => break,
                Err(gone) => return Err(gone),
            }
        }
        Ok(reply.value == 0)
    }

    /// Waits until every command before this has been answered, or was lost: the loader answers in
    /// order, so what comes after the answer to a sync is not a late reply.
    pub fn barrier(&mut self) -> Result<(), Fault> {
        let mut last = Fault::Silent;
        for _ in 0..5 {
            match self.sync() {
                Ok(_) => return Ok(()),
                Err(Fault::Gone(error)) => return Err(Fault::Gone(error)),
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    /// Reads a register.
    pub fn read_register(&mut self, address: u32) -> Result<u32, Fault> {
        Ok(self.command(Op::ReadReg, &packet::words([address]), SHORT)?.value)
    }

    /// Reads a register until two answers agree: replies have no checksum.
    pub fn read_register_twice(&mut self, address: u32) -> Result<u32, Fault> {
        let mut last = self.read_register(address)?;
        for _ in 0..TRIES {
            let next = self.read_register(address)?;
            if next == last {
                return Ok(next);
            }
            last = next;
        }
        Err(Fault::Silent)
    }

    /// Writes a register that may be written twice.
    pub fn write_register(&mut self, address: u32, value: u32) -> Result<(), Fault> {
        let data = packet::words([address, value, u32::MAX, 0]);
        self.command(Op::WriteReg, &data, SHORT).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each read of a register with its address; the first answer is held back until the next
    /// command comes.
    #[derive(Default)]
    struct Late {
        output: VecDeque<u8>,
        held: Option<Vec<u8>>,
        commands: u32,
    }

    impl Port for Late {
        fn read(&mut self, buffer: &mut [u8], _: Duration) -> io::Result<usize> {
            let count = self.output.len().min(buffer.len());
            for (place, byte) in buffer.iter_mut().zip(self.output.drain(..count)) {
                *place = byte;
            }
            Ok(count)
        }

        fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
            let mut decoder = Decoder::default();
            let command = bytes.iter().find_map(|&byte| decoder.push(byte)).expect("a frame");
            self.commands += 1;
            let mut reply = vec![1, command[1], 2, 0];
            reply.extend(&command[8..12]);
            reply.extend([0, 0]);
            if self.commands == 1 {
                self.held = Some(reply);
                return Ok(());
            }
            for reply in self.held.take().iter().chain([&reply]) {
                self.output.extend(super::super::slip::encode(reply));
            }
            Ok(())
        }

        fn set_baud(&mut self, _: u32) -> io::Result<()> {
            Ok(())
        }

        fn set_lines(&mut self, _: bool, _: bool) -> io::Result<()> {
            Ok(())
        }

        fn drain(&mut self) -> io::Result<()> {
            self.output.clear();
            Ok(())
        }

        fn wait(&mut self, _: Duration) {}
    }

    #[test]
    fn a_late_answer_is_never_taken_for_another() {
        let mut connection = Connection::new(Late::default());
        for address in [0x10, 0x20, 0x30, 0x40] {
            assert_eq!(connection.read_register(address).unwrap(), address);
        }
        // The first one, the sync after its time-out, the first one again, and three others.
        assert_eq!(connection.port.commands, 6);
    }

    #[test]
    fn a_line_that_is_gone_is_not_tried_again() {
        assert!(matches!(Fault::from(io::Error::from(io::ErrorKind::BrokenPipe)), Fault::Gone(_)));
        assert!(matches!(Fault::from(io::Error::from(io::ErrorKind::TimedOut)), Fault::Silent));
    }
}
