//! Faults of a pair.

use pblink_protocol::secure::board::Memory;
use pblink_protocol::time::Instant;

use super::bus::Part;
use super::{Esp, Pair, PairEvent, Radio};
use crate::fault::Fault;
use crate::flaw::Flaw;

impl Pair {
    /// Something goes wrong.
    pub fn inject(&mut self, fault: Fault, now: Instant) {
        self.crashes += u32::from(matches!(
            fault,
            Fault::Crash | Fault::Hang(_) | Fault::Restart | Fault::PowerCycle
        ));
        match fault {
            Fault::WifiOutage(length) => {
                let until = now + length;
                self.network_back_at = self.network_back_at.max(Some(until));
                self.radio = Radio::Idle;
                self.tell_wifi(now, false);
            }
            Fault::Crash => self.lose_esp(Esp::Crashed),
            Fault::Hang(length) => {
                self.esp = match std::mem::replace(&mut self.esp, Esp::Off) {
                    Esp::Running(esp) => Esp::Hung(esp, now + length),
                    other => other,
                };
            }
            Fault::Restart => self.boot(now),
            Fault::TakesNothing => self.takes_nothing = matches!(self.esp, Esp::Running(_)),
            Fault::WifiForgets => self.forgotten = self.radio == Radio::Joined,
            Fault::PowerCycle => {
                if self.app.is_secure() {
                    self.acked_before = self.acked();
                    let memory = self.app.board().memory();
                    self.gone_with_power += memory.next() - memory.first();
                }
                self.restart_program();
                self.give_keys(None);
                self.events.push_back(PairEvent::PowerCycled);
                self.boot(now);
                self.start_app(now);
            }
            Fault::HostRestart => {
                let kept = self.restart_program().filter(|_| self.flaw != Some(Flaw::LosesMemory));
                self.give_keys(kept);
                self.start_app(now);
            }
            Fault::Stuck(wire, level, length) => self.wires.stick(wire, level, now + length, now),
            Fault::Nak => self.nak_next = true,
            Fault::BusError(end) => self.errs_next = Some(end),
            Fault::GarbleHeader => self.garble = Some(Part::Header),
            Fault::GarblePayload => self.garble = Some(Part::Payload),
            Fault::Deaf(length) => self.deaf_until = self.deaf_until.max(now + length),
        }
        self.settle(now);
    }
}
