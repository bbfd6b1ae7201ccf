//! The keys of lists of sections, `[[consumer]]` and `[[entity]]`, and what is to agree in them.

use std::collections::BTreeSet;

use pblink_serve::consumers::{DEVICE_CLASSES, Entity, STATE_CLASSES};

use super::key::{Key, Rule};
use super::keys::{Entry, KEYS, flag, ids, set};
use super::value::Value;
use super::{Consumer, Settings};

/// The keys of `[[consumer]]`.
pub(crate) static CONSUMER_KEYS: [Entry; 7] = [
    Key {
        path: "consumer[].name",
        rule: Rule::Text,
        allowed: "1 to 64 letters, digits and the signs _ . -; without it, its kind is its name",
        put: |s, at, v| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
            let name = v.text().filter(|t| (1..=64).contains(&t.len()) && t.bytes().all(fits))?;
            set(&mut consumer(s, at)?.name, name.to_owned())
        },
        get: |_| "".into(),
    },
    Key {
        path: "consumer[].kind",
        rule: Rule::Choice(&["print", "echo", "demo", "exec", "exec-all"], &[]),
        allowed: "",
        put: |s, at, v| set(&mut consumer(s, at)?.kind, v.text()?.to_owned()),
        get: |_| "print".into(),
    },
    Key {
        path: "consumer[].clients",
        rule: Rule::Ids,
        allowed: "a list of different ids whose lines it takes; [] is all",
        put: |s, at, v| set(&mut consumer(s, at)?.clients, ids(v)?),
        get: |_| Value::List(Vec::new()),
    },
    Key {
        path: "consumer[].required",
        rule: Rule::Bool,
        allowed: "",
        put: |s, at, v| set(&mut consumer(s, at)?.required, flag(v)?),
        get: |_| Value::Bool(true),
    },
    Key {
        path: "consumer[].command",
        rule: Rule::Text,
        allowed: "the command of an exec or exec-all, for `sh -c`",
        put: |s, at, v| {
            let command = v.text().filter(|t| !t.contains('\0'))?;
            set(&mut consumer(s, at)?.command, command.to_owned())
        },
        get: |_| "".into(),
    },
    Key {
        path: "consumer[].ack",
        rule: Rule::Bool,
        allowed: "",
        put: |s, at, v| set(&mut consumer(s, at)?.ack, flag(v)?),
        get: |_| Value::Bool(false),
    },
    Key {
        path: "consumer[].from",
        rule: Rule::Choice(&["now", "oldest"], &[]),
        allowed: "",
        put: |s, at, v| set(&mut consumer(s, at)?.from_oldest, v.text()? == "oldest"),
        get: |_| "now".into(),
    },
];

/// The keys of `[[entity]]`.
pub(crate) static ENTITY_KEYS: [Entry; 6] = [
    Key {
        path: "entity[].name",
        rule: Rule::Text,
        allowed: Entity::NAMES,
        put: |s, at, v| {
            let name = v.text().filter(|name| Entity::is_name(name))?;
            set(&mut entity(s, at)?.name, name.to_owned())
        },
        get: |_| "".into(),
    },
    Key {
        path: "entity[].pointer",
        rule: Rule::Text,
        allowed: Entity::POINTERS,
        put: |s, at, v| {
            let pointer = v.text().filter(|pointer| Entity::is_pointer(pointer))?;
            set(&mut entity(s, at)?.pointer, pointer.to_owned())
        },
        get: |_| "".into(),
    },
    Key {
        path: "entity[].unit",
        rule: Rule::Text,
        allowed: "a unit of at most 32 bytes, such as \"°C\"; \"\" is none",
        put: |s, at, v| {
            let fits = |unit: &&str| unit.len() <= 32 && !unit.contains(char::is_control);
            let unit = v.text().filter(fits)?;
            set(&mut entity(s, at)?.unit, Some(unit.to_owned()).filter(|unit| !unit.is_empty()))
        },
        get: |_| "".into(),
    },
    Key {
        path: "entity[].device_class",
        rule: Rule::Choice(&DEVICE_CLASSES, &[]),
        allowed: "a class of sensors that Home Assistant knows and that needs no list of values, such as \
                  \"temperature\", \"humidity\", \"voltage\" or \"timestamp\" (docs/MQTT.md says where all are)",
        put: |s, at, v| set(&mut entity(s, at)?.device_class, Some(v.text()?.to_owned())),
        get: |_| "".into(),
    },
    Key {
        path: "entity[].state_class",
        rule: Rule::Choice(&STATE_CLASSES, &[]),
        allowed: "",
        put: |s, at, v| set(&mut entity(s, at)?.state_class, Some(v.text()?.to_owned())),
        get: |_| "".into(),
    },
    Key {
        path: "entity[].clients",
        rule: Rule::Ids,
        allowed: "a list of different ids of boards that have it; [] is all",
        put: |s, at, v| set(&mut entity(s, at)?.clients, ids(v)?),
        get: |_| Value::List(Vec::new()),
    },
];

