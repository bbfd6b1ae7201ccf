//! Finding the board's port, and waiting for it.

use std::time::Duration;

use super::port::{Port, Serial, missing};
use super::ports::{Adapter, adapters, none_known, only};
use crate::{Chip, Error, Kind, Progress, Result, Step};

/// The place to look for ports: this machine, or in tests something else.
pub trait Ports {
    /// A port that is open.
    type Port: Port;

    /// Returns the ports that have a known adapter. Opens none.
    ///
    /// # Errors
    /// They cannot be listed.
    fn adapters(&mut self) -> Result<Vec<Adapter>>;

    /// Returns true if there is a port of this name, whatever it is.
    fn is_there(&mut self, path: &str) -> bool;

    /// Opens a port.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::Busy`], [`Kind::Permission`].
    fn open(&mut self, path: &str) -> Result<Self::Port>;

    /// Lets time pass.
    fn pause(&mut self, time: Duration);
}

/// The ports of this machine, with the adapters that boards with this chip have.
#[derive(Debug)]
pub struct SystemPorts(pub Chip);

impl Ports for SystemPorts {
    type Port = Serial;

    fn adapters(&mut self) -> Result<Vec<Adapter>> {
        adapters(self.0)
    }

    fn is_there(&mut self, path: &str) -> bool {
        std::path::Path::new(path).exists()
    }

    fn open(&mut self, path: &str) -> Result<Serial> {
        Serial::open(path)
    }

    fn pause(&mut self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// The user's choice of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedPort {
    /// Its name; none: the only adapter of a known kind.
    pub path: Option<String>,
    /// Longest wait for it.
    pub wait: Duration,
}

/// A port that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPort {
    /// The path to open.
    pub path: String,
    /// It has come while it was waited for.
    came: bool,
}

/// Time between two looks for a port.
const LOOK: Duration = Duration::from_millis(500);

/// Time in which a port that has just come may still be closed to us: it belongs to root until udev has given it its
/// group, and ModemManager first tries whether it is a modem.
const SETTLE: Duration = Duration::from_secs(10);

impl WantedPort {
    /// Returns the path of the port if it is there.
    fn look(&self, ports: &mut impl Ports) -> Result<Option<String>> {
        match &self.path {
            Some(path) => Ok(ports.is_there(path).then(|| path.clone())),
            None => match ports.adapters()?.as_slice() {
                [] => Ok(None),
                some => only(some).map(|adapter| Some(adapter.path.clone())),
            },
        }
    }

    /// Returns the error of a port that is not there.
    fn none(&self) -> Error {
        match &self.path {
            Some(path) => missing(path),
            None => none_known(),
        }
    }
}

/// Finds the one port that the user means, and waits for it if need be. Opens none: that would reset the board.
///
/// # Errors
/// [`Kind::NotFound`] if none came in time, or several could be meant: then they are listed. [`Kind::Cancelled`].
pub fn find(
    ports: &mut impl Ports,
    wanted: &WantedPort,
    progress: &mut dyn Progress,
) -> Result<FoundPort> {
    let mut waited = Duration::ZERO;
    let mut came = false;
    loop {
        if let Some(path) = wanted.look(ports)? {
            if came {
                progress.end();
            }
            return Ok(FoundPort { path, came });
        }
        if waited >= wanted.wait {
            return Err(wanted.none());
        }
        if !came {
            let what = match &wanted.path {
                Some(path) => format!("the port {path}"),
                None => "a USB serial adapter of a known kind".to_owned(),
            };
            progress.note(wanted.none().remedy());
            progress.begin(Step::Wait, &what, wanted.wait.as_secs());
            came = true;
        }
        pause(ports, progress)?;
        waited += LOOK;
        progress.advance(waited.min(wanted.wait).as_secs());
    }
}

impl FoundPort {
    /// Opens it. One that has just come gets some seconds until it is ours.
    ///
    /// # Errors
    /// Those of [`Ports::open`]; [`Kind::Cancelled`].
    pub fn open<P: Ports>(&self, ports: &mut P, progress: &mut dyn Progress) -> Result<P::Port> {
        let mut waited = Duration::ZERO;
        loop {
            match ports.open(&self.path) {
                Err(error) if self.came && waited < SETTLE && may_pass(&error) => {}
                result => return result,
            }
            pause(ports, progress)?;
            waited += LOOK;
        }
    }
}

fn may_pass(error: &Error) -> bool {
    matches!(error.kind(), Kind::Permission | Kind::Busy | Kind::NotFound)
}

fn pause(ports: &mut impl Ports, progress: &dyn Progress) -> Result<()> {
    if progress.cancelled() {
        return Err(Error::new(Kind::Cancelled, "stopped by you", "nothing was changed"));
    }
    ports.pause(LOOK);
    Ok(())
}
