//! Devices as Home Assistant would make them: the keys that its schema knows, and its templates with the values of real links.

use std::collections::BTreeMap;

use minijinja::Environment;
use pblink_serve::consumers::Mqtt;
use pblink_serve::log::Memory;
use pblink_soak::broker::Subscriber;
use serde_json::Value;

use crate::board::soon;
use crate::gate::{broker, consumer, mqtt, subscribed};
use crate::shop::{Pen, Shop};

/// The schema's keys, made by the script beside it.
pub const KEYS: &str = include_str!("home_assistant_keys.json");

pub fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn known(keys: &Value, list: &str, object: &Value) {
    let list: Vec<_> =
        keys[list].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
    for key in object.as_object().unwrap().keys() {
        assert!(list.contains(&key.as_str()), "Home Assistant does not know {key}: {object}");
    }
}

/// Checks a device as Home Assistant does.
pub fn check(message: &Value) {
    let keys = parsed(KEYS);
    known(&keys, "device_payload", message);
    known(&keys, "device", &message["device"]);
    known(&keys, "origin", &message["origin"]);
    assert!(
        message["device"]["identifiers"][0].is_string() && message["origin"]["name"].is_string()
    );
    for (name, entity) in message["components"].as_object().unwrap() {
        let platform = entity["platform"].as_str().unwrap();
        known(&keys, platform, entity);
        // By its platform alone it is taken away.
        if entity.as_object().unwrap().len() == 1 {
            continue;
        }
        let topic = if platform == "button" { "command_topic" } else { "state_topic" };
        assert!(entity["unique_id"].is_string() && entity[topic].is_string(), "{name}");
        for (field, values) in
            [("device_class", "device_classes"), ("state_class", "state_classes")]
        {
            if let Some(value) = entity.get(field) {
                let values = &keys[format!("{platform}_{values}")];
                assert!(values.as_array().unwrap().contains(value), "{name}: {value}");
            }
        }
    }
}

/// Returns the value of an entity, as its template makes it of the last message in its topic.
fn value(entity: &Value, last: &BTreeMap<String, String>) -> String {
    let text = &last[entity["state_topic"].as_str().unwrap()];
    let Some(template) = entity["value_template"].as_str() else { return text.clone() };
    let context = minijinja::context! { value => text, value_json => parsed(text) };
    Environment::new().render_str(template, context).unwrap()
}

/// Returns true if all topics of availability say so.
fn is_available(entity: &Value, last: &BTreeMap<String, String>) -> bool {
    entity["availability"].as_array().unwrap().iter().all(|one| {
        let text = &last[one["topic"].as_str().unwrap()];
        let text = match one["value_template"].as_str() {
            Some(template) => {
                let context = minijinja::context! { value_json => parsed(text) };
                Environment::new().render_str(template, context).unwrap()
            }
            None => text.clone(),
        };
        text == "online"
    })
}

/// Takes messages until they are as wanted.
pub fn until(
    reader: &Subscriber,
    last: &mut BTreeMap<String, String>,
    wanted: impl Fn(&BTreeMap<String, String>) -> bool,
) {
    while !wanted(last) {
        let message = reader.next();
        let (topic, text) = message.split_once(' ').unwrap();
        last.insert(topic.to_owned(), text.to_owned());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn boards_become_devices_with_values_and_availability() {
    const BOARD: &str = "homeassistant/device/pblink-pblink-b_c3_bcro/config";
    const SERVER: &str = "homeassistant/device/pblink-pblink/config";
    let Some(broker) = broker() else { return };
    let reader = broker.subscribe("reader", &["homeassistant/#", "pblink/#"], &[]);
    let settings = Mqtt { home_assistant: true, ..mqtt(broker.address().port()) };
    let shop = Shop::with(Memory::new("test"), consumer(settings)).await;
    let mut board = Pen::connect(&shop, "büro").await;
    board.say("21.5").await;
    let mut last = BTreeMap::new();
    until(&reader, &mut last, |last| last.contains_key(BOARD) && last.contains_key(SERVER));
    let (server, device) = (parsed(&last[SERVER]), parsed(&last[BOARD]));
    check(&server);
    check(&device);
    assert_eq!(device["device"]["name"], "büro");
    assert_eq!(device["device"]["via_device"], server["device"]["identifiers"][0]);
    let entities = &device["components"];
    let up = |last: &BTreeMap<_, _>| value(&entities["link"], last) == "ON";
    until(&reader, &mut last, up);
    assert_eq!(value(&server["components"]["server"], &last), "online");
    assert_eq!(value(&entities["layer"], &last), "none");
    assert_eq!(value(&entities["outages"], &last), "0");
    assert_eq!(value(&entities["outages_24h"], &last), "0");
    assert!(is_available(&entities["link"], &last) && is_available(&entities["mem_free"], &last));

    drop(board);
    until(&reader, &mut last, |last| value(&entities["link"], last) == "OFF");
    assert_eq!(value(&entities["layer"], &last), "coprocessor");
    assert_eq!(value(&entities["outages"], &last), "1");
    assert_eq!(value(&entities["outages_24h"], &last), "1");
    assert!(value(&entities["last_line"], &last).ends_with('Z'));
    // The state of a board that is away is known, its values are not, and there is nothing to reconnect.
    assert!(!is_available(&entities["reconnect"], &last));
    assert!(is_available(&entities["link"], &last) && !is_available(&entities["mem_free"], &last));

    // Home Assistant has started: it is told everything again.
    last.remove(BOARD);
    broker.publish("homeassistant/status", "online", &[]);
    until(&reader, &mut last, |last| last.contains_key(BOARD));
    assert_eq!(parsed(&last[BOARD]), device);

    shop.close().await;
    until(&reader, &mut last, |last| last["pblink/status"] == "offline");
    assert!(!is_available(&entities["link"], &last));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_button_makes_a_link_anew_and_nothing_is_lost() {
    const BOARD: &str = "homeassistant/device/pblink-pblink-a/config";
    let Some(broker) = broker() else { return };
    let reader = broker.subscribe("reader", &["homeassistant/#"], &[]);
    let errors = broker.subscribe("errors", &["pblink/+/error"], &[]);
    let settings = Mqtt { home_assistant: true, ..mqtt(broker.address().port()) };
    let shop = Shop::with(Memory::new("test"), consumer(settings)).await;
    let mut board = subscribed(&shop).await;
    let mut last = BTreeMap::new();
    until(&reader, &mut last, |last| last.contains_key(BOARD));
    let button = parsed(&last[BOARD])["components"]["reconnect"].take();
    let topic = button["command_topic"].as_str().unwrap();
    let press = button["payload_press"].as_str().unwrap();
    let link = shop.station.server.link("a").unwrap();
    assert_eq!(link.connects(), 1);

    // A line that the board has not acknowledged when its link is closed.
    broker.publish("pblink/a/down", "before", &[]);
    soon(shop.station.log.wait_for(|status| status.waiting == 1)).await;
    broker.publish(topic, press, &[]);
    soon(link.closed()).await;
    broker.publish("pblink/a/down", "between", &[]);

    // There is no link now, and a word that is no command closes none.
    broker.publish(topic, press, &[]);
    assert!(errors.next_in("pblink/a/error").contains("not connected"));
    board.reconnect(&shop, "a").await;
    assert_eq!(board.hear_all(2).await, ["before", "between"]);
    broker.publish(topic, "restart", &[]);
    assert!(errors.next_in("pblink/a/error").contains("the one command is"));
    broker.publish("pblink/a/down", "after", &[]);
    assert_eq!(board.hear().await, "after");
    assert_eq!(link.connects(), 2);
    shop.close().await;
}
