//! The machines of `protocol` as questions and answers, for a comparison of two compilers' back ends:
//! a test asks the host, the lx106 and the Cortex-M4 the same, and the answers must be the same bytes.

use core::fmt::Write;

use heapless::{Deque, Vec};
use pblink_protocol::app::AppBase;
use pblink_protocol::config::Config;
use pblink_protocol::coprocessor::{Command, Coprocessor};
use pblink_protocol::delivery::Delivery;
use pblink_protocol::i2c::frame::{CoprocessorFrame, HostFrame};
use pblink_protocol::i2c::{
    BusFault, Header, InitiatorAction, InitiatorTiming, MAX_PAYLOAD, ResponderAction,
};
use pblink_protocol::tcp::endpoint::{Disposition, Endpoint, Host, Receipt, Role, Timing};
use pblink_protocol::tcp::line::{Found, Line, LineReader, Mid};
use pblink_protocol::tcp::window::{Print, Verdict, Window, fingerprint};
use pblink_protocol::time::{Duration, Instant, earliest};

use crate::frame;

/// An answer. What does not fit is cut.
pub type Answer = Vec<u8, { frame::MAX }>;

/// Questions: the first byte of a [`CASE`](frame::to_board::CASE).
pub mod ask {
    /// Classify this line of the TCP side.
    pub const LINE: u8 = b'l';
    /// Split these bytes into lines.
    pub const LINES: u8 = b'L';
    /// Give the verdicts of the duplicate window on these messages (id and text of a byte each).
    pub const WINDOW: u8 = b'w';
    /// Decode these two bytes as a header of the exchange.
    pub const HEADER: u8 = b'h';
    /// Parse this line as a configuration, and write it again.
    pub const CONFIG: u8 = b'c';
    /// Parse this line of the I2C side, once as from the STM32 and once as from the ESP8266, and write it
    /// again.
    pub const FRAME: u8 = b'f';
    /// Show this number of microseconds (eight bytes), and divide it.
    pub const TIME: u8 = b't';
    /// Run a board pair and a server for this many steps, with faults from this seed (four bytes each).
    pub const WORLD: u8 = b'W';
}

/// Answers a question.
pub fn answer(question: u8, input: &[u8]) -> Answer {
    let mut out = Answer::new();
    // A full answer is as good for comparing.
    let _ = match question {
        ask::LINE => write!(out, "{:?}", Line::parse(input)),
        ask::LINES => lines(input, &mut out),
        ask::WINDOW => window(input, &mut out),
        ask::HEADER => header(input, &mut out),
        ask::CONFIG => config(input, &mut out),
        ask::FRAME => frame(input, &mut out),
        ask::TIME => time(input, &mut out),
        ask::WORLD => World::new(word(input)).run(word(input.get(4..).unwrap_or(&[])), &mut out),
        _ => write!(out, "unknown"),
    };
    out
}

