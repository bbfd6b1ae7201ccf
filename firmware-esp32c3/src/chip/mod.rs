//! The chip: ESP32-C3 with `esp-hal`, `esp-radio` and `embassy-net`.
//!
//! One thread runs our tasks, one at a time: the [program](Program), WiFi, the TCP connection, datagrams and the console. The
//! radio has threads of its own, which come in between: a transfer on the bus holds up our tasks for 20 ms at most, and the
//! radio not at all. The interrupts of `syn` and `reset` only note what has happened.

#![allow(unsafe_code, reason = "a panic takes the console from whoever has it")]

mod console;
mod datagrams;
mod flash;
mod pins;
mod tcp;
mod wifi;

use core::cell::{Cell, RefCell};
use core::fmt;

use embassy_executor::Spawner;
use embassy_futures::select::select3;
use embassy_futures::yield_now;
use embassy_net::{DhcpConfig, Runner, StackResources};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::{Duration, Instant, Timer};
use esp_hal::peripherals::Peripherals;
use esp_hal::rng::Rng;
use esp_hal::rtc_cntl::{Rtc, RwdtStage, RwdtStageAction, reset_reason};
use esp_hal::system::Cpu;
use esp_hal::timer::timg::TimerGroup;
use esp_hal::uart::{self, UartTx};
use esp_hal::usb::usb_serial_jtag::UsbSerialJtag;
use esp_radio::wifi::{ControllerConfig, Interface, WifiController};
use esp_storage::FlashStorage;
use heapless::{String, Vec};
use pblink_coprocessor_program::i2c::Master;
use pblink_coprocessor_program::{Board, Event, Program, SEND, Syn};
use pblink_protocol::coprocessor::MAX_HOST_NAME;
use pblink_protocol::i2c::BusFault;
use static_cell::{ConstStaticCell, StaticCell};

use crate::remembered::Network;

/// A program that hangs is restarted after this time.
const WATCHDOG: esp_hal::time::Duration = esp_hal::time::Duration::from_secs(5);

/// The longest time between two runs of the program: for its clock, and for the watchdog.
const REST: Duration = Duration::from_secs(1);

/// Sockets: TCP, datagrams, DHCP, DNS.
const SOCKETS: usize = 4;

/// The program, and orders of the program to the tasks. All of them run in one thread.
struct Shared {
    program: RefCell<Program>,
    /// The program has something to do.
    wake: Signal<NoopRawMutex, ()>,
    wifi: Signal<NoopRawMutex, wifi::Order>,
    /// The chip is in the network, with an address or without.
    associated: Cell<bool>,
    /// The name for DHCP servers.
    host_name: RefCell<String<MAX_HOST_NAME>>,
    tcp: Signal<NoopRawMutex, tcp::Order>,
    /// Bytes for the connection.
    send: Signal<NoopRawMutex, Vec<u8, SEND>>,
    ask: Signal<NoopRawMutex, Vec<u8, SEND>>,
    /// Number of the connection that the program wants.
    connection: Cell<u32>,
}

impl Shared {
    const fn new() -> Self {
        Self {
            program: RefCell::new(Program::idle()),
            wake: Signal::new(),
            wifi: Signal::new(),
            associated: Cell::new(false),
            host_name: RefCell::new(String::new()),
            tcp: Signal::new(),
            send: Signal::new(),
            ask: Signal::new(),
            connection: Cell::new(0),
        }
    }

    /// Orders to join a network. In it already, and waiting for an address: to begin anew would only make that later. There
    /// is one configuration for each start, so it is the right network.
    fn join(&self, order: wifi::Order) {
        if !self.associated.get() {
            self.wifi.signal(order);
        }
    }

    /// Tells the program what has happened.
    fn report(&self, event: Event<'_>) {
        self.program.borrow_mut().event(event, micros());
        self.wake.signal(());
    }

    /// Does so for a connection, unless the program has given that one up.
    fn report_of(&self, connection: u32, event: Event<'_>) {
        if self.connection.get() == connection {
            self.report(event);
        }
    }
}

/// Returns the count of microseconds, which wraps.
fn micros() -> u32 {
    Instant::now().as_micros() as u32
}

struct Chip {
    shared: &'static Shared,
    bus: Master<pins::Bus>,
    wires: pins::Wires,
    buffer: &'static mut [u8; SEND],
}

impl Chip {
    /// Returns the first bytes of the buffer.
    fn bytes(&self, len: usize) -> Vec<u8, SEND> {
        self.buffer.iter().take(len).copied().collect()
    }
}

impl Board for Chip {
    fn micros(&mut self) -> u32 {
        micros()
    }

    fn syn(&mut self) -> Syn {
        self.wires.syn()
    }

    fn set_ack(&mut self, level: bool) {
        self.wires.set_ack(level);
    }

    fn i2c_read(&mut self, address: u8, bytes: &mut [u8]) -> Result<(), BusFault> {
        self.bus.read(address, bytes)
    }

