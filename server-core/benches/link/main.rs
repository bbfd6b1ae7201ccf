//! The speed of the server, beside the simplest thing on a bare tokio socket: an echo of lines, in the
//! same run, with the same clients, the same number of them in flight, and the same line.
//!
//! `cargo bench -p pblink-server` prints a table. Nothing is asserted: a loaded machine is slow.
//!
//! The clients run in a process of their own, so that the processor time and memory shown are the
//! server's. They share the processors with it, as in the echo's case.

mod client;
mod usage;

use std::io::Read;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pblink_server::{Connection, Delivery, LinkState, Server};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// The text of every line.
const LINE: &str = r#"["moisture", 17, 21.5, "a line as boards send it"]"#;

/// Lines in flight where they are pipelined: as many as a link takes.
const PIPELINE: usize = 64;

/// The time for which each figure is measured.
const MEASURE: Duration = Duration::from_secs(1);

/// The number of rounds. A system that puts client and server on one core, or wakes another for each line, makes
/// a difference of five; the best of some rounds, taken in turns, compares like with like.
const ROUNDS: usize = 3;

fn main() {
    let args: Vec<_> = std::env::args().collect();
    if args.get(1).is_some_and(|arg| arg == "client") {
        client::main(&args[2..]);
        return;
    }
    let runtime = (tokio::runtime::Builder::new_multi_thread().enable_all()).build();
    runtime.expect("a runtime").block_on(async {
        println!("lines of {} bytes; times from write to acknowledgement or echo", LINE.len());
        println!("the best of {ROUNDS} rounds\n");
        // `cargo bench -p pblink-server -- 1 64` measures only this.
        let numbers: Vec<usize> = args.iter().filter_map(|arg| arg.parse().ok()).collect();
        if let [clients, pipeline] = numbers[..] {
            return table(clients, pipeline).await;
        }
        for clients in [1, 100] {
            for pipeline in [1, PIPELINE] {
                table(clients, pipeline).await;
            }
        }
        idle(10_000).await;
    });
}

/// The figures of one kind of traffic.
struct Figures {
    lines_per_s: f64,
    /// Sorted, in µs.
    times: Vec<u32>,
}

impl Figures {
    fn new(elapsed: Duration, mut times: Vec<u32>) -> Self {
        times.sort_unstable();
        Self { lines_per_s: times.len() as f64 / elapsed.as_secs_f64(), times }
    }

    fn percentile(&self, percent: usize) -> f64 {
        let last = self.times.len().saturating_sub(1);
        (self.times.get(last * percent / 100)).map_or(f64::NAN, |&t| f64::from(t))
    }
}

async fn table(clients: usize, pipeline: usize) {
    println!(
        "{:<38} {:>8} {:>8} {:>9}",
        format!("{clients} clients, {pipeline} in flight each"),
        "p50 µs",
        "p99 µs",
        "lines/s"
    );
    let mut best = [const { None }; 3];
    for _ in 0..ROUNDS {
        let round = [
            echo(clients, pipeline).await,
            from_clients(clients, pipeline).await,
            to_clients(clients, pipeline).await,
        ];
        for (best, figures) in best.iter_mut().zip(round) {
            if !matches!(best, Some(Figures { lines_per_s, .. }) if *lines_per_s > figures.lines_per_s)
            {
                *best = Some(figures);
            }
        }
    }
    let [echo, from_clients, to_clients] = best.map(|figures| figures.expect("was measured"));
    for (what, figures) in
        [("raw echo", &echo), ("client → server", &from_clients), ("server → client", &to_clients)]
    {
        println!(
            "  {what:<36} {:>8.0} {:>8.0} {:>9.0}   {:.2} × time, {:.0} % of lines/s",
            figures.percentile(50),
            figures.percentile(99),
            figures.lines_per_s,
            figures.percentile(50) / echo.percentile(50),
            100.0 * figures.lines_per_s / echo.lines_per_s
        );
    }
    println!();
}

/// Clients in a process of their own, which ends when this is dropped.
struct Clients(Child);

