//! A board on a pseudo-terminal, for programs. It has no wires for resetting: the system does not offer
//! them there.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

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
        let (master, slave, path) = open().expect("the system has pseudo-terminals");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            // It ends when the cable is pulled; then both ends are closed.
            let _ = play(&board, master, &stopped);
            // Open until now, so that one program after another can come.
            drop(slave);
        });
        Self { path, stop, thread: Some(thread) }
    }

    /// Returns the path that a program opens.
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

/// Both ends and the path. Closed in programs that other tests start: they would keep it alive.
fn open() -> io::Result<(File, File, String)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let path = ptsname(&master, Vec::new())?.to_string_lossy().into_owned();
    rustix::io::ioctl_fionbio(&master, true)?;
    let not_ours = OFlags::NOCTTY.bits() as i32;
    let slave = OpenOptions::new().read(true).write(true).custom_flags(not_ours).open(&path)?;
    let mut settings = tcgetattr(&slave)?;
    settings.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &settings)?;
    Ok((master.into(), slave, path))
}

fn play(board: &Board, mut master: File, stop: &AtomicBool) -> io::Result<()> {
    let mut buffer = [0; 4096];
    while !stop.load(Ordering::Relaxed) {
        let count = match ready(&master, PollFlags::IN)? {
            true => master.read(&mut buffer)?,
            false => 0,
        };
        let output = {
            let mut chip = board.chip();
            // Both ends of a pseudo-terminal have one speed: the one that the program has set.
            chip.host_baud = tcgetattr(&master)?.output_speed();
            let baud = chip.host_baud;
            chip.feed(&buffer[..count], baud);
            if chip.gone {
                return Ok(());
            }
            std::mem::take(&mut chip.output)
        };
        // Perhaps no program reads at the other end: then what does not fit waits.
        let mut rest = &output[..];
        while !rest.is_empty() && !stop.load(Ordering::Relaxed) {
            let written = match ready(&master, PollFlags::OUT)? {
                true => master.write(rest),
                false => Ok(0),
            };
            match written {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Waits a moment for the master; only how soon a stop is seen depends on its length.
fn ready(master: &File, wanted: PollFlags) -> io::Result<bool> {
    let moment = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    let mut list = [PollFd::from_borrowed_fd(master.as_fd(), wanted)];
    poll(&mut list, Some(&moment))?;
    Ok(list[0].revents().intersects(wanted))
}
