//! The handle, and what it shares with the runner.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Context, Poll};

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use embassy_sync::waitqueue::MultiWakerRegistration;
use pblink_protocol::MAX_TEXT;
use pblink_protocol::app::{AppBase, WriteError};
use pblink_protocol::delivery::Delivery;
use pblink_protocol::time::Instant;

/// A line as it was received: UTF-8 of at most 1024 bytes, without its `\n`.
pub type Line = heapless::String<MAX_TEXT>;

/// Tasks that can wait on one link without waking each other needlessly. More are served too, but
/// the core does not rest while they wait.
pub(crate) const WAITERS: usize = 8;

/// The memory of one link, about 7 KB. Keep it in a `static` (`static_cell::ConstStaticCell`), or
/// wherever it outlives the link.
pub struct State {
    pub(crate) shared: Shared,
}

impl State {
    /// Memory for a link.
    pub const fn new() -> Self {
        Self { shared: Shared::new() }
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

/// All of this lives in one executor, in thread mode: interrupt handlers touch only the drivers.
pub(crate) struct Shared {
    app: RefCell<AppBase>,
    waiters: RefCell<MultiWakerRegistration<WAITERS>>,
    /// A handle has done something that the runner must see to.
    pub(crate) kick: Signal<NoopRawMutex, ()>,
    pub(crate) started: Cell<bool>,
    closed: Cell<bool>,
}

impl Shared {
    const fn new() -> Self {
        Self {
            app: RefCell::new(AppBase::idle()),
            waiters: RefCell::new(MultiWakerRegistration::new()),
            kick: Signal::new(),
            started: Cell::new(false),
            closed: Cell::new(false),
        }
    }

    /// Borrows the machine for `f`; no other place does. `f` is never user code, so that the borrow
    /// cannot be nested.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut AppBase) -> R) -> R {
        f(&mut self.app.borrow_mut())
    }

    pub(crate) fn wake(&self) {
        self.waiters.borrow_mut().wake();
    }

    fn wait(&self, context: &Context<'_>) {
        self.waiters.borrow_mut().register(context.waker());
    }
}

pub(crate) fn now() -> Instant {
    Instant::from_micros(embassy_time::Instant::now().as_micros())
}

/// The reach of the link: which part is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// [`Handle::close`] was called.
    Closed,
    /// The ESP8266 is in reset, boots, does not answer, or has no configuration yet.
    NoEsp,
    /// The ESP8266 runs, but has no server: WiFi or the server is down, or it is still connecting.
    NoServer,
    /// Lines flow to and from the server.
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
    /// Up to 2052 bytes of lines wait here. When they are full the server is held off, so read.
    pub async fn readline(&self, line: &mut Line) {
        poll_fn(|context| {
            if self.try_readline(line) {
                return Poll::Ready(());
            }
            self.shared.wait(context);
            Poll::Pending
        })
        .await;
    }

    /// Does the same without waiting: false if no line is there, and `line` is then as it was.
    pub fn try_readline(&self, line: &mut Line) -> bool {
        let read = self.shared.with(|app| {
            app.read_line(now(), |text| {
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
        self.shared.with(|app| app.write(now(), line, delivery))?;
        self.shared.kick.signal(());
        Ok(())
    }

    /// Waits until the ESP8266 has every line that was written.
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
    /// been given are kept.
    pub fn reboot(&self) {
        self.shared.closed.set(false);
        self.shared.with(|app| app.reboot(now()));
        self.shared.kick.signal(());
    }

    /// Stops the link. Lines stay in their queues; [`reboot`](Self::reboot) begins again.
    pub fn close(&self) {
        self.shared.closed.set(true);
        self.shared.with(AppBase::close);
        self.shared.kick.signal(());
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
