//! The same ends of connection, broker and server as in the tests of faults, at the worst moment: lines both ways are on their
//! way, and are lost with it. Nothing is missing afterwards; and with a fault that is planted, the same look finds it.

use pblink_soak::broker::{BrokerProcess, Subscriber};
use rustix::process::Signal;

use crate::engine::Disk;
use crate::gate::{broker, consumer, mqtt, subscribed};
use crate::relay::{Planted, Relay};
use crate::shop::{Pen, Shop};

/// Lines of the board that are lost on their way.
const UP: usize = 10;

/// Messages to the board: more than Mosquitto sends without an acknowledgement.
const DOWN: usize = 25;

/// Messages that Mosquitto sends without an acknowledgement.
const OPEN: usize = 20;

/// The line behind all others.
const LAST: &str = "last";

/// Reason why lines are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The connection is cut.
    Cut,
    /// The broker is stopped and started.
    Stopped,
    /// The broker is halted, and its connection does not last.
    Halted,
    /// The server is killed, and another one begins with its log.
    Killed,
}

/// Numbers of lines that never came.
#[derive(Debug, PartialEq, Eq)]
struct Missing {
    up: Vec<usize>,
    down: Vec<usize>,
}

async fn run(end: End, planted: Option<Planted>, mut broker: BrokerProcess) -> Missing {
    let reader = broker.subscribe("reader", &["pblink/a/up"], &[]);
    let relay = Relay::start(broker.address(), planted).await;
    let (disk, consumer) = (Disk::new(), consumer(mqtt(relay.address().port())));
    let mut shop = Shop::with(disk.clone(), consumer.clone()).await;
    let mut board = subscribed(&shop).await;

    relay.lose();
    for n in 0..UP {
        board.say(&n.to_string()).await;
    }
    for n in 0..DOWN {
        broker.publish("pblink/a/down", &n.to_string(), &[]);
    }
    let early = planted == Some(Planted::Down);
    relay.until_lost(UP, if early { DOWN } else { OPEN }).await;
    let lag = if planted == Some(Planted::Up) { 0 } else { UP as u64 };
    shop.until(|status| status.lag == lag).await;
    match end {
        End::Cut => relay.cut(),
        End::Stopped => {
            broker.stop();
            relay.cut();
            broker.restart();
        }
        End::Halted => {
            broker.signal(Signal::STOP);
            relay.cut();
            broker.signal(Signal::CONT);
        }
        End::Killed => {
            shop.kill().await;
            relay.cut();
            shop = Shop::with(disk, consumer).await;
            board = Pen::connect(&shop, "a").await;
        }
    }
    // The order stays: what is not here before the last line will not come.
    board.say(LAST).await;
    broker.publish("pblink/a/down", LAST, &[]);
    let up = until_last(&reader);
    let mut down = Vec::new();
    while down.last().is_none_or(|line| line != LAST) {
        down.push(board.hear().await);
    }
    shop.close().await;
    Missing { up: missing(&up, UP), down: missing(&down, DOWN) }
}

fn until_last(reader: &Subscriber) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    while all.last().is_none_or(|line| line != LAST) {
        all.push(reader.next_in("pblink/a/up"));
    }
    all
}

fn missing(lines: &[String], count: usize) -> Vec<usize> {
    (0..count).filter(|n| !lines.contains(&n.to_string())).collect()
}

/// Checks that nothing is missing, and that each planted fault is found.
async fn check(end: End) {
    let Some(honest) = broker() else { return };
    let nothing = Missing { up: Vec::new(), down: Vec::new() };
    assert_eq!(run(end, None, honest).await, nothing);
    let up = run(end, Some(Planted::Up), broker().unwrap()).await;
    assert_eq!(up, Missing { up: (0..UP).collect(), down: Vec::new() });
    let down = run(end, Some(Planted::Down), broker().unwrap()).await;
    // The acknowledgements of the last ones may be lost, too.
    assert!(down.up.is_empty() && down.down.starts_with(&[0, 1, 2, 3, 4]), "{down:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn lines_that_are_lost_with_their_connection_come_again() {
    check(End::Cut).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn lines_that_are_lost_with_a_broker_that_stops_come_again() {
    check(End::Stopped).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn lines_that_are_lost_while_the_broker_is_halted_come_again() {
    check(End::Halted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn lines_that_are_lost_with_the_server_come_again() {
    check(End::Killed).await;
}
