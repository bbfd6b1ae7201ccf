//! The chip: ESP8266 with Espressif's ESP8266_NONOS_SDK 3.x.
//!
//! The SDK runs one thing at a time: its own work, callbacks, timers and our task, each until it
//! returns. Only the interrupt of `syn` comes in between; it posts an event to the task, and no more.
//! A callback that the SDK makes from within one of our calls finds the program in use: what it has to
//! report then waits for the task.
//!
//! The console is UART0 at 74880 baud, 8N1: the rate of the chip's boot messages.

#![allow(unsafe_code, reason = "the boundary to the SDK")]

mod names;
mod pins;
mod raw;
mod shared;
mod start;

use core::cell::UnsafeCell;
use core::ffi::{c_char, c_void};
use core::fmt::{self, Write};
use core::mem::MaybeUninit;
use core::ptr::addr_of_mut;

use pblink_coprocessor_program::{Board, Event, Program, SEND, Syn};
use pblink_protocol::config::MAX_SERVER;
use pblink_protocol::coprocessor::MAX_HOST_NAME;
use pblink_protocol::i2c::BusFault;

use pblink_coprocessor_program::i2c::Master;
use shared::Shared;

/// Priority of our task: 0 to 2.
const PRIORITY: u8 = 1;

/// Data of the task: it and the callbacks use it, never two at a time.
struct Task<T>(UnsafeCell<T>);

// SAFETY: the core has one thread; `BUSY` keeps callbacks within our own calls away, and the
// interrupt does not touch it.
unsafe impl<T> Sync for Task<T> {}

impl<T> Task<T> {
    const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    fn get(&self) -> *mut T {
        self.0.get()
    }
}

static PROGRAM: Task<Program> = Task::new(Program::idle());
static CHIP: Task<MaybeUninit<Chip>> = Task::new(MaybeUninit::uninit());
static QUEUE: Task<[MaybeUninit<raw::Event>; 4]> = Task::new([const { MaybeUninit::uninit() }; 4]);
static TIMER: Task<raw::Timer> = Task::new(raw::Timer::UNUSED);
static CONNECTION: Task<raw::Connection> = Task::new(raw::Connection::UNUSED);
static TCP: Task<raw::Tcp> = Task::new(raw::Tcp::UNUSED);
/// Bytes that are being sent: the SDK may read them until it has reported that they were sent.
static SENDING: Task<[u8; SEND]> = Task::new([0; SEND]);
/// The server's address, in the network's order.
static ADDRESS: Task<u32> = Task::new(0);

/// 1: the task has an event in its queue already. `assembly.S` uses it too.
#[unsafe(export_name = "PBLINK_POSTED")]
static POSTED: Shared = Shared::new(0);
/// 1: `syn` has moved since it was looked at. `assembly.S` sets it.
#[unsafe(export_name = "PBLINK_MOVED")]
static MOVED: Shared = Shared::new(0);
/// 1: the program is in use.
static BUSY: Shared = Shared::new(0);
/// Events that callbacks could not hand over while the program was in use: bits.
static DEFERRED: Shared = Shared::new(0);
/// State of the connection: see `Phase`.
static PHASE: Shared = Shared::new(Phase::Closed as u8);
/// 1: `ADDRESS` is the answer to a question that was given up.
static FOUND: Shared = Shared::new(0);
/// 1: the chip is in the network, with an address or without.
static ASSOCIATED: Shared = Shared::new(0);

// assembly.S
unsafe extern "C" {
    fn pblink_on_edge(_: *mut c_void);
}

const WIFI_UP: u8 = 1;
const WIFI_DOWN: u8 = 2;
const FAILED: u8 = 4;

#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    /// The name is being looked up.
    Resolving,
    Connecting,
    Open,
    /// Aborted: the SDK still has it, and calls back once more.
    Closing,
}

fn phase() -> Phase {
    match PHASE.get() {
        1 => Phase::Resolving,
        2 => Phase::Connecting,
        3 => Phase::Open,
        4 => Phase::Closing,
        _ => Phase::Closed,
    }
}

fn set_phase(phase: Phase) {
    PHASE.set(phase as u8);
}

struct Chip {
    bus: Master<pins::Bus>,
}

