//! The handle, and what it shares with the runner.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::mem::MaybeUninit;
use core::task::{Context, Poll};

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use embassy_sync::waitqueue::MultiWakerRegistration;
use pblink_protocol::MAX_TEXT;
use pblink_protocol::app::WriteError;
use pblink_protocol::app::secure::SecureApp;
use pblink_protocol::delivery::Delivery;
use pblink_protocol::time::Instant;

use crate::secure::{Memory, Security, Session, Suite};

/// A line as it was received: UTF-8 of at most 1024 bytes, without its `\n`.
pub type Line = heapless::String<MAX_TEXT>;

/// Tasks that can wait on one link without waking each other needlessly. More are served too, but
/// the core does not rest while they wait.
pub(crate) const WAITERS: usize = 8;

/// The memory of one link, about 20 KB. Keep it in a `static` (`static_cell::ConstStaticCell`), or
/// wherever it outlives the link.
pub struct State {
    /// Made in its place when the link begins: as a constant, all of it would lie in flash, to be copied.
    shared: MaybeUninit<Shared>,
}

impl State {
    /// Memory for a link.
    pub const fn new() -> Self {
        Self { shared: MaybeUninit::uninit() }
    }

    /// Begins a link in it.
    pub(crate) fn begin(&mut self) -> &Shared {
        self.shared.write(Shared::new())
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

/// The machine of a link, with or without keys.
pub(crate) type App = SecureApp<Suite, Option<Memory>>;

/// All of this lives in one executor, in thread mode: interrupt handlers touch only the drivers.
pub(crate) struct Shared {
    app: RefCell<App>,
    waiters: RefCell<MultiWakerRegistration<WAITERS>>,
    /// A handle has done something that the runner must see to.
    pub(crate) kick: Signal<NoopRawMutex, ()>,
    pub(crate) started: Cell<bool>,
    closed: Cell<bool>,
    security: Cell<Security>,
    /// The time of the link when this program started, in µs: lines that were kept through a reset have times from before.
    base: Cell<u64>,
    /// The server's clock at a time of the link's, in ms since the Unix epoch.
    server_clock: Cell<Option<(u64, Instant)>>,
}

impl Shared {
    const fn new() -> Self {
        Self {
            app: RefCell::new(App::idle(None)),
            waiters: RefCell::new(MultiWakerRegistration::new()),
            kick: Signal::new(),
            started: Cell::new(false),
            closed: Cell::new(false),
            security: Cell::new(Security::Classic),
            base: Cell::new(0),
            server_clock: Cell::new(None),
        }
    }

    /// Makes the link a secure one.
    pub(crate) fn secure(&self, session: Session) {
        self.base.set(session.time().as_micros());
        self.security.set(session.security());
        self.with(|app| app.set_keys(session.suite, Some(session.memory)));
    }

    /// Returns the time of the link.
    pub(crate) fn now(&self) -> Instant {
        Instant::from_micros(self.base.get() + embassy_time::Instant::now().as_micros())
    }

    /// Returns the time of the executor's clock, for a time of the link.
    pub(crate) fn alarm(&self, at: Instant) -> embassy_time::Instant {
        embassy_time::Instant::from_micros(at.as_micros().saturating_sub(self.base.get()))
    }

    /// Sets the server's clock, in ms since the Unix epoch.
    pub(crate) fn set_clock(&self, ms: u64) {
        self.server_clock.set(Some((ms, self.now())));
    }

    /// Borrows the machine for `f`; no other place does. `f` is never user code, so that the borrow
    /// cannot be nested.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut App) -> R) -> R {
        f(&mut self.app.borrow_mut())
    }

    pub(crate) fn wake(&self) {
        self.waiters.borrow_mut().wake();
    }

    fn wait(&self, context: &Context<'_>) {
        self.waiters.borrow_mut().register(context.waker());
    }
}

/// The reach of the link: which part is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// [`Handle::close`] was called.
    Closed,
    /// The ESP8266 is in reset, boots, does not answer, or has no configuration yet.
    NoEsp,
    /// The ESP8266 runs, but has no server: WiFi or the server is down, or it is still connecting. On a secure link also: the
    /// server has not proven itself.
    NoServer,
    /// Lines flow to and from the server: on a secure link, to and from the one whose key this board has.
    Up,
}

impl Status {
    /// Returns true if lines flow: the reference's `status()`.
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Up)
    }
}

/// Numbers since the program started. They wrap around.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Exchanges with the ESP8266 that were completed.
    pub exchanges: u32,
    /// Resets of the ESP8266 because of a failure or on demand.
    pub resets: u32,
}

/// A link, for any number of tasks of one executor: it is `Copy`.
#[derive(Clone, Copy)]
pub struct Handle<'d> {
    pub(crate) shared: &'d Shared,
}

