//! Lines both ways, what is refused, and the states of links.

use pblink_serve::consumers::Mqtt;
use pblink_serve::consumers::mqtt::Payload;
use pblink_serve::log::Memory;
use pblink_soak::broker::BrokerProcess;
use serde_json::Value;

use crate::board::soon;
use crate::gate::{consumer, mqtt, with_each_broker};
use crate::shop::{Pen, Shop};

with_each_broker! {
    lines_pass_both_ways_and_the_place_moves_with_the_brokers_acknowledgements,
    a_line_as_json_has_what_the_api_tells_of_it,
    the_state_of_each_link_is_there_for_whoever_comes_later,
    what_cannot_be_sent_is_refused_with_a_reason_and_nothing_behind_it_waits,
    a_retained_message_is_not_sent_with_each_connection,
    one_board_that_is_away_stops_no_other,
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

async fn lines_pass_both_ways_and_the_place_moves_with_the_brokers_acknowledgements(
    broker: BrokerProcess,
) {
    let reader = broker.subscribe("reader", &["pblink/#"], &[]);
    let shop = Shop::with(Memory::new("test"), consumer(mqtt(broker.address().port()))).await;
    assert_eq!(reader.next_in("pblink/status"), "online");
    let mut board = Pen::connect(&shop, "a/b").await;
    // Without a store a line is acknowledged when the broker has it.
    for text in ["one", "two", "küche 3"] {
        board.say(text).await;
        assert_eq!(reader.next_in("pblink/a%2Fb/up"), text);
    }
    shop.until(|status| status.offset == 3).await;

    broker.publish("pblink/a%2Fb/down", "four", &[]);
    assert_eq!(board.hear().await, "four");
    broker.publish("pblink/a%2Fb/down/json", r#"{"lines": ["five", "six"]}"#, &[]);
    assert_eq!(board.hear_all(2).await, ["five", "six"]);
    shop.close().await;
    assert_eq!(reader.next_in("pblink/status"), "offline");
}

async fn a_line_as_json_has_what_the_api_tells_of_it(broker: BrokerProcess) {
    let reader = broker.subscribe("reader", &["site/1/+"], &[]);
    let settings =
        Mqtt { prefix: "site/1".into(), payload: Payload::Json, ..mqtt(broker.address().port()) };
    let prefix = settings.prefix.clone();
    let reader_of_board = broker.subscribe("of-board", &[&format!("{prefix}/k/up")], &[]);
    let shop = Shop::with(Memory::new("test"), consumer(settings)).await;
    let mut board = Pen::connect(&shop, "k").await;
    board.say(r#"{"t": 21.5}"#).await;
    let line = json(&reader_of_board.next_in("site/1/k/up"));
    assert_eq!(line["client"], "k");
    assert_eq!(line["text"], r#"{"t": 21.5}"#);
    assert_eq!((&line["offset"], &line["epoch"], &line["seq"]), (&1.into(), &1.into(), &1.into()));
    assert!(line["time"].as_str().unwrap().ends_with('Z') && line["at_ms"].is_u64(), "{line}");
    assert_eq!(reader.next_in("site/1/status"), "online");
    shop.close().await;
}

async fn the_state_of_each_link_is_there_for_whoever_comes_later(broker: BrokerProcess) {
    let shop = Shop::with(Memory::new("test"), consumer(mqtt(broker.address().port()))).await;
    let early = broker.subscribe("early", &["pblink/1/status"], &[]);
    let mut board = Pen::connect(&shop, "1").await;
    board.say("x").await;
    let up = json(&early.next_in("pblink/1/status"));
    assert_eq!((&up["state"], &up["outages"]), (&"up".into(), &0.into()));
    assert!(up.get("likely").is_none() && up["since"].is_string() && up["key"].is_null(), "{up}");
    drop(board);
    let down = loop {
        let status = json(&early.next_in("pblink/1/status"));
        if status["state"] == "down" {
            break status;
        }
    };
    assert_eq!((&down["likely"], &down["outages"]), (&"coprocessor".into(), &1.into()), "{down}");
    // Retained.
    let late = broker.subscribe("late", &["pblink/1/status"], &[]);
    assert_eq!(json(&late.next_in("pblink/1/status"))["state"], "down");
    shop.close().await;
}

async fn what_cannot_be_sent_is_refused_with_a_reason_and_nothing_behind_it_waits(
    broker: BrokerProcess,
) {
    let errors = broker.subscribe("errors", &["pblink/+/error", "pblink/status"], &[]);
    let shop = Shop::with(Memory::new("test"), consumer(mqtt(broker.address().port()))).await;
    assert_eq!(errors.next_in("pblink/status"), "online");
    let mut board = Pen::connect(&shop, "1").await;
    board.say("here").await;
    let long = "x".repeat(5000);
    for (topic, message, why) in [
        ("pblink/2/down", "nobody", "no such board"),
        ("pblink/1/down", "a\nb", "newline"),
        ("pblink/1/down", long.as_str(), "5000 bytes"),
        ("pblink/1/down/json", "{}", "send {\"line\""),
        ("pblink/1/down/json", r#"{"line": "x", "delivery": "soon"}"#, "guaranteed"),
        ("pblink/1/down/json", r#"{"lines": []}"#, "no line"),
    ] {
        broker.publish(topic, message, &[]);
        let id = topic.split('/').nth(1).unwrap();
        let told = json(&errors.next_in(&format!("pblink/{id}/error")));
        assert!(told["error"].as_str().unwrap().contains(why), "{told}");
        assert_eq!(told["topic"], topic);
        assert!(told["payload"].as_str().unwrap().chars().count() <= 200);
    }
    broker.publish("pblink/1/down", "good", &[]);
    assert_eq!(board.hear().await, "good");
    shop.close().await;
}

async fn a_retained_message_is_not_sent_with_each_connection(broker: BrokerProcess) {
    broker.publish("pblink/1/down", "kept", &["-r"]);
    let station = consumer(mqtt(broker.address().port()));
    let shop = Shop::with(Memory::new("test"), station).await;
    let errors = broker.subscribe("errors", &["pblink/+/error"], &[]);
    let mut board = Pen::connect(&shop, "1").await;
    board.say("here").await;
    shop.until(|status| status.offset == 1).await;
    broker.publish("pblink/1/down", "fresh", &[]);
    assert_eq!(board.hear().await, "fresh");
    drop(errors);
    shop.close().await;
}

async fn one_board_that_is_away_stops_no_other(broker: BrokerProcess) {
    let shop = Shop::with(Memory::new("test"), consumer(mqtt(broker.address().port()))).await;
    let mut away = Pen::connect(&shop, "away").await;
    away.say("bye").await;
    drop(away);
    let mut here = Pen::connect(&shop, "here").await;
    here.say("hello").await;
    // More than a broker allows to be open at a time.
    for n in 0..25 {
        broker.publish("pblink/away/down", &format!("{n}"), &[]);
    }
    broker.publish("pblink/here/down", "now", &[]);
    assert_eq!(here.hear().await, "now");
    let mut back = Pen::connect(&shop, "away").await;
    let expected: Vec<_> = (0..25).map(|n| n.to_string()).collect();
    assert_eq!(soon(back.hear_all(25)).await, expected);
    shop.close().await;
}
