//! A board with keys in real time: a real server, a real socket, the cryptography of the wire.

use std::time::Duration;

use pblink_protocol::app::AppEvent;
use pblink_protocol::config::Config;
use pblink_protocol::time::Duration as LinkDuration;
use pblink_secure_suite::issue::issue;
use pblink_secure_suite::keys::{BoardKeys, Id, Secret};
use pblink_secure_suite::random::Os;
use pblink_server::{Delivery, Keys, Server};
use pblink_simulator::live::{self, Clock, Command};
use pblink_simulator::{Fault, Ledger, Pair, PairEvent, PairOptions, ProgramOptions, sequence_of};
use tokio::sync::mpsc;

const LINES: u64 = 12;
/// Nothing here takes this long, unless it never comes.
const LIMIT: Duration = Duration::from_secs(120);

fn pair(clock: Clock, keys: BoardKeys) -> Pair {
    let config = Config {
        id: "kitchen".try_into().unwrap(),
        port: 8123,
        server: "server".try_into().unwrap(),
        timeout_ms: 2000,
        report_s: 0,
        ssid: "net".try_into().unwrap(),
        password: Default::default(),
    };
    let program = ProgramOptions {
        every: LinkDuration::from_millis(20),
        count: Some(LINES),
        ..ProgramOptions::default()
    };
    let options = PairOptions { program, keys: Some(keys.into()), ..PairOptions::default() };
    Pair::new(&config, options, clock.now()).unwrap()
}

/// Returns each line to its board.
async fn echo(server: Server) {
    let link = server.next_client().await.expect("the server lives");
    while let Ok(line) = link.read_line().await {
        link.write(&line, Delivery::ORDERED).await.expect("the server lives");
    }
}

#[tokio::test]
async fn a_board_with_keys_and_a_real_server_pass_lines_through_a_restart_of_the_esp8266() {
    let private = Secret::draw(&mut Os);
    let issued = issue(&Id::new("kitchen").unwrap(), 1, &private, &mut Os);
    let server = Server::builder()
        .port(0)
        .keys(Keys::new().board(issued.server))
        .bind()
        .await
        .expect("a port is free");
    let address = format!("127.0.0.1:{}", server.local_addr().port());
    let app = tokio::spawn(echo(server.clone()));
    let clock = Clock::start();
    let (commands, taken) = mpsc::channel(4);
    let (mut returned, mut ups) = (Ledger::default(), 0);
    let run = live::run(pair(clock, issued.board), clock, address, taken, |_, event| {
        match event {
            live::Event::Pair(PairEvent::Wrote(number)) => returned.wrote(number),
            live::Event::Pair(PairEvent::Read(line)) => {
                let number = sequence_of(&line).expect("the line that was written");
                returned.got(number);
                if number == 0 {
                    commands.try_send(Command::Inject(Fault::Restart)).expect("there is room");
                }
            }
            live::Event::Pair(PairEvent::App(AppEvent::Server(true))) => ups += 1,
            _ => {}
        }
        returned.totals().arrived < LINES
    });
    let pair = tokio::time::timeout(LIMIT, run).await.expect("all lines come back");
    assert!(returned.totals().is_clean(), "{:?}", returned.totals());
    assert_eq!((pair.acked(), pair.resets(), ups), (LINES, 1, 2));
    app.abort();
}
