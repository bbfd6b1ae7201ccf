//! An STM32 whose application base is host code, and an ESP8266 whose firmware is machine code.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use pblink_esp8266::frame::{self, from_board, to_board};
use pblink_protocol::app::{AppBase, AppEvent};
use pblink_protocol::config::Config;
use pblink_protocol::endpoint::Qos;
use pblink_protocol::exchange::{ADDRESS, InitiatorAction, InitiatorTiming};
use pblink_protocol::time::Instant;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::chip::{Chip, Frame};
use crate::ledger::line;
use crate::network::{Happened, Network};

/// Nothing that a test waits for takes this long, unless it never comes.
const LIMIT: Duration = Duration::from_secs(180);

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The ESP8266 dies in the middle of the next transfer of a payload over I2C. Its pins stay as
    /// they are until it is reset.
    KillInPayload,
    /// The ESP8266 hangs, until it is reset.
    Hang,
    /// The access point is switched off, or on again.
    Wifi(bool),
}

/// What has been seen of a rig so far.
#[derive(Debug, Default)]
pub struct Seen {
    /// Lines that the STM32's program has written.
    pub written: usize,
    /// Lines that it has read.
    pub down: Vec<String>,
    /// Events of its application base.
    pub events: Vec<AppEvent>,
    /// How often the ESP8266's program has started.
    pub boots: usize,
    /// How often the ESP8266 was killed or hung by a [`Fault`].
    pub faults: usize,
    /// The longest that the STM32 was late for its own time, because this machine was busy.
    pub late: Duration,
    /// What the ESP8266 wrote to its console, what the STM32 was told, and what went wrong, with the
    /// time in seconds.
    pub log: Vec<String>,
    /// The rig has failed.
    failed: Option<String>,
}

impl Seen {
    /// How often the STM32 has reset the ESP8266 after a failure.
    pub fn resets(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, AppEvent::Reset(_))).count()
    }
}

/// A running rig. It ends when this is dropped.
#[derive(Debug)]
pub struct Rig {
    faults: mpsc::UnboundedSender<Fault>,
    seen: watch::Receiver<Seen>,
    task: JoinHandle<()>,
}

impl Rig {
    /// Switches a pair of boards on. The STM32's program writes `count` numbered lines
    /// ([`line()`] with `"up"`), as fast as they are taken.
    ///
    /// # Panics
    /// If the configuration cannot be used.
    pub fn start(image: PathBuf, config: &Config, count: usize) -> Self {
        let mut app = AppBase::new(config, InitiatorTiming::default()).expect("a configuration");
        app.set_forward_reports(false);
        let (faults, orders) = mpsc::unbounded_channel();
        let (tell, seen) = watch::channel(Seen::default());
        let bench = Bench {
            image,
            app,
            count,
            started: std::time::Instant::now(),
            chip: Power::Reset,
            network: Network::new(),
            syn: true,
            armed: Armed::Nothing,
            kill: false,
            tell,
        };
        Self { faults, seen, task: tokio::spawn(bench.run(orders)) }
    }

    /// Something goes wrong.
    pub fn inject(&self, fault: Fault) {
        self.faults.send(fault).expect("the rig runs");
    }

    /// Waits until `wanted` is true of what was seen, and returns what `get` makes of it.
    ///
    /// # Panics
    /// If the rig fails, or this never comes.
    pub async fn wait<R>(
        &self,
        what: &str,
        wanted: impl Fn(&Seen) -> bool,
        get: impl FnOnce(&Seen) -> R,
    ) -> R {
        let mut seen = self.seen.clone();
        let waited = tokio::time::timeout(
            LIMIT,
            seen.wait_for(|seen| seen.failed.is_some() || wanted(seen)),
        )
        .await;
        match waited {
            Ok(Ok(seen)) if seen.failed.is_none() => get(&seen),
            _ => panic!("waited for \"{what}\" in vain: {:#?}", *self.seen.borrow()),
        }
    }