impl core::fmt::Debug for Handle<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Handle").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl Handle<'_> {
    /// Waits until the ESP8266 has its configuration for the first time. Lines can be written before.
    /// Without an ESP8266 that is never; the hook [`reset`](crate::Hooks::reset) reports why.
    pub async fn start(&self) {
        poll_fn(|context| {
            if self.shared.started.get() {
                return Poll::Ready(());
            }
            self.shared.wait(context);
            Poll::Pending
        })
        .await;
    }

    /// Waits for the next line from the server and puts it into `line`. If several tasks read, each
    /// line goes to one of them. Cancelling it loses nothing.
    ///
    /// Up to 2052 bytes of lines wait here, on a secure link up to 8 lines. When they are full the server is held off, so read.
    /// On a secure link, a line comes again after a reset of the chip unless it was [accepted](Self::accept) before, or this was
    /// called again.
    pub async fn readline(&self, line: &mut Line) {
        self.accept();
        poll_fn(|context| {
            if self.take_line(line) {
                return Poll::Ready(());
            }
            self.shared.wait(context);
            Poll::Pending
        })
        .await;
    }

    /// Does the same without waiting: false if no line is there, and `line` is then as it was.
    pub fn try_readline(&self, line: &mut Line) -> bool {
        self.accept();
        self.take_line(line)
    }

    fn take_line(&self, line: &mut Line) -> bool {
        let read = self.shared.with(|app| {
            app.read_line(self.shared.now(), |text| {
                line.clear();
                // It fits: no longer line is taken from the ESP8266.
                let _ = line.push_str(text);
            })
        });
        if read.is_some() {
            self.shared.kick.signal(());
        }
        read.is_some()
    }

    /// Writes one line, with or without its `\n`: up to 1024 bytes. Returns when it is queued; it
    /// waits while the queue (2052 bytes) is full, which is as long as the ESP8266 or the server is
    /// away. Cancelling it queues nothing.
    ///
    /// On a secure link the queue is the RAM that is kept through a reset of the chip (16 KB on a Pyboard, else 8 KB), which a
    /// line leaves when the server has it where it keeps it. All guaranteed lines arrive in order, and of those of best effort
    /// one at a time waits to be sent.
    ///
    /// The reference's default is [`Delivery::ORDERED`]: exactly once, in order.
    ///
    /// # Errors
    /// [`WriteError::TooLong`] and [`WriteError::Text`] (empty, or a newline inside); never
    /// [`WriteError::Full`].
    pub async fn write(&self, line: &str, delivery: Delivery) -> Result<(), WriteError> {
        poll_fn(|context| match self.try_write(line, delivery) {
            Err(WriteError::Full) => {
                self.shared.wait(context);
                Poll::Pending
            }
            result => Poll::Ready(result),
        })
        .await
    }

    /// Does the same without waiting.
    ///
    /// # Errors
    /// Those of [`write`](Self::write), and [`WriteError::Full`] if there is no room now.
    pub fn try_write(&self, line: &str, delivery: Delivery) -> Result<(), WriteError> {
        self.take(line, delivery).map(|_| ())
    }

    /// Does the same, and returns the number of a line that the server will confirm.
    fn take(&self, line: &str, delivery: Delivery) -> Result<Option<u64>, WriteError> {
        let number = self.shared.with(|app| app.write(self.shared.now(), line, delivery))?;
        self.shared.kick.signal(());
        Ok(number)
    }

    /// Writes a line, and waits until the server has it where it keeps it: the reference's `write(qos=True, wait=True)`, of
    /// which the ESP8266 was the end. On a link without keys it still is.
    ///
    /// Cancelling it while it waits for room queues nothing; later, the line is on its way.
    ///
    /// # Errors
    /// Those of [`write`](Self::write).
    pub async fn deliver(&self, line: &str) -> Result<(), WriteError> {
        let mut taken = None;
        poll_fn(|context| {
            if taken.is_none() {
                match self.take(line, Delivery::ORDERED) {
                    Ok(number) => taken = Some(number),
                    Err(WriteError::Full) => {}
                    Err(why) => return Poll::Ready(Err(why)),
                }
            }
            let there = taken.is_some_and(|number| {
                self.shared
                    .with(|app| number.map_or(app.is_flushed(), |number| app.is_done(number)))
            });
            if there {
                return Poll::Ready(Ok(()));
            }
            self.shared.wait(context);
            Poll::Pending
        })
        .await
    }

    /// Waits until the server has every line that was written where it keeps it; on a link without keys, until the ESP8266 has
    /// them.
    pub async fn flush(&self) {
        poll_fn(|context| {
            if self.shared.with(|app| app.is_flushed()) {
                return Poll::Ready(());
            }
            self.shared.wait(context);
            Poll::Pending
        })
        .await;
    }

    /// Resets the ESP8266 and begins anew, also after [`close`](Self::close). Lines that it has not
    /// been given are kept; on a secure link, those that the server has not.
    pub fn reboot(&self) {
        self.shared.closed.set(false);
        self.shared.with(|app| app.reboot(self.shared.now()));
        self.shared.kick.signal(());
    }

    /// Stops the link. Lines stay in their queues; [`reboot`](Self::reboot) begins again.
    pub fn close(&self) {
        self.shared.closed.set(true);
        self.shared.with(|app| app.close(self.shared.now()));
        self.shared.kick.signal(());
    }

    /// Notes that the program is done with the line that it has read last: on a secure link it does not come again after a reset
    /// of the chip. Asking for the next line says the same.
    pub fn accept(&self) {
        self.shared.with(|app| app.accept(self.shared.now()));
        self.shared.kick.signal(());
    }

    /// Returns the server's time, in ms since the Unix epoch: what it was when the secure link got its present keys, and what
    /// has passed since then by the clock of this chip, which is good to a percent. `None` before the first ones, and on a link
    /// without keys.
    pub fn now(&self) -> Option<u64> {
        let (ms, at) = self.shared.server_clock.get()?;
        Some(ms + self.shared.now().since(at).as_micros() / 1000)
    }

    /// Returns how the link is protected.
    pub fn security(&self) -> Security {
        self.shared.security.get()
    }

    /// Layer that is down.
    pub fn status(&self) -> Status {
        self.shared.with(|app| {
            if self.shared.closed.get() {
                Status::Closed
            } else if !app.is_running() {
                Status::NoEsp
            } else if app.server_up() {
                Status::Up
            } else {
                Status::NoServer
            }
        })
    }

    /// Numbers for curious people.
    pub fn counters(&self) -> Counters {
        self.shared
            .with(|app| Counters { exchanges: app.exchange().exchanges(), resets: app.resets() })
    }
}
