//! The process that abuses. It says a line when it is at full strength, and the number of its attacks at its end.

mod http;
mod link;

use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::rows::Row;

/// Time until it counts as being at full strength, whether it is or not: a server may refuse a part.
const BEGIN: Duration = Duration::from_secs(10);

/// Marks that an attacker has begun.
#[derive(Debug, Clone)]
struct Begun(#[expect(dead_code, reason = "dropping it is the mark")] mpsc::UnboundedSender<()>);

/// An attack: whom, and what is counted of it.
#[derive(Debug, Clone)]
struct Attack {
    link: SocketAddr,
    control: SocketAddr,
    done: Arc<AtomicU64>,
}

impl Attack {
    /// Counts attacks.
    fn did(&self, number: u64) {
        self.done.fetch_add(number, Ordering::Relaxed);
    }
}

/// Runs the process.
///
/// # Errors
/// If its arguments are wrong, or the system gives no threads.
pub fn main(args: &[String]) -> io::Result<()> {
    let wrong = || io::Error::other("a row and two addresses are wanted");
    let [row, link, control] = args else { return Err(wrong()) };
    let row = Row::parse(row).ok_or_else(wrong)?;
    let [link, control] = [link, control].map(|text| text.parse().map_err(io::Error::other));
    let attack = Attack { link: link?, control: control?, done: Arc::default() };
    crate::process::open_many_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (sender, mut all) = mpsc::unbounded_channel();
    runtime.block_on(async {
        begin(row, &attack, &Begun(sender));
        // It ends when all have begun.
        let _ = timeout(BEGIN, all.recv()).await;
    });
    say("begun")?;
    let before = attack.done.load(Ordering::Relaxed);
    // The end of the measurement is that of our input.
    io::stdin().lock().lines().for_each(drop);
    say(&(attack.done.load(Ordering::Relaxed) - before).to_string())?;
    // Nobody is waited for.
    std::process::exit(0)
}

fn say(words: &str) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{words}")?;
    out.flush()
}

/// Starts the attackers of a row.
fn begin(row: Row, attack: &Attack, begun: &Begun) {
    match row {
        Row::Nothing | Row::Disk | Row::Stall => {}
        Row::SlowHello => link::slow_hellos(attack, 500),
        Row::EndlessLine => link::endless_lines(attack, 20),
        Row::Flood => link::floods(attack, 4),
        Row::HalfOpen => link::half_open(attack, 500),
        Row::Idle => link::idle(attack, 10_000, begun),
        Row::Descriptors => link::without_hello(attack),
        Row::Memory => link::unread(attack, 200),
        Row::Churn => link::churn(attack, 5000, "churn"),
        Row::Strangers => link::churn(attack, 1000, "stranger"),
        Row::Streams => {
            http::streams(attack, 200);
            link::churn(attack, 500, "churn");
        }
        Row::Slowloris => http::slowloris(attack, 500),
    }
}
