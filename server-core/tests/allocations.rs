//! A line costs no allocation, whichever way it goes. The only test in its process, since it counts
//! all allocations there are.

#![allow(unsafe_code, reason = "an allocator that counts can only be written so")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{PATIENT, Peer, server, soon};
use pblink_server::{Connection, Delivery};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Messages that the client sends at once.
const BATCH: usize = 32;

/// A client that allocates nothing, and what it and the application need.
struct Lines {
    peer: Peer,
    connection: Connection,
    mid: u8,
    text: String,
    bytes: Vec<u8>,
}

impl Lines {
    /// Takes the next `len` bytes that are not keepalives.
    async fn take(&mut self, len: usize) {
        self.bytes.clear();
        let mut line_began = true;
        while self.bytes.len() < len {
            let byte = self.peer.read.read_u8().await.expect("the server lives");
            if byte != b'\n' || !line_began {
                self.bytes.push(byte);
            }
            line_began = byte == b'\n';
        }
    }

    async fn client_writes(&mut self) {
        self.bytes.clear();
        for n in 0..BATCH {
            self.mid = self.mid.checked_add(1).unwrap_or(1);
            let mid = self.mid;
            std::io::Write::write_fmt(
                &mut self.bytes,
                format_args!("{mid:02x}{{\"line\": {n}, \"of\": \"a batch\"}}\n"),
            )
            .expect("a Vec takes all");
        }
        let (write, bytes) = (&mut self.peer.write, &self.bytes);
        write.write_all(bytes).await.expect("the server reads");
        for _ in 0..BATCH {
            let read = self.connection.read_line_into(&mut self.text);
            read.await.expect("the server lives");
        }
        self.take(3 * BATCH).await;
    }

    async fn server_writes(&mut self, delivery: Delivery) {
        const TEXT: &str = "[\"to the client\", 12345, 67890]";
        let connection = self.connection.clone();
        let client = async {
            self.take(TEXT.len() + 3).await;
            let ack = [self.bytes[0], self.bytes[1], b'\n'];
            self.peer.write.write_all(&ack).await.expect("the server reads");
        };
        let (written, ()) = tokio::join!(connection.write(TEXT, delivery), client);
        written.expect("the server lives");
    }

    /// Returns the number of allocations that `rounds` cost: 35 lines each.
    async fn cost(&mut self, rounds: usize) -> usize {
        let before = COUNT.load(Ordering::Relaxed);
        for _ in 0..rounds {
            self.client_writes().await;
            self.server_writes(Delivery::ORDERED).await;
            self.server_writes(Delivery::UNORDERED).await;
            self.server_writes(Delivery::BestEffort).await;
        }
        COUNT.load(Ordering::Relaxed) - before
    }
}

#[tokio::test]
async fn a_line_costs_no_allocation() {
    let server = server(PATIENT).await;
    let mut peer = Peer::hello(&server, "1").await;
    let connection = soon(server.client("1")).await;
    peer.tell(&connection, "00first").await;
    let mut lines = Lines {
        peer,
        connection,
        mid: 0,
        text: String::with_capacity(200),
        bytes: Vec::with_capacity(4096),
    };
    let warm_up = soon(lines.cost(20)).await;
    let (few, many) = (soon(lines.cost(20)).await, soon(lines.cost(400)).await);
    println!("allocations: warming up {warm_up}, 700 lines {few}, 14 000 lines {many}");
    // The counter works, and twenty times the lines cost nothing on top.
    assert!(warm_up > 0);
    assert!(many <= few, "{few} for 700 lines, {many} for 14 000");
}