impl Clients {
    fn start(what: &str, address: SocketAddr, count: usize, pipeline: usize) -> Self {
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["client", what, &address.to_string()])
            .args([count.to_string(), pipeline.to_string()])
            .stdout(Stdio::piped())
            .spawn();
        Self(child.expect("this program starts"))
    }

    /// Returns what the clients have measured: the time in all, and then of each line.
    async fn figures(mut self) -> Figures {
        let text = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            let stdout = self.0.stdout.as_mut().expect("is piped");
            stdout.read_to_string(&mut text).expect("numbers");
            text
        });
        let text = text.await.expect("no panic");
        let mut numbers = text.lines().map(|line| line.parse().expect("a number"));
        let elapsed = numbers.next().expect("the clients have measured");
        Figures::new(Duration::from_micros(elapsed), numbers.map(|n| n as u32).collect())
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Measures the echo that the server is compared with: each line goes back as it came.
async fn echo(count: usize, pipeline: usize) -> Figures {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let clients = Clients::start("write", listener.local_addr().expect("one"), count, pipeline);
    for _ in 0..count {
        let (stream, _) = listener.accept().await.expect("a client");
        tokio::spawn(echo_lines(stream));
    }
    clients.figures().await
}

async fn echo_lines(stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut line = String::new();
    while read.read_line(&mut line).await? > 0 {
        write.write_all(line.as_bytes()).await?;
        line.clear();
    }
    Ok(())
}

async fn start() -> Server {
    let server = Server::builder().listen(([127, 0, 0, 1], 0).into()).bind().await;
    server.expect("a port")
}

/// Measures clients that write and wait for the acknowledgement; the application reads.
async fn from_clients(count: usize, pipeline: usize) -> Figures {
    let server = start().await;
    let clients = Clients::start("write", server.local_addr(), count, pipeline);
    for n in 0..count {
        let server = server.clone();
        tokio::spawn(async move {
            let link = server.client(&format!("client {n}")).await;
            let mut line = String::new();
            while link.read_line_into(&mut line).await.is_ok() {}
        });
    }
    let figures = clients.figures().await;
    let links = server.links();
    assert!(links.iter().all(|l| l.duplicates == 0 && l.connects == 1), "not what is measured");
    figures
}

/// Measures an application that writes and waits for the acknowledgement, with `pipeline` tasks for
/// each client.
async fn to_clients(count: usize, pipeline: usize) -> Figures {
    let server = start().await;
    let _clients = Clients::start("answer", server.local_addr(), count, pipeline);
    let mut links = Vec::new();
    for n in 0..count {
        links.push(server.client(&format!("client {n}")).await);
    }
    // The pause after connecting is no part of what is measured.
    for link in &links {
        link.write("ready", Delivery::ORDERED).await.expect("the server lives");
    }
    let ordered = pipeline == 1;
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for link in &links {
        for _ in 0..pipeline {
            tasks.push(tokio::spawn(write_lines(link.clone(), ordered, begun + MEASURE)));
        }
    }
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.expect("no panic"));
    }
    Figures::new(begun.elapsed(), times)
}

async fn write_lines(link: Connection, ordered: bool, end: Instant) -> Vec<u32> {
    let mut times = Vec::new();
    loop {
        let at = Instant::now();
        if at >= end {
            return times;
        }
        let write = link.write(LINE, Delivery::Guaranteed { ordered });
        write.await.expect("the server lives");
        times.push(at.elapsed().as_micros() as u32);
    }
}

/// Clients that only keep alive.
async fn idle(wanted: usize) {
    let files = usage::open_files_limit();
    let count = wanted.min(files.saturating_sub(100));
    if count < wanted {
        println!("only {files} open files are allowed: {count} idle clients (see `ulimit -n`)");
    }
    let server = start().await;
    let before = usage::resident_kib();
    let _clients = Clients::start("idle", server.local_addr(), count, 1);
    let ids: Vec<_> = (0..count).map(|n| format!("client {n}")).collect();
    server.wait_all(&ids).await.expect("the server lives");
    // Lets the connecting be over.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (begun, cpu) = (Instant::now(), usage::cpu());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (elapsed, used) = (begun.elapsed(), usage::cpu().saturating_sub(cpu));
    let kib = usage::resident_kib().saturating_sub(before) as f64 / count as f64;
    let links = server.links();
    let up = links.iter().filter(|l| l.state == LinkState::Up).count();
    let outages: u64 = links.iter().map(|l| l.outages).sum();
    println!(
        "{count} idle clients, time-out 2 s: {up} up, {outages} outages, {kib:.1} KiB each, {:.0} % of \
         one core",
        100.0 * used.as_secs_f64() / elapsed.as_secs_f64()
    );
}