    fn i2c_write(&mut self, address: u8, bytes: &[u8]) -> Result<(), BusFault> {
        self.bus.write(address, bytes)
    }

    fn set_host_name(&mut self, name: &str) {
        self.shared.host_name.replace(name.try_into().unwrap_or_default());
    }

    fn join_remembered(&mut self) {
        self.shared.join(wifi::Order::JoinRemembered);
    }

    fn join(&mut self, ssid: &str, password: &str) {
        // Both fit: they are from a configuration.
        if let (Ok(ssid), Ok(password)) = (ssid.try_into(), password.try_into()) {
            self.shared.join(wifi::Order::Join(Network { ssid, password }));
        }
    }

    fn leave(&mut self) {
        self.shared.associated.set(false);
        self.shared.wifi.signal(wifi::Order::Leave);
    }

    fn ask(&mut self, len: usize) {
        self.shared.ask.signal(self.bytes(len));
    }

    fn connect(&mut self, server: &str, port: u16) {
        self.disconnect();
        if let Ok(server) = server.try_into() {
            let connection = self.shared.connection.get();
            self.shared.tcp.signal(tcp::Order::Connect { connection, server, port });
        }
    }

    fn disconnect(&mut self) {
        self.shared.connection.set(self.shared.connection.get().wrapping_add(1));
        self.shared.send.reset();
        self.shared.tcp.signal(tcp::Order::Close);
    }

    fn send_buffer(&mut self) -> &mut [u8; SEND] {
        self.buffer
    }

    fn send(&mut self, len: usize) {
        self.shared.send.signal(self.bytes(len));
    }

    fn mem_free(&mut self) -> u32 {
        esp_alloc::HEAP.free() as u32
    }

    fn log(&mut self, line: fmt::Arguments<'_>) {
        console::print(line);
    }
}

/// Sets the chip up, and runs the program for ever.
pub async fn run(spawner: Spawner, p: Peripherals) -> ! {
    static SHARED: ConstStaticCell<Shared> = ConstStaticCell::new(Shared::new());
    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();
    static BUFFER: ConstStaticCell<[u8; SEND]> = ConstStaticCell::new([0; SEND]);

    esp_rtos::start(TimerGroup::new(p.TIMG0).timer0, p.FROM_CPU_INTR0);
    let mut watchdog = Rtc::new(p.RTC_TIMER).rwdt;
    watchdog.set_stage_action(RwdtStage::Stage0, RwdtStageAction::ResetSystem);
    watchdog.set_timeout(RwdtStage::Stage0, WATCHDOG);
    watchdog.enable();

    let uart = UartTx::new(p.UART0, uart::Config::default()).expect("its usual settings");
    let (_, usb) = UsbSerialJtag::new(p.USB_DEVICE).split();
    spawner.spawn(console::run(uart.with_tx(p.GPIO21).into_async(), usb).expect("one of them"));
    console::print(format_args!("pblink-esp32c3 {}", env!("CARGO_PKG_VERSION")));
    console::print(format_args!("reset: {:?}", reset_reason(Cpu::ProCpu)));

    let pins = pins::Pins {
        sda: p.GPIO6.into(),
        scl: p.GPIO7.into(),
        syn: p.GPIO4.into(),
        ack: p.GPIO5.into(),
        reset: p.GPIO10.into(),
    };
    let (bus, wires) = pins::set_up(pins, p.IO_MUX);
    let shared: &'static Shared = SHARED.take();
    shared.program.borrow_mut().start(wires.syn().level);

    let controller = WifiController::new(p.WIFI, ControllerConfig::default());
    let controller = controller.expect("memory for the radio");
    let rng = Rng::new();
    let seed = u64::from(rng.random()) << 32 | u64::from(rng.random());
    let resources = RESOURCES.init(StackResources::new());
    let config = embassy_net::Config::dhcpv4(DhcpConfig::default());
    let (stack, runner) = embassy_net::new(Interface::station(), config, resources, seed);
    let memory = flash::Memory(FlashStorage::new(p.FLASH));
    spawner.spawn(network(runner).expect("one of them"));
    spawner.spawn(wifi::run(shared, stack, controller, memory).expect("one of them"));
    spawner.spawn(tcp::run(shared, stack).expect("one of them"));
    spawner.spawn(datagrams::run(shared, stack).expect("one of them"));

    let mut chip = Chip { shared, bus: Master::new(bus), wires, buffer: BUFFER.take() };
    loop {
        watchdog.feed();
        let pause = shared.program.borrow_mut().run(&mut chip);
        match pause.map(|pause| Duration::from_micros(pause.as_micros())) {
            Some(Duration::MIN) => yield_now().await,
            pause => {
                let rest = Timer::after(pause.unwrap_or(REST).min(REST));
                select3(pins::EDGE.wait(), shared.wake.wait(), rest).await;
            }
        }
    }
}

/// Runs the network stack for ever.
#[embassy_executor::task]
async fn network(mut runner: Runner<'static, Interface>) {
    runner.run().await
}
