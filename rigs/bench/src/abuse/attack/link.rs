//! Attacks on the port of boards.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{Attack, Begun};

/// Pause of an attacker whose connection was closed or refused.
const AGAIN: Duration = Duration::from_millis(50);

/// The pause between two bytes of whoever is slow.
pub(super) const SLOW: Duration = Duration::from_millis(200);

/// Pause between two keepalives of idle clients: the server's time-out is 2 s.
const KEEPALIVE: Duration = Duration::from_millis(500);

/// Clients of one address: the server takes 16,384 of one.
const PER_ADDRESS: usize = 5000;

/// Idle clients that connect in a millisecond.
const AT_ONCE: usize = 4;

/// Length of the longest line that a server takes, about.
const LONG: usize = 900;

/// Lets attackers do this over and over. Each connection counts.
pub(super) fn repeat<F: Future<Output = io::Result<()>> + Send>(
    attack: &Attack,
    number: usize,
    one: impl Fn(Attack, usize) -> F + Send + Clone + 'static,
) {
    for n in 0..number {
        let (attack, one) = (attack.clone(), one.clone());
        tokio::spawn(async move {
            loop {
                // It is closed or refused: that is the answer to an attack.
                let _ = one(attack.clone(), n).await;
                sleep(AGAIN).await;
            }
        });
    }
}

/// Connects, and counts that.
async fn connect(attack: &Attack) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(attack.link).await?;
    stream.set_nodelay(true)?;
    attack.did(1);
    Ok(stream)
}

/// Reads until the server closes the connection.
async fn until_closed(stream: &mut TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

pub(super) fn slow_hellos(attack: &Attack, number: usize) {
    repeat(attack, number, |attack, _| async move {
        let mut stream = connect(&attack).await?;
        loop {
            stream.write_all(b"s").await?;
            sleep(SLOW).await;
        }
    });
}

pub(super) fn endless_lines(attack: &Attack, number: usize) {
    repeat(attack, number, |attack, n| async move {
        let mut stream = connect(&attack).await?;
        stream.write_all(format!("endless {n}\n\n01").as_bytes()).await?;
        loop {
            stream.write_all(&[b'e'; 256]).await?;
            tokio::task::yield_now().await;
        }
    });
}

pub(super) fn floods(attack: &Attack, number: usize) {
    repeat(attack, number, |attack, n| async move {
        let mut stream = connect(&attack).await?;
        stream.write_all(format!("flood {n}\n\n00first\n").as_bytes()).await?;
        let lines: String = (1..=255).map(|mid| format!("{mid:02x}flood\n")).collect();
        let (mut reader, mut writer) = stream.split();
        let read = async {
            let mut buffer = [0; 16 * 1024];
            while reader.read(&mut buffer).await? > 0 {}
            Ok(())
        };
        let write = async {
            loop {
                writer.write_all(lines.as_bytes()).await?;
                attack.did(255);
            }
        };
        tokio::select! {
            end = read => end,
            end = write => end,
        }
    });
}

pub(super) fn half_open(attack: &Attack, number: usize) {
    repeat(attack, number, |attack, n| async move {
        let mut stream = connect(&attack).await?;
        stream.write_all(format!("silent {n}\n\n").as_bytes()).await?;
        until_closed(&mut stream).await
    });
}

pub(super) fn without_hello(attack: &Attack) {
    let attack = attack.clone();
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            match connect(&attack).await {
                Ok(stream) => held.push(stream),
                Err(_) => sleep(AGAIN).await,
            }
            sleep(Duration::from_millis(1)).await;
            // As many as a process may have, and not more.
            if held.len() > 10_000 {
                held.clear();
            }
        }
    });
}

pub(super) fn unread(attack: &Attack, number: usize) {
    repeat(attack, number, |attack, n| async move {
        let socket = TcpSocket::new_v4()?;
        // Acknowledgements and echoes are to fill the server and not the system.
        socket.set_recv_buffer_size(2048)?;
        let mut stream = socket.connect(attack.link).await?;
        attack.did(1);
        stream.write_all(format!("unread {n}\n\n00first\n").as_bytes()).await?;
        let text = "u".repeat(LONG);
        for mid in (1..=255).cycle() {
            stream.write_all(format!("{mid:02x}{text}\n").as_bytes()).await?;
        }
        Ok(())
    });
}

pub(super) fn idle(attack: &Attack, number: usize, begun: &Begun) {
    for n in 0..number {
        let (attack, begun) = (attack.clone(), begun.clone());
        tokio::spawn(async move {
            sleep(Duration::from_millis((n / AT_ONCE) as u64)).await;
            let connected = idle_one(&attack, n).await;
            drop(begun);
            let Ok(mut stream) = connected else { return };
            let mut beats = interval(KEEPALIVE);
            beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut buffer = [0; 256];
            loop {
                tokio::select! {
                    _ = beats.tick() => {
                        if stream.write_all(b"\n").await.is_err() {
                            return;
                        }
                        attack.did(1);
                    }
                    read = stream.read(&mut buffer) => {
                        if !matches!(read, Ok(1..)) {
                            return;
                        }
                    }
                }
            }
        });
    }
}

async fn idle_one(attack: &Attack, n: usize) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let from = SocketAddr::from(([127, 0, 3, (n / PER_ADDRESS + 1) as u8], 0));
    // Where there is only one address, it has to do.
    let _ = socket.bind(from);
    let mut stream = socket.connect(attack.link).await?;
    stream.write_all(format!("idle {n}\n\n").as_bytes()).await?;
    Ok(stream)
}

/// Connects this often a second, says a hello and closes.
pub(super) fn churn(attack: &Attack, a_second: u32, name: &'static str) {
    // Several, since one that waits for a connection makes no other.
    const WORKERS: u32 = 50;
    let pause = Duration::from_secs(1) * WORKERS / a_second;
    for n in 0..WORKERS {
        let attack = attack.clone();
        tokio::spawn(async move {
            sleep(pause * n / WORKERS).await;
            let mut ticks = interval(pause);
            loop {
                ticks.tick().await;
                if let Ok(mut stream) = connect(&attack).await {
                    // It may be closed already.
                    let _ = stream.write_all(format!("{name} {n}\n\n").as_bytes()).await;
                }
            }
        });
    }
}
