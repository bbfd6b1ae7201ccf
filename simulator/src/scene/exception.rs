//! The exceptions of docs/PROTOCOL.md that a scene may allow, and how much each of them allows.

use pblink_protocol::app::QUEUE;
use serde::{Deserialize, Serialize};

use super::demand::{Demand, Unmet};
use super::fault::{Kind, SceneFault};
use crate::ledger::Totals;
use crate::world::World;

/// An exception, by its number and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub(super) enum Exception {
    /// Lines that the STM32 had passed on are lost, and one from the server may come twice, for each reset of the ESP8266.
    #[serde(rename = "1 esp8266-restarts")]
    Esp8266Restarts,
    /// Lines in the STM32's memory are lost, for each loss of power. Without keys, its program's restart is one.
    #[serde(rename = "2 stm32-loses-power")]
    Stm32LosesPower,
    /// A text changes, for each bit that is inverted.
    #[serde(rename = "7 bit-inverted-on-i2c")]
    BitInvertedOnI2c,
}

/// Lines that a queue of the STM32 has room for, at most: none is shorter than ten bytes.
const QUEUED: u64 = QUEUE as u64 / 10;

/// The most of each kind that a board may have, in one direction.
#[derive(Debug, Default)]
struct Most {
    missing: u64,
    duplicated: u64,
    reordered: u64,
    unknown: u64,
}

impl Most {
    /// `demands`: that all arrive, once, in order, as they were written.
    fn check(&self, totals: &Totals, direction: &str, demands: [Demand; 4]) -> Result<(), Unmet> {
        let counts = [
            ("missing", totals.missing, self.missing),
            ("duplicated", totals.duplicated, self.duplicated),
            ("out of order", totals.reordered, self.reordered),
            ("unknown", totals.unknown, self.unknown),
        ];
        for ((name, count, most), demand) in counts.into_iter().zip(demands) {
            if count > most {
                let what = format!("{count} lines {direction} {name}, {most} allowed");
                return Err(Unmet::new(demand, what));
            }
        }
        Ok(())
    }
}

impl Exception {
    /// Only 2 is left on the secure link.
    pub(super) fn is_possible_with_keys(self) -> bool {
        self == Self::Stm32LosesPower
    }

    /// A fault of this kind can be the cause.
    pub(super) fn is_caused_by(self, kind: Kind) -> bool {
        match self {
            Self::Esp8266Restarts => matches!(
                kind,
                Kind::Esp8266Crash
                    | Kind::Esp8266Hang
                    | Kind::Esp8266Restart
                    | Kind::Esp8266TakesNothing
                    | Kind::PowerCycle
                    | Kind::Stm32Restart
                    | Kind::WireStuck
                    | Kind::I2cNak
                    | Kind::I2cMasterError
                    | Kind::I2cSlaveError
                    | Kind::I2cGarblePayload
                    | Kind::I2cGarbleHeader
                    | Kind::I2cDeaf
            ),
            Self::Stm32LosesPower => matches!(kind, Kind::PowerCycle | Kind::Stm32Restart),
            Self::BitInvertedOnI2c => {
                matches!(kind, Kind::I2cGarblePayload | Kind::I2cGarbleHeader)
            }
        }
    }
}

/// Checks the accounts of a board. `keys`: of the secure link. `waits`: its lines wait for each other. `stalls`: times at which a
/// commit of the server takes a time-out or longer.
///
/// # Errors
/// The first limit that they exceed.
pub(super) fn check(
    world: &mut World,
    board: usize,
    faults: &[SceneFault],
    allowed: &[Exception],
    (keys, waits, stalls): (bool, bool, u64),
) -> Result<(), Unmet> {
    let times = |exception: Exception| {
        let cause = |f: &&SceneFault| f.board == board && exception.is_caused_by(f.kind);
        let count = faults.iter().filter(cause).count() as u64;
        if allowed.contains(&exception) { count } else { 0 }
    };
    let power = times(Exception::Stm32LosesPower);
    let bits = times(Exception::BitInvertedOnI2c);
    let esp = match allowed.contains(&Exception::Esp8266Restarts) {
        true => u64::from(world.pair(board).crashes().max(world.resets(board))),
        false => 0,
    };
    // A memory that outlives restarts has room for more, and is known.
    let gone = match keys && power > 0 {
        true => world.pair(board).gone_with_power(),
        false => power * QUEUED,
    };
    // A number that has changed may be that of any line that waits.
    let strays = bits * QUEUED;
    // An end of a line that has changed joins two.
    let is_payload = |f: &&SceneFault| f.board == board && f.kind == Kind::I2cGarblePayload;
    let changed = bits + bits.min(faults.iter().filter(is_payload).count() as u64);
    let outward = Most {
        missing: esp * if waits { 2 } else { 5 } + gone + changed,
        duplicated: bits,
        reordered: strays,
        unknown: bits,
    };
    let undetermined = world.undetermined();
    let unread = if keys { undetermined } else { power };
    let inward = Most {
        missing: if power > 0 { unread } else { 0 } + changed,
        // What a server has not stored for a time-out it sends again, and an ESP8266 that began anew does not know it.
        duplicated: if keys { 0 } else { esp + esp.min(stalls) * QUEUED + power } + bits,
        reordered: strays,
        unknown: bits,
    };
    if undetermined > 0 && power == 0 {
        let what = format!("the server calls {undetermined} lines undetermined");
        return Err(Unmet::new(Demand::Undetermined, what));
    }
    // A number that has changed overtakes others.
    let overtaken = if waits && bits == 0 { world.overtaken(board) } else { 0 };
    let late = world.unexcused(board) + overtaken;
    if late > changed {
        let what =
            format!("{late} lines to the server missing, written when nothing could be lost");
        return Err(Unmet::new(Demand::ToServerMissing, what));
    }
    let (to_server, from_server) = world.ledgers(board);
    let demands = [
        Demand::ToServerMissing,
        Demand::ToServerDuplicated,
        Demand::ToServerReordered,
        Demand::ToServerUnknown,
    ];
    outward.check(&to_server.totals(), "to the server", demands)?;
    let demands = [
        Demand::FromServerMissing,
        Demand::FromServerDuplicated,
        Demand::FromServerReordered,
        Demand::FromServerUnknown,
    ];
    inward.check(&from_server.totals(), "from the server", demands)
}
