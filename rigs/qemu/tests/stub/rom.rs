//! The core that runs the stub, and what its stand-in for the ROM asks for (`flash/stub/src/rpc.rs`).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};

use pblink_emulation::chip::Core as Emulated;
use pblink_flash::esp8266::Stub;
use pblink_flash_stub::rpc::{ANSWER, QUESTION, TO_BOARD, TO_TEST, ask};
use tempfile::TempDir;

use super::common::flash::{End, FIFO, Shared};
use super::common::host::Host;

/// A running core. It ends when this is dropped.
pub struct Core {
    child: Child,
    /// Holds the pipes.
    _folder: TempDir,
}

impl Drop for Core {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Loads a stub and starts it.
pub fn start(bench: &Path, stub: Stub) -> (Core, Host) {
    let folder = tempfile::tempdir().expect("a folder");
    let pipes = [TO_TEST, TO_BOARD].map(|name| folder.path().join(name));
    let made = Command::new("mkfifo").args(&pipes).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo");
    let child = Command::new(Emulated::Lx106.qemu())
        .args(["-M", "sim", "-cpu", "lx106", "-display", "none", "-monitor", "none"])
        .args(["-serial", "null", "-semihosting", "-kernel"])
        .arg(std::path::absolute(bench).expect("a path"))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .spawn()
        .expect("the emulator starts");
    let core = Core { child, _folder: folder };
    let (to_stub, from_host) = channel();
    let (to_host, from_stub) = channel();
    let board = Shared::default();
    let mut rom =
        Rom { from_host, to_host, waiting: Vec::new(), board: board.clone(), stub, next: 0 };
    std::thread::spawn(move || {
        // It ends with the core, or with the test.
        if let Err(error) = rom.serve(&pipes[0], &pipes[1]) {
            rom.board.with(|board| {
                // A stub that has ended its work takes the core with it.
                if board.end.is_none() {
                    board.crash.get_or_insert_with(|| format!("the core has gone: {error}"));
                }
            });
        }
    });
    (core, Host::new(to_stub, from_stub, board))
}

struct Rom {
    from_host: Receiver<Vec<u8>>,
    to_host: Sender<Vec<u8>>,
    waiting: Vec<u8>,
    board: Shared,
    stub: Stub,
    /// The next segment to load.
    next: usize,
}

fn status(done: bool) -> (u32, Vec<u8>) {
    (u32::from(!done), Vec::new())
}

impl Rom {
    fn serve(&mut self, questions: &Path, answers: &Path) -> io::Result<()> {
        let mut questions = File::open(questions)?;
        let mut answers = OpenOptions::new().write(true).open(answers)?;
        loop {
            let mut head = [0; QUESTION];
            questions.read_exact(&mut head)?;
            let [what, numbers @ ..] = head;
            let [a, b, len] = [0, 4, 8]
                .map(|at| u32::from_le_bytes(numbers[at..at + 4].try_into().expect("4 bytes")));
            let mut bytes = vec![0; len as usize];
            questions.read_exact(&mut bytes)?;
            let (status, bytes) = self.answer(what, a, b, bytes)?;
            let mut answer = Vec::with_capacity(ANSWER + bytes.len());
            answer.extend(status.to_le_bytes());
            answer.extend((bytes.len() as u32).to_le_bytes());
            answer.extend(bytes);
            answers.write_all(&answer)?;
        }
    }

    fn answer(&mut self, what: u8, a: u32, b: u32, bytes: Vec<u8>) -> io::Result<(u32, Vec<u8>)> {
        let done = (0, Vec::new());
        if matches!(what, ask::WRITE | ask::ERASE_SECTOR | ask::ERASE_BLOCK | ask::ERASE_CHIP) {
            self.busy();
        }
        Ok(match what {
            ask::SEGMENT => match self.stub.segments.get(self.next) {
                // What is asked for carries no more than this.
                Some((address, bytes)) => {
                    self.next += 1;
                    (0, [&address.to_le_bytes()[..], bytes].concat())
                }
                None => (1, self.stub.entry.to_le_bytes().to_vec()),
            },
            ask::RECEIVE => {
                while self.waiting.is_empty() {
                    self.waiting = self.from_host.recv().map_err(io::Error::other)?;
                }
                let len = self.waiting.len().min(FIFO);
                (0, self.waiting.drain(..len).collect())
            }
            ask::SEND => {
                self.to_host.send(bytes).map_err(io::Error::other)?;
                done
            }
            ask::DIVIDER => {
                assert_eq!(b, 0, "another UART");
                self.board.with(|board| board.dividers.push(a));
                done
            }
            ask::ATTACH => {
                self.board.with(|board| board.attached += 1);
                done
            }
            ask::PARAMETERS => {
                let words: Vec<u32> = bytes
                    .chunks_exact(4)
                    .map(|word| u32::from_le_bytes(word.try_into().expect("4 bytes")))
                    .collect();
                self.board.with(|board| board.parameters = words.try_into().expect("6 words"));
                done
            }
            ask::UNLOCK => status(self.board.with(|board| board.unlock())),
            ask::READ => match self.board.with(|board| board.read(a, b)) {
                Some(bytes) => (0, bytes),
                None => status(false),
            },
            ask::WRITE => status(self.board.with(|board| board.write(a, &bytes))),
            ask::ERASE_SECTOR => status(self.board.with(|board| board.erase(a * 0x1000, 0x1000))),
            ask::ERASE_BLOCK => {
                status(self.board.with(|board| board.erase(a * 0x1_0000, 0x1_0000)))
            }
            ask::ERASE_CHIP => status(self.board.with(|board| board.erase_chip())),
            ask::DELAY => done,
            ask::RESET | ask::USER_CODE => {
                let end = if what == ask::RESET { End::Reset } else { End::UserCode };
                self.board.with(|board| board.end = Some(end));
                done
            }
            ask::MASK => {
                assert_eq!(a, 1 << 5, "other interrupts than the UART's");
                done
            }
            ask::USER_START => {
                assert_eq!(a, 0, "the stub would run again after a reset");
                done
            }
            ask::CRASH => {
                let why = String::from_utf8_lossy(&bytes).into_owned();
                self.board.with(|board| board.crash = Some(why));
                done
            }
            _ => return Err(io::Error::other(format!("asked for {what}"))),
        })
    }

    /// Makes the chip busy: of what comes, only what fits into the UART is kept.
    fn busy(&mut self) {
        self.waiting.extend(self.from_host.try_iter().flatten());
        let lost = self.waiting.len().saturating_sub(FIFO);
        self.waiting.truncate(FIFO);
        self.board.with(|board| board.lost += lost);
    }
}
