//! The console, on UART0 (115,200 baud, 8N1) and on the chip's USB. Nothing waits for it: what it cannot take is lost.

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::pipe::Pipe;
use esp_hal::Async;
use esp_hal::peripherals::{UART0, USB_DEVICE};
use esp_hal::system::software_reset;
use esp_hal::uart::{Config, UartTx};
use esp_hal::usb::usb_serial_jtag::{UsbSerialJtag, UsbSerialJtagTx};

/// The longest line.
const LINE: usize = 160;

static LINES: Pipe<CriticalSectionRawMutex, 1024> = Pipe::new();

/// Writes a line. One that is too long is cut, and one for which there is no room is not written.
pub(super) fn print(line: fmt::Arguments<'_>) {
    let mut text: heapless::String<LINE> = heapless::String::new();
    let _ = text.write_fmt(line);
    if LINES.free_capacity() >= text.len() + 2 {
        let _ = LINES.try_write(text.as_bytes());
        let _ = LINES.try_write(b"\r\n");
    }
}

/// Carries lines to both ends for ever.
#[embassy_executor::task]
pub(super) async fn run(
    mut uart: UartTx<'static, Async>,
    mut usb: UsbSerialJtagTx<'static, esp_hal::Blocking>,
) {
    let mut bytes = [0; 64];
    loop {
        let len = LINES.read(&mut bytes).await;
        // A computer that does not read fills it, and then nothing more goes in.
        for &byte in &bytes[..len] {
            if usb.write_byte_nb(byte).is_err() {
                break;
            }
        }
        let _ = usb.flush_tx_nb();
        let mut rest = &bytes[..len];
        while let Ok(written @ 1..) = uart.write_async(rest).await {
            rest = &rest[written..];
            if rest.is_empty() {
                break;
            }
        }
    }
}

/// Says why, and restarts.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    struct Both<'d>(Option<UartTx<'d, esp_hal::Blocking>>, UsbSerialJtag<'d, esp_hal::Blocking>);
    impl Write for Both<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            if let Some(uart) = &mut self.0 {
                let mut rest = text.as_bytes();
                while let Ok(written @ 1..) = uart.write(rest) {
                    rest = &rest[written..];
                }
            }
            for &byte in text.as_bytes() {
                // Nobody may be there.
                let _ = self.1.write_byte_nb(byte);
            }
            let _ = self.1.flush_tx_nb();
            Ok(())
        }
    }
    // SAFETY: nothing else runs any more.
    let (uart, usb) = unsafe { (UART0::steal(), USB_DEVICE::steal()) };
    let mut both = Both(UartTx::new(uart, Config::default()).ok(), UsbSerialJtag::new(usb));
    let _ = write!(both, "\r\npblink: {info}\r\npblink: restarting\r\n");
    if let Some(uart) = &mut both.0 {
        let _ = uart.flush();
    }
    software_reset()
}
