//! Values in the lines of boards, which become topics of their own and sensors of Home Assistant.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;

/// Bytes of a name at most.
const NAME: usize = 64;

/// The longest state that Home Assistant keeps, in characters. A longer value is none.
const STATE: usize = 255;

/// The state by which Home Assistant knows that there is no value.
const NONE: &str = "None";

/// Classes of values that are moments, not numbers.
const TIMES: [&str; 2] = ["date", "timestamp"];

/// Classes of sensors that Home Assistant knows, without `enum`, which needs a list of its values.
///
/// Source: `SensorDeviceClass` in Home Assistant's `components/sensor/const.py`.
pub const DEVICE_CLASSES: [&str; 59] = [
    "absolute_humidity",
    "apparent_power",
    "aqi",
    "area",
    "atmospheric_pressure",
    "battery",
    "blood_glucose_concentration",
    "carbon_dioxide",
    "carbon_monoxide",
    "conductivity",
    "current",
    "data_rate",
    "data_size",
    "date",
    "distance",
    "duration",
    "energy",
    "energy_distance",
    "energy_storage",
    "frequency",
    "gas",
    "humidity",
    "illuminance",
    "irradiance",
    "moisture",
    "monetary",
    "nitrogen_dioxide",
    "nitrogen_monoxide",
    "nitrous_oxide",
    "ozone",
    "ph",
    "pm1",
    "pm10",
    "pm25",
    "pm4",
    "power",
    "power_factor",
    "precipitation",
    "precipitation_intensity",
    "pressure",
    "reactive_energy",
    "reactive_power",
    "signal_strength",
    "sound_pressure",
    "speed",
    "sulphur_dioxide",
    "temperature",
    "temperature_delta",
    "timestamp",
    "volatile_organic_compounds",
    "volatile_organic_compounds_parts",
    "voltage",
    "volume",
    "volume_flow_rate",
    "volume_storage",
    "water",
    "weight",
    "wind_direction",
    "wind_speed",
];

/// Classes of states that Home Assistant knows.
///
/// Source: `SensorStateClass` in Home Assistant's `components/sensor/const.py`.
pub const STATE_CLASSES: [&str; 4] =
    ["measurement", "measurement_angle", "total", "total_increasing"];

/// A value in the lines of boards: `[[entity]]` of `pblink.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entity {
    /// Its name, which no other one of the same board has.
    pub name: String,
    /// The boards that have it; none: all.
    pub clients: Vec<String>,
    /// Its place in a line, which is JSON: a pointer of RFC 6901. Empty: the line is the value.
    pub pointer: String,
    /// Unit, as Home Assistant knows it.
    pub unit: Option<String>,
    /// One of [`DEVICE_CLASSES`].
    pub device_class: Option<String>,
    /// One of [`STATE_CLASSES`].
    pub state_class: Option<String>,
}

impl Entity {
    /// The rule of [`is_name`](Self::is_name), in words.
    pub const NAMES: &str = "1 to 64 bytes of text, such as \"Temperature\"";

    /// The rule of [`is_pointer`](Self::is_pointer), in words.
    pub const POINTERS: &str = "a JSON pointer such as \"/t\" or \"/sensors/0/t\": / before each name, ~1 for a / in \
        one, ~0 for ~; \"\" is the whole line";

    /// Returns true if an entity may have this name.
    pub fn is_name(name: &str) -> bool {
        let fits = !name.is_empty() && name.len() <= NAME && name.trim() == name;
        fits && !name.contains(char::is_control)
    }

    /// Returns true if this is a pointer of RFC 6901: nothing, or `/` before each name, in which `~1` is `/`, and `~0`
    /// is `~`.
    pub fn is_pointer(text: &str) -> bool {
        let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        (text.is_empty() || text.starts_with('/')) && escapes
    }

    /// Returns what tells it from others.
    fn place(&self) -> (&str, &[String]) {
        (&self.name, &self.clients)
    }

    /// Returns true if this board has it.
    pub fn is_of(&self, id: &str) -> bool {
        self.clients.is_empty() || self.clients.iter().any(|client| client == id)
    }

    /// Returns true if one board may have both.
    pub fn meets(&self, other: &Self) -> bool {
        self.clients.is_empty()
            || other.clients.is_empty()
            || self.clients.iter().any(|id| other.is_of(id))
    }

    /// Returns true if its class and its unit do not agree: Home Assistant takes neither unit nor state class with a
    /// date or a timestamp.
    pub fn is_contradictory(&self) -> bool {
        self.is_time() && (self.unit.is_some() || self.state_class.is_some())
    }

