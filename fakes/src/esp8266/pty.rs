//! A board on a pseudo-terminal, for programs. It has no wires for resetting: the system does not offer
//! them there.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serialport::{SerialPort, TTYPort};

use super::Board;

/// A pseudo-terminal behind which a thread plays the board, until it is dropped.
#[derive(Debug)]
pub struct Pty {
    path: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pty {
    pub(super) fn new(board: Board) -> Self {
        let (master, slave) = TTYPort::pair().expect("the system has pseudo-terminals");
        let path = slave.name().expect("it has a name");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        // Kept open, so that one program after another can come.
        let thread = std::thread::spawn(move || play(&board, master, slave, &stopped));
        Self { path, stop, thread: Some(thread) }
    }

    /// What a program opens.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn play(board: &Board, mut master: TTYPort, slave: TTYPort, stop: &AtomicBool) {
    let mut buffer = [0; 4096];
    // Only how soon a stop is seen depends on it.
    if master.set_timeout(Duration::from_millis(20)).is_err() {
        return;
    }
    while !stop.load(Ordering::Relaxed) {
        let count = match master.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => 0,
            Err(_) => break,
        };
        let output = {
            let mut chip = board.chip();
            // Both ends of a pseudo-terminal have one speed: the one that the program has set.
            if let Ok(baud) = master.baud_rate() {
                chip.host_baud = baud;
            }
            let baud = chip.host_baud;
            chip.feed(&buffer[..count], baud);
            if chip.gone {
                // The cable is pulled: both ends are closed.
                break;
            }
            std::mem::take(&mut chip.output)
        };
        if write(&mut master, &output, stop).is_err() {
            break;
        }
    }
    drop(slave);
}

/// Nobody may be reading at the other end: then what does not fit waits, and a stop ends it.
fn write(master: &mut TTYPort, mut bytes: &[u8], stop: &AtomicBool) -> std::io::Result<()> {
    while !bytes.is_empty() && !stop.load(Ordering::Relaxed) {
        match master.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
