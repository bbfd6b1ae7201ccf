//! Faults of a scene.

use pblink_protocol::time::{Duration, Instant};
use serde::{Deserialize, Serialize};

use crate::fault::{BusEnd, Fault, Wire};
use crate::world::World;

/// All faults that a world knows, by the names that files have for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    WifiOutage,
    Esp8266Crash,
    Esp8266Hang,
    Esp8266Restart,
    Esp8266TakesNothing,
    WifiForgets,
    PowerCycle,
    Stm32Restart,
    WireStuck,
    I2cNak,
    I2cMasterError,
    I2cSlaveError,
    I2cGarblePayload,
    I2cGarbleHeader,
    I2cDeaf,
    TcpCut,
    TcpHalfOpen,
    TcpSlow,
    ServerRestart,
    ServerKill,
    ServerStall,
    ServerDoesNotRead,
    ProgramStopsReading,
    ProgramReads,
}

/// The place of a fault in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    At(Instant),
    /// At each step of a time, in a run of its own.
    EachStep(Instant, Instant),
}

/// One fault, with all that it needs.
#[derive(Debug, Clone)]
pub(super) struct SceneFault {
    pub(super) when: When,
    pub(super) board: usize,
    pub(super) kind: Kind,
    /// Zero for faults without.
    pub(super) length: Duration,
    pub(super) wire: Wire,
    pub(super) high: bool,
}

impl Kind {
    /// It lasts for a time, which has to be given.
    pub(super) const fn has_length(self) -> bool {
        matches!(
            self,
            Self::WifiOutage
                | Self::Esp8266Hang
                | Self::WireStuck
                | Self::I2cDeaf
                | Self::TcpSlow
                | Self::ServerRestart
                | Self::ServerKill
                | Self::ServerStall
                | Self::ServerDoesNotRead
        )
    }

    /// It is of one board. The others are of the server.
    pub(super) const fn has_board(self) -> bool {
        !matches!(
            self,
            Self::ServerRestart | Self::ServerKill | Self::ServerStall | Self::ServerDoesNotRead
        )
    }
}

impl SceneFault {
    pub(super) fn begins(&self) -> Instant {
        match self.when {
            When::At(at) | When::EachStep(at, _) => at,
        }
    }

    pub(super) fn inject(&self, world: &mut World) {
        let (board, length) = (self.board, self.length);
        let fault = match self.kind {
            Kind::WifiOutage => Fault::WifiOutage(length),
            Kind::Esp8266Crash => Fault::Crash,
            Kind::Esp8266Hang => Fault::Hang(length),
            Kind::Esp8266Restart => Fault::Restart,
            Kind::Esp8266TakesNothing => Fault::TakesNothing,
            Kind::WifiForgets => Fault::WifiForgets,
            Kind::PowerCycle => Fault::PowerCycle,
            Kind::Stm32Restart => Fault::HostRestart,
            Kind::WireStuck => Fault::Stuck(self.wire, self.high, length),
            Kind::I2cNak => Fault::Nak,
            Kind::I2cMasterError => Fault::BusError(BusEnd::Master),
            Kind::I2cSlaveError => Fault::BusError(BusEnd::Slave),
            Kind::I2cGarblePayload => Fault::GarblePayload,
            Kind::I2cGarbleHeader => Fault::GarbleHeader,
            Kind::I2cDeaf => Fault::Deaf(length),
            Kind::TcpCut => return world.cut(board),
            Kind::TcpHalfOpen => return world.half_open(board),
            Kind::TcpSlow => return world.slow_down(board, length),
            Kind::ServerRestart => return world.server_outage(length),
            Kind::ServerKill => return world.server_crash(length),
            Kind::ServerStall => return world.server_stall(length),
            Kind::ServerDoesNotRead => return world.server_does_not_read(length),
            Kind::ProgramStopsReading => return world.pair(board).set_reads(false),
            Kind::ProgramReads => return world.pair(board).set_reads(true),
        };
        world.inject(board, fault);
    }
}
