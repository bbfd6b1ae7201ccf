//! The work that is done most, for whoever counts instructions (`.ci/counts`):
//!
//! ```sh
//! cargo run -p pblink-simulator --example paths -- PATH COUNT
//! ```
//!
//! All of it follows from the arguments: two runs do the same.

use std::process::ExitCode;

use pblink_protocol::MAX_TEXT;
use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::endpoint::{Disposition, Endpoint, Host, Receipt, Role, Timing};
use pblink_protocol::time::{Duration, Instant};
use pblink_server::Server;
use pblink_simulator::Cryptography;
use pblink_simulator::world::{World, WorldOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

type End = Endpoint<heapless::Vec<u8, { MAX_TEXT + 2 }>, Vec<u8>, 16>;

/// Takes all lines.
#[derive(Default)]
struct Taken(u32);

impl Host<Vec<u8>> for Taken {
    fn deliver(&mut self, _: &str, _: Receipt) -> Disposition {
        self.0 += 1;
        Disposition::Taken
    }
}

/// Passes this many lines from a client to a server, eight at a time, with the acknowledgements.
fn lines(count: u32) -> u32 {
    let end = |role| End::new(role, Timing::default(), heapless::Vec::new());
    let (mut client, mut server) = (end(Role::Client), end(Role::Server));
    let now = Instant::ZERO;
    client.on_connected(now);
    server.on_connected(now);
    let (mut taken, mut heard, mut buffer) = (Taken::default(), Taken::default(), [0; 1500]);
    let mut written = 0;
    while taken.0 < count {
        while written < count && client.unacked() < 8 {
            // There is room.
            let _ = client.write(
                now,
                format!("[{written}, 21.5, 48.2]").into_bytes(),
                Delivery::ORDERED,
            );
            written += 1;
        }
        while let n @ 1.. = client.transmit(now, &mut buffer) {
            server.on_bytes(now, &buffer[..n], &mut taken);
        }
        while let n @ 1.. = server.transmit(now, &mut buffer) {
            client.on_bytes(now, &buffer[..n], &mut heard);
        }
    }
    taken.0
}

/// Passes this many lines from a client to a server as it ships, with the application's acceptance and the acknowledgements, on a
/// stream in memory. `at_once`: lines in flight.
fn server(count: u32, at_once: u32) -> std::io::Result<u64> {
    // Its time stands still while there is work, so that no timer comes in between.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().start_paused(true).build()?.block_on(async {
        // The listener is for nobody.
        let builder = Server::builder().listen(([127, 0, 0, 1], 0).into());
        let server = builder.bind().await.map_err(std::io::Error::other)?;
        let (mut client, stream) = tokio::io::duplex(1 << 16);
        server.adopt_stream(stream, ([127, 0, 0, 1], 1).into());
        client.write_all(b"client\n\n").await?;
        let link = server.client("client").await;
        tokio::spawn(async move {
            while let Ok(batch) = link.next_batch().await {
                if batch.accept().is_err() {
                    return;
                }
            }
        });
        let (mut number, mut done, mut answer) = (0_u8, 0, vec![0; 4096]);
        while done < count {
            let mut lines = Vec::new();
            for n in done..done + at_once {
                lines.extend(format!("{number:02x}[{n}, 21.5, 48.2]\n").bytes());
                number = number.checked_add(1).unwrap_or(1);
            }
            client.write_all(&lines).await?;
            // Two digits and a newline each; keepalives are a newline.
            let mut acknowledged = 0;
            while acknowledged < at_once {
                let read = client.read(&mut answer).await?;
                let newlines = answer[..read].iter().filter(|&&byte| byte == b'\n').count();
                acknowledged += ((read - newlines) / 2) as u32;
            }
            done += at_once;
        }
        Ok(done.into())
    })
}

/// Lets a board and its server write ten lines a second for this many seconds, and returns the number that has arrived.
fn board(seconds: u32, keys: Option<Cryptography>) -> u64 {
    let every = Duration::from_millis(100);
    let mut options = WorldOptions { keys, server_writes: Some(every), ..WorldOptions::default() };
    options.pair.program.every = every;
    let mut world = World::new(options);
    world.run(Duration::from_secs(u64::from(seconds)));
    world.totals().arrived
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, count] = &arguments[..] else {
        eprintln!("paths: needs PATH COUNT");
        return ExitCode::from(2);
    };
    let Ok(count) = count.parse() else {
        eprintln!("paths: {count} is no number");
        return ExitCode::from(2);
    };
    let done = match path.as_str() {
        "lines" => u64::from(lines(count)),
        "server" | "server-one" => match server(count, if path == "server" { 64 } else { 1 }) {
            Ok(done) => done,
            Err(error) => {
                eprintln!("paths: {error}");
                return ExitCode::FAILURE;
            }
        },
        "board" => board(count, None),
        "board-with-keys" => board(count, Some(Cryptography::Real)),
        other => {
            eprintln!(
                "paths: {other} is none of lines, server, server-one, board, board-with-keys"
            );
            return ExitCode::from(2);
        }
    };
    println!("{done}");
    ExitCode::SUCCESS
}