/// Returns the consumer that a key is one of.
fn consumer<'a>(settings: &'a mut Settings, at: &[usize]) -> Option<&'a mut Consumer> {
    settings.consumers.get_mut(*at.first()?)
}

/// Returns the entity that a key is one of.
fn entity<'a>(settings: &'a mut Settings, at: &[usize]) -> Option<&'a mut Entity> {
    settings.entities.get_mut(*at.first()?)
}

/// Returns all keys, those of lists last.
pub(super) fn all_keys() -> impl Iterator<Item = &'static Entry> {
    KEYS.iter().chain(&CONSUMER_KEYS).chain(&ENTITY_KEYS)
}

/// Returns true if this is the last part of the path of a key whose wrong values are not shown.
pub(super) fn is_private_leaf(leaf: &str) -> bool {
    all_keys().any(|key| key.is_private() && key.path.rsplit('.').next() == Some(leaf))
}

/// A section whose keys do not agree with each other, or with another section.
pub(super) struct Disagreement {
    /// Its path, such as `consumer[1]`.
    pub(super) section: String,
    /// The key that is to change, which may not be there.
    pub(super) key: &'static str,
    pub(super) message: String,
}

/// Returns whatever does not agree.
pub(super) fn disagreements(settings: &Settings) -> Vec<Disagreement> {
    let mut all = consumers(&settings.consumers);
    all.extend(entities(settings));
    all
}

/// Returns consumers whose keys do not agree, and names that several have.
fn consumers(consumers: &[Consumer]) -> Vec<Disagreement> {
    let mut names = BTreeSet::new();
    let mut wrong = Vec::new();
    for (n, consumer) in consumers.iter().enumerate() {
        let program = consumer.kind.starts_with("exec");
        let name = consumer.name();
        let (key, message) = if !names.insert(name) {
            let message = format!(
                "there are two consumers with the name {name:?}: give each a `name` of its own"
            );
            ("name", message)
        } else if program && consumer.command.is_empty() {
            ("kind", format!("the consumer {name:?} is a program: give its `command`"))
        } else if !program && !consumer.command.is_empty() {
            let message = format!(
                "`command` is for the kinds exec and exec-all, and {name:?} is {}",
                consumer.kind
            );
            ("command", message)
        } else if !program && consumer.ack {
            let message = format!(
                "`ack` is for the kinds exec and exec-all, and {name:?} is {}",
                consumer.kind
            );
            ("ack", message)
        } else {
            continue;
        };
        wrong.push(Disagreement { section: format!("consumer[{n}]"), key, message });
    }
    wrong
}

