//! The task that moves the wires.

use core::future::poll_fn;
use core::task::{Context, Poll};

use embassy_futures::select::select3;
use embassy_time::Timer;
use pblink_protocol::app::AppEvent;
use pblink_protocol::app::secure::SecureEvent;
use pblink_protocol::config::{Config, ConfigError};
use pblink_protocol::i2c::{InitiatorAction, InitiatorTiming};
use pblink_protocol::time::{Duration, Instant};

use crate::hardware::{BusEvent, FEED, Hardware, SlaveBus, Watchdog, Wires};
use crate::hooks::Hooks;
use crate::link::{App, Handle, Shared, State};
use crate::secure::Security;
use crate::secure::entropy::NoEntropy;

/// Options of a link.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Call [`Hooks::log`] with a message for everything that happens to the link.
    pub verbose: bool,
    /// Pass the ESP8266's reports on to the server, for `pblink monitor`. On by default.
    pub forward_reports: bool,
    /// Times of the exchange. The length of the reset pulse is taken from the hardware instead.
    pub timing: InitiatorTiming,
}

impl Default for Options {
    fn default() -> Self {
        Self { verbose: false, forward_reports: true, timing: InitiatorTiming::adaptive() }
    }
}

/// The reason why there is no link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartError {
    /// The configuration cannot be used.
    Config(ConfigError),
    /// The board has keys, and no random numbers to use them with. It never falls back to a link without keys.
    Entropy(NoEntropy),
}

impl core::fmt::Display for StartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Config(why) => why.fmt(f),
            Self::Entropy(why) => why.fmt(f),
        }
    }
}

impl core::error::Error for StartError {}

impl From<ConfigError> for StartError {
    fn from(why: ConfigError) -> Self {
        Self::Config(why)
    }
}

/// The result of [`new`]: the handle for your tasks, and the runner.
pub type Link<'d, B, W, H, D> = (Handle<'d>, Runner<'d, B, W, H, D>);

/// Makes a link: the handle for your tasks, and the runner, which must be [run](Runner::run) for
/// anything to happen. The connection id is part of the configuration.
///
/// The link is a secure one if the [vault](Hardware::vault) has keys for the id of the configuration. This takes the time of two
/// multiplications on the curve then.
///
/// `watchdog` is fed by the runner; `()` for none.
///
/// # Errors
/// If the configuration cannot be used; the error says which value. If there are keys, and no random numbers.
pub fn new<'d, B: SlaveBus, W: Wires, H: Hooks, D: Watchdog>(
    state: &'d mut State,
    config: &Config,
    hardware: Hardware<B, W>,
    hooks: H,
    watchdog: D,
    options: Options,
) -> Result<Link<'d, B, W, H, D>, StartError> {
    let timing = InitiatorTiming { reset_pulse: hardware.reset_pulse, ..options.timing };
    let shared: &'d Shared = state.begin();
    shared.with(|app| {
        app.set_forward_reports(options.forward_reports);
        app.configure(config, timing)
    })?;
    let Hardware { bus, wires, vault, restart, .. } = hardware;
    if let Some(vault) = vault
        && let Some(session) = vault.open(&config.id).map_err(StartError::Entropy)?
    {
        shared.secure(session);
        shared.with(|app| app.tell_restart(restart));
    }
    let runner = Runner { shared, bus, wires, hooks, watchdog, verbose: options.verbose };
    Ok((Handle { shared }, runner))
}

/// Moves the wires. Nothing happens without it.
#[must_use = "nothing happens unless the runner is run"]
pub struct Runner<'d, B, W, H, D = ()> {
    shared: &'d Shared,
    bus: B,
    wires: W,
    hooks: H,
    watchdog: D,
    verbose: bool,
}

/// An event of the hardware.
enum Seen {
    Ack(bool),
    Bus(BusEvent),
}