fn word(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn lines(input: &[u8], out: &mut Answer) -> core::fmt::Result {
    let mut reader = LineReader::new(Vec::<u8, 48>::new());
    let mut result = Ok(());
    // In pieces, as TCP brings them.
    for piece in input.chunks(7) {
        reader.feed(piece, |found| {
            result = match found {
                Found::Line(line) => write!(out, "{:?} ", Line::parse(line)),
                Found::TooLong => write!(out, "too long "),
            };
            result.is_ok()
        });
    }
    result
}

fn window(input: &[u8], out: &mut Answer) -> core::fmt::Result {
    let mut window = Window::new();
    for message in input.chunks_exact(2) {
        let (mid, print) = (Mid(message[0]), Print::of(&message[1..]));
        let verdict = window.judge(mid, print);
        out.write_char(match verdict {
            Verdict::New => 'n',
            Verdict::Duplicate => 'd',
            Verdict::Restarted => 'r',
        })?;
        match verdict {
            Verdict::Duplicate => window.repeated(mid),
            Verdict::New | Verdict::Restarted => window.accept(mid, print),
        }
        // Now and then another connection.
        if message[1] & 0x1f == 0x1f {
            window.reconnected();
        }
    }
    Ok(())
}

fn header(input: &[u8], out: &mut Answer) -> core::fmt::Result {
    for bytes in input.chunks_exact(2) {
        let header = Header::decode([bytes[0], bytes[1]]);
        write!(out, "{header:?} {:?} ", header.map(Header::encode))?;
    }
    Ok(())
}

fn frame(input: &[u8], out: &mut Answer) -> core::fmt::Result {
    let frames = (HostFrame::parse(input), CoprocessorFrame::parse(input));
    write!(out, "{:?} {:?}", frames.0, frames.1)?;
    let mut line = [0; MAX_PAYLOAD];
    if let Ok(frame) = frames.0 {
        let len = frame.emit(&mut line);
        write!(out, " {len} {}", line[..len.min(MAX_PAYLOAD)].escape_ascii())?;
    }
    if let Ok(frame) = frames.1 {
        let len = frame.emit(&mut line);
        write!(out, " {len} {}", line[..len.min(MAX_PAYLOAD)].escape_ascii())?;
    }
    Ok(())
}

fn config(input: &[u8], out: &mut Answer) -> core::fmt::Result {
    let config = Config::decode(input);
    match &config {
        Ok(config) => write!(out, "{config:?} {} ", config.password)?,
        Err(why) => write!(out, "{why:?} {why} ")?,
    }
    let mut line = [0; MAX_PAYLOAD];
    let written = config.and_then(|config| config.encode(&mut line));
    write!(out, "{written:?} {:08x}", fingerprint(&line))
}

fn time(input: &[u8], out: &mut Answer) -> core::fmt::Result {
    let Some(bytes) = input.first_chunk() else { return Ok(()) };
    let micros = u64::from_le_bytes(*bytes);
    let (span, at) = (Duration::from_micros(micros), Instant::from_micros(micros));
    let divisor = u64::from(input.get(8).copied().unwrap_or(0)) + 1;
    write!(
        out,
        "{span} {} {} {} {:?} {:?}",
        at.as_millis(),
        span.part(divisor),
        span.times(divisor),
        at + span,
        Instant::from_micros(1 << 40).since(at),
    )
}

/// A board pair, wires without delay, and a server, in virtual time.
struct World {
    random: u32,
    now: Instant,
    app: AppBase,
    esp: Coprocessor,
    server: Endpoint<Vec<u8, 128>, Vec<u8, 64>, 4>,
    /// The server has had the hello on the present connection.
    greeted: bool,
    armed: Option<Result<Vec<u8, MAX_PAYLOAD>, usize>>,
    received: Received,
    written: [u32; 2],
    read: u32,
    digest: u32,
}

/// The lines that the server received.
struct Received {
    lines: u32,
    digest: u32,
}

impl Host<Vec<u8, 64>> for Received {
    fn deliver(&mut self, text: &str, _: Receipt) -> Disposition {
        self.lines += 1;
        self.digest = self.digest.rotate_left(5) ^ fingerprint(text.as_bytes());
        Disposition::Taken
    }
}

impl World {
    fn new(seed: u32) -> Self {
        let config = br#"["w\n", 8123, "srv", 1000, 3, "net", "password", "cfg"]"#;
        let config = Config::decode(config).expect("a configuration");
        let timing = Timing::new(Duration::from_millis(1000));
        let mut app = AppBase::new(&config, InitiatorTiming::default()).expect("a configuration");
        app.exchange().on_ack(Instant::ZERO, true);
        app.start(Instant::ZERO);
        Self {
            random: seed | 1,
            now: Instant::ZERO,
            app,
            esp: Coprocessor::new(true),
            server: Endpoint::new(Role::Server, timing, Vec::new()),
            greeted: false,
            armed: None,
            received: Received { lines: 0, digest: 0 },
            written: [0; 2],
            read: 0,
            digest: 0,
        }
    }

    /// xorshift32
    fn random(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random
    }

    fn note(&mut self, what: u32) {
        self.digest = (self.digest.rotate_left(7) ^ what).wrapping_mul(0x9e37_79b1);
    }

    fn run(&mut self, steps: u32, out: &mut Answer) -> core::fmt::Result {
        for _ in 0..steps {
            self.step();
        }
        write!(
            out,
            "{:08x} at {:?}: written {:?}, read {} and {} ({:08x}), {} resets, {:?}",
            self.digest,
            self.now,
            self.written,
            self.read,
            self.received.lines,
            self.received.digest,
            self.app.resets(),
            self.esp.stats(),
        )
    }

    fn step(&mut self) {
        let at = earliest(self.app.poll_at(self.now), self.esp.poll_at(self.now));
        let at = earliest(at, self.server.poll_at(self.now));
        // At least a little, so that what is due and cannot be done does not stop the world.
        let next = self.now + Duration::from_micros(20);
        self.now = at.map_or(next, |at| at.max(next));
        self.fault();
        self.write();
        // What one does lets the other go on, at the same time.
        while self.stm32() | self.esp8266() {}
        self.network();
        self.note(self.now.as_micros() as u32);
    }

    fn fault(&mut self) {
        let (chance, now) = (self.random() % 4000, self.now);
        match chance {
            0 => self.restart(true),
            1 | 2 => self.esp.on_wifi(now, false),
            3 | 4 => {
                self.server.on_disconnected();
                self.esp.on_closed(now);
            }
            5..=400 => self.esp.on_wifi(now, true),
            _ => {}
        }
    }

    fn restart(&mut self, ack: bool) {
        // It had a connection: the server hears nothing of its end.
        self.esp = Coprocessor::new(true);
        self.app.exchange().on_ack(self.now, ack);
    }

    fn write(&mut self) {
        let mut text = heapless::String::<64>::new();
        let number = self.written[0];
        let _ = write!(text, "up {number} {:x}", number.wrapping_mul(0x9e37_79b1));
        if self.app.is_running() && self.app.write(self.now, &text, Delivery::ORDERED).is_ok() {
            self.written[0] += 1;
        }
        let mut line = Vec::new();
        let _ = write!(line, "down {}", self.written[1]);
        if self.server.write(self.now, line, Delivery::UNORDERED).is_ok() {
            self.written[1] += 1;
        }
        while let Some(print) = self.app.read_line(self.now, |line| fingerprint(line.as_bytes())) {
            self.read += 1;
            self.note(print);
        }
    }

    /// Does what is due. Returns whether there was anything.
    fn stm32(&mut self) -> bool {
        let now = self.now;
        let mut acted = false;
        self.app.poll(now);
        while self.app.next_event().is_some() {}
        while let Some(action) = self.app.exchange().next_action() {
            acted = true;
            match action {
                InitiatorAction::Syn(level) => self.esp.exchange().on_syn(now, level),
                InitiatorAction::Reset(true) => self.restart(true),
                InitiatorAction::Reset(false) => {}
                InitiatorAction::ArmTx => {
                    self.armed = Vec::from_slice(self.app.exchange().tx_bytes()).ok().map(Ok);
                }
                InitiatorAction::ArmRx(len) => self.armed = Some(Err(len)),
                InitiatorAction::Disarm => self.armed = None,
            }
        }
        acted
    }

    /// Does what is due. Returns whether there was anything.
    fn esp8266(&mut self) -> bool {
        let now = self.now;
        let mut acted = false;
        self.esp.poll(now);
        while let Some(action) = self.esp.exchange().next_action() {
            acted = true;
            match action {
                ResponderAction::Ack(level) => {
                    self.app.exchange().on_ack(now, level);
                    self.esp.exchange().on_ack_set(now);
                }
                ResponderAction::Read(len) => match self.armed.take() {
                    Some(Ok(bytes)) if bytes.len() == len => {
                        self.note(fingerprint(&bytes));
                        self.app.exchange().on_sent(now);
                        self.esp.exchange().on_read(now, &bytes);
                    }
                    _ => self.esp.exchange().on_bus_fault(now, BusFault::NoAddress),
                },
                ResponderAction::Write => {
                    let bytes = self.esp.exchange().tx_bytes();
                    match self.armed.take() {
                        Some(Err(len)) if bytes.len() == len => {
                            let print = fingerprint(bytes);
                            self.app.exchange().on_received(now, bytes);
                            self.esp.exchange().on_written(now);
                            self.note(print);
                        }
                        _ => self.esp.exchange().on_bus_fault(now, BusFault::Other),
                    }
                }
            }
        }
        let mut commands: Deque<Command, 4> = Deque::new();
        while let Some(command) = self.esp.next_command() {
            let _ = commands.push_back(command);
        }
        for command in &commands {
            match command {
                Command::Join | Command::JoinRemembered => self.esp.on_wifi(now, true),
                Command::Leave => {}
                Command::Connect => {
                    self.greeted = false;
                    self.server.on_disconnected();
                    self.server.on_connected(now);
                    self.esp.on_connected(now);
                }
                Command::Disconnect => self.server.on_disconnected(),
            }
        }
        acted
    }

    fn network(&mut self) {
        let now = self.now;
        let mut bytes = [0; 96];
        for _ in 0..8 {
            let n = self.esp.transmit(now, &mut bytes);
            if n == 0 {
                break;
            }
            self.note(fingerprint(&bytes[..n]));
            if !self.greeted {
                // The hello is for the listener, not for the endpoint.
                self.greeted = true;
            } else if self.server.is_connected() {
                self.server.on_bytes(now, &bytes[..n], &mut self.received);
            }
        }
        if self.server.outage(now) {
            self.server.on_disconnected();
            self.esp.on_closed(now);
        }
        for _ in 0..8 {
            if !self.server.is_connected() {
                break;
            }
            let n = self.server.transmit(now, &mut bytes);
            if n == 0 {
                break;
            }
            self.note(fingerprint(&bytes[..n]));
            self.esp.on_bytes(now, &bytes[..n]);
        }
    }
}
