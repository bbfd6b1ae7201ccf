//! A client that is gone, and whose lines were accepted, leaves little behind. The only test in its
//! process, since it counts all memory there is.

#![allow(unsafe_code, reason = "an allocator that counts can only be written so")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{PATIENT, Peer, arrived, read, server, soon};
use pblink_server::Server;

struct Counting;

/// Bytes that are allocated.
static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Lines that each client sends, 1,000 bytes each.
const LINES: usize = 120;

/// Bytes that a client that is gone may leave behind: its window (1.1 KB), its status, its name.
const LEFT: usize = 2560;

/// Clients come, send much, and go. Their lines are accepted while they are here, or later.
async fn visit(server: &Server, ids: std::ops::Range<usize>) -> usize {
    let text = "x".repeat(1000);
    let lines: String = (1..=LINES).map(|n| format!("{n:02x}{text}\n")).collect();
    let mut held = 0;
    for id in ids {
        let mut peer = Peer::hello(server, &id.to_string()).await;
        let connection = soon(server.next_client()).await.expect("the server lives");
        peer.send(&lines).await;
        arrived(&connection, LINES as u64).await;
        if id % 2 == 0 {
            drop(peer);
            soon(connection.closed()).await;
        }
        held = held.max(server.queued_bytes());
        for _ in 0..LINES {
            assert_eq!(read(&connection).await.len(), 1000);
        }
        connection.close();
        soon(connection.closed()).await;
    }
    held
}

#[tokio::test]
async fn clients_that_are_gone_leave_little_behind() {
    const CLIENTS: usize = 100;
    let server = server(PATIENT).await;
    // What threads and pools keep for good.
    visit(&server, 0..10).await;
    let before = LIVE.load(Ordering::Relaxed);
    let held = visit(&server, 10..10 + CLIENTS).await;
    assert!(held > LINES * 1000, "the queues held {held} bytes");
    // The tasks of the connections end when their clients have closed, too.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let left = LIVE.load(Ordering::Relaxed).saturating_sub(before);
    assert!(left <= CLIENTS * LEFT, "{} bytes are left of each client", left / CLIENTS);
}
