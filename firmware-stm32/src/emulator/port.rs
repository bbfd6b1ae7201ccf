//! Frames over the USART: bus and wires for the link, and orders for the test's program.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Poll, Waker};

use embassy_sync::waitqueue::AtomicWaker;
use heapless::{Deque, Vec};
use pblink_emulated_board::frame::{self, MAX, from_board, to_board};
use pblink_protocol::i2c::MAX_PAYLOAD;

use super::uart;
use crate::hardware::{BusEvent, SlaveBus, Wires};

/// A frame from the harness.
#[derive(Debug)]
pub struct Frame {
    /// Its kind, of [`to_board`].
    pub kind: u8,
    /// Its content.
    pub content: Vec<u8, MAX>,
}

/// Sends a frame.
///
/// # Panics
/// If it is longer than [`MAX`].
pub fn emit(kind: u8, parts: &[&[u8]]) {
    uart::send(&frame::header(kind, parts.iter().map(|part| part.len()).sum()));
    for part in parts {
        uart::send(part);
    }
}

/// Reads frames.
#[derive(Debug, Default)]
pub struct Reader {
    bytes: Vec<u8, { frame::HEADER + MAX }>,
}

impl Reader {
    /// Returns the next frame. Cancelling it loses nothing.
    ///
    /// # Panics
    /// If the harness is out of step.
    pub async fn next(&mut self) -> Frame {
        poll_fn(|context| {
            uart::WAKER.register(context.waker());
            while let Some(byte) = uart::read() {
                // It fits: a frame is taken out as soon as it is complete.
                let _ = self.bytes.push(byte);
                let found = frame::first(&self.bytes).expect("the harness is in step");
                if let Some((kind, content, _)) = found {
                    let content = content.iter().copied().collect();
                    self.bytes.clear();
                    return Poll::Ready(Frame { kind, content });
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// The common state of the wires and the bus.
pub struct Port {
    initial_ack: bool,
    edges: RefCell<Deque<bool, 16>>,
    /// The number of what is armed, or was last.
    armed: Cell<u8>,
    event: Cell<Option<BusEvent>>,
    received: RefCell<Vec<u8, MAX_PAYLOAD>>,
    waker: AtomicWaker,
}

impl Port {
    /// Wires, with the level of `ack`.
    pub fn new(ack: bool) -> Self {
        Self {
            initial_ack: ack,
            edges: RefCell::new(Deque::new()),
            armed: Cell::new(0),
            event: Cell::new(None),
            received: RefCell::new(Vec::new()),
            waker: AtomicWaker::new(),
        }
    }

    /// Hands a frame to wires and bus. Returns whether it was for them.
    ///
    /// # Panics
    /// If more edges of `ack` wait than the ESP8266 can make.
    pub fn take(&self, frame: &Frame) -> bool {
        match (frame.kind, &frame.content[..]) {
            (to_board::ACK, &[level]) => {
                let kept = self.edges.borrow_mut().push_back(level == 1);
                kept.expect("every edge is waited for");
            }
            (to_board::TRANSFER, [number, status, bytes @ ..]) => {
                // What was given up may have been answered already.
                if *number == self.armed.get() {
                    let mut received = self.received.borrow_mut();
                    received.clear();
                    let fits = received.extend_from_slice(bytes).is_ok();
                    self.event.set(Some(match (*status, bytes) {
                        (frame::OK, []) => BusEvent::Sent,
                        (frame::OK, _) if fits => BusEvent::Received,
                        _ => BusEvent::Error,
                    }));
                }
            }
            _ => return false,
        }
        self.waker.wake();
        true
    }

    /// Returns the number of the next transfer; what has happened to the last one is forgotten.
    fn arm(&self) -> u8 {
        let number = self.armed.get().wrapping_add(1);
        self.armed.set(number);
        self.event.set(None);
        number
    }
}

/// The bus, as the harness plays it.
pub struct Bus<'d> {
    port: &'d Port,
    received: Vec<u8, MAX_PAYLOAD>,
}

impl<'d> Bus<'d> {
    /// Makes the bus of this port.
    pub fn new(port: &'d Port) -> Self {
        Self { port, received: Vec::new() }
    }
}

impl SlaveBus for Bus<'_> {
    fn arm_tx(&mut self, bytes: &[u8]) {
        emit(from_board::ARM_TX, &[&[self.port.arm()], bytes]);
    }

    fn arm_rx(&mut self, len: usize) {
        // At most 200.
        emit(from_board::ARM_RX, &[&[self.port.arm(), len as u8]]);
    }

    fn reset(&mut self) {
        self.port.arm();
        emit(from_board::DISARM, &[]);
    }

    fn received(&self) -> &[u8] {
        &self.received
    }

    fn poll_event(&mut self, waker: &Waker) -> Poll<BusEvent> {
        self.port.waker.register(waker);
        let Some(event) = self.port.event.take() else { return Poll::Pending };
        self.received.clone_from(&self.port.received.borrow());
        Poll::Ready(event)
    }
}

/// The three wires, as the harness plays them.
pub struct Lines<'d>(pub &'d Port);

impl Wires for Lines<'_> {
    fn set_syn(&mut self, high: bool) {
        emit(from_board::SYN, &[&[u8::from(high)]]);
    }

    fn set_reset(&mut self, active: bool) {
        emit(from_board::RESET, &[&[u8::from(active)]]);
    }

    fn initial_ack(&self) -> bool {
        self.0.initial_ack
    }

    fn poll_ack(&mut self, waker: &Waker) -> Poll<bool> {
        self.0.waker.register(waker);
        self.0.edges.borrow_mut().pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}