fn micros() -> u32 {
    // SAFETY: reads a timer.
    unsafe { raw::system_get_time() }
}

/// Lets the task run.
fn post() {
    if POSTED.get() == 0 {
        POSTED.set(1);
        // SAFETY: the queue has room: the interrupt in between adds one at most.
        unsafe { raw::system_os_post(PRIORITY, 0, 0) };
    }
}

/// Hands the program an event, unless the program is in use.
fn report(event: Event<'_>) -> bool {
    if BUSY.get() != 0 {
        return false;
    }
    // SAFETY: not in use.
    unsafe { (*PROGRAM.get()).event(event, micros()) };
    post();
    true
}

fn defer(what: u8) {
    DEFERRED.set(DEFERRED.get() | what);
    post();
}

/// Notes that the connection is gone, or did not come about.
fn failed() {
    let event = match phase() {
        Phase::Closed => return,
        // The end that was wanted.
        Phase::Closing => return set_phase(Phase::Closed),
        Phase::Resolving | Phase::Connecting => Event::ConnectFailed,
        Phase::Open => Event::Closed,
    };
    if report(event) {
        set_phase(Phase::Closed);
    } else {
        defer(FAILED);
    }
}

extern "C" fn task(_: *mut raw::Event) {
    // Before looking, so that what comes from now on is looked at by the next run.
    POSTED.set(0);
    let deferred = DEFERRED.get();
    DEFERRED.set(0);
    if deferred & FAILED != 0 {
        failed();
    }
    if deferred & WIFI_DOWN != 0 {
        report(Event::Wifi(false));
    }
    if deferred & WIFI_UP != 0 {
        report(Event::Wifi(true));
    }
    BUSY.set(1);
    // SAFETY: set up before the task; BUSY keeps callbacks away.
    let (program, chip) = unsafe { (&mut *PROGRAM.get(), (*CHIP.get()).assume_init_mut()) };
    let pause = program.run(chip);
    BUSY.set(0);
    match pause.map(|pause| pause.as_micros().div_ceil(1000).min(60_000) as u32) {
        Some(0) => post(),
        millis => unsafe {
            // At least once a minute, for the clock that wraps.
            // SAFETY: the timer is ours.
            raw::ets_timer_disarm(TIMER.get());
            raw::ets_timer_arm_new(TIMER.get(), millis.unwrap_or(60_000), false, true);
        },
    }
}

extern "C" fn on_timer(_: *mut c_void) {
    post();
}

extern "C" fn on_wifi(event: *const raw::SystemEvent) {
    // SAFETY: the SDK gives a valid pointer.
    let event = unsafe { (*event).event };
    ASSOCIATED.set(u8::from(matches!(event, raw::CONNECTED | raw::GOT_IP)));
    let (up, bit) = match event {
        raw::GOT_IP => (true, WIFI_UP),
        // Without an address the network is of no use: the next attempt begins from the start.
        raw::DISCONNECTED | raw::DHCP_TIMEOUT => (false, WIFI_DOWN),
        _ => return,
    };
    if !report(Event::Wifi(up)) {
        defer(bit);
    }
}

extern "C" fn on_connected(_: *mut c_void) {
    if phase() != Phase::Connecting {
        abort();
        return;
    }
    // SAFETY: the connection is ours; these only note the callbacks.
    unsafe {
        let connection = CONNECTION.get();
        raw::espconn_set_opt(connection, raw::NO_DELAY);
        raw::espconn_regist_recvcb(connection, on_received);
        raw::espconn_regist_sentcb(connection, on_sent);
    }
    if report(Event::Connected) {
        set_phase(Phase::Open);
    } else {
        defer(FAILED);
    }
}

extern "C" fn on_error(_: *mut c_void, _: i8) {
    failed();
}

extern "C" fn on_disconnected(_: *mut c_void) {
    failed();
}

extern "C" fn on_sent(_: *mut c_void) {
    if phase() == Phase::Open && !report(Event::Sent) {
        defer(FAILED);
    }
}

extern "C" fn on_received(_: *mut c_void, bytes: *const u8, length: u16) {
    if phase() != Phase::Open {
        return;
    }
    // SAFETY: the SDK gives this many valid bytes until this returns.
    let bytes = unsafe { core::slice::from_raw_parts(bytes, usize::from(length)) };
    if !report(Event::Received(bytes)) {
        // They would be missing: only a new connection makes up for that.
        defer(FAILED);
    }
}

