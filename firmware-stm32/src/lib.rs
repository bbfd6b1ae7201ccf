//! The STM32's end of a pblink link, in async Rust.
//!
//! ```text
//!  your tasks ── Handle ── Runner ── SlaveBus (I2C slave 0x12), Wires (syn, ack, reset) ── ESP8266
//! ```
//!
//! [`new`] gives a [`Handle`] and a [`Runner`], like embassy's drivers. Spawn the runner once; copy the
//! handle into every task that reads or writes lines. The runner resets the ESP8266, gives it the
//! configuration, passes lines, and starts all over by itself after any failure: the I2C peripheral is
//! reset first, then the ESP8266, then both find each other again. Nothing of that needs your code.
//!
//! | module | what it is |
//! |---|---|
//! | this one | the link: [`Handle`], [`Runner`], [`Hooks`], [`Status`] |
//! | [`hardware`] | what the link needs of a chip: [`SlaveBus`](hardware::SlaveBus), [`Wires`](hardware::Wires), [`Watchdog`](hardware::Watchdog) |
//! | [`restart`] | the cause of a start, which the server is told |
//! | [`secure`] | keys, random numbers, and what survives a reset of the chip |
//! | [`settings`] | what stands in a flash sector of its own: configuration and log level |
//! | `stm32` | the drivers for the STM32F405, F411 and F446 (features `stm32f405`, `stm32f411`, `stm32f446`) |
//! | `board` | pins and peripherals of the Pyboard v1.x, the Black Pill or the Nucleo-F446RE (features `pyboard`, `black-pill`, `nucleo-f446`) |
//! | `emulator` | QEMU's STM32F405 as a board, for tests (feature `emulator`) |
//!
//! Without features the crate builds for the host, where its tests run. There is no allocation, and no
//! input makes it panic.
//!
//! # Example
//! ```no_run
//! use pblink_stm32::hardware::{Hardware, SlaveBus, Wires};
//! use pblink_stm32::{Delivery, Handle, Line, Options, Silent, State};
//!
//! /// Returns every line to the server.
//! async fn echo(link: Handle<'_>) {
//!     let mut line = Line::new();
//!     loop {
//!         link.readline(&mut line).await;
//!         // An empty line cannot be sent, but the lines of the server are never empty.
//!         let _ = link.write(&line, Delivery::ORDERED).await;
//!     }
//! }
//!
//! async fn run(
//!     hardware: Hardware<impl SlaveBus, impl Wires>,
//!     config: &pblink_protocol::config::Config,
//! ) -> Result<(), pblink_stm32::StartError> {
//!     let mut state = State::new();
//!     let (link, runner) =
//!         pblink_stm32::new(&mut state, config, hardware, Silent, (), Options::default())?;
//!     // Where there is an executor, spawn a task for each.
//!     embassy_futures::join::join(runner.run(), async {
//!         link.start().await;
//!         echo(link).await;
//!     })
//!     .await;
//!     Ok(())
//! }
//! ```

#![cfg_attr(not(test), no_std)]

#[cfg(feature = "emulator")]
pub mod emulator;
pub mod hardware;
mod hooks;
mod link;
pub mod restart;
mod runner;
pub mod secure;

#[cfg(feature = "board")]
pub mod board;
#[cfg(feature = "stm32")]
pub mod stm32;

pub use hooks::{Hooks, Silent};
pub use link::{Counters, Handle, Line, State, Status};
#[doc(hidden)]
pub use pblink_image::identity as __identity;
pub use pblink_image::settings;
pub use pblink_protocol::app::{DropCause, ResetCause, WriteError};
pub use pblink_protocol::config::{Config, ConfigError};
pub use pblink_protocol::delivery::Delivery;
pub use pblink_protocol::report::Report;
pub use restart::RestartCause;
pub use runner::{Link, Options, Runner, StartError, new};
pub use secure::Security;

/// The kind of board that programs are built for, as `board.kind` in `pblink.toml`.
#[doc(hidden)]
#[cfg(feature = "board")]
pub const KIND: &str = board::Board::MAP.board;
/// The kind of board that programs are built for, as `board.kind` in `pblink.toml`.
#[doc(hidden)]
#[cfg(not(feature = "board"))]
pub const KIND: &str = "other";

/// Puts the program's name, its version and its kind of board where tools find them: `pblink doctor` then reports which
/// program a board runs, and `pblink flash` refuses a chip with other flash sectors. Through a probe it also checks the
/// device number; over USB a Black Pill and a Nucleo-F446RE cannot be told apart. Once per program, at the top level; the
/// linker script must have a section for it, as `pblink_image::map::MemoryX` does. Without arguments it takes those of the
/// cargo package.
///
/// ```
/// pblink_stm32::identity!("kitchen-light", "1.0.0");
/// ```
#[macro_export]
macro_rules! identity {
    () => {
        $crate::identity!(env!("CARGO_BIN_NAME"), env!("CARGO_PKG_VERSION"));
    };
    ($name:expr, $version:expr) => {
        const _: () = {
            // SAFETY: the section holds nothing but this.
            #[allow(unsafe_code)]
            #[used]
            #[cfg_attr(target_os = "none", unsafe(link_section = ".pblink_identity"))]
            static IDENTITY: [u8; $crate::__identity::SIZE] =
                $crate::__identity::bytes($name, $version, $crate::KIND);
        };
    };
}

/// Returns the settings that apply while a board has none in flash: those that were compiled in, else the
/// defaults of `pblink.toml`.
///
/// `pblink build` compiles in what `pblink.toml` says. Without it: let the variable `PBLINK_SETTINGS` name
/// a file in the format of [`settings`] when the program is built.
pub fn built_in_settings() -> settings::Settings {
    // Empty, or checked by whoever made it.
    settings::Settings::read(include_bytes!(concat!(env!("OUT_DIR"), "/settings.bin")))
        .unwrap_or_else(|_| settings::Settings::built_in())
}

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