    /// What has been seen.
    pub fn look<R>(&self, get: impl FnOnce(&Seen) -> R) -> R {
        get(&self.seen.borrow())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The ESP8266.
enum Power {
    /// Its reset wire is active, or it has not been switched on.
    Reset,
    /// It has died, and waits for a reset.
    Dead,
    On(Chip),
}

/// What the STM32's I2C peripheral is ready for.
enum Armed {
    Nothing,
    Tx(Vec<u8>),
    Rx(usize),
}

struct Bench {
    image: PathBuf,
    app: AppBase,
    count: usize,
    started: std::time::Instant,
    chip: Power,
    network: Network,
    syn: bool,
    armed: Armed,
    /// [`Fault::KillInPayload`] is due.
    kill: bool,
    tell: watch::Sender<Seen>,
}

/// What woke the bench up.
enum Wake {
    Time,
    Order(Fault),
    Frame(io::Result<Frame>),
    Network(Happened),
}

impl Bench {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Fault>) {
        // Nobody drives ack yet: a pull-up.
        let now = self.now();
        self.app.wires().ack(true, now);
        self.app.start(now);
        loop {
            if let Err(error) = self.settle().await {
                return self.fail(format!("the emulator cannot be started: {error}"));
            }
            let at = self.app.poll_at().map(|at| self.started + micros(at));
            let time = async {
                match at {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            let listens = matches!(&self.chip, Power::On(chip) if !chip.is_hung());
            let chip = &mut self.chip;
            let frame = async {
                match chip {
                    Power::On(chip) if listens => chip.frame().await,
                    _ => std::future::pending().await,
                }
            };
            let wake = tokio::select! {
                order = orders.recv() => match order {
                    Some(fault) => Wake::Order(fault),
                    None => return,
                },
                frame = frame => Wake::Frame(frame),
                happened = self.network.next() => Wake::Network(happened),
                () = time => Wake::Time,
            };
            self.note_lateness(at);
            match wake {
                Wake::Time => {}
                Wake::Order(fault) => self.fault(fault),
                Wake::Frame(Ok(frame)) => self.frame(frame),
                Wake::Frame(Err(error)) => {
                    return self.fail(format!("the firmware has crashed: {error}"));
                }
                Wake::Network(happened) => self.network(happened),
            }
        }
    }

    fn now(&self) -> Instant {
        Instant::from_micros(self.started.elapsed().as_micros() as u64)
    }

    fn log(&self, what: &str) {
        let at = self.started.elapsed().as_secs_f64();
        self.tell.send_modify(|seen| seen.log.push(format!("{at:8.3} {what}")));
    }

    fn note_lateness(&self, at: Option<std::time::Instant>) {
        let late = at.map_or(Duration::ZERO, |at| at.elapsed());
        self.tell.send_if_modified(|seen| {
            seen.late = seen.late.max(late);
            false
        });
    }

    fn fail(&mut self, why: String) {
        self.tell.send_modify(|seen| seen.failed = Some(why));
    }

    /// Carries out what the STM32 wants until it wants nothing more.
    async fn settle(&mut self) -> io::Result<()> {
        loop {
            let now = self.now();
            self.app.poll(now);
            self.program(now);
            let mut quiet = true;
            while let Some(action) = self.app.wires().next_action() {
                quiet = false;
                self.action(action).await?;
            }
            if quiet {
                return Ok(());
            }
        }
    }

    /// The user's program on the STM32.
    fn program(&mut self, now: Instant) {
        let mut written = self.tell.borrow().written;
        while self.app.is_running()
            && written < self.count
            && self.app.write(&line("up", written), Qos::ORDERED, now).is_ok()
        {
            written += 1;
            self.tell.send_modify(|seen| seen.written = written);
        }
        while let Some(line) = self.app.read_line(now, str::to_owned) {
            self.tell.send_modify(|seen| seen.down.push(line));
        }
        while let Some(event) = self.app.next_event() {
            if !matches!(event, AppEvent::Report(_)) {
                self.log(&format!("STM32: {event:?}"));
            }
            self.tell.send_modify(|seen| seen.events.push(event));
        }
    }

    async fn action(&mut self, action: InitiatorAction) -> io::Result<()> {
        match action {
            InitiatorAction::Syn(level) => {
                self.syn = level;
                self.tell_chip(to_board::SYN, &[&[u8::from(level)]]);
            }
            InitiatorAction::Reset(true) => {
                self.log("wire: reset");
                self.lose_chip(Power::Reset, true);
            }
            InitiatorAction::Reset(false) => {
                if matches!(self.chip, Power::Reset) {
                    self.chip = Power::On(Chip::start(&self.image).await?);
                }
            }
            InitiatorAction::ArmTx => {
                self.armed = Armed::Tx(self.app.wires().tx_bytes().to_vec());
            }
            InitiatorAction::ArmRx(n) => self.armed = Armed::Rx(n),
            InitiatorAction::Disarm => self.armed = Armed::Nothing,
        }
        Ok(())
    }

    fn tell_chip(&mut self, kind: u8, parts: &[&[u8]]) {
        if let Power::On(chip) = &mut self.chip {
            chip.tell(kind, parts);
        }
    }

    /// The chip's program ends. In reset its pins are inputs, and `ack` is pulled up.
    fn lose_chip(&mut self, power: Power, floating: bool) {
        self.chip = power;
        self.network.lose();
        if floating {
            let now = self.now();
            self.app.wires().ack(true, now);
        }
    }

    fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::KillInPayload => self.kill = true,
            Fault::Hang => {
                if let Power::On(chip) = &mut self.chip {
                    chip.hang();
                    self.log("fault: hang");
                    self.tell.send_modify(|seen| seen.faults += 1);
                }
            }
            Fault::Wifi(on) => {
                if self.network.switch(on) {
                    self.tell_chip(to_board::WIFI, &[&[0]]);
                }
            }
        }
    }

    fn network(&mut self, happened: Happened) {
        let number = [self.network.number];
        match happened {
            Happened::Joined => self.tell_chip(to_board::WIFI, &[&[1]]),
            Happened::Connected => self.tell_chip(to_board::CONNECTED, &[&number]),
            Happened::Failed => self.tell_chip(to_board::FAILED, &[&number]),
            Happened::Closed => self.tell_chip(to_board::CLOSED, &[&number]),
            Happened::Sent => self.tell_chip(to_board::SENT, &[&number]),
            Happened::Received(bytes) => self.tell_chip(to_board::RECEIVED, &[&number, &bytes]),
        }
    }

    fn frame(&mut self, Frame { kind, content }: Frame) {
        match (kind, &content[..]) {
            (from_board::BOOT, []) => {
                self.tell.send_modify(|seen| seen.boots += 1);
                self.tell_chip(to_board::SYN, &[&[u8::from(self.syn)]]);
            }
            (from_board::ACK, &[level]) => {
                let now = self.now();
                self.app.wires().ack(level == 1, now);
            }
            (from_board::READ, &[number, address, len]) => {
                self.transfer(number, address, Err(usize::from(len)));
            }
            (from_board::WRITE, [number, address, bytes @ ..]) => {
                self.transfer(*number, *address, Ok(bytes));
            }
            (from_board::JOIN, _) => self.network.join(),
            (from_board::CONNECT, [number, low, high, server @ ..]) => {
                let server = String::from_utf8_lossy(server).into_owned();
                self.network.connect(*number, server, u16::from_le_bytes([*low, *high]));
            }
            (from_board::CLOSE, &[number]) if number == self.network.number => self.network.close(),
            (from_board::SEND, [number, bytes @ ..]) if *number == self.network.number => {
                self.network.send(bytes);
            }
            (from_board::TAKEN, &[number]) if number == self.network.number => {
                self.network.giving = false;
            }
            (from_board::CLOSE | from_board::SEND | from_board::TAKEN, [_, ..]) => {}
            (from_board::LOG, text) => {
                self.log(&format!("ESP8266: {}", String::from_utf8_lossy(text)));
            }
            _ => self.fail(format!("the firmware sent a frame {:?} {content:?}", char::from(kind))),
        }
    }

    /// The master writes bytes (`Ok`) or reads so many (`Err`).
    fn transfer(&mut self, number: u8, address: u8, what: Result<&[u8], usize>) {
        let len = what.map_or_else(|len| len, <[u8]>::len);
        if self.kill && len > 2 {
            self.kill = false;
            self.log("fault: killed");
            self.tell.send_modify(|seen| seen.faults += 1);
            return self.lose_chip(Power::Dead, false);
        }
        let now = self.now();
        let armed = std::mem::replace(&mut self.armed, Armed::Nothing);
        match (armed, what) {
            (armed, _) if address != ADDRESS => {
                self.armed = armed;
                self.tell_chip(to_board::I2C, &[&[number, frame::NO_ADDRESS]]);
            }
            (Armed::Nothing, _) => {
                self.tell_chip(to_board::I2C, &[&[number, frame::NO_ADDRESS]]);
            }
            (Armed::Tx(bytes), Err(len)) if bytes.len() == len => {
                self.tell_chip(to_board::I2C, &[&[number, frame::OK], &bytes]);
                self.app.wires().sent(now);
            }
            (Armed::Rx(len), Ok(bytes)) if bytes.len() == len => {
                self.tell_chip(to_board::I2C, &[&[number, frame::OK]]);
                self.app.wires().transfer_received(bytes, now);
            }
            // Lengths that do not agree, or the wrong direction.
            _ => {
                self.tell_chip(to_board::I2C, &[&[number, frame::BROKEN]]);
                self.app.wires().bus_error(now);
            }
        }
    }
}

fn micros(at: Instant) -> Duration {
    Duration::from_micros(at.as_micros())
}