extern "C" fn on_found(_: *const c_char, address: *const u32, _: *mut c_void) {
    // SAFETY: null if the name was not found.
    let address = unsafe { address.as_ref() }.copied();
    match (phase(), address) {
        // An answer to an earlier question does as well. The second finds that it is not needed.
        (Phase::Resolving, Some(address)) if open(address) => {}
        (Phase::Resolving, _) => failed(),
        // Too late for this attempt, but the next need not ask: else a name server that takes a little
        // longer than an attempt lasts would never be in time.
        (Phase::Closed, Some(address)) => {
            // SAFETY: nothing else uses it now.
            unsafe { ADDRESS.get().write(address) };
            FOUND.set(1);
        }
        _ => {}
    }
}

/// Gives the connection up, if the SDK has one of this structure, whatever its state.
fn abort() {
    // SAFETY: the structure is ours. What the SDK does not know, or has aborted already, is an error that is
    // returned.
    let known = unsafe { raw::espconn_abort(CONNECTION.get()) } != raw::ARG;
    set_phase(if known { Phase::Closing } else { Phase::Closed });
}

/// Begins to connect to an address in the network's order. Returns whether that is possible.
fn open(address: u32) -> bool {
    set_phase(Phase::Connecting);
    // SAFETY: both structures are ours, and outlive the connection.
    unsafe {
        (*TCP.get()).remote_ip = address.to_le_bytes();
        (*TCP.get()).local_port = raw::espconn_port() as _;
        raw::espconn_connect(CONNECTION.get()) == raw::OK
    }
}

/// Has a network with a password only be joined if it is protected: others may have the same name.
fn protect(station: &mut raw::Station) {
    if station.password[0] != 0 {
        station.threshold.authmode = raw::WPA_PSK;
        station.open_and_wep_mode_disable = true;
    }
}

impl Board for Chip {
    fn micros(&mut self) -> u32 {
        micros()
    }

    fn syn(&mut self) -> Syn {
        let mut moved = false;
        // If the wire has moved again after its level was read, it is not known whether that is the level before
        // or after: read again. A wire that never rests is left to the next call.
        for _ in 0..8 {
            moved |= MOVED.get() != 0;
            MOVED.set(0);
            let level = pins::syn();
            if MOVED.get() == 0 {
                return Syn { level, moved };
            }
        }
        Syn { level: pins::syn(), moved: true }
    }

    fn set_ack(&mut self, level: bool) {
        pins::set_ack(level);
    }

    fn i2c_read(&mut self, address: u8, bytes: &mut [u8]) -> Result<(), BusFault> {
        self.bus.read(address, bytes)
    }

    fn i2c_write(&mut self, address: u8, bytes: &[u8]) -> Result<(), BusFault> {
        self.bus.write(address, bytes)
    }

    fn set_host_name(&mut self, name: &str) {
        let mut text = [0; MAX_HOST_NAME + 1];
        text[..name.len()].copy_from_slice(name.as_bytes());
        // SAFETY: the text ends with a zero; the SDK copies it. Without memory for it the old name stays.
        unsafe { raw::wifi_station_set_hostname(text.as_ptr().cast()) };
    }

    fn join_remembered(&mut self) {
        let mut station = raw::Station::EMPTY;
        // SAFETY: plain calls; the SDK copies the structure.
        unsafe {
            if ASSOCIATED.get() == 0
                && raw::wifi_station_get_config_default(&mut station)
                && station.ssid[0] != 0
            {
                protect(&mut station);
                raw::wifi_station_disconnect();
                raw::wifi_station_set_config_current(&station);
                raw::wifi_station_connect();
            }
        }
    }

