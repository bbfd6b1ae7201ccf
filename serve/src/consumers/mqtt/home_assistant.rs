//! Discovery by Home Assistant: one retained message for the server and one for each board, from which it makes devices
//! with entities. The entities' values are those of the topics that everybody reads.
//!
//! Source: Home Assistant's MQTT integration, *device discovery* (since 2024.12),
//! <https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery>. It asks for everything again by `online` in
//! `homeassistant/status`.

use serde_json::{Value, json};

use super::topics::Topics;
use crate::consumers::Known;

/// First level of Home Assistant's topics.
const DISCOVERY: &str = "homeassistant";

/// Topic by which Home Assistant says that it has started.
pub(super) const BIRTH: &str = "homeassistant/status";

/// The command by which a link is made anew.
pub(super) const RECONNECT: &str = "reconnect";

/// Returns topic and message by which the server becomes a device.
pub(super) fn server(topics: &Topics) -> (String, String) {
    let device = name(&[topics.prefix()]);
    let message = json!({
        "device": {
            "identifiers": [device],
            "name": format!("pblink server ({})", topics.prefix()),
            "manufacturer": "pblink",
            "model": "pblink serve",
            "sw_version": env!("CARGO_PKG_VERSION"),
        },
        "origin": origin(),
        "components": {
            "server": {
                "platform": "binary_sensor",
                "device_class": "connectivity",
                "entity_category": "diagnostic",
                "name": "Server",
                "unique_id": format!("{device}-server"),
                "state_topic": topics.server_status(),
                "payload_on": "online",
                "payload_off": "offline",
            },
        },
    });
    (topic(&device), message.to_string())
}

/// Returns topic and message by which a board becomes a device.
pub(super) fn board(topics: &Topics, id: &str, entities: &Known) -> (String, String) {
    let device = name(&[topics.prefix(), id]);
    let status = topics.of(id, "status");
    let server = json!({ "topic": topics.server_status() });
    // Values of a board count only while it is there; its state counts always.
    let up = json!({
        "topic": status,
        "value_template": "{{ 'online' if value_json.state == 'up' else 'offline' }}",
    });
    let entity = |key: &str, name: &str, template: &str, more: Value| {
        let mut entity = json!({
            "platform": "sensor",
            "name": name,
            "unique_id": format!("{device}-{key}"),
            "entity_category": "diagnostic",
            "state_topic": status,
            "value_template": template,
            "availability": [server],
        });
        let fields = entity.as_object_mut().zip(more.as_object());
        if let Some((entity, more)) = fields {
            entity.extend(more.clone());
        }
        (key.to_owned(), entity)
    };
    let told = json!([server, up]);
    let mut components: serde_json::Map<_, _> = [
        entity(
            "link",
            "Link",
            "{{ 'ON' if value_json.state == 'up' else 'OFF' }}",
            json!({ "platform": "binary_sensor", "device_class": "connectivity" }),
        ),
        entity(
            "layer",
            "Likely down",
            "{{ value_json.likely | default('none', true) }}",
            json!({
                "device_class": "enum",
                "options": ["none", "wires", "coprocessor", "wifi", "server"],
            }),
        ),
        entity(
            "last_line",
            "Last line",
            "{{ value_json.last_line }}",
            json!({ "device_class": "timestamp" }),
        ),
        entity(
            "write_ack",
            "Write to acknowledgement",
            "{{ value_json.write_ack_ms }}",
            json!({
                "device_class": "duration",
                "unit_of_measurement": "ms",
                "state_class": "measurement",
                "suggested_display_precision": 1,
                "availability": told,
                "availability_mode": "all",
            }),
        ),
        entity(
            "mem_free",
            "Free memory",
            "{{ value_json.mem_free }}",
            json!({
                "device_class": "data_size",
                "unit_of_measurement": "B",
                "state_class": "measurement",
                "availability": told,
                "availability_mode": "all",
            }),
        ),
        entity(
            "outages",
            "Outages",
            "{{ value_json.outages }}",
            json!({ "state_class": "total_increasing" }),
        ),
        entity(
            "outages_24h",
            "Outages in 24 hours",
            "{{ value_json.outages_24h }}",
            json!({ "state_class": "measurement" }),
        ),
        entity(
            "waiting",
            "Lines that wait",
            "{{ value_json.waiting }}",
            json!({ "state_class": "measurement" }),
        ),
    ]
    .into_iter()
    .collect();
    // Home Assistant sends a press with QoS 0: the broker does not keep it for a server that is away.
    components.insert(
        "reconnect".to_owned(),
        json!({
            "platform": "button",
            "name": "Reconnect",
            "unique_id": format!("{device}-reconnect"),
            "entity_category": "config",
            "command_topic": topics.of(id, "command"),
            "payload_press": RECONNECT,
            "availability": told,
            "availability_mode": "all",
        }),
    );
    for entity in entities.of(id) {
        let key = key(&entity.name);
        let mut sensor = json!({
            "platform": "sensor",
            "name": entity.name,
            "unique_id": format!("{device}-{key}"),
            "state_topic": topics.entity(id, &entity.name),
            "availability": told,
            "availability_mode": "all",
        });
        for (field, value) in [
            ("unit_of_measurement", &entity.unit),
            ("device_class", &entity.device_class),
            ("state_class", &entity.state_class),
        ] {
            if let Some(value) = value {
                sensor[field] = json!(value);
            }
        }
        components.insert(key, sensor);
    }
    // Home Assistant takes away what has nothing but its platform, and keeps what is left out.
    for name in entities.gone_of(id) {
        components.insert(key(name), json!({ "platform": "sensor" }));
    }
    let message = json!({
        "device": {
            "identifiers": [device],
            "name": id,
            "manufacturer": "pblink",
            "model": "board",
            "via_device": name(&[topics.prefix()]),
        },
        "origin": origin(),
        "components": components,
    });
    (topic(&device), message.to_string())
}

fn origin() -> Value {
    json!({ "name": "pblink", "sw_version": env!("CARGO_PKG_VERSION") })
}

fn topic(device: &str) -> String {
    format!("{DISCOVERY}/device/{device}/config")
}

/// Returns a name of letters, digits and `_`, as Home Assistant wants it in topics; different parts have different
/// names.
fn name(parts: &[&str]) -> String {
    let mut name = "pblink".to_owned();
    for part in parts {
        name.push('-');
        name.push_str(&plain(part));
    }
    name
}

/// Returns the key of an entity, which no other component has.
fn key(entity: &str) -> String {
    format!("entity-{}", plain(entity))
}

/// Returns a text in letters, digits and `_`; different ones stay different.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => plain.push(char::from(byte)),
            other => plain.push_str(&format!("_{other:02x}")),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn different_boards_have_different_devices_in_letters_that_topics_take() {
        let ids = ["1", "a b", "a_20b", "a-b", "küche", "a/b", "-", "_"];
        let topics: BTreeSet<_> = ids
            .iter()
            .map(|id| board(&Topics::new("site/pblink"), id, &Known::default()).0)
            .collect();
        assert_eq!(topics.len(), ids.len());
        for topic in topics {
            let device = topic.strip_prefix("homeassistant/device/").unwrap();
            let device = device.strip_suffix("/config").unwrap();
            let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
            assert!(device.chars().all(plain), "{device}");
        }
        assert_ne!(name(&["a", "b"]), name(&["a-b"]));
    }
}