impl<B: SlaveBus, W: Wires, H: Hooks, D: Watchdog> Runner<'_, B, W, H, D> {
    /// Runs the link, for ever.
    pub async fn run(mut self) -> ! {
        let level = self.wires.initial_ack();
        self.shared.with(|app| {
            app.exchange().on_ack(self.shared.now(), level);
            app.start(self.shared.now());
        });
        let security = Handle { shared: self.shared }.security();
        if self.verbose {
            self.hooks.log(format_args!("link {security}"));
        }
        if let Security::Secure { kept: None, .. } = security {
            self.hooks.undetermined();
        }
        let mut tick_at = Instant::ZERO;
        loop {
            self.step();
            self.watchdog.feed();
            let now = self.shared.now();
            let feed_at = now + Duration::from_millis(FEED);
            if now >= tick_at {
                self.shared.with(|app| app.memory_mut().as_mut().map(|memory| memory.tick(now)));
                tick_at = feed_at;
            }
            // Never later than the next feeding.
            let wake_at =
                self.shared.with(|app| app.poll_at(now)).map_or(feed_at, |at| at.min(feed_at));
            let seen = select3(
                poll_fn(|context| poll_hardware(&mut self.bus, &mut self.wires, context)),
                self.shared.kick.wait(),
                Timer::at(self.shared.alarm(wake_at)),
            )
            .await;
            if let embassy_futures::select::Either3::First(seen) = seen {
                self.report(seen);
            }
        }
    }

    /// Reports an event to the machine, and does what it wants next.
    fn report(&mut self, seen: Seen) {
        let (bus, wires) = (&mut self.bus, &mut self.wires);
        self.shared.with(|app| {
            let now = self.shared.now();
            match seen {
                Seen::Ack(level) => app.exchange().on_ack(now, level),
                Seen::Bus(BusEvent::Sent) => app.exchange().on_sent(now),
                Seen::Bus(BusEvent::Received) => app.exchange().on_received(now, bus.received()),
                Seen::Bus(BusEvent::Error) => {
                    // It may hold SCL low, whether the machine waits for it or not.
                    bus.reset();
                    app.exchange().on_bus_error(now);
                }
            }
            carry_out(app, bus, wires);
        });
    }

    /// Lets the machine proceed, and reports the results to all who wait for them.
    fn step(&mut self) {
        let (bus, wires) = (&mut self.bus, &mut self.wires);
        let running = self.shared.with(|app| {
            // What a handle has caused comes before what the next poll causes.
            carry_out(app, bus, wires);
            app.poll(self.shared.now());
            carry_out(app, bus, wires);
            // Between two exchanges, when nobody waits on the wires: some tens of milliseconds.
            if app.wants_compute(self.shared.now()) {
                app.compute(self.shared.now());
                carry_out(app, bus, wires);
            }
            app.is_running()
        });
        if running {
            self.shared.started.set(true);
        }
        while let Some(event) = self.next_event() {
            self.event(event);
        }
        self.shared.wake();
    }

    fn next_event(&self) -> Option<SecureEvent> {
        self.shared.with(|app| app.next_event())
    }

    fn event(&mut self, event: SecureEvent) {
        let hooks = &mut self.hooks;
        if self.verbose {
            say(hooks, event);
        }
        match event {
            SecureEvent::App(event) => match event {
                AppEvent::Started => {}
                AppEvent::Server(up) => hooks.server_ok(up),
                AppEvent::BadWifi => hooks.bad_wifi(),
                AppEvent::BadServer => hooks.bad_server(),
                AppEvent::Report(report) => hooks.report(report),
                AppEvent::Reset(cause) => hooks.reset(cause),
                AppEvent::Dropped(cause) => hooks.dropped(cause),
            },
            SecureEvent::NoAnswer => hooks.no_answer(),
            SecureEvent::Closed(reason) => hooks.closed(reason),
            SecureEvent::Time(ms) => {
                self.shared.set_clock(ms);
                hooks.time(ms);
            }
            SecureEvent::Invalid => hooks.invalid(),
            SecureEvent::Keyed(keyed) => hooks.new_key(keyed.generation, keyed.outcome),
        }
    }
}

/// Says an event to people.
fn say(hooks: &mut impl Hooks, event: SecureEvent) {
    match event {
        SecureEvent::App(event) => match event {
            AppEvent::Started => hooks.log(format_args!("the ESP8266 has its configuration")),
            AppEvent::Server(true) => hooks.log(format_args!("the server is up")),
            AppEvent::Server(false) => hooks.log(format_args!("the server is down")),
            AppEvent::BadWifi => hooks.log(format_args!("no WiFi: check SSID and password")),
            AppEvent::BadServer => {
                hooks.log(format_args!("no server: check its address, its port and the id"));
            }
            AppEvent::Report(r) => hooks.log(format_args!(
                "report {}: {} connects, {} bytes of memory free",
                r.number, r.connects, r.mem_free
            )),
            AppEvent::Reset(cause) => hooks.log(format_args!("ESP8266 reset: {cause}")),
            AppEvent::Dropped(cause) => hooks.log(format_args!("line dropped: {cause:?}")),
        },
        SecureEvent::NoAnswer => hooks.log(format_args!(
            "the server does not answer the secure link: does it know this board's key? See `pblink keys list` there"
        )),
        SecureEvent::Closed(reason) => {
            hooks.log(format_args!("the server has closed the link for a minute, reason {reason}"));
        }
        SecureEvent::Time(_) => hooks.log(format_args!("the server has proven to have its key")),
        SecureEvent::Invalid => {
            hooks.log(format_args!("a line of the server was passed over: it cannot be one"));
        }
        SecureEvent::Keyed(keyed) => hooks.log(format_args!(
            "the server has given a new key, generation {}: {}",
            keyed.generation, keyed.outcome
        )),
    }
}

/// Transfers are looked at before edges: an edge confirms a transfer, never the other way round.
fn poll_hardware(
    bus: &mut impl SlaveBus,
    wires: &mut impl Wires,
    context: &mut Context<'_>,
) -> Poll<Seen> {
    if let Poll::Ready(event) = bus.poll_event(context.waker()) {
        return Poll::Ready(Seen::Bus(event));
    }
    wires.poll_ack(context.waker()).map(Seen::Ack)
}

/// Does what the machine wants, in its order: the slave is armed before `syn` rises.
fn carry_out(app: &mut App, bus: &mut impl SlaveBus, wires: &mut impl Wires) {
    while let Some(action) = app.exchange().next_action() {
        match action {
            InitiatorAction::Syn(high) => wires.set_syn(high),
            InitiatorAction::Reset(active) => wires.set_reset(active),
            InitiatorAction::ArmTx => bus.arm_tx(app.exchange().tx_bytes()),
            InitiatorAction::ArmRx(len) => bus.arm_rx(len),
            InitiatorAction::Disarm => bus.reset(),
        }
    }
}
