//! The broker is stopped, halted, cut off, or says no; the server is killed. Nothing is lost, and the order of each board's
//! lines stays. A line may come twice: that is QoS 1.

use std::collections::BTreeMap;
use std::sync::Arc;

use pblink_serve::log::Memory;
use pblink_soak::broker::{BrokerProcess, Software, Subscriber};
use pblink_soak::proxy::Proxy;
use rustix::process::Signal;

use crate::board::Station;
use crate::engine::Disk;
use crate::gate::{FIRST, consumer, mqtt, subscribed, with_each_broker};
use crate::shop::{Pen, Shop};

with_each_broker! {
    a_broker_that_is_stopped_and_started_gets_every_line_in_order,
    cut_connections_lose_nothing_in_either_direction,
    a_server_that_is_killed_goes_on_where_the_broker_had_acknowledged,
    a_server_that_stops_while_the_broker_is_away_does_not_wait_for_it,
    without_a_store_a_line_waits_at_its_board_until_the_broker_is_there,
    a_broker_that_is_halted_and_goes_on_gets_every_line_in_order,
    without_a_broker_it_says_since_when_and_why_and_when_it_tries_again,
}

/// Lines of each board as they came first, until each board has `count`.
fn lines(reader: &Subscriber, boards: &[&str], count: usize) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    while boards.iter().any(|&board| all.get(board).is_none_or(|lines| lines.len() < count)) {
        let message = reader.next();
        let (topic, text) = message.split_once(' ').unwrap();
        let Some(id) = topic.strip_prefix("pblink/").and_then(|t| t.strip_suffix("/up")) else {
            continue;
        };
        let lines = all.entry(id.to_owned()).or_default();
        if text == FIRST {
            continue;
        }
        if !lines.iter().any(|known| known == text) {
            lines.push(text.to_owned());
        }
    }
    all
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}

async fn a_broker_that_is_stopped_and_started_gets_every_line_in_order(mut broker: BrokerProcess) {
    let reader = broker.subscribe("reader", &["pblink/+/up"], &[]);
    let shop = Shop::with(Disk::new(), consumer(mqtt(broker.address().port()))).await;
    let (mut a, mut b) = (Pen::connect(&shop, "a").await, Pen::connect(&shop, "b").await);
    for n in 0..60 {
        if n % 20 == 10 {
            broker.stop();
        }
        a.say(&n.to_string()).await;
        b.say(&n.to_string()).await;
        if n % 20 == 15 {
            broker.restart();
        }
    }
    let all = lines(&reader, &["a", "b"], 60);
    assert_eq!((&all["a"], &all["b"]), (&numbers(60), &numbers(60)));
    shop.until(|status| status.lag == 0).await;
    shop.close().await;
}

async fn cut_connections_lose_nothing_in_either_direction(broker: BrokerProcess) {
    let reader = broker.subscribe("reader", &["pblink/+/up"], &[]);
    let proxy = Arc::new(Proxy::start(broker.address()).await.unwrap());
    let shop = Shop::with(Disk::new(), consumer(mqtt(proxy.address().port()))).await;
    let mut board = subscribed(&shop).await;
    for n in 0..60 {
        board.say(&n.to_string()).await;
        broker.publish("pblink/a/down", &n.to_string(), &[]);
        if n % 7 == 3 {
            proxy.cut(|| true);
        }
    }
    assert_eq!(lines(&reader, &["a"], 60)["a"], numbers(60));
    // A message that was in the log when the connection was cut, and not acknowledged, comes again.
    let mut heard: Vec<String> = Vec::new();
    while heard.len() < 60 {
        let line = board.hear().await;
        if !heard.contains(&line) {
            heard.push(line);
        }
    }
    if broker.software() == Software::Nats {
        // It sends again only after a while, when later ones have come.
        heard.sort_by_key(|number| number.parse::<u32>().unwrap());
    }
    assert_eq!(heard, numbers(60));
    shop.close().await;
}