    /// Returns true if its value is a moment, as text.
    fn is_time(&self) -> bool {
        self.device_class.as_deref().is_some_and(|class| TIMES.contains(&class))
    }

    /// Returns true if Home Assistant takes nothing but numbers for it.
    fn is_number(&self) -> bool {
        let classes = [&self.unit, &self.device_class, &self.state_class];
        classes.iter().any(|class| class.is_some()) && !self.is_time()
    }

    /// Returns the state that a line gives it. `None`: the line has no such value, or one that Home Assistant would
    /// not take, and the state stays as it was.
    pub fn state(&self, line: &Value) -> Option<String> {
        let state = match line.pointer(&self.pointer)? {
            Value::Null => NONE.to_owned(),
            Value::Number(number) if !self.is_time() => number.to_string(),
            Value::String(text) if self.is_number() => {
                text.parse::<f64>().ok().filter(|number| number.is_finite())?;
                text.clone()
            }
            Value::String(text) => text.clone(),
            Value::Bool(flag) if !self.is_number() && !self.is_time() => flag.to_string(),
            Value::Number(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
        };
        (1..=STATE).contains(&state.chars().count()).then_some(state)
    }
}

/// The entities of a server. They can be exchanged while it runs; clones are the same ones.
#[derive(Debug, Clone)]
pub struct Entities(watch::Sender<Arc<Known>>);

/// Entities, and those that the server had before.
#[derive(Debug, Default)]
pub struct Known {
    now: Vec<Entity>,
    /// Taken away since the server began: whoever was told of them is to be told that they are gone, even if it was
    /// not there at that moment.
    gone: Vec<Entity>,
}

impl Entities {
    /// Returns these entities.
    pub fn new(entities: Vec<Entity>) -> Self {
        Self(watch::Sender::new(Arc::new(Known { now: entities, gone: Vec::new() })))
    }

    /// Takes others in their place. Returns true if something has changed.
    pub fn set(&self, entities: Vec<Entity>) -> bool {
        self.0.send_if_modified(|known| {
            if known.now == entities {
                return false;
            }
            let mut gone = known.gone.clone();
            gone.extend(known.now.iter().filter(|old| !entities.contains(old)).cloned());
            gone.sort_by(|a, b| a.place().cmp(&b.place()));
            gone.dedup_by(|a, b| a.place() == b.place());
            *known = Arc::new(Known { now: entities, gone });
            true
        })
    }

    /// Returns what follows them.
    pub fn watch(&self) -> watch::Receiver<Arc<Known>> {
        self.0.subscribe()
    }
}

impl Default for Entities {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl PartialEq for Entities {
    fn eq(&self, other: &Self) -> bool {
        // Not both at a time: they may be the same ones.
        let mine = Arc::clone(&self.0.borrow());
        mine.now == other.0.borrow().now
    }
}

impl Eq for Entities {}

impl Known {
    /// Returns the entities of a board.
    pub fn of<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Entity> {
        self.now.iter().filter(move |entity| entity.is_of(id))
    }

