//! The supervisor of the ESP8266: its progress since its last reset, and the reasons to reset it
//! again.

use core::fmt;

use crate::i2c::Failure;
use crate::time::{Duration, Instant, earliest};

/// The longest silence between two keepalives. An ESP8266 that is silent for longer has crashed.
pub const CRASH_TIMEOUT: Duration = Duration::from_secs(4);

/// The longest time from the configuration to the first keepalive. A published ESP8266 sends none
/// before it has reached the server, which takes it half a minute at worst; one that got a garbled
/// configuration (I2C has no checksum) never sends one.
pub const FIRST_KEEPALIVE: Duration = Duration::from_secs(60);

/// The longest time from the configuration to the first connection to the server. The ESP8266 is then
/// reset, in case the configuration was garbled on the bus, which has no checksum, or the chip is
/// stuck. It has taken no lines by then, so nothing is lost.
pub const SERVER_TIMEOUT: Duration = Duration::from_secs(300);

/// The reason for which the ESP8266 is being reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResetCause {
    /// It sent no keepalive for [`CRASH_TIMEOUT`], or no first one for [`FIRST_KEEPALIVE`].
    Silent,
    /// It has not reached the server for [`SERVER_TIMEOUT`] since it was configured or, with keys, since it lost the last one.
    NoServer,
    /// An exchange failed.
    Exchange(Failure),
    /// It has another configuration than it was given: bits were inverted on the bus, which has no checksum.
    Garbled,
    /// The application asked for it.
    Requested,
    /// Nothing that the server has sealed came for too long, although there is a connection. Only a
    /// [secure link](super::secure) knows.
    Unproven,
}

impl fmt::Display for ResetCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("the ESP8266 stopped sending keepalives, or never began"),
            Self::NoServer => f.write_str("the ESP8266 found no server for 5 min"),
            Self::Garbled => f.write_str("the configuration reached the ESP8266 with an error"),
            Self::Exchange(failure) => failure.fmt(f),
            Self::Requested => f.write_str("the application asked for it"),
            Self::Unproven => {
                f.write_str("nothing came through the ESP8266 that the server has sealed")
            }
        }
    }
}

/// The progress of the ESP8266 since its last reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    /// It is in reset, boots, or is not used.
    Down,
    /// It waits for the configuration.
    Configuring,
    /// It has the configuration, and takes lines.
    Running,
}

/// Supervisor of one ESP8266.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Supervisor {
    phase: Phase,
    /// The ESP8266 has had its configuration once.
    started: bool,
    /// The ESP8266 counts as crashed from then on.
    crash_at: Option<Instant>,
    /// No line is lost by a reset.
    lossless: bool,
    /// The ESP8266 has had a server since the reset.
    reached: bool,
    /// The deadline of a connection to the server: of the first one since the reset, or of any if a reset is
    /// [lossless](Self::set_lossless).
    server_by: Option<Instant>,
    /// When the ESP8266 said that it has another configuration.
    garbled_at: Option<Instant>,
    /// The application does not read, so keepalives cannot come through: do not wait for them.
    blocked: bool,
    server_up: bool,
    /// A keepalive came before the first server.
    is_ours: bool,
    resets: u32,
}

impl Supervisor {
    pub(super) const fn new() -> Self {
        Self {
            phase: Phase::Down,
            started: false,
            crash_at: None,
            lossless: false,
            reached: false,
            server_by: None,
            garbled_at: None,
            blocked: false,
            server_up: false,
            is_ours: false,
            resets: 0,
        }
    }

    /// Notes that no line is lost by a reset. Without that, one whose server is away is left alone once it has had it: that costs
    /// nothing, and a reset may cost lines.
    pub(super) fn set_lossless(&mut self) {
        self.lossless = true;
    }

    /// Returns true while the ESP8266 is neither being configured nor running.
    pub(super) fn is_down(&self) -> bool {
        self.phase == Phase::Down
    }

