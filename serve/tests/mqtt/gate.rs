//! A server whose consumer is a broker.

use std::time::Duration;

use pblink_serve::consumers::mqtt::{Broker, Pace};
use pblink_serve::consumers::{Consumer, Kind, Mqtt};
use pblink_serve::log::From;
use pblink_soak::broker::{BrokerProcess, Software};

use crate::shop::{Pen, Shop};

/// The line before those that count.
pub const FIRST: &str = "first";

/// Starts a broker that takes everybody.
pub fn broker() -> Option<BrokerProcess> {
    open(Software::Mosquitto)
}

/// Starts a broker of this kind that takes everybody.
pub fn open(software: Software) -> Option<BrokerProcess> {
    let everybody = match software {
        Software::Mosquitto => "allow_anonymous true",
        Software::Nats => "",
    };
    BrokerProcess::start(software, everybody)
}

/// Makes a test of each of these functions with each broker.
macro_rules! with_each_broker {
    ($($test:ident),* $(,)?) => {
        mod mosquitto {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
            async fn $test() {
                if let Some(broker) = crate::gate::open(pblink_soak::broker::Software::Mosquitto) {
                    super::$test(broker).await;
                }
            })*
        }
        mod nats {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
            async fn $test() {
                if let Some(broker) = crate::gate::open(pblink_soak::broker::Software::Nats) {
                    super::$test(broker).await;
                }
            })*
        }
    };
}
pub(crate) use with_each_broker;

/// Returns the way to a broker at this port, with pauses that a test can wait for.
pub fn mqtt(port: u16) -> Mqtt {
    let pace = Pace {
        first: Duration::from_millis(5),
        longest: Duration::from_millis(50),
        steady: Duration::from_secs(60),
    };
    Mqtt { pace, ..Mqtt::new(Broker { host: "127.0.0.1".into(), port, tls: None }) }
}

/// Returns a consumer of all lines that the log has.
pub fn consumer(mqtt: Mqtt) -> Consumer {
    Consumer { from: From::Oldest, ..Consumer::new(Kind::Mqtt(mqtt), true) }
}

/// Connects the board "a". Returns when the broker keeps messages to it: it has acknowledged a line, `first`, and it gets none
/// before it has agreed to keep messages.
pub async fn subscribed(shop: &Shop) -> Pen {
    let mut board = Pen::connect(shop, "a").await;
    board.say(FIRST).await;
    shop.until(|status| status.lag == 0).await;
    board
}
