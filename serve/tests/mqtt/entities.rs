//! Values in the lines of boards: their topics, and the sensors that Home Assistant makes of them.

use std::collections::BTreeMap;

use pblink_serve::consumers::{DEVICE_CLASSES, Entities, Entity, Mqtt, STATE_CLASSES};
use pblink_serve::log::Memory;
use pblink_soak::broker::Subscriber;
use serde_json::{Value, json};

use crate::gate::{broker, consumer, mqtt};
use crate::home_assistant::{KEYS, check, parsed, until};
use crate::shop::{Pen, Shop};

/// The text that `mosquitto_sub` has for a message without one: the broker forgets what it kept.
const FORGOTTEN: &str = "(null)";

const DEVICE: &str = "homeassistant/device/pblink-pblink-a/config";

/// Returns an entity of all boards.
fn entity(name: &str, pointer: &str) -> Entity {
    Entity { name: name.into(), pointer: pointer.into(), ..Entity::default() }
}

fn temperature() -> Entity {
    Entity {
        unit: Some("°C".into()),
        device_class: Some("temperature".into()),
        state_class: Some("measurement".into()),
        ..entity("Temperature", "/t")
    }
}

/// Takes messages until a device is announced that is as wanted, and returns its components.
fn device(
    reader: &Subscriber,
    last: &mut BTreeMap<String, String>,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    let components =
        |last: &BTreeMap<_, String>| last.get(DEVICE).map(|text| parsed(text)["components"].take());
    until(reader, last, |last| components(last).is_some_and(|all| wanted(&all)));
    check(&parsed(&last[DEVICE]));
    components(last).unwrap()
}

