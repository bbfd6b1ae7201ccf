//! A board pair, a network and a server, in virtual time.

use pblink_protocol::app::{AppBase, AppEvent};
use pblink_protocol::config::Config;
use pblink_protocol::coprocessor::{Command, Coprocessor};
use pblink_protocol::delivery::Delivery;
use pblink_protocol::i2c::{Initiator, InitiatorTiming, Responder};
use pblink_protocol::inband::Message;
use pblink_protocol::tcp::endpoint::{Disposition, Endpoint, Host, Receipt, Role, Ticket, Timing};
use pblink_protocol::time::{Duration, Instant};

use super::rig::{Esp, Rig, Seen, Stm};
use super::span;

impl Stm for AppBase {
    fn exchange(&mut self) -> &mut Initiator {
        AppBase::exchange(self)
    }
    fn poll(&mut self, now: Instant) {
        AppBase::poll(self, now);
    }
    fn poll_at(&self, now: Instant) -> Option<Instant> {
        AppBase::poll_at(self, now)
    }
}

impl Esp for Coprocessor {
    fn boot(syn: bool) -> Self {
        Coprocessor::new(syn)
    }
    fn exchange(&mut self) -> &mut Responder {
        Coprocessor::exchange(self)
    }
    fn poll(&mut self, now: Instant) {
        Coprocessor::poll(self, now);
    }
    fn poll_at(&self, now: Instant) -> Option<Instant> {
        Coprocessor::poll_at(self, now)
    }
}

pub fn config() -> Config {
    Config {
        id: "board".try_into().unwrap(),
        port: 8123,
        server: "server".try_into().unwrap(),
        timeout_ms: 2000,
        report_s: 10,
        ssid: "net".try_into().unwrap(),
        password: "password".try_into().unwrap(),
    }
}

pub type ServerEnd = Endpoint<heapless::Vec<u8, 2048>, Vec<u8>, 64>;

/// The lines that the server's application has got.
#[derive(Debug, Default)]
pub struct ServerApp {
    pub got: Vec<String>,
    pub acked: Vec<Ticket>,
    pub full: bool,
}

impl Host<Vec<u8>> for ServerApp {
    fn deliver(&mut self, text: &str, _: Receipt) -> Disposition {
        if self.full {
            return Disposition::Refused;
        }
        self.got.push(text.into());
        Disposition::Taken
    }
    fn acked(&mut self, ticket: Ticket, _: Option<Vec<u8>>, _: Duration) {
        self.acked.push(ticket);
    }
    fn invalid(&mut self, line: &[u8]) {
        panic!("the ESP8266 sent {:?}", String::from_utf8_lossy(line));
    }
}

#[derive(Debug)]
enum Net {
    WifiUp,
    Connected,
    Refused,
    ToServer(Vec<u8>),
    ToEsp(Vec<u8>),
    ClosedByServer,
    ClosedByEsp,
}

pub struct World {
    pub rig: Rig<AppBase, Coprocessor>,
    pub server: ServerEnd,
    pub server_app: ServerApp,
    /// The network is on the air, and is the one that the chip remembers.
    pub wifi: bool,
    pub remembered: bool,
    /// The server accepts connections.
    pub listening: bool,
    /// It closes each connection at once.
    pub slamming: bool,
    /// It accepts and never says a word.
    pub mute: bool,
    /// Bytes get lost without a word.
    pub silent: bool,
    /// The access point has forgotten the chip: bytes get lost until that joins anew.
    pub forgotten: bool,
    /// The application reads.
    pub reading: bool,
    pub app_got: Vec<String>,
    pub app_events: Vec<(Instant, AppEvent)>,
    pub commands: Vec<(Instant, Command)>,
    /// Number of the connection, of which events speak.
    conn: u32,
    connected: bool,
    hello: Option<Vec<u8>>,
    events: Vec<(Instant, u32, Net)>,
    life: u32,
}

impl World {
    pub fn new() -> Self {
        Self::with(config())
    }

