//! The clients: as quick as can be, so that they are not what is measured.

use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{interval, sleep};

use crate::{LINE, MEASURE};

/// A quarter of the server's time-out.
const KEEPALIVE: Duration = Duration::from_millis(500);

/// Time to connect all, and to find a rhythm, before anything is measured.
const WARM_UP: Duration = Duration::from_millis(700);

/// `write|answer|idle ADDRESS COUNT PIPELINE`.
pub fn main(args: &[String]) {
    let [what, address, count, pipeline] = args else {
        panic!("started by the benchmark only");
    };
    let address: SocketAddr = address.parse().expect("an address");
    let count: usize = count.parse().expect("a number");
    let pipeline: usize = pipeline.parse().expect("a number");
    let runtime = (tokio::runtime::Builder::new_multi_thread().enable_all()).build();
    runtime.expect("a runtime").block_on(async {
        let from = Instant::now() + WARM_UP;
        let mut tasks = Vec::new();
        for n in 0..count {
            let mut stream = TcpStream::connect(address).await.expect("the server accepts");
            stream.set_nodelay(true).expect("a TCP socket");
            let hello = format!("client {n}\n\n");
            stream.write_all(hello.as_bytes()).await.expect("the server reads");
            match what.as_str() {
                "write" => tasks.push(tokio::spawn(write(stream, pipeline, from))),
                "answer" => drop(tokio::spawn(answer(stream))),
                _ => drop(tokio::spawn(idle(stream, n))),
            }
        }
        let mut text = format!("{}\n", MEASURE.as_micros());
        for task in tasks {
            for time in task.await.expect("no panic") {
                text += &format!("{time}\n");
            }
        }
        if what == "write" {
            std::io::stdout().write_all(text.as_bytes()).expect("the benchmark reads");
        } else {
            // Until the benchmark ends this process.
            std::future::pending::<()>().await;
        }
    });
}

/// Hands each line that is no keepalive to `each`, as soon as it is there.
struct Lines {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Lines {
    fn new(stream: TcpStream) -> Self {
        let bytes = Vec::with_capacity(16 * 1024);
        Self { stream, bytes }
    }

    /// False at the end of the connection.
    async fn read(&mut self, mut each: impl FnMut(&[u8])) -> bool {
        if !matches!(self.stream.read_buf(&mut self.bytes).await, Ok(1..)) {
            return false;
        }
        let mut from = 0;
        while let Some(len) = self.bytes[from..].iter().position(|&b| b == b'\n') {
            if len >= 2 {
                each(&self.bytes[from..from + len]);
            }
            from += len + 1;
        }
        self.bytes.drain(..from);
        true
    }
}

/// Writes lines, `pipeline` at a time, and returns how long each took to be answered (by an
/// acknowledgement or an echo) in µs. Measures from `from` on.
async fn write(stream: TcpStream, pipeline: usize, from: Instant) -> Vec<u32> {
    let until = from + MEASURE;
    // This client repeats nothing, so the application has to be there before it starts.
    sleep(WARM_UP / 2).await;
    let mut lines = Lines::new(stream);
    let mut sent = [from; 256];
    let (mut times, mut out) = (Vec::new(), Vec::new());
    let mut mid = 0;
    let mut due = pipeline;
    while Instant::now() < until {
        out.clear();
        let now = Instant::now();
        for _ in 0..due {
            writeln!(out, "{mid:02x}{LINE}").expect("a Vec takes all");
            sent[mid] = now;
            mid = mid % 255 + 1;
        }
        due = 0;
        lines.stream.write_all(&out).await.expect("the server reads");
        let open = lines
            .read(|line| {
                let digits = std::str::from_utf8(&line[..2]).unwrap_or_default();
                let Ok(mid) = usize::from_str_radix(digits, 16) else {
                    // The echo sends the hello back, too.
                    return;
                };
                if line.len() == 2 || &line[2..] == LINE.as_bytes() {
                    due += 1;
                    let now = Instant::now();
                    if now >= from && now < until {
                        times.push((now - sent[mid]).as_micros() as u32);
                    }
                }
            })
            .await;
        assert!(open, "the server closed the connection");
    }
    times
}

/// Acknowledges whatever comes.
async fn answer(stream: TcpStream) {
    let mut lines = Lines::new(stream);
    let mut out = Vec::new();
    let mut keepalive = interval(KEEPALIVE);
    loop {
        out.clear();
        tokio::select! {
            open = lines.read(|line| out.extend([line[0], line[1], b'\n'])) => {
                if !open {
                    return;
                }
            }
            _ = keepalive.tick() => out.push(b'\n'),
        }
        if !out.is_empty() && lines.stream.write_all(&out).await.is_err() {
            return;
        }
    }
}

/// Sends keepalives only.
async fn idle(mut stream: TcpStream, n: usize) {
    // Spread evenly, as clients that were not switched on together are.
    sleep(KEEPALIVE * (n as u32 % 500) / 500).await;
    let mut keepalive = interval(KEEPALIVE);
    let mut buffer = [0; 64];
    loop {
        tokio::select! {
            read = stream.read(&mut buffer) => {
                if !matches!(read, Ok(1..)) {
                    return;
                }
            }
            _ = keepalive.tick() => {
                if stream.write_all(b"\n").await.is_err() {
                    return;
                }
            }
        }
    }
}
