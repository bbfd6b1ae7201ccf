//! The demo application, like the published `pb_client.py`: sends `[42, count, 99]` every 5 s, and
//! prints what it receives on the console.

#![no_std]
#![no_main]

use core::fmt::Write;

use embassy_executor::Spawner;
use embassy_time::Timer;
use pblink_stm32::board::{Board, Bus};
use pblink_stm32::settings::LogLevel;
use pblink_stm32::stm32::console::Console;
use pblink_stm32::stm32::watchdog::Independent;
use pblink_stm32::stm32::wires::AckSynReset;
use pblink_stm32::{Delivery, Handle, Hooks, Line, Options, ResetCause, Runner, State};
use static_cell::ConstStaticCell;

pblink_stm32::identity!();

static STATE: ConstStaticCell<State> = ConstStaticCell::new(State::new());
static LINE: ConstStaticCell<Line> = ConstStaticCell::new(Line::new());

/// Prints what happens on the link.
struct App {
    console: Console,
    level: LogLevel,
}

impl Hooks for App {
    fn reset(&mut self, cause: ResetCause) {
        // The messages for people report it too.
        if self.level == LogLevel::Errors {
            self.console.line(format_args!("ESP8266 reset: {cause}"));
        }
    }

    fn log(&mut self, message: core::fmt::Arguments<'_>) {
        self.console.line(message);
    }
}

type AppRunner = Runner<'static, Bus, AckSynReset<'static>, App, Independent<'static>>;

#[embassy_executor::task]
async fn link_task(runner: AppRunner) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn receiver(link: Handle<'static>, console: Console, level: LogLevel) -> ! {
    let line = LINE.take();
    loop {
        link.readline(line).await;
        if level >= LogLevel::Lines {
            console.line(format_args!("received {line}"));
        }
    }
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let board = Board::take();
    let console = board.console;
    let (settings, problem) = Board::settings();
    let level = settings.log;
    if level > LogLevel::Off {
        let version = env!("CARGO_PKG_VERSION");
        let id = &settings.config.id;
        console.line(format_args!("pblink demo {version}, id {id}"));
        if let Some(why) = problem {
            console.line(format_args!("{why}; using the built-in ones"));
        }
    }
    let options = Options {
        verbose: level >= LogLevel::Link,
        forward_reports: settings.forward_reports,
        ..Options::default()
    };
    let made = pblink_stm32::new(
        STATE.take(),
        &settings.config,
        board.hardware,
        App { console, level },
        board.watchdog,
        options,
    );
    let (link, runner) = match made {
        Ok(link) => link,
        Err(why) => {
            // Settings are checked when they are read. The watchdog starts the program again.
            console.line(format_args!("cannot start: {why}"));
            return;
        }
    };
    // Each task is spawned once, so there is room for it.
    if let (Ok(runner), Ok(receiver)) = (link_task(runner), receiver(link, console, level)) {
        spawner.spawn(runner);
        spawner.spawn(receiver);
    }
    link.start().await;
    let mut count = 0_u32;
    let mut text: heapless::String<32> = heapless::String::new();
    loop {
        Timer::after_secs(5).await;
        count = count.wrapping_add(1);
        text.clear();
        // Three short numbers fit.
        let _ = write!(text, "[42, {count}, 99]");
        if link.write(&text, Delivery::ORDERED).await.is_ok() && level >= LogLevel::Lines {
            console.line(format_args!("sent {text}"));
        }
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Printing would pull formatting of everything in. The watchdog would do the same, later.
    cortex_m::peripheral::SCB::sys_reset()
}
