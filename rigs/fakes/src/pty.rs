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
use rustix::termios::{LocalModes, OptionalActions, OutputModes, tcgetattr, tcsetattr};

/// A board behind a pseudo-terminal: takes what has come, and the speed of the line; returns what it sends, or `None`
/// when the cable was pulled.
pub(crate) type Device = Box<dyn FnMut(&[u8], u32) -> Option<Vec<u8>> + Send>;

/// A pseudo-terminal behind which a thread plays the board, until it is dropped.
#[derive(Debug)]
pub struct Pty {
    path: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pty {
    pub(crate) fn new(mut device: Device) -> Self {
        let (master, slave, path) = open(Slave::Raw).expect("the system has pseudo-terminals");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            // It ends when the cable is pulled; then both ends are closed.
            let _ = play(&mut device, master, &stopped);
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

/// The one who uses the end that is a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slave {
    /// A program that takes it for a serial line.
    Raw,
    /// A program for people, which ctrl-C interrupts. What is typed is not shown.
    People,
}

/// Both ends and the path. Closed in programs that other tests start: they would keep it alive.
pub(crate) fn open(kind: Slave) -> io::Result<(File, File, String)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let path = ptsname(&master, Vec::new())?.to_string_lossy().into_owned();
    rustix::io::ioctl_fionbio(&master, true)?;
    let not_ours = OFlags::NOCTTY.bits() as i32;
    let slave = OpenOptions::new().read(true).write(true).custom_flags(not_ours).open(&path)?;
    let mut settings = tcgetattr(&slave)?;
    match kind {
        Slave::Raw => settings.make_raw(),
        Slave::People => {
            settings.local_modes.remove(LocalModes::ECHO);
            settings.output_modes.remove(OutputModes::OPOST);
        }
    }
    tcsetattr(&slave, OptionalActions::Now, &settings)?;
    Ok((master.into(), slave, path))
}

fn play(device: &mut Device, mut master: File, stop: &AtomicBool) -> io::Result<()> {
    let mut buffer = [0; 4096];
    while !stop.load(Ordering::Relaxed) {
        let count = match ready(&master, PollFlags::IN)? {
            true => master.read(&mut buffer)?,
            false => 0,
        };
        // Both ends of a pseudo-terminal have one speed: the one that the program has set.
        let baud = tcgetattr(&master)?.output_speed();
        let Some(output) = device(&buffer[..count], baud) else { return Ok(()) };
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
pub(crate) fn ready(master: &File, wanted: PollFlags) -> io::Result<bool> {
    let moment = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    let mut list = [PollFd::from_borrowed_fd(master.as_fd(), wanted)];
    poll(&mut list, Some(&moment))?;
    Ok(list[0].revents().intersects(wanted))
}
