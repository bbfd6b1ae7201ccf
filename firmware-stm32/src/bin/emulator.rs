//! The test's program on the emulator board: it writes as many numbered lines as the harness allows, and
//! reports to it each of them, each line that it receives, and each hook.

#![no_std]
#![no_main]

use core::cell::Cell;
use core::convert::Infallible;

use embassy_futures::join::{join, join3};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use pblink_emulated_board::frame::{MAX, SECTOR, from_board, hook, to_board};
use pblink_emulated_board::numbered;
use pblink_image::keys;
use pblink_protocol::time::Duration;
use pblink_stm32::emulator::executor;
use pblink_stm32::emulator::port::{Bus, Lines, Port, Reader, emit};
use pblink_stm32::hardware::Hardware;
use pblink_stm32::secure::{Sector, Vault};
use pblink_stm32::{
    Config, Delivery, DropCause, Handle, Hooks, Line, Options, Report, ResetCause, RestartCause,
    State,
};
use static_cell::ConstStaticCell;

static STATE: ConstStaticCell<State> = ConstStaticCell::new(State::new());
static LINE: ConstStaticCell<Line> = ConstStaticCell::new(Line::new());
static KEYS: ConstStaticCell<Flash> = ConstStaticCell::new(Flash([0xff; SECTOR]));
/// As large as on the smaller boards. An emulator is started for each start of the program, so it keeps nothing.
static KEPT: ConstStaticCell<[u8; 8 << 10]> = ConstStaticCell::new([0; 8 << 10]);

#[cortex_m_rt::entry]
fn main() -> ! {
    executor::run(program())
}

async fn program() -> Infallible {
    let mut frames = Reader::default();
    emit(from_board::BOOT, &[]);
    let mut start = frames.next().await;
    let vault = match start.kind {
        to_board::KEYS => {
            let vault = vault(&start.content);
            start = frames.next().await;
            Some(vault)
        }
        _ => None,
    };
    assert_eq!(start.kind, to_board::START, "the harness is in step");
    let ([ack, forward, a, b, c, d], config) =
        start.content.split_first_chunk().expect("the harness has sent all of it");
    let config = Config::decode(config).expect("a configuration");
    let port = Port::new(*ack == 1);
    let hardware = Hardware {
        bus: Bus::new(&port),
        wires: Lines(&port),
        reset_pulse: Duration::from_millis(200),
        vault,
        // An emulator is started for each start of the program.
        restart: RestartCause::PowerOn,
    };
    let options = Options { verbose: true, forward_reports: *forward == 1, ..Options::default() };
    let made = pblink_stm32::new(STATE.take(), &config, hardware, Tell, (), options);
    let (link, runner) = made.expect("a configuration");
    let granted = Signal::new();
    let listen = async {
        loop {
            let frame = frames.next().await;
            if frame.kind == to_board::GRANT
                && let Some(count) = frame.content.first_chunk()
            {
                granted.signal(u32::from_le_bytes(*count));
            } else {
                assert!(port.take(&frame), "a frame {:?}", char::from(frame.kind));
            }
        }
    };
    let written = Cell::new(u32::from_le_bytes([*a, *b, *c, *d]));
    let user = join(write(link, &granted, &written), read(link));
    match join3(runner.run(), listen, user).await {}
}

/// The sector of the keys: it is the harness that outlives a loss of power, so it is told of each word.
struct Flash([u8; SECTOR]);

const _: () = assert!(SECTOR == 2 * keys::SIZE, "a record can be added");

impl Sector for Flash {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn program(&mut self, at: usize, word: u32) {
        self.0.program(at, word);
        emit(from_board::PROGRAM, &[&(at as u16).to_le_bytes(), &word.to_le_bytes()]);
    }
}

/// Returns the keys that the harness has given.
fn vault(content: &[u8]) -> Vault {
    let (noise, sector) = content.split_first_chunk().expect("the harness has sent all of it");
    let keys = KEYS.take();
    keys.0.copy_from_slice(sector);
    Vault { keys, kept: KEPT.take(), unique: *b"the emulator", noise: Some(*noise) }
}

/// Writes lines as fast as they are taken, until there are as many as were granted.
async fn write(
    link: Handle<'_>,
    granted: &Signal<NoopRawMutex, u32>,
    written: &Cell<u32>,
) -> Infallible {
    link.start().await;
    loop {
        let count = granted.wait().await;
        while written.get() < count {
            let line = numbered::line(written.get());
            link.write(&line, Delivery::ORDERED).await.expect("a line that can be sent");
            written.set(written.get() + 1);
            emit(from_board::WROTE, &[&written.get().to_le_bytes()]);
        }
    }
}

/// Reports each line.
async fn read(link: Handle<'_>) -> Infallible {
    let line = LINE.take();
    loop {
        link.readline(line).await;
        let mut pieces = line.as_bytes().chunks(MAX).peekable();
        while let Some(piece) = pieces.next() {
            let kind = if pieces.peek().is_some() { from_board::PART } else { from_board::LINE };
            emit(kind, &[piece]);
        }
    }
}

/// Hooks that report each call.
struct Tell;

impl Tell {
    fn text(what: u8, text: core::fmt::Arguments<'_>) {
        let mut all: heapless::String<120> = heapless::String::new();
        // A text that is too long is cut.
        let _ = core::fmt::Write::write_fmt(&mut all, text);
        emit(from_board::HOOK, &[&[what], all.as_bytes()]);
    }
}

impl Hooks for Tell {
    fn bad_wifi(&mut self) {
        emit(from_board::HOOK, &[&[hook::BAD_WIFI]]);
    }

    fn bad_server(&mut self) {
        emit(from_board::HOOK, &[&[hook::BAD_SERVER]]);
    }

    fn report(&mut self, Report { connects, number, mem_free }: Report) {
        let numbers = [connects.to_le_bytes(), number.to_le_bytes(), mem_free.to_le_bytes()];
        emit(from_board::HOOK, &[&[hook::REPORT], numbers.as_flattened()]);
    }

    fn server_ok(&mut self, up: bool) {
        emit(from_board::HOOK, &[&[hook::SERVER, u8::from(up)]]);
    }

    fn reset(&mut self, cause: ResetCause) {
        Self::text(hook::RESET, format_args!("{cause}"));
    }

    fn dropped(&mut self, cause: DropCause) {
        Self::text(hook::DROPPED, format_args!("{cause:?}"));
    }

    fn log(&mut self, message: core::fmt::Arguments<'_>) {
        let mut text: heapless::String<160> = heapless::String::new();
        // A message that is too long is cut.
        let _ = core::fmt::Write::write_fmt(&mut text, message);
        emit(from_board::LOG, &[text.as_bytes()]);
    }
}
