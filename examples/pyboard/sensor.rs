//! A program for the Pyboard v1.x: a sensor's value as a line of JSON every ten seconds. It reads
//! lines too: `{"every": 5}` from the server changes the pace.
//!
//!     firmware-stm32/build.sh examples
//!     pblink flash stm32 --image firmware-stm32/target/thumbv7em-none-eabihf/release/sensor
//!
//! `pblink new` makes a folder of your own to start from.

#![no_std]
#![no_main]

use core::fmt::Write;

use embassy_executor::Spawner;
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Ticker};
use pblink_stm32::board::{Board, Bus};
use pblink_stm32::stm32::console::Console;
use pblink_stm32::stm32::watchdog::Independent;
use pblink_stm32::stm32::wires::AckSynReset;
use pblink_stm32::{Delivery, Hooks, Line, Options, Runner, State};
use static_cell::ConstStaticCell;

pblink_stm32::identity!();

static STATE: ConstStaticCell<State> = ConstStaticCell::new(State::new());
static LINE: ConstStaticCell<Line> = ConstStaticCell::new(Line::new());

/// Shows on the console what happens on the link.
struct ToConsole(Console);

impl Hooks for ToConsole {
    fn log(&mut self, message: core::fmt::Arguments<'_>) {
        self.0.line(message);
    }
}

type LinkRunner = Runner<'static, Bus, AckSynReset<'static>, ToConsole, Independent<'static>>;

#[embassy_executor::task]
async fn link_task(runner: LinkRunner) -> ! {
    runner.run().await
}

/// Reads a line such as `{"every": 5}`: seconds, 1 to 3600.
fn pace(line: &str) -> Option<u64> {
    let number = line.trim().strip_prefix("{\"every\":")?.strip_suffix('}')?;
    number.trim().parse().ok().filter(|seconds| (1..=3600).contains(seconds))
}

/// Reads the sensor of your board. This one counts; put your driver here.
fn measure(count: u32) -> (u32, u32) {
    (20 + count % 3, 5)
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let board = Board::take();
    let console = board.console;
    // A damaged sector of settings means the built-in ones.
    let (settings, _) = Board::settings();
    let made = pblink_stm32::new(
        STATE.take(),
        &settings.config,
        board.hardware,
        ToConsole(console),
        board.watchdog,
        Options::default(),
    );
    let (link, runner) = match made {
        Ok(made) => made,
        Err(why) => {
            console.line(format_args!("cannot start: {why}"));
            return;
        }
    };
    if let Ok(task) = link_task(runner) {
        spawner.spawn(task);
    }
    link.start().await;

    let line = LINE.take();
    let mut ticker = Ticker::every(Duration::from_secs(10));
    let mut text: heapless::String<64> = heapless::String::new();
    let mut count = 0_u32;
    loop {
        match select(ticker.next(), link.readline(line)).await {
            Either::First(()) => {
                let (whole, tenths) = measure(count);
                count = count.wrapping_add(1);
                text.clear();
                // Two short numbers fit.
                let _ = write!(text, "{{\"n\": {count}, \"celsius\": {whole}.{tenths}}}");
                // Waits through outages, and is sent once.
                if let Err(why) = link.write(&text, Delivery::ORDERED).await {
                    console.line(format_args!("not sent: {why}"));
                }
            }
            Either::Second(_) => match pace(line) {
                Some(seconds) => ticker = Ticker::every(Duration::from_secs(seconds)),
                None => console.line(format_args!("not understood: {line}")),
            },
        }
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}