    pub fn with(config: Config) -> Self {
        let app = AppBase::new(&config, InitiatorTiming::default()).expect("a configuration");
        let mut world = Self {
            rig: Rig::new(app),
            server: Endpoint::new(Role::Server, Timing::default(), heapless::Vec::new()),
            server_app: ServerApp::default(),
            wifi: true,
            remembered: true,
            listening: true,
            slamming: false,
            mute: false,
            silent: false,
            forgotten: false,
            reading: true,
            app_got: Vec::new(),
            app_events: Vec::new(),
            commands: Vec::new(),
            conn: 0,
            connected: false,
            hello: None,
            events: Vec::new(),
            life: 0,
        };
        let now = world.rig.now;
        world.rig.stm.start(now);
        world.rig.settle();
        world
    }

    /// Up to the server.
    pub fn up() -> Self {
        let mut world = Self::new();
        world.until(10_000, |w| w.rig.stm.server_up());
        world
    }

    pub fn now(&self) -> Instant {
        self.rig.now
    }

    pub fn app(&mut self) -> &mut AppBase {
        &mut self.rig.stm
    }

    pub fn esp(&mut self) -> &mut Coprocessor {
        self.rig.esp.as_mut().expect("it has booted")
    }

    /// Writes as the board's application.
    pub fn write(&mut self, text: &str, delivery: Delivery) -> bool {
        let now = self.rig.now;
        let done = self.rig.stm.write(now, text, delivery).is_ok();
        self.rig.settle();
        done
    }

    /// Writes as the server's application.
    pub fn server_write(&mut self, text: &str) -> Ticket {
        let now = self.rig.now;
        (self.server.write(now, text.into(), Delivery::ORDERED)).expect("room")
    }

    /// Turns the network off or on.
    pub fn set_wifi(&mut self, on: bool) {
        self.wifi = on;
        let now = self.rig.now;
        if !on && let Some(esp) = self.rig.esp.as_mut() {
            esp.on_wifi(now, false);
            self.cut();
        } else if on {
            // The chip finds it by itself.
            self.events.push((now + span(1500), self.life, Net::WifiUp));
        }
        self.rig.poll_esp();
    }

    /// Cuts the connection; neither end learns of it.
    fn cut(&mut self) {
        self.conn += 1;
        self.connected = false;
        self.hello = None;
        self.events.retain(|e| matches!(e.2, Net::WifiUp));
    }

    fn is_silent(&self) -> bool {
        self.silent || self.forgotten
    }

    fn send(&mut self, delay: u64, net: Net) {
        let of = match net {
            Net::WifiUp => self.life,
            _ => self.conn,
        };
        self.events.push((self.rig.now + span(delay), of, net));
    }

    fn command(&mut self, command: Command) {
        self.commands.push((self.rig.now, command));
        match command {
            Command::Leave => {
                self.cut();
                self.forgotten = false;
            }
            Command::Join if self.wifi => self.send(800, Net::WifiUp),
            Command::JoinRemembered if self.wifi && self.remembered => self.send(500, Net::WifiUp),
            Command::Join | Command::JoinRemembered => {}
            Command::Connect => {
                self.cut();
                if self.wifi && !self.is_silent() {
                    self.send(10, if self.listening { Net::Connected } else { Net::Refused });
                }
            }
            Command::Disconnect => {
                let reported = self.connected && !self.is_silent();
                self.cut();
                if reported {
                    self.send(5, Net::ClosedByEsp);
                }
            }
        }
    }

    fn net(&mut self, of: u32, net: Net) {
        let now = self.rig.now;
        let current = match net {
            Net::WifiUp => of == self.life && self.wifi,
            Net::ClosedByEsp => of == self.conn,
            _ => of == self.conn && !self.is_silent(),
        };
        if !current {
            return;
        }
        if matches!(net, Net::Connected) && self.slamming {
            self.send(20, Net::ClosedByServer);
        }
        let Some(esp) = self.rig.esp.as_mut() else {
            return;
        };
        match net {
            Net::ToServer(_) if self.mute || self.slamming => {}
            Net::WifiUp => esp.on_wifi(now, true),
            Net::Connected => {
                esp.on_connected(now);
                self.connected = true;
                self.hello = Some(Vec::new());
            }
            Net::Refused => esp.on_connect_failed(now),
            Net::ToEsp(bytes) => esp.on_bytes(now, &bytes),
            Net::ClosedByServer => {
                esp.on_closed(now);
                self.connected = false;
            }
            Net::ClosedByEsp => self.server.on_disconnected(),
            Net::ToServer(mut bytes) => {
                if let Some(hello) = &mut self.hello {
                    hello.append(&mut bytes);
                    let Some(end) = hello.iter().position(|&b| b == b'\n') else {
                        return;
                    };
                    assert_eq!(&hello[..end], b"board");
                    bytes = hello.split_off(end + 1);
                    self.hello = None;
                    self.server.on_connected(now);
                }
                self.server.on_bytes(now, &bytes, &mut self.server_app);
            }
        }
    }

