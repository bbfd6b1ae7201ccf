//! The wires between two emulated chips, and what goes wrong on them.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::time::Instant;

use pblink_emulated_board::frame::{self, from_board, hook, to_board};
use pblink_protocol::config::Config;
use pblink_protocol::i2c::{ADDRESS, MAX_PAYLOAD};
use pblink_secure_suite::random::{Os, Random};
use tokio::sync::{mpsc, watch};

use crate::chip::{Chip, Core, Frame};
use crate::command::Command;
use crate::image::Images;
use crate::network::{Happened, Network};
use crate::seen::{Flash, Hook, Seen};

/// A chip on the bench.
enum Power {
    /// Its reset wire is active, or it has not been switched on.
    Off,
    /// It has died, and waits for a reset.
    Dead,
    On(Chip),
}

impl Power {
    fn emit(&mut self, kind: u8, parts: &[&[u8]]) {
        if let Self::On(chip) = self {
            chip.emit(kind, parts);
        }
    }

    /// Returns the next frame; never, if it is off or hangs.
    async fn frame(&mut self) -> io::Result<Frame> {
        match self {
            Self::On(chip) if !chip.is_hung() => chip.frame().await,
            _ => pending().await,
        }
    }
}

/// The transfer that the STM32's I2C peripheral is ready for, and its number.
enum Armed {
    Nothing,
    Tx(u8, Vec<u8>),
    Rx(u8, usize),
}

pub(crate) struct Bench {
    images: Images,
    /// The configuration line, and whether reports are passed on.
    config: Vec<u8>,
    forward_reports: bool,
    started: Instant,
    stm32: Power,
    /// Its program has started. Before, its USART would lose what it is sent.
    listens: bool,
    coprocessor: Power,
    network: Network,
    syn: bool,
    ack: bool,
    armed: Armed,
    /// Lines that may be written.
    granted: u32,
    /// The beginning of a line that the STM32 has read.
    line: Vec<u8>,
    /// [`Command::KillInPayload`] is due.
    kill: bool,
    /// Each [`Command::PowerCycleInFlash`] is due after so many words.
    words: VecDeque<usize>,
    report: watch::Sender<Seen>,
}

/// The reason for which the bench woke up.
enum Wake {
    Command(Command),
    Stm32(Frame),
    Coprocessor(Frame),
    Network(Happened),
}

impl Bench {
    /// Makes a bench with nothing switched on.
    pub(crate) fn new(
        images: Images,
        config: &Config,
        forward_reports: bool,
        report: watch::Sender<Seen>,
    ) -> Self {
        let mut line = [0; MAX_PAYLOAD];
        let len = config.encode(&mut line).expect("a configuration");
        Self {
            images,
            config: line[..len].to_vec(),
            forward_reports,
            started: Instant::now(),
            stm32: Power::Off,
            listens: false,
            coprocessor: Power::Off,
            network: Network::new(),
            syn: true,
            // Not driven yet: a pull-up.
            ack: true,
            armed: Armed::Nothing,
            granted: 0,
            line: Vec::new(),
            kill: false,
            words: VecDeque::new(),
            report,
        }
    }