    fn join(&mut self, ssid: &str, password: &str) {
        // In it already, and waiting for an address: to begin anew would only make that later. There is one
        // configuration for each start, so it is the right network.
        if ASSOCIATED.get() != 0 {
            return;
        }
        let (mut wanted, mut known) = (raw::Station::EMPTY, raw::Station::EMPTY);
        wanted.ssid[..ssid.len()].copy_from_slice(ssid.as_bytes());
        wanted.password[..password.len()].copy_from_slice(password.as_bytes());
        protect(&mut wanted);
        // SAFETY: plain calls; the SDK copies the structure.
        unsafe {
            raw::wifi_station_disconnect();
            let same = raw::wifi_station_get_config_default(&mut known)
                && known.ssid == wanted.ssid
                && known.password == wanted.password;
            // To remember costs a write to the flash: only what is new.
            if same {
                raw::wifi_station_set_config_current(&wanted);
            } else {
                raw::wifi_station_set_config(&wanted);
            }
            raw::wifi_station_connect();
        }
    }

    fn leave(&mut self) {
        // SAFETY: a plain call. Its event follows, and is no news for the machine then.
        unsafe { raw::wifi_station_disconnect() };
        ASSOCIATED.set(0);
    }

    fn ask(&mut self, len: usize) {
        names::ask(SENDING.get().cast(), len);
    }

    fn connect(&mut self, server: &str, port: u16) {
        // One that is still there would refuse the next.
        abort();
        if phase() != Phase::Closed {
            // It is gone when the SDK has called back; the machine tries again by then.
            set_phase(Phase::Connecting);
            return defer(FAILED);
        }
        let mut name = [0; MAX_SERVER + 1];
        name[..server.len()].copy_from_slice(server.as_bytes());
        set_phase(Phase::Resolving);
        // SAFETY: the structures are ours, and not in use: the last connection was aborted. Field by
        // field, as the SDK may look at them at any time.
        let begun = unsafe {
            let connection = CONNECTION.get();
            TCP.get().write(raw::Tcp::UNUSED);
            connection.write(raw::Connection::UNUSED);
            (*TCP.get()).remote_port = i32::from(port);
            (*connection).kind = raw::TCP;
            (*connection).proto = TCP.get().cast();
            raw::espconn_regist_connectcb(connection, on_connected);
            raw::espconn_regist_reconcb(connection, on_error);
            raw::espconn_regist_disconcb(connection, on_disconnected);
            let found = FOUND.get() != 0;
            FOUND.set(0);
            if found {
                open(*ADDRESS.get())
            } else {
                // Also takes an address for a name, and answers at once then.
                match raw::espconn_gethostbyname(
                    connection,
                    name.as_ptr().cast(),
                    addr_of_mut!(*ADDRESS.get()),
                    on_found,
                ) {
                    raw::OK => open(*ADDRESS.get()),
                    answer => answer == raw::IN_PROGRESS,
                }
            }
        };
        if !begun {
            defer(FAILED);
        }
    }

    fn disconnect(&mut self) {
        match phase() {
            Phase::Closed | Phase::Closing => {}
            // An answer that comes now finds no question.
            Phase::Resolving => set_phase(Phase::Closed),
            // At once, and so that the server learns of it.
            Phase::Connecting | Phase::Open => abort(),
        }
    }

    fn send_buffer(&mut self) -> &mut [u8; SEND] {
        // SAFETY: it is not in use: the last bytes were sent, or their connection aborted.
        unsafe { &mut *SENDING.get() }
    }

    fn send(&mut self, len: usize) {
        // SAFETY: the buffer stays as it is until the SDK has reported that it was sent.
        let sent = unsafe {
            raw::espconn_send(CONNECTION.get(), SENDING.get().cast(), len.min(SEND) as u16)
        };
        if sent != raw::OK {
            defer(FAILED);
        }
    }

    fn mem_free(&mut self) -> u32 {
        // SAFETY: a plain call.
        unsafe { raw::system_get_free_heap_size() }
    }

    fn log(&mut self, line: fmt::Arguments<'_>) {
        print(line);
    }
}

/// Prints a line to the console; cuts it if it is too long.
fn print(line: fmt::Arguments<'_>) {
    let mut text: heapless::String<161> = heapless::String::new();
    let _ = text.write_fmt(line);
    if text.push('\0').is_err() {
        text.pop();
        let _ = text.push('\0');
    }
    // SAFETY: the text ends with a zero.
    unsafe {
        raw::os_printf_plus(c"%s\n".as_ptr(), text.as_ptr());
    }
}
