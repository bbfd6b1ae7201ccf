//! The chip as after a reset, whoever has started the program.
//!
//! The boot loader in ROM does not reset the chip after flashing over USB, it jumps into the program
//! (AN3156): the vector table is still its own, its interrupts may be enabled or masked, its SysTick
//! may run, and the host still talks to its USB. The first interrupt would run a handler in ROM on memory
//! that is ours by now. So, in this order:
//!
//! 1. `cortex-m-rt`'s feature `set-vtor` sets the vector table, with the first instructions.
//! 2. `__pre_init` below disables all interrupts: clearing the RAM takes long enough for one to come.
//! 3. [`take_over`] does the rest, before any peripheral is used.

use cortex_m::peripheral::{NVIC, SCB, SYST};
use embassy_stm32::pac;

use crate::restart::{self, RestartCause};

/// Before RAM is initialised there must be no Rust: NVIC_ICER0 to 3 (82 interrupts; the
/// STM32F446 has 97) and STK_CTRL, PM0214
/// §4.3.3 and §4.5.1. Weak, so that an application can have a `#[pre_init]` of its own. It disables but
/// does not mask: who does not call [`take_over`] finds interrupts as after a reset.
#[cfg(target_arch = "arm")]
#[allow(unsafe_code)]
mod pre_init {
    // SAFETY: it changes nothing but the two registers and r0, r1, which a function may.
    core::arch::global_asm!(
        ".section .text.pblink_pre_init, \"ax\"",
        ".weak __pre_init",
        ".type __pre_init, %function",
        ".thumb_func",
        "__pre_init:",
        "ldr r0, =0xe000e180",
        "mov.w r1, #0xffffffff",
        "str r1, [r0]",
        "str r1, [r0, #4]",
        "str r1, [r0, #8]",
        "str r1, [r0, #12]",
        "ldr r0, =0xe000e010",
        "movs r1, #0",
        "str r1, [r0]",
        "dsb",
        "isb",
        "bx lr",
        ".ltorg",
        ".size __pre_init, . - __pre_init",
    );
}

/// Disables and forgets all interrupts, switches SysTick and USB off, and unmasks interrupts: as after a
/// reset. Call it once, at the beginning of the program, before `embassy_stm32::init`;
/// `board::Board::take` does.
pub fn take_over() {
    cortex_m::interrupt::disable();
    // SAFETY: these are the registers of the core; nothing else uses them yet, and nothing interrupts.
    #[allow(unsafe_code)]
    let (nvic, systick) = unsafe { (&*NVIC::PTR, &*SYST::PTR) };
    // SAFETY: to disable interrupts and a timer that are not ours breaks no promise.
    #[allow(unsafe_code)]
    unsafe {
        nvic.icer.iter().for_each(|word| word.write(u32::MAX));
        systick.csr.write(0);
    }
    // RM0090 §7.3.7. USB raises its interrupt until it is reset, so what waits is forgotten after that.
    let reset = pac::RCC.ahb2rstr();
    reset.modify(|bits| bits.set_usb_otg_fsrst(true));
    reset.modify(|bits| bits.set_usb_otg_fsrst(false));
    // SAFETY: as above.
    #[allow(unsafe_code)]
    unsafe {
        nvic.icpr.iter().for_each(|word| word.write(u32::MAX));
    }
    SCB::clear_pendst();
    SCB::clear_pendsv();
    // SAFETY: this is not in a critical section, and no interrupt is enabled.
    #[allow(unsafe_code)]
    unsafe {
        cortex_m::interrupt::enable();
    }
}

/// Returns the cause of this start, and clears the chip's flags of it, so that the next start has its own (RM0090 §7.3.21). Call
/// it once: from then on it is unknown.
pub fn restart_cause() -> RestartCause {
    let csr = pac::RCC.csr();
    let cause = restart::cause(csr.read().0);
    csr.modify(|bits| bits.set_rmvf(true));
    cause
}
