//! An application with a pblink link: sends a list to the server every 5 s, and prints what it
//! receives on the console (115200 baud). `YOUR CODE` marks the places that wait for yours.

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

// They are large, so they have a place of their own instead of the stack.
static STATE: ConstStaticCell<State> = ConstStaticCell::new(State::new());
static LINE: ConstStaticCell<Line> = ConstStaticCell::new(Line::new());

/// Receives what happens on the link; all functions of the trait have defaults.
struct App {
    console: Console,
    level: LogLevel,
}

impl Hooks for App {
    fn reset(&mut self, cause: ResetCause) {
        // At higher levels the messages for people contain it too.
        if self.level == LogLevel::Errors {
            self.console.line(format_args!("ESP8266 reset: {cause}"));
        }
    }

    fn log(&mut self, message: core::fmt::Arguments<'_>) {
        self.console.line(message);
    }
}

type AppRunner = Runner<'static, Bus, AckSynReset<'static>, App, Independent<'static>>;

/// Keeps the link going, through all outages, and feeds the watchdog.
#[embassy_executor::task]
async fn link_task(runner: AppRunner) -> ! {
    runner.run().await
}

/// Gets every line from the server. Keep reading: the server is held off meanwhile.
#[embassy_executor::task]
async fn receiver(link: Handle<'static>, console: Console) -> ! {
    let line = LINE.take();
    loop {
        link.readline(line).await;
        // YOUR CODE: what your board does with a line.
        console.line(format_args!("received {line}"));
    }
}

/// Sends lines to the server.
async fn sender(link: Handle<'static>, console: Console) -> ! {
    let mut count = 0_u32;
    let mut text: heapless::String<64> = heapless::String::new();
    loop {
        Timer::after_secs(5).await;
        count = count.wrapping_add(1);
        text.clear();
        // YOUR CODE: what your board has to say. A line has at most 1024 bytes.
        let _ = write!(text, "[\"{}\", {count}]", env!("CARGO_PKG_NAME"));
        // The first `true`: repeat it until the server has it. The second: keep the order.
        match link.write(&text, Delivery::ORDERED).await {
            Ok(()) => console.line(format_args!("sent {text}")),
            Err(why) => console.line(format_args!("cannot send {text}: {why}")),
        }
    }
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let board = Board::take();
    let console = board.console;
    // Server, network and id come from the last flash sector; while nothing is written there, they
    // are those of pblink.toml that `pblink build` has compiled in.
    let (settings, problem) = Board::settings();
    let level = settings.log;
    if level > LogLevel::Off {
        let name = env!("CARGO_PKG_NAME");
        let version = env!("CARGO_PKG_VERSION");
        let id = &settings.config.id;
        console.line(format_args!("{name} {version}, id {id}"));
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
            // The watchdog starts the program again.
            console.line(format_args!("cannot start: {why}"));
            return;
        }
    };
    // Each task is spawned once, so there is room for it. YOUR CODE: add tasks of your own here; a
    // `Handle` can be copied to all of them.
    if let (Ok(runner), Ok(receiver)) = (link_task(runner), receiver(link, console)) {
        spawner.spawn(runner);
        spawner.spawn(receiver);
    }
    // Waits for the ESP8266, not for the server.
    link.start().await;
    sender(link, console).await
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Printing would pull formatting of everything in. The watchdog would do the same, later.
    cortex_m::peripheral::SCB::sys_reset()
}
