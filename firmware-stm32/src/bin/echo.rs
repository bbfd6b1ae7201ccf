//! Returns every line to the server, in order: an application that is easy to test a link with.

#![no_std]
#![no_main]

use embassy_executor::Spawner;
use pblink_stm32::board::{Board, Bus};
use pblink_stm32::settings::LogLevel;
use pblink_stm32::stm32::console::Console;
use pblink_stm32::stm32::watchdog::Independent;
use pblink_stm32::stm32::wires::AckSynReset;
use pblink_stm32::{Delivery, Hooks, Line, Options, Runner, State};
use static_cell::ConstStaticCell;

pblink_stm32::identity!();

static STATE: ConstStaticCell<State> = ConstStaticCell::new(State::new());
static LINE: ConstStaticCell<Line> = ConstStaticCell::new(Line::new());

struct App(Console);

impl Hooks for App {
    fn log(&mut self, message: core::fmt::Arguments<'_>) {
        self.0.line(message);
    }
}

type AppRunner = Runner<'static, Bus, AckSynReset<'static>, App, Independent<'static>>;

#[embassy_executor::task]
async fn link_task(runner: AppRunner) -> ! {
    runner.run().await
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let board = Board::take();
    let console = board.console;
    let (settings, _) = Board::settings();
    let options = Options {
        verbose: settings.log >= LogLevel::Link,
        forward_reports: settings.forward_reports,
        ..Options::default()
    };
    let made = pblink_stm32::new(
        STATE.take(),
        &settings.config,
        board.hardware,
        App(console),
        board.watchdog,
        options,
    );
    let (link, runner) = match made {
        Ok(link) => link,
        Err(why) => return console.line(format_args!("cannot start: {why}")),
    };
    if let Ok(task) = link_task(runner) {
        spawner.spawn(task);
    }
    link.start().await;
    let line = LINE.take();
    loop {
        link.readline(line).await;
        if let Err(why) = link.write(line, Delivery::ORDERED).await {
            console.line(format_args!("not returned: {why}"));
        }
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}
