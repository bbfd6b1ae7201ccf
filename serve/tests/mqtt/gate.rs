//! A server whose consumer is a broker.

use std::time::Duration;

use pblink_serve::consumers::mqtt::{Broker, Pace};
use pblink_serve::consumers::{Consumer, Kind, Mqtt};
use pblink_serve::log::From;
use pblink_soak::mosquitto::Mosquitto;

use crate::shop::{Pen, Shop};

/// The line before those that count.
pub const FIRST: &str = "first";

/// Starts a broker that takes everybody.
pub fn broker() -> Option<Mosquitto> {
    Mosquitto::start("allow_anonymous true")
}

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