async fn a_server_that_is_killed_goes_on_where_the_broker_had_acknowledged(broker: BrokerProcess) {
    let reader = broker.subscribe("reader", &["pblink/#"], &[]);
    let disk = Disk::new();
    let settings = mqtt(broker.address().port());
    let shop = Shop::with(disk.clone(), consumer(settings.clone())).await;
    let mut board = subscribed(&shop).await;
    for n in 0..20 {
        board.say(&n.to_string()).await;
    }
    shop.kill().await;
    // The broker tells by the last will that the server is gone, and keeps what is meant for boards.
    let mut seen = Vec::new();
    while seen.last().is_none_or(|line| line != "pblink/status offline") {
        seen.push(reader.next());
    }
    broker.publish("pblink/a/down", "meanwhile", &[]);
    let shop = Shop::with(disk.clone(), consumer(settings)).await;
    let mut board = Pen::connect(&shop, "a").await;
    assert_eq!(board.hear().await, "meanwhile");
    for n in 20..40 {
        board.say(&n.to_string()).await;
    }
    let mut all: Vec<String> = Vec::new();
    let mut seen = seen.into_iter();
    while all.len() < 40 {
        let message = seen.next().unwrap_or_else(|| reader.next());
        if let Some(text) = message.strip_prefix("pblink/a/up ")
            && text != FIRST
            && !all.iter().any(|known| known == text)
        {
            all.push(text.to_owned());
        }
    }
    assert_eq!(all, numbers(40));
    shop.close().await;
}

async fn a_server_that_stops_while_the_broker_is_away_does_not_wait_for_it(
    mut broker: BrokerProcess,
) {
    let disk = Disk::new();
    let shop = Shop::with(disk.clone(), consumer(mqtt(broker.address().port()))).await;
    let mut board = Pen::connect(&shop, "a").await;
    board.say("one").await;
    shop.until(|status| status.lag == 0).await;
    broker.stop();
    board.say("two").await;
    shop.close().await;
    // It is kept for the next one.
    let station = Station::start(disk.clone()).await;
    assert_eq!(station.log.status().consumers[0].lag, 1);
    station.stop().await;
}

async fn without_a_store_a_line_waits_at_its_board_until_the_broker_is_there(
    mut broker: BrokerProcess,
) {
    let reader = broker.subscribe("reader", &["pblink/+/up"], &[]);
    broker.stop();
    let shop = Shop::with(Memory::new("test"), consumer(mqtt(broker.address().port()))).await;
    let mut board = Pen::connect(&shop, "a").await;
    let waits = async {
        board.say("kept").await;
    };
    let back = async {
        // The line is in the server, and not acknowledged.
        while shop.station.log.head() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(shop.status().offset, 0);
        broker.restart();
    };
    tokio::join!(waits, back);
    assert_eq!(reader.next_in("pblink/a/up"), "kept");
    shop.close().await;
}

async fn a_broker_that_is_halted_and_goes_on_gets_every_line_in_order(broker: BrokerProcess) {
    let reader = broker.subscribe("reader", &["pblink/+/up"], &[]);
    let shop = Shop::with(Disk::new(), consumer(mqtt(broker.address().port()))).await;
    let mut board = Pen::connect(&shop, "a").await;
    board.say("0").await;
    shop.until(|status| status.lag == 0).await;
    broker.signal(Signal::STOP);
    // More than may be under way at a time.
    for n in 1..300 {
        board.say(&n.to_string()).await;
    }
    assert!(shop.status().lag > 0);
    broker.signal(Signal::CONT);
    assert_eq!(lines(&reader, &["a"], 300)["a"], numbers(300));
    shop.close().await;
}

async fn without_a_broker_it_says_since_when_and_why_and_when_it_tries_again(
    mut broker: BrokerProcess,
) {
    let shop = Shop::with(Disk::new(), consumer(mqtt(broker.address().port()))).await;
    let _board = subscribed(&shop).await;
    assert_eq!(shop.until(|_| true).await.stalled, None);
    broker.stop();
    let first = shop.until(|status| status.stalled.is_some()).await.stalled.unwrap();
    assert!(first.why.contains("broker"), "{first:?}");
    assert!(first.next_ms >= first.since_ms, "{first:?}");
    // Further tries do not begin it anew.
    let later =
        |next_ms| shop.until(move |it| it.stalled.as_ref().is_some_and(|it| it.next_ms > next_ms));
    let later = later(first.next_ms).await.stalled.unwrap();
    assert_eq!(later.since_ms, first.since_ms);
    assert!(later.why.contains("cannot be reached"), "{later:?}");
    broker.restart();
    shop.until(|status| status.stalled.is_none()).await;
    shop.close().await;
}