    /// Switches the STM32 on; that lets the coprocessor start.
    pub(crate) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        if let Err(error) = self.play(&mut commands).await {
            self.report.send_modify(|seen| seen.failed = Some(error.to_string()));
        }
    }

    async fn play(&mut self, commands: &mut mpsc::UnboundedReceiver<Command>) -> io::Result<()> {
        self.start_stm32().await?;
        loop {
            let wake = tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => Wake::Command(command),
                    None => return Ok(()),
                },
                frame = self.stm32.frame() => Wake::Stm32(frame.map_err(|why| ended("STM32", why))?),
                frame = self.coprocessor.frame() => {
                    Wake::Coprocessor(frame.map_err(|why| ended("coprocessor", why))?)
                }
                happened = self.network.next() => Wake::Network(happened),
            };
            match wake {
                Wake::Command(command) => self.obey(command).await?,
                Wake::Stm32(frame) => self.stm32_said(&frame).await?,
                Wake::Coprocessor(frame) => self.coprocessor_said(&frame)?,
                Wake::Network(happened) => self.network(&happened),
            }
        }
    }

    fn log(&self, what: &str) {
        let at = self.started.elapsed().as_secs_f64();
        self.report.send_modify(|seen| seen.log.push(format!("{at:8.3} {what}")));
    }

    fn fault(&self, what: &str) {
        self.log(&format!("fault: {what}"));
        self.report.send_modify(|seen| seen.faults += 1);
    }

    async fn obey(&mut self, command: Command) -> io::Result<()> {
        match command {
            Command::Write(count) => {
                self.granted = count;
                self.tell_stm32(to_board::GRANT, &[&count.to_le_bytes()]);
            }
            Command::KillInPayload => self.kill = true,
            Command::Hang => {
                if let Power::On(chip) = &mut self.coprocessor {
                    chip.hang();
                    self.fault("the coprocessor hangs");
                }
            }
            Command::Wifi(on) => {
                self.log(if on { "WiFi is back" } else { "fault: WiFi is gone" });
                if self.network.switch(on) {
                    self.coprocessor.emit(to_board::WIFI, &[&[0]]);
                }
            }
            Command::PowerCycle => self.power_cycle().await?,
            Command::PowerCycleInFlash(words) => self.words.push_back(words),
        }
        Ok(())
    }

    fn tell_stm32(&mut self, kind: u8, parts: &[&[u8]]) {
        if self.listens {
            self.stm32.emit(kind, parts);
        }
    }

    async fn start_stm32(&mut self) -> io::Result<()> {
        self.listens = false;
        self.stm32 = Power::On(Chip::start(Core::CortexM4, &self.images.stm32).await?);
        Ok(())
    }

    /// Cycles the power. All that the STM32's program did before its end counts, also what the bench has
    /// not read yet: its successor must not write a line again.
    async fn power_cycle(&mut self) -> io::Result<()> {
        if let Power::On(chip) = &mut self.stm32 {
            chip.kill();
        }
        while let Ok(frame) = self.stm32.frame().await {
            self.stm32_said(&frame).await?;
        }
        self.without_power().await
    }

    /// Starts the STM32 after a loss of power.
    async fn without_power(&mut self) -> io::Result<()> {
        self.armed = Armed::Nothing;
        self.line.clear();
        self.fault("the STM32 has no power");
        self.start_stm32().await
    }

    fn set_ack(&mut self, level: bool) {
        // An interrupt at edges sees no others.
        if self.ack != level {
            self.ack = level;
            self.tell_stm32(to_board::ACK, &[&[u8::from(level)]]);
        }
    }

    /// Ends the coprocessor's program. In reset its pins are inputs, and `ack` is pulled up.
    fn lose_coprocessor(&mut self, power: Power, floating: bool) {
        self.coprocessor = power;
        self.network.lose();
        if floating {
            self.set_ack(true);
        }
    }

    fn network(&mut self, happened: &Happened) {
        let number = [self.network.number];
        match happened {
            Happened::Joined => self.coprocessor.emit(to_board::WIFI, &[&[1]]),
            Happened::Connected => self.coprocessor.emit(to_board::CONNECTED, &[&number]),
            Happened::Failed => self.coprocessor.emit(to_board::FAILED, &[&number]),
            Happened::Closed => self.coprocessor.emit(to_board::CLOSED, &[&number]),
            Happened::Sent => self.coprocessor.emit(to_board::SENT, &[&number]),
            Happened::Received(bytes) => {
                self.coprocessor.emit(to_board::RECEIVED, &[&number, bytes]);
            }
        }
    }

    async fn stm32_said(&mut self, Frame { kind, content }: &Frame) -> io::Result<()> {
        match (*kind, &content[..]) {
            (from_board::BOOT, []) => {
                self.listens = true;
                if let Some(Flash(keys)) = &self.report.borrow().keys {
                    let mut noise = [0; 48];
                    Os.fill(&mut noise);
                    self.stm32.emit(to_board::KEYS, &[&noise, keys]);
                }
                let levels = [u8::from(self.ack), u8::from(self.forward_reports)];
                let written = self.report.borrow().written.to_le_bytes();
                self.stm32.emit(to_board::START, &[&levels, &written, &self.config]);
                self.stm32.emit(to_board::GRANT, &[&self.granted.to_le_bytes()]);
                self.report.send_modify(|seen| seen.boots[0] += 1);
            }
            (from_board::SYN, &[level]) => {
                self.syn = level == 1;
                self.coprocessor.emit(to_board::SYN, &[&[level]]);
            }
            (from_board::RESET, [1]) => {
                self.log("wire: reset");
                self.lose_coprocessor(Power::Off, true);
            }
            (from_board::RESET, [0]) => {
                if matches!(self.coprocessor, Power::Off) {
                    let chip = Chip::start(self.images.core, &self.images.coprocessor).await?;
                    self.coprocessor = Power::On(chip);
                }
            }
            (from_board::ARM_TX, [number, bytes @ ..]) => {
                self.armed = Armed::Tx(*number, bytes.to_vec());
            }
            (from_board::ARM_RX, &[number, len]) => self.armed = Armed::Rx(number, len.into()),
            (from_board::DISARM, []) => self.armed = Armed::Nothing,
            (from_board::WROTE, &[a, b, c, d]) => {
                let written = u32::from_le_bytes([a, b, c, d]);
                self.report.send_modify(|seen| seen.written = written);
            }
            (from_board::PART, piece) => self.line.extend_from_slice(piece),
            (from_board::LINE, piece) => {
                self.line.extend_from_slice(piece);
                let line = String::from_utf8_lossy(&self.line).into_owned();
                self.line.clear();
                self.report.send_modify(|seen| seen.read.push(line));
            }
            (from_board::HOOK, content) => {
                let hook = hook(content).ok_or_else(|| stray("STM32", *kind, content))?;
                self.report.send_modify(|seen| seen.hooks.push(hook));
            }
            (from_board::PROGRAM, [low, high, word @ ..]) => {
                let at = usize::from(u16::from_le_bytes([*low, *high]));
                let due = self.words.front_mut().is_some_and(|words| {
                    *words -= 1;
                    *words == 0
                });
                self.report.send_modify(|seen| {
                    let keys = seen.keys.as_mut().expect("it has keys");
                    keys.program(at, word);
                    seen.cut.extend(due.then(|| keys.clone()));
                });
                if due {
                    self.words.pop_front();
                    self.without_power().await?;
                }
            }
            (from_board::LOG, text) => {
                self.log(&format!("STM32: {}", String::from_utf8_lossy(text)));
            }
            _ => return Err(stray("STM32", *kind, content)),
        }
        Ok(())
    }

    fn coprocessor_said(&mut self, Frame { kind, content }: &Frame) -> io::Result<()> {
        let present = content.first() == Some(&self.network.number);
        match (*kind, &content[..]) {
            (from_board::BOOT, []) => {
                self.coprocessor.emit(to_board::SYN, &[&[u8::from(self.syn)]]);
                self.report.send_modify(|seen| seen.boots[1] += 1);
            }
            (from_board::ACK, &[level]) => self.set_ack(level == 1),
            (from_board::READ, &[number, address, len]) => {
                self.transfer(number, address, Err(usize::from(len)));
            }
            (from_board::WRITE, [number, address, bytes @ ..]) => {
                self.transfer(*number, *address, Ok(bytes));
            }
            (from_board::JOIN, _) => self.network.join(),
            (from_board::LEAVE, []) => self.network.leave(),
            (from_board::CONNECT, [number, low, high, server @ ..]) => {
                let server = String::from_utf8_lossy(server).into_owned();
                self.network.connect(*number, server, u16::from_le_bytes([*low, *high]));
            }
            (from_board::CLOSE, [_]) if present => self.network.close(),
            (from_board::SEND, [_, bytes @ ..]) if present => self.network.send(bytes),
            (from_board::TAKEN, [_]) if present => self.network.giving = false,
            // This network has no neighbours.
            (from_board::ASK, _) => {}
            (from_board::CLOSE | from_board::SEND | from_board::TAKEN, [_, ..]) => {}
            (from_board::LOG, text) => {
                self.log(&format!("coprocessor: {}", String::from_utf8_lossy(text)));
            }
            _ => return Err(stray("coprocessor", *kind, content)),
        }
        Ok(())
    }

    /// Transfers as the master: writes bytes (`Ok`) or reads this many (`Err`).
    fn transfer(&mut self, number: u8, address: u8, what: Result<&[u8], usize>) {
        let len = what.map_or_else(|len| len, <[u8]>::len);
        if self.kill && len > 2 {
            self.kill = false;
            self.fault("the coprocessor dies in a transfer");
            return self.lose_coprocessor(Power::Dead, false);
        }
        if address != ADDRESS {
            return self.coprocessor.emit(to_board::I2C, &[&[number, frame::NO_ADDRESS]]);
        }
        match (std::mem::replace(&mut self.armed, Armed::Nothing), what) {
            (Armed::Nothing, _) => {
                self.coprocessor.emit(to_board::I2C, &[&[number, frame::NO_ADDRESS]]);
            }
            (Armed::Tx(armed, bytes), Err(len)) if bytes.len() == len => {
                self.tell_stm32(to_board::TRANSFER, &[&[armed, frame::OK]]);
                self.coprocessor.emit(to_board::I2C, &[&[number, frame::OK], &bytes]);
            }
            (Armed::Rx(armed, len), Ok(bytes)) if bytes.len() == len => {
                self.tell_stm32(to_board::TRANSFER, &[&[armed, frame::OK], bytes]);
                self.coprocessor.emit(to_board::I2C, &[&[number, frame::OK]]);
            }
            // Lengths that do not agree, or the wrong direction.
            (Armed::Tx(armed, _) | Armed::Rx(armed, _), _) => {
                self.log("bus: the two sides do not agree about a transfer");
                self.tell_stm32(to_board::TRANSFER, &[&[armed, frame::BROKEN]]);
                self.coprocessor.emit(to_board::I2C, &[&[number, frame::BROKEN]]);
            }
        }
    }
}

/// Reads a [`HOOK`](from_board::HOOK).
fn hook(content: &[u8]) -> Option<Hook> {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Some(match content {
        [hook::BAD_WIFI] => Hook::BadWifi,
        [hook::BAD_SERVER] => Hook::BadServer,
        [hook::REPORT, numbers @ ..] => {
            let (words, []) = numbers.as_chunks::<4>() else { return None };
            let &[connects, number, free] = words else { return None };
            let word = u32::from_le_bytes;
            Hook::Report(word(connects), word(number), word(free))
        }
        [hook::SERVER, up] => Hook::Server(*up == 1),
        [hook::RESET, why @ ..] => Hook::Reset(text(why)),
        [hook::DROPPED, why @ ..] => Hook::Dropped(text(why)),
        _ => return None,
    })
}

fn ended(who: &str, why: io::Error) -> io::Error {
    io::Error::new(why.kind(), format!("the program of the {who} has crashed: {why}"))
}

fn stray(who: &str, kind: u8, content: &[u8]) -> io::Error {
    io::Error::other(format!("the {who} sent a frame {:?} {content:?}", char::from(kind)))
}
