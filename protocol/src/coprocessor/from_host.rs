//! Lines and the configuration from the STM32.

use super::{BAD_WIFI, Coprocessor, Tcp, Wifi, report_interval};
use crate::config::Config;
use crate::delivery::Delivery;
use crate::i2c::frame::{HostFrame, HostHeader, check_sum};
use crate::i2c::payload::Step;
use crate::tcp::endpoint::Timing;
use crate::time::{Duration, Instant};

impl Coprocessor {
    pub(super) fn take_from_host(&mut self, now: Instant) {
        while !self.exchange.received().is_empty() {
            if !is_configuration(self.exchange.received()) {
                self.exchange.on_continued();
            } else if !self.assembler.line().is_empty() {
                // The STM32 has begun anew, and its reset has not arrived here: the line whose part is here comes again, whole.
                self.assembler.clear();
                self.dropped = self.dropped.wrapping_add(1);
            }
            let payload = self.exchange.received();
            // A line instead of the configuration: this program has started again without the STM32
            // knowing. The line stays, and holds off the ones behind it, until the STM32 misses the
            // keepalives and resets.
            let header = self.assembler.first(payload).and_then(HostHeader::parse);
            if self.config.is_none() && header != Some(HostHeader::Config) {
                return;
            }
            if self.config.is_some()
                && let Some(len) = self.assembler.completes(payload)
                && let Some(HostHeader::Line(delivery)) = header
                && !self.may_take(delivery, len - 1)
            {
                return;
            }
            let step = self.assembler.push(payload);
            let (Step::Partial(used) | Step::Complete(used) | Step::TooLong(used)) = step;
            self.exchange.consume(used);
            match step {
                Step::Partial(_) => {}
                Step::TooLong(_) => self.dropped = self.dropped.wrapping_add(1),
                Step::Complete(_) => {
                    let taken = self.line_from_host(now);
                    self.dropped = self.dropped.wrapping_add(u32::from(!taken));
                    self.assembler.clear();
                }
            }
        }
    }

    /// A line that waits for all before it is taken only when nothing is before it: the fewer lines are
    /// here, the fewer a crash loses. Before the first connection none is taken, so that a reset then
    /// (because of a garbled configuration, say) loses nothing. `len` is that of its text.
    fn may_take(&self, delivery: Delivery, len: usize) -> bool {
        if self.connects == 0 {
            false
        } else if delivery.is_ordered() {
            self.endpoint.unacked() == 0
        } else {
            self.endpoint.has_room() && self.endpoint.store().fits(len)
        }
    }

    fn line_from_host(&mut self, now: Instant) -> bool {
        match HostFrame::parse(self.assembler.line()) {
            Ok(HostFrame::Config(_)) if self.config.is_none() => self.configure(now),
            Ok(HostFrame::Config(line)) => {
                is_same(self.config.as_ref(), line) && self.on_restarted(now)
            }
            Ok(HostFrame::Line { delivery, text }) if self.config.is_some() => {
                self.endpoint.write(now, text.as_bytes(), delivery).is_ok()
            }
            _ => false,
        }
    }

    fn configure(&mut self, now: Instant) -> bool {
        // In its place: on the way there it would be on the stack twice.
        let config = self.config.insert(Config::empty());
        if config.read(self.assembler.line()).is_err() {
            self.config = None;
            return false;
        }
        self.endpoint.set_timing(Timing::new(Duration::from_millis(u64::from(config.timeout_ms))));
        self.keepalive_at = Some(now);
        self.config_sum = Some(check_sum(self.assembler.line()));
        self.report_at = report_interval(config).map(|interval| now + interval);
        self.stay(now);
        if !matches!(self.wifi, Wifi::Up(_)) {
            self.join(now);
            self.bad_wifi_at = Some(now + BAD_WIFI);
        }
        self.tcp = Tcp::Waiting(now);
        true
    }

    /// Goes on with an STM32 that has begun anew, and whose reset has not arrived here: it has forgotten what it was told, and the
    /// line of which it may have had a part. What it has passed on is on its way, and it knows that.
    fn on_restarted(&mut self, now: Instant) -> bool {
        self.exchange.on_restarted();
        self.to_host.on_restarted();
        self.reported_up = false;
        self.keepalive_at = Some(now);
        self.config_sum = Some(check_sum(self.assembler.line()));
        true
    }
}

/// Returns true if this line has the same configuration. Apart, as below.
#[inline(never)]
fn is_same(config: Option<&Config>, line: &[u8]) -> bool {
    let mut other = Config::empty();
    other.read(line).is_ok() && config == Some(&other)
}

/// Returns true if a payload is a whole configuration, as no part of a line is. Apart, since it takes room on the stack.
#[inline(never)]
fn is_configuration(payload: &[u8]) -> bool {
    payload.split_last().is_some_and(|(end, line)| {
        *end == b'\n'
            && line.first().copied().and_then(HostHeader::parse) == Some(HostHeader::Config)
            && Config::empty().read(line).is_ok()
    })
}
