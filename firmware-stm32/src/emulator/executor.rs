//! One program, polled when an interrupt has woken it.

use core::future::Future;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, RawWaker, RawWakerVTable, Waker};

static WOKEN: AtomicBool = AtomicBool::new(true);

const VTABLE: RawWakerVTable = RawWakerVTable::new(|_| RAW, |_| wake(), |_| wake(), |_| ());
const RAW: RawWaker = RawWaker::new(core::ptr::null(), &VTABLE);

fn wake() {
    WOKEN.store(true, Ordering::Release);
}

/// Runs the program. Embassy's executor would wait with WFE, which QEMU takes for "go on": a core of this
/// machine would never rest.
pub fn run(program: impl Future<Output = core::convert::Infallible>) -> ! {
    super::clock::start();
    super::uart::start();
    // SAFETY: the functions of the table use no data.
    let waker = unsafe { Waker::from_raw(RAW) };
    let mut context = Context::from_waker(&waker);
    let mut program = pin!(program);
    loop {
        if WOKEN.swap(false, Ordering::Acquire) {
            // It never ends.
            let _ = program.as_mut().poll(&mut context);
        }
        // An interrupt that comes before WFI ends it, and is served when interrupts are open again.
        critical_section::with(|_| {
            if !WOKEN.load(Ordering::Acquire) {
                cortex_m::asm::wfi();
            }
        });
    }
}