    /// Returns true once the ESP8266 has its configuration.
    pub(super) fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// Returns true while the ESP8266 has a server.
    pub(super) fn server_up(&self) -> bool {
        self.server_up
    }

    /// Returns the number of times that the ESP8266 was reset because of a failure or on demand.
    pub(super) fn resets(&self) -> u32 {
        self.resets
    }

    /// Counts a reset because of a failure or on demand.
    pub(super) fn on_reset(&mut self) {
        self.resets = self.resets.wrapping_add(1);
    }

    /// Notes that the ESP8266 goes into reset, or is not used any more. Returns true if its server was up.
    pub(super) fn on_down(&mut self) -> bool {
        self.phase = Phase::Down;
        self.crash_at = None;
        self.reached = false;
        self.server_by = None;
        self.garbled_at = None;
        self.blocked = false;
        self.is_ours = false;
        core::mem::take(&mut self.server_up)
    }

    /// Notes that the ESP8266 has booted and waits for its configuration.
    pub(super) fn on_synchronised(&mut self) {
        self.phase = Phase::Configuring;
    }

    /// Notes that a whole line has been passed. Returns true if it was the first configuration of all.
    pub(super) fn on_passed(&mut self, now: Instant) -> bool {
        if self.phase != Phase::Configuring {
            return false;
        }
        self.phase = Phase::Running;
        self.crash_at = Some(now + FIRST_KEEPALIVE);
        self.server_by = Some(now + SERVER_TIMEOUT);
        !core::mem::replace(&mut self.started, true)
    }

    /// Returns true if the ESP8266 runs our program: a published one sends no keepalive before it has a server.
    pub(super) fn is_ours(&self) -> bool {
        self.is_ours
    }

    /// Notes a keepalive.
    pub(super) fn on_keepalive(&mut self, now: Instant) {
        self.is_ours |= self.is_running() && !self.reached;
        self.crash_at = Some(now + CRASH_TIMEOUT);
    }

    /// Notes that the ESP8266 has another configuration than it was given. It is in no network by then: a reset costs the line that
    /// waits in it, at most.
    pub(super) fn on_garbled(&mut self, now: Instant) {
        self.garbled_at.get_or_insert(now);
    }

    /// Notes a part of a line. The ESP8266's program must run to send the rest, and keepalives wait
    /// behind it.
    pub(super) fn on_part(&mut self, now: Instant) {
        self.crash_at = self.crash_at.map(|at| at.max(now + CRASH_TIMEOUT));
    }

    /// Notes a line for which there is no room: nothing comes through behind it.
    pub(super) fn on_blocked(&mut self) {
        self.blocked = true;
        self.crash_at = None;
    }

    /// Notes that all that has come was taken.
    pub(super) fn on_taken(&mut self, now: Instant) {
        if core::mem::take(&mut self.blocked) {
            self.crash_at = Some(now + CRASH_TIMEOUT);
        }
    }

    /// Notes whether the ESP8266 has a server. Returns true if that is new.
    pub(super) fn on_server(&mut self, now: Instant, up: bool) -> bool {
        let before = core::mem::replace(&mut self.server_up, up);
        if up {
            self.reached = true;
            self.server_by = None;
        } else if before && self.lossless {
            self.server_by = Some(now + SERVER_TIMEOUT);
        }
        before != up
    }

    /// Returns the reason for a reset that is due.
    pub(super) fn overdue(&self, now: Instant) -> Option<ResetCause> {
        let due = |at: Option<Instant>| at.is_some_and(|at| now >= at);
        if due(self.garbled_at) {
            Some(ResetCause::Garbled)
        } else if due(self.crash_at) {
            Some(ResetCause::Silent)
        } else if due(self.server_by) {
            Some(ResetCause::NoServer)
        } else {
            None
        }
    }

    /// Returns the time at which a reset may be due: `now` at the earliest.
    pub(super) fn poll_at(&self, now: Instant) -> Option<Instant> {
        earliest(self.garbled_at, earliest(self.crash_at, self.server_by)).map(|at| at.max(now))
    }
}
