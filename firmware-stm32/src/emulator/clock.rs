//! Embassy's clock: TIM2 counts microseconds, SysTick wakes.
//!
//! QEMU's TIM2 counts with the emulator's time whether it is read or not, so nothing is lost when this
//! machine is busy. SysTick is started for one alarm at a time: an idle board is not woken.

use core::cell::RefCell;
use core::task::Waker;

use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

/// TIM2 (RM0090 §18.4): its registers, in words from the first.
const TIM2: *mut u32 = 0x4000_0000 as *mut u32;
const CNT: usize = 9;
const PSC: usize = 10;
/// QEMU counts 1000 million in a second.
const PRESCALER: u32 = 1000 - 1;

/// SysTick (ARM DDI 0403 §B3.3).
const SYST_CSR: *mut u32 = 0xe000_e010 as *mut u32;
const SYST_RVR: *mut u32 = 0xe000_e014 as *mut u32;
const SYST_CVR: *mut u32 = 0xe000_e018 as *mut u32;
/// Enabled, with its interrupt, from the core's clock.
const RUN: u32 = 7;
/// QEMU's core clock.
const CYCLES_PER_MICRO: u64 = 168;
/// The longest time that 24 bits hold, in µs.
const LONGEST: u64 = 0x00ff_ffff / CYCLES_PER_MICRO;

struct Alarms {
    queue: Queue,
    /// The counter when it was last looked at, and how often it has passed 2³².
    last: u32,
    wraps: u32,
}

struct Clock(Mutex<RefCell<Alarms>>);

embassy_time_driver::time_driver_impl!(static CLOCK: Clock =
    Clock(Mutex::new(RefCell::new(Alarms { queue: Queue::new(), last: 0, wraps: 0 }))));

pub(super) fn start() {
    // SAFETY: a register of a peripheral that only this module uses.
    unsafe { TIM2.add(PSC).write_volatile(PRESCALER) }
}

/// Handles that an alarm is due, or that the longest time that SysTick can count is over.
pub(super) fn on_alarm() {
    critical_section::with(|cs| CLOCK.0.borrow_ref_mut(cs).set(cs));
}

impl Alarms {
    fn now(&mut self) -> u64 {
        // SAFETY: as in `start`.
        let micros = unsafe { TIM2.add(CNT).read_volatile() };
        // The link's keepalives see to it that this is called more often than every 71 minutes.
        self.wraps += u32::from(micros < self.last);
        self.last = micros;
        u64::from(self.wraps) << 32 | u64::from(micros)
    }

    /// Wakes who is due, and starts SysTick for the next.
    fn set(&mut self, _: CriticalSection<'_>) {
        let mut now = self.now();
        let mut next = self.queue.next_expiration(now);
        // It may have become due just now.
        while next <= self.now() {
            now = self.now();
            next = self.queue.next_expiration(now);
        }
        let cycles = (next - now).clamp(1, LONGEST) * CYCLES_PER_MICRO;
        // SAFETY: registers of the core that only this module uses.
        unsafe {
            SYST_CSR.write_volatile(0);
            if next != u64::MAX {
                SYST_RVR.write_volatile(cycles as u32);
                SYST_CVR.write_volatile(0);
                SYST_CSR.write_volatile(RUN);
            }
        }
    }
}

impl Driver for Clock {
    fn now(&self) -> u64 {
        critical_section::with(|cs| self.0.borrow_ref_mut(cs).now())
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            let mut alarms = self.0.borrow_ref_mut(cs);
            if alarms.queue.schedule_wake(at, waker) {
                alarms.set(cs);
            }
        });
    }
}
