//! Clients that only keep their connections alive.

use std::io::{self, BufRead, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::{Shape, address_of, mark, ready};
use crate::pump::Totals;

/// Slices of the time between two keepalives: clients are not switched on together.
const SLICES: usize = 50;

/// Keeps `clients` connections alive until stdin ends or says `leave`, which closes them.
pub(super) fn run(addresses: &[SocketAddr], shape: Shape, totals: &Totals) -> io::Result<()> {
    let Shape { wire, clients, keepalive, .. } = shape;
    let (said, orders) = mpsc::channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let _ = said.send(line);
        }
    });
    let mut streams = Vec::new();
    let mut next = Instant::now();
    let mut slice = 0;
    let mut connected = false;
    loop {
        let wait =
            if connected { next.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
        match orders.recv_timeout(wait) {
            Ok(order) if order == "leave" => {
                streams.clear();
                mark(totals);
            }
            Ok(_) => mark(totals),
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if !connected {
            let mut stream = TcpStream::connect(address_of(addresses, streams.len()))?;
            stream.set_nodelay(true)?;
            stream.write_all(&wire.hello(streams.len()))?;
            stream.set_nonblocking(true)?;
            streams.push(stream);
            connected = streams.len() == clients;
            if connected {
                ready();
            }
        }
        if Instant::now() >= next {
            next += keepalive / SLICES as u32;
            slice = (slice + 1) % SLICES;
            for stream in streams.iter_mut().skip(slice).step_by(SLICES) {
                let mut buffer = [0; 64];
                // What it says is of no interest, but has to be taken.
                let _ = stream.read(&mut buffer);
                let _ = stream.write(wire.keepalive());
                totals.add(1);
            }
        }
    }
}