/// `pblink.toml` takes the classes that Home Assistant has. An `enum` needs the list of its values, which no section gives.
#[test]
fn the_classes_are_those_of_home_assistant() {
    let keys = parsed(KEYS);
    let words = |list: &str| {
        let words = keys[list].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
        words.filter(|word| *word != "enum").map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(words("sensor_device_classes"), DEVICE_CLASSES);
    assert_eq!(words("sensor_state_classes"), STATE_CLASSES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn values_in_lines_become_sensors_and_other_lines_change_nothing() {
    let Some(broker) = broker() else { return };
    let reader = broker.subscribe("reader", &["homeassistant/#", "pblink/#"], &[]);
    let others = Entity { clients: vec!["b".into()], ..entity("Others", "/t") };
    let entities = vec![temperature(), entity("Door/1", "/doors/1"), others];
    let settings = Mqtt {
        home_assistant: true,
        entities: Entities::new(entities),
        ..mqtt(broker.address().port())
    };
    let shop = Shop::with(Memory::new("test"), consumer(settings)).await;
    let mut board = Pen::connect(&shop, "a").await;
    let mut last = BTreeMap::new();
    let components = device(&reader, &mut last, |_| true);
    let sensor = &components["entity-Temperature"];
    assert_eq!(
        *sensor,
        json!({
            "platform": "sensor",
            "name": "Temperature",
            "unique_id": "pblink-pblink-a-entity-Temperature",
            "state_topic": "pblink/a/entity/Temperature",
            "unit_of_measurement": "°C",
            "device_class": "temperature",
            "state_class": "measurement",
            "availability": components["mem_free"]["availability"],
            "availability_mode": "all",
        })
    );
    let door = components["entity-Door_2f1"]["state_topic"].as_str().unwrap();
    assert_eq!(door, "pblink/a/entity/Door%2F1");
    assert!(components.get("entity-Others").is_none());

    board.say(r#"{"t": 21.5, "doors": [null, "open"]}"#).await;
    let long = format!(r#"{{"t": "{}"}}"#, "1".repeat(256));
    for harmless in ["21.5", "{\"t\": 9", "{}", r#"{"t": [1]}"#, r#"{"t": "warm"}"#, &long] {
        board.say(harmless).await;
    }
    board.say(r#"{"doors": [0, null]}"#).await;
    board.say("end").await;
    let mut heard = Vec::new();
    loop {
        let message = reader.next();
        let (topic, text) = message.split_once(' ').unwrap();
        if topic.starts_with("pblink/a/entity/") {
            heard.push(message.clone());
        } else if (topic, text) == ("pblink/a/up", "end") {
            break;
        }
    }
    let wanted = [
        "pblink/a/entity/Temperature 21.5",
        "pblink/a/entity/Door%2F1 open",
        "pblink/a/entity/Door%2F1 None",
    ];
    assert_eq!(heard, wanted);
    // All lines are done with, those with values too; and whoever comes later learns the last values.
    shop.until(|status| status.lag == 0).await;
    let late = broker.subscribe("late", &["pblink/a/entity/+"], &[]);
    let mut kept = [late.next(), late.next()];
    kept.sort();
    assert_eq!(kept, [wanted[2], wanted[0]]);
    shop.close().await;
}

/// More values in one line than messages may be under way at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_line_may_have_more_values_than_the_window_takes() {
    const MANY: usize = 250;
    let Some(broker) = broker() else { return };
    let reader = broker.subscribe("reader", &["pblink/a/entity/+"], &[]);
    let entities = (0..MANY).map(|n| entity(&n.to_string(), &format!("/{n}"))).collect();
    let settings = Mqtt { entities: Entities::new(entities), ..mqtt(broker.address().port()) };
    let shop = Shop::with(Memory::new("test"), consumer(settings)).await;
    let mut board = Pen::connect(&shop, "a").await;
    let line = json!((0..MANY).collect::<Vec<_>>()).to_string();
    board.say(&line).await;
    board.say(&line).await;
    for n in (0..MANY).chain(0..MANY) {
        assert_eq!(reader.next(), format!("pblink/a/entity/{n} {n}"));
    }
    shop.until(|status| status.lag == 0).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn entities_come_and_go_while_the_server_runs() {
    let Some(broker) = broker() else { return };
    let reader = broker.subscribe("reader", &["homeassistant/#", "pblink/#"], &[]);
    let entities = Entities::new(vec![temperature()]);
    let settings =
        Mqtt { home_assistant: true, entities: entities.clone(), ..mqtt(broker.address().port()) };
    let shop = Shop::with(Memory::new("test"), consumer(settings.clone())).await;
    let mut board = Pen::connect(&shop, "a").await;
    let mut last = BTreeMap::new();
    device(&reader, &mut last, |all| all["entity-Temperature"]["name"] == "Temperature");
    board.say(r#"{"t": 1, "x": 2}"#).await;
    until(&reader, &mut last, |last| last.contains_key("pblink/a/entity/Temperature"));

    // One comes.
    assert!(entities.set(vec![temperature(), entity("X", "/x")]));
    device(&reader, &mut last, |all| all["entity-X"]["name"] == "X");
    board.say(r#"{"t": 3, "x": 4}"#).await;
    until(&reader, &mut last, |last| last.contains_key("pblink/a/entity/X"));
    assert_eq!(last["pblink/a/entity/Temperature"], "3");
    assert_eq!(last["pblink/a/entity/X"], "4");

    // One goes: Home Assistant takes it away, the broker forgets its value, and no line brings it back.
    assert!(entities.set(vec![entity("X", "/x")]));
    let gone = |all: &Value| all["entity-Temperature"] == json!({ "platform": "sensor" });
    let components = device(&reader, &mut last, gone);
    assert_eq!(components["entity-X"]["name"], "X");
    until(&reader, &mut last, |last| last["pblink/a/entity/Temperature"] == FORGOTTEN);
    board.say(r#"{"t": 5, "x": 6}"#).await;
    until(&reader, &mut last, |last| last["pblink/a/entity/X"] == "6");
    assert_eq!(last["pblink/a/entity/Temperature"], FORGOTTEN);
    let late = broker.subscribe("late", &["pblink/a/entity/+"], &[]);
    assert_eq!(late.next(), "pblink/a/entity/X 6");
    shop.close().await;
}

/// A server that had no broker when an entity was taken away says so once it has one, and a board that comes later has
/// lost it as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_is_taken_away_while_the_broker_is_away_goes_later() {
    const FIRST: &str = "pblink/a/entity/Temperature";
    const LATER: &str = "pblink/b/entity/Temperature";
    const DEVICES: [&str; 2] = [DEVICE, "homeassistant/device/pblink-pblink-b/config"];
    let Some(broker) = broker() else { return };
    let entities = Entities::new(vec![temperature()]);
    let settings =
        Mqtt { home_assistant: true, entities: entities.clone(), ..mqtt(broker.address().port()) };
    for topic in [FIRST, LATER] {
        broker.publish(topic, "21.5", &["-r"]);
    }
    assert!(entities.set(Vec::new()));
    let reader = broker.subscribe("reader", &["homeassistant/#", "pblink/#"], &[]);
    let mut last = BTreeMap::new();
    until(&reader, &mut last, |last| last.contains_key(FIRST) && last.contains_key(LATER));
    let shop = Shop::with(Memory::new("test"), consumer(settings)).await;
    let _first = Pen::connect(&shop, "a").await;
    until(&reader, &mut last, |last| last[FIRST] == FORGOTTEN);
    assert_eq!(last[LATER], "21.5");
    let _later = Pen::connect(&shop, "b").await;
    until(&reader, &mut last, |last| last[LATER] == FORGOTTEN);
    until(&reader, &mut last, |last| DEVICES.iter().all(|device| last.contains_key(*device)));
    for device in DEVICES {
        let device = parsed(&last[device]);
        check(&device);
        assert_eq!(device["components"]["entity-Temperature"], json!({ "platform": "sensor" }));
    }
    shop.close().await;
}