    /// Returns the names of entities that a board had, and has no more.
    pub fn gone_of<'a>(&'a self, id: &'a str) -> BTreeSet<&'a str> {
        let is_here = |name: &str| self.of(id).any(|entity| entity.name == name);
        let gone = self.gone.iter().filter(|entity| entity.is_of(id));
        gone.map(|entity| entity.name.as_str()).filter(|name| !is_here(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(entity: &Entity, line: &str) -> Option<String> {
        entity.state(&serde_json::from_str(line).unwrap())
    }

    #[test]
    fn a_line_gives_what_home_assistant_takes() {
        let text = Entity { pointer: "/a/1/x~1y".into(), ..Entity::default() };
        for (line, expected) in [
            (r#"{"a": [0, {"x/y": 21.5}]}"#, Some("21.5")),
            (r#"{"a": [0, {"x/y": "wet"}]}"#, Some("wet")),
            (r#"{"a": [0, {"x/y": true}]}"#, Some("true")),
            (r#"{"a": [0, {"x/y": null}]}"#, Some("None")),
            (r#"{"a": [0, {"x/y": ""}]}"#, None),
            (r#"{"a": [0, {"x/y": [1]}]}"#, None),
            (r#"{"a": [0, {"x/y": {}}]}"#, None),
            (r#"{"a": [0]}"#, None),
            ("21.5", None),
        ] {
            assert_eq!(state(&text, line).as_deref(), expected, "{line}");
        }
        let long = |count| format!("{{\"a\": [0, {{\"x/y\": \"{}\"}}]}}", "ü".repeat(count));
        assert!(state(&text, &long(255)).is_some() && state(&text, &long(256)).is_none());

        // The whole line, as a number.
        let number = Entity { unit: Some("°C".into()), ..Entity::default() };
        for (line, expected) in [
            ("21.5", Some("21.5")),
            ("\"21.5\"", Some("21.5")),
            ("\"wet\"", None),
            ("\"NaN\"", None),
            ("true", None),
            ("null", Some("None")),
        ] {
            assert_eq!(state(&number, line).as_deref(), expected, "{line}");
        }

        let time = Entity { device_class: Some("timestamp".into()), ..Entity::default() };
        for (line, expected) in [
            ("\"2026-11-27T18:00:00Z\"", Some("2026-11-27T18:00:00Z")),
            ("1795802400", None),
            ("true", None),
            ("null", Some("None")),
        ] {
            assert_eq!(state(&time, line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn a_moment_has_no_unit() {
        for class in TIMES {
            let time = Entity { device_class: Some(class.into()), ..Entity::default() };
            assert!(!time.is_contradictory());
            assert!(Entity { unit: Some("s".into()), ..time.clone() }.is_contradictory());
            let class = Some("measurement".into());
            assert!(Entity { state_class: class, ..time }.is_contradictory());
        }
        let duration = Some("duration".into());
        let number = Entity { device_class: duration, unit: Some("s".into()), ..Entity::default() };
        assert!(!number.is_contradictory());
    }

    #[test]
    fn what_was_taken_away_is_gone_until_it_is_back() {
        let of = |name: &str, clients: &[&str]| Entity {
            name: name.into(),
            clients: clients.iter().map(ToString::to_string).collect(),
            ..Entity::default()
        };
        let entities = Entities::new(vec![of("t", &[]), of("x", &["a"])]);
        let mut watch = entities.watch();
        let names = |watch: &watch::Receiver<Arc<Known>>, id: &str| {
            let known = watch.borrow();
            let here: Vec<_> = known.of(id).map(|entity| entity.name.clone()).collect();
            (here.join(" "), known.gone_of(id).into_iter().collect::<Vec<_>>().join(" "))
        };
        let is = |here: &str, gone: &str| (here.to_owned(), gone.to_owned());
        assert_eq!((names(&watch, "a"), names(&watch, "b")), (is("t x", ""), is("t", "")));
        assert!(!entities.set(vec![of("t", &[]), of("x", &["a"])]));
        assert!(!watch.has_changed().unwrap());

        // One that has other boards is gone for those that do not have it any more.
        assert!(entities.clone().set(vec![of("t", &["a"])]));
        assert!(watch.has_changed().unwrap());
        watch.mark_unchanged();
        assert_eq!((names(&watch, "a"), names(&watch, "b")), (is("t", "x"), is("", "t")));
        assert!(entities.set(Vec::new()));
        assert_eq!((names(&watch, "a"), names(&watch, "b")), (is("", "t x"), is("", "t")));
        assert!(entities.set(vec![of("x", &["b"])]));
        assert_eq!((names(&watch, "a"), names(&watch, "b")), (is("", "t x"), is("x", "t")));
        // Again and again, it is known once.
        for _ in 0..3 {
            assert!(entities.set(Vec::new()) && entities.set(vec![of("x", &["b"])]));
        }
        assert_eq!(names(&watch, "b"), is("x", "t"));
        assert_eq!(watch.borrow().gone.len(), 4);
    }

    #[test]
    fn names_are_short_texts() {
        for good in ["Temperature", "T 1", "Öl/Druck", &"x".repeat(64)] {
            assert!(Entity::is_name(good), "{good}");
        }
        for bad in ["", " x", "x ", "a\nb", &"x".repeat(65)] {
            assert!(!Entity::is_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn pointers_are_those_of_rfc_6901() {
        // The examples of its section 5, and what its grammar does not have.
        for good in ["", "/", "/foo", "/foo/0", "/a~1b", "/c%d", "/m~0n", "/ ", "/k\"l"] {
            assert!(Entity::is_pointer(good), "{good}");
        }
        for bad in ["foo", "#/foo", "/~", "/a~2", "/~01~", "a/b"] {
            assert!(!Entity::is_pointer(bad), "{bad}");
        }
    }

    #[test]
    fn entities_meet_where_one_board_has_both() {
        let of = |clients: &[&str]| Entity {
            clients: clients.iter().map(ToString::to_string).collect(),
            ..Entity::default()
        };
        assert!(of(&[]).meets(&of(&["a"])) && of(&["a"]).meets(&of(&[])));
        assert!(of(&["a", "b"]).meets(&of(&["b"])) && !of(&["a"]).meets(&of(&["b"])));
    }
}
