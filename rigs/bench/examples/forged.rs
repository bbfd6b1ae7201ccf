//! Boards with keys beside somebody who sends forged hellos: see README.md.
//!
//! `cargo run --release -p pblink-bench --example forged -- [HELLOS A SECOND] [SECONDS]`

#[path = "../../../endurance/src/client/mod.rs"]
mod board;
#[path = "../src/histogram.rs"]
#[expect(dead_code, reason = "this example has one process that measures")]
mod histogram;

use std::cell::RefCell;
use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use board::SecureBoard;
use histogram::Histogram;
use pblink_protocol::secure::packet::{Hello, MAX_UP, Packet, VERSION};
use pblink_secure_suite::drbg::Drbg;
use pblink_secure_suite::issue::{Issued, issue};
use pblink_secure_suite::keys::{Id, Secret};
use pblink_server::{Keys, Server};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Boards that are measured.
const BOARDS: usize = 10;
/// Of one board, from line to line.
const PACE: Duration = Duration::from_millis(20);
/// Connections of the attacker, spread over the ids of all boards.
const FORGERS: usize = 50;
const TIMEOUT: Duration = Duration::from_secs(2);

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("@server") => serve(),
        Some("@attack") => attack(args[1].parse()?, args[2].parse()?),
        _ => {
            let rate = args.first().map_or(Ok(10_000), |rate| rate.parse())?;
            let seconds = args.get(1).map_or(Ok(10), |seconds| seconds.parse())?;
            measure(rate, Duration::from_secs(seconds))
        }
    }
}

/// Starts this program in another role.
fn role(args: &[&str]) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    Ok(command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?)
}

fn id(number: usize) -> String {
    format!("board{number}")
}

/// Makes the keys of all boards: the same ones in each process.
fn issued() -> Vec<Issued> {
    let mut random = Drbg::new(&[b"a benchmark"]);
    let server = Secret::draw(&mut random);
    let of = |number| Id::new(&id(number)).expect("an id");
    (0..BOARDS).map(|number| issue(&of(number), 1, &server, &mut random)).collect()
}

/// The server, and an application that takes each line. Prints its address; ends with its stdin.
fn serve() -> Result<()> {
    let keys = issued().into_iter().fold(Keys::new(), |keys, issued| keys.board(issued.server));
    let runtime = tokio::runtime::Runtime::new()?;
    let server = runtime.block_on(async {
        let builder = Server::builder().timeout(TIMEOUT).keys(keys);
        let server = builder.listen(([127, 0, 0, 1], 0).into()).bind().await?;
        for number in 0..BOARDS {
            let app = server.clone();
            tokio::spawn(async move {
                let link = app.client(&id(number)).await;
                while link.read_line().await.is_ok() {}
            });
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(server)
    })?;
    println!("{}", server.local_addr());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Returns a line with a hello that has everything but the key. It is different each time.
fn forged(number: u64) -> String {
    let mut message = [0x5a; 48];
    message[..8].copy_from_slice(&number.to_be_bytes());
    let hello = Hello {
        version: VERSION,
        key: number as u8,
        generation: 1,
        message,
        mac: message[..16].try_into().expect("16 bytes"),
    };
    let mut line = [0; MAX_UP];
    let packet = Packet::Hello(hello).encode(&mut line).expect("it fits").to_owned();
    // The number of a line that is not repeated.
    format!("00{packet}\n")
}

/// Sends so many forged hellos a second. Ends with its stdin, and prints how many the server has taken from its sockets, and
/// on how many connections.
fn attack(server: SocketAddr, rate: u64) -> Result<()> {
    let until = std::thread::spawn(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let (mut sent, mut connections) = (0_u64, 0_u64);
    let mut streams: Vec<Option<TcpStream>> = (0..FORGERS).map(|_| None).collect();
    let began = Instant::now();
    let mut heard = [0; 4096];
    while !until.is_finished() {
        for (number, place) in streams.iter_mut().enumerate() {
            if place.is_none() {
                let Ok(mut stream) = TcpStream::connect(server) else { continue };
                stream.set_nonblocking(true)?;
                connections += 1;
                if stream.write_all(format!("{}\n", id(number % BOARDS)).as_bytes()).is_ok() {
                    *place = Some(stream);
                }
                continue;
            }
            let due = (began.elapsed().as_micros() as u64 * rate / 1_000_000).saturating_sub(sent);
            let some: String = (0..due.min(20)).map(|more| forged(sent + more)).collect();
            let Some(stream) = place else { continue };
            // A full socket buffer: the rest of it is for the next one.
            let gone = match stream.write(some.as_bytes()) {
                Ok(bytes) => {
                    sent += (bytes / forged(0).len()) as u64;
                    matches!(stream.read(&mut heard), Ok(0))
                }
                Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
            };
            if gone {
                *place = None;
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{:.0} {connections}", sent as f64 / seconds);
    Ok(())
}

/// Processor time of a process since its start.
fn processor_time(child: &Child) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id()))?;
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(Duration::from_millis(10 * ticks))
}

/// Lets all boards write lines for so long. Returns the times from a line to its acknowledgement.
async fn lines(boards: &mut [SecureBoard], time: Duration) -> Histogram {
    let times = RefCell::new(Histogram::default());
    let measured = boards.iter_mut().map(async |board| {
        let began = Instant::now();
        while began.elapsed() < time {
            let written = Instant::now();
            board.write("a line of a board, as many of them are, with a number");
            board.all_done().await;
            times.borrow_mut().add(written.elapsed(), 1);
            // Lives on while it has nothing to say.
            let next = written + PACE;
            board.until(|_| Instant::now() >= next).await;
        }
    });
    futures::future::join_all(measured).await;
    times.into_inner()
}

fn measure(rate: u64, time: Duration) -> Result<()> {
    let mut server = role(&["@server"])?;
    let mut address = String::new();
    BufReader::new(server.stdout.take().ok_or("no stdout")?).read_line(&mut address)?;
    let address: SocketAddr = address.trim().parse()?;
    let mut boards: Vec<SecureBoard> =
        issued().iter().map(|issued| SecureBoard::new(&issued.board, address, TIMEOUT)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Handshakes.
    runtime.block_on(lines(&mut boards, Duration::from_secs(2)));
    println!("{BOARDS} boards, a line each {PACE:?}; {FORGERS} connections of an attacker");
    println!("| forged hellos a second | p50 | p99 | processor of the server |\n|---|---|---|---|");
    for rate in [0, rate, 0, rate, 0] {
        let mut attacker = role(&["@attack", &address.to_string(), &rate.to_string()])?;
        let before = processor_time(&server)?;
        let times = runtime.block_on(lines(&mut boards, time));
        let busy = processor_time(&server)? - before;
        drop(attacker.stdin.take());
        let said = std::io::read_to_string(attacker.stdout.take().ok_or("no stdout")?)?;
        attacker.wait()?;
        let (hellos, connections) = said.trim().split_once(' ').ok_or("no figures")?;
        println!(
            "| {hellos} on {connections} connections | {:?} | {:?} | {:.1} % |",
            times.percentile(0.5),
            times.percentile(0.99),
            100.0 * busy.as_secs_f64() / time.as_secs_f64(),
        );
    }
    drop(server.stdin.take());
    server.wait()?;
    Ok(())
}
