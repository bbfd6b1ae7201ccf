//! The emulator board: QEMU's `olimex-stm32-h405`, an STM32F405.
//!
//! QEMU has no model of the chip's I2C, and its clock control never becomes ready, so `embassy_stm32`
//! cannot be used there. This board uses what is modelled, by its registers, and everything that the
//! Pyboard has pins for passes as frames over a USART: see [`pblink_emulated_board::frame`]. The link
//! itself is the library's, as on the Pyboard.
//!
//! | module | what it is |
//! |---|---|
//! | [`executor`] | polls a program, and sleeps in between so that an idle board costs no core |
//! | `clock` | embassy's clock, from TIM2 and SysTick |
//! | `uart` | bytes over USART2 |
//! | [`port`] | frames over these bytes; bus and wires |

#![allow(unsafe_code, reason = "registers, and a call of the emulator")]

mod clock;
pub mod executor;
pub mod port;
mod uart;

use core::fmt::Write;
use core::panic::PanicInfo;

use pblink_emulated_board::frame::{MAX, from_board};

/// Number of USART2's interrupt (RM0090 §12.2, table 62).
const USART2: i16 = 38;

/// Every interrupt. There is no table of this chip's interrupts without `embassy_stm32`.
#[cortex_m_rt::exception]
unsafe fn DefaultHandler(number: i16) {
    if number == USART2 {
        uart::on_interrupt();
    }
}

#[cortex_m_rt::exception]
fn SysTick() {
    clock::on_alarm();
}

#[cortex_m_rt::exception]
unsafe fn HardFault(frame: &cortex_m_rt::ExceptionFrame) -> ! {
    die(format_args!("hard fault: {frame:?}"))
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    die(format_args!("{info}"))
}

/// Reports the reason, and ends the emulator: the harness sees its end.
fn die(why: core::fmt::Arguments<'_>) -> ! {
    let mut text: heapless::String<MAX> = heapless::String::new();
    // A text that is too long is cut.
    let _ = text.write_fmt(why);
    port::emit(from_board::LOG, &[text.as_bytes()]);
    loop {
        // SAFETY: SYS_EXIT of Arm's semihosting with ADP_Stopped_RunTimeErrorUnknown. It does not return.
        #[cfg(target_arch = "arm")]
        unsafe {
            core::arch::asm!("bkpt 0xab", in("r0") 0x18, in("r1") 0x20023)
        }
        core::hint::spin_loop();
    }
}
