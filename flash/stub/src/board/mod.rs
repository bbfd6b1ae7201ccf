//! The ESP8266: its UART by registers, everything else by functions of its ROM.
//!
//! Addresses of the ROM's functions are in `stub.ld`. The UART's registers are those of Espressif's
//! "ESP8266 Technical Reference", chapter 11. They are used directly because the ROM's function for
//! receiving depends on its interrupt handler, and that loses bytes without a trace.

#![allow(unsafe_code, reason = "the boundary to the chip")]

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

use miniz_oxide::inflate::core::DecompressorOxide;

use crate::chip::{Chip, FlashFault};
use crate::engine::{Memory, Stub};

// stub.ld
unsafe extern "C" {
    safe fn ets_delay_us(micros: u32);
    safe fn ets_isr_mask(interrupts: u32);
    safe fn ets_set_user_start(address: u32);
    fn software_reset() -> !;
    safe fn uart_div_modify(uart: u32, divider: u32);
    safe fn SelectSpiFunction();
    safe fn spi_flash_attach();
    safe fn SPIParamCfg(id: u32, size: u32, block: u32, sector: u32, page: u32, mask: u32) -> u32;
    safe fn SPIUnlock() -> u32;
    safe fn SPIEraseChip() -> u32;
    safe fn SPIEraseBlock(number: u32) -> u32;
    safe fn SPIEraseSector(number: u32) -> u32;
    fn SPIRead(address: u32, to: *mut u8, len: u32) -> u32;
    fn SPIWrite(address: u32, from: *const u8, len: u32) -> u32;
}

const UART_FIFO: *mut u32 = 0x6000_0000 as *mut u32;
const UART_CLKDIV: *mut u32 = 0x6000_0014 as *mut u32;
const UART_STATUS: *mut u32 = 0x6000_001c as *mut u32;

/// The UART's interrupt. The ROM's handler would take the bytes away.
const UART_INTERRUPT: u32 = 1 << 5;

/// The transmitter holds 128 bytes; the published programs leave two of them.
const SEND_ROOM: u32 = 126;

struct Esp8266 {
    /// Bytes that are known to have come.
    waiting: u32,
    /// Bytes for which there is known to be room.
    room: u32,
}

fn result(status: u32) -> Result<(), FlashFault> {
    if status == 0 { Ok(()) } else { Err(FlashFault) }
}

impl Esp8266 {
    fn status() -> u32 {
        // SAFETY: reads a register of the UART.
        unsafe { UART_STATUS.read_volatile() }
    }

    fn unsent() -> u32 {
        Self::status() >> 16 & 0xff
    }
}

impl Chip for Esp8266 {
    fn receive(&mut self) -> u8 {
        while self.waiting == 0 {
            self.waiting = Self::status() & 0xff;
        }
        self.waiting -= 1;
        // SAFETY: takes a byte out of the UART.
        unsafe { UART_FIFO.read_volatile() as u8 }
    }

    fn send(&mut self, byte: u8) {
        while self.room == 0 {
            self.room = SEND_ROOM.saturating_sub(Self::unsent());
        }
        self.room -= 1;
        // SAFETY: gives a byte to the UART.
        unsafe { UART_FIFO.write_volatile(u32::from(byte)) };
    }

    fn flush(&mut self) {
        while Self::unsent() > 0 {}
    }

    fn divider(&mut self) -> u32 {
        // SAFETY: reads a register of the UART.
        unsafe { UART_CLKDIV.read_volatile() & 0xf_ffff }
    }

    fn set_divider(&mut self, divider: u32) {
        uart_div_modify(0, divider);
        // It empties what the UART holds.
        self.waiting = 0;
    }

    fn attach(&mut self) {
        SelectSpiFunction();
        spi_flash_attach();
    }

    fn set_parameters(&mut self, parameters: [u32; 6]) -> Result<(), FlashFault> {
        let [id, size, block, sector, page, mask] = parameters;
        result(SPIParamCfg(id, size, block, sector, page, mask))
    }

    fn unlock(&mut self) -> Result<(), FlashFault> {
        result(SPIUnlock())
    }

    fn read(&mut self, address: u32, bytes: &mut [u8]) -> Result<(), FlashFault> {
        // SAFETY: the ROM writes this many bytes there; `Chip` says that all is aligned to words.
        result(unsafe { SPIRead(address, bytes.as_mut_ptr(), bytes.len() as u32) })
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), FlashFault> {
        // SAFETY: the ROM reads this many bytes there; `Chip` says that all is aligned to words.
        result(unsafe { SPIWrite(address, bytes.as_ptr(), bytes.len() as u32) })
    }

    fn erase_sector(&mut self, number: u32) -> Result<(), FlashFault> {
        result(SPIEraseSector(number))
    }

    fn erase_block(&mut self, number: u32) -> Result<(), FlashFault> {
        result(SPIEraseBlock(number))
    }

    fn erase_chip(&mut self) -> Result<(), FlashFault> {
        result(SPIEraseChip())
    }

    fn peek(&mut self, address: u32) -> u32 {
        // SAFETY: none; the host asks for it, as it may ask the ROM.
        unsafe { (address as *const u32).read_volatile() }
    }

    fn poke(&mut self, address: u32, value: u32) {
        // SAFETY: none; the host asks for it, as it may ask the ROM.
        unsafe { (address as *mut u32).write_volatile(value) }
    }

    fn delay(&mut self, micros: u32) {
        ets_delay_us(micros);
    }

    fn reset(&mut self) {
        // SAFETY: does not return.
        unsafe { software_reset() }
    }
}

/// Memory that `pblink_stub_main` uses.
struct Place<T>(UnsafeCell<T>);

// SAFETY: there is one thread, and one user: `pblink_stub_main`.
unsafe impl<T> Sync for Place<T> {}

static MEMORY: Place<Memory> = Place(UnsafeCell::new(Memory::new()));
static DECOMPRESSOR: Place<MaybeUninit<DecompressorOxide>> =
    Place(UnsafeCell::new(MaybeUninit::uninit()));

/// Entry from `start.S`. Returns when the chip shall go on to the program in flash.
#[unsafe(no_mangle)]
extern "C" fn pblink_stub_main() {
    ets_isr_mask(UART_INTERRUPT);
    // The ROM would start the stub again after the next reset.
    ets_set_user_start(0);
    // SAFETY: this function runs once, and is the only user of both.
    let (memory, decompressor) =
        unsafe { (&mut *MEMORY.0.get(), (*DECOMPRESSOR.0.get()).write(DecompressorOxide::new())) };
    Stub::new(Esp8266 { waiting: 0, room: 0 }, memory, decompressor).run();
}

/// Never called: in this build a panic is a jump to `abort`, see `build.sh`. The compiler wants one.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: does not return.
    unsafe { software_reset() }
}