    pub fn step(&mut self, limit: Instant) {
        let next = [
            self.rig.next_at(),
            self.events.iter().map(|e| e.0).min(),
            self.server.poll_at(self.rig.now),
        ]
        .into_iter()
        .flatten()
        .min()
        .map_or(limit, |at| at.clamp(self.rig.now, limit.max(self.rig.now)));
        self.rig.step_to(next);
        let now = self.rig.now;
        if self.life != self.rig.life {
            self.life = self.rig.life;
            self.cut();
        }
        while let Some(at) = self.events.iter().position(|e| e.0 <= now) {
            let (_, of, net) = self.events.remove(at);
            self.net(of, net);
            self.rig.poll_esp();
        }
        while let Some(esp) = self.rig.esp.as_mut().filter(|_| !self.rig.hung) {
            let mut out = [0; 300];
            if let Some(command) = esp.next_command() {
                self.command(command);
            } else {
                let n = esp.transmit(now, &mut out);
                if n == 0 {
                    break;
                }
                self.send(5, Net::ToServer(out[..n].to_vec()));
            }
            self.rig.poll_esp();
        }
        let mut out = [0; 300];
        loop {
            let n = self.server.transmit(now, &mut out);
            if n == 0 {
                break;
            }
            self.send(5, Net::ToEsp(out[..n].to_vec()));
        }
        if self.server.outage(now) {
            self.server.on_disconnected();
            if self.connected {
                self.send(5, Net::ClosedByServer);
            }
        }
        while let Some(event) = self.rig.stm.next_event() {
            self.app_events.push((now, event));
        }
        while self.reading
            && let Some(line) = self.rig.stm.read_line(now, str::to_string)
        {
            self.app_got.push(line);
        }
        self.rig.settle();
    }

    /// Goes on by this many steps.
    pub fn steps(&mut self, count: u32) {
        for _ in 0..count {
            let soon = self.now() + Duration::from_millis(50);
            self.step(soon);
        }
    }

    pub fn run(&mut self, millis: u64) {
        let end = self.rig.now + span(millis);
        while self.rig.now < end {
            self.step(end);
        }
    }

    pub fn until(&mut self, millis: u64, mut done: impl FnMut(&mut Self) -> bool) {
        let end = self.rig.now + span(millis);
        while !done(self) {
            assert!(self.rig.now < end, "not done within {millis} ms: {:?}", self.app_events);
            self.step(end);
        }
    }

    /// Returns the payloads that the ESP8266 has read since its `n`-th reset (from 1).
    pub fn payloads_since_reset(&self, n: usize) -> Vec<Vec<u8>> {
        let resets = self.rig.trace.iter().enumerate();
        let from =
            resets.filter(|(_, t)| t.1 == Seen::Reset(true)).nth(n - 1).expect("so many resets").0;
        let seen = self.rig.trace[from + 1..].iter().map(|t| &t.1);
        seen.take_while(|s| **s != Seen::Reset(true))
            .filter_map(|s| match s {
                Seen::Read(bytes) if bytes.len() != 2 => Some(bytes.clone()),
                _ => None,
            })
            .collect()
    }
}

/// Returns true if the application had this event.
pub fn has(world: &World, event: AppEvent) -> bool {
    world.app_events.iter().any(|e| e.1 == event)
}

/// Lines without the forwarded reports.
pub fn lines(got: &[String]) -> Vec<&str> {
    got.iter().map(String::as_str).filter(|line| Message::parse(line).is_none()).collect()
}