/// Returns entities without a name, those whose class and unit do not agree, and names that one board has twice.
fn entities(settings: &Settings) -> Vec<Disagreement> {
    let entities = &settings.entities;
    let mut wrong = Vec::new();
    for (n, entity) in entities.iter().enumerate() {
        let name = &entity.name;
        let same = |other: &Entity| other.name == *name && other.meets(entity);
        let (key, message) = if name.is_empty() {
            // One that is wrong has been reported.
            if settings.places.contains_key(&format!("entity[{n}].name")) {
                continue;
            }
            ("name", "this entity has no name: give its `name`".to_owned())
        } else if entities.iter().take(n).any(same) {
            let message = format!(
                "a board would have two entities with the name {name:?}: give this one another `name`, or other \
                 `clients`"
            );
            ("name", message)
        } else if entity.is_contradictory() {
            let message = format!(
                "{name:?} is a {}, and has neither `unit` nor `state_class`: take them out",
                entity.device_class.as_deref().unwrap_or_default()
            );
            ("device_class", message)
        } else {
            continue;
        };
        wrong.push(Disagreement { section: format!("entity[{n}]"), key, message });
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    #[test]
    fn an_entity_has_what_its_section_says() {
        let text = "[[entity]]\nname = \"Temperature\"\npointer = \"/t\"\nunit = \"°C\"\n\
            device_class = \"temperature\"\nstate_class = \"measurement\"\nclients = [\"a\"]\n\
            [[entity]]\nname = \"Raw\"\nunit = \"\"\n";
        let (settings, problems) = read("pblink.toml".as_ref(), text);
        assert_eq!(problems, []);
        let temperature = Entity {
            name: "Temperature".into(),
            clients: vec!["a".into()],
            pointer: "/t".into(),
            unit: Some("°C".into()),
            device_class: Some("temperature".into()),
            state_class: Some("measurement".into()),
        };
        let raw = Entity { name: "Raw".into(), ..Entity::default() };
        assert_eq!(settings.entities, [temperature, raw]);
    }

    /// Each mistake is one problem, with the line that is to change.
    #[test]
    fn wrong_entities_are_named_with_their_line() {
        let long = format!("name = \"{}\"", "x".repeat(65));
        for (section, line, why) in [
            ("", 3, "give its `name`"),
            ("name = \"\"", 4, "`entity[].name` must be 1 to 64 bytes of text"),
            (&long, 4, "1 to 64 bytes"),
            ("name = \"a\"\npointer = \"t\"", 5, "a JSON pointer such as \"/t\""),
            ("name = \"a\"\npointer = \"/~2\"", 5, "a JSON pointer"),
            ("name = \"a\"\nunit = 5", 5, "a unit of at most 32 bytes"),
            (
                "name = \"a\"\ndevice_class = \"warmth\"",
                5,
                "a class of sensors that Home Assistant knows",
            ),
            ("name = \"a\"\ndevice_class = \"enum\"", 5, "needs no list of values"),
            ("name = \"a\"\nstate_class = \"now\"", 5, "must be \"measurement\""),
            (
                "name = \"a\"\nunit = \"s\"\ndevice_class = \"date\"",
                6,
                "neither `unit` nor `state_class`",
            ),
            ("name = \"a\"\n[[entity]]\nname = \"a\"", 6, "two entities with the name \"a\""),
            ("name = \"a\"\nunti = \"s\"", 5, "did you mean `entity.unit`?"),
        ] {
            let text = format!("[server]\n\n[[entity]]\n{section}\n");
            let (_, problems) = read("pblink.toml".as_ref(), &text);
            assert!(problems.len() == 1, "{section}: {problems:?}");
            let said = problems[0].to_string();
            assert!(
                said.contains(why) && said.contains(&format!("pblink.toml:{line}")),
                "{section}: {said}"
            );
        }
        let apart = "[[entity]]\nname = \"a\"\nclients = [\"1\"]\n[[entity]]\nname = \"a\"\nclients = [\"2\"]\n";
        assert_eq!(read("pblink.toml".as_ref(), apart).1, []);
    }
}
