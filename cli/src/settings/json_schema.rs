//! The JSON schema of `pblink.toml`, from which editors know its keys. It comes from the same table as
//! the checks; the words about a key are the template's comment.

use serde_json::{Map, Value as Json, json};

use super::edits::TEMPLATE;
use super::key::Rule;
use super::limits::Limits;
use super::shape::REPEATED;
use super::{Settings, lists};

/// Returns the schema as a text, as it is kept in the templates' folder.
pub(crate) fn text() -> String {
    format!("{:#}\n", schema())
}

fn schema() -> Json {
    let defaults = Settings::default();
    let mut root = section();
    for entry in lists::all_keys() {
        let mut value = of_rule(entry.rule);
        let default = entry.get(&defaults);
        // A word that is none of the choice stands for none of them.
        if entry.rule.accepts(&default) {
            value.insert("default".to_owned(), default.to_json());
        }
        if let Some(comment) = comment(TEMPLATE, entry.path) {
            value.insert("description".to_owned(), comment.into());
        }
        insert(&mut root, entry.path, Json::Object(value));
    }
    for name in REPEATED {
        let one = root["properties"][name].take();
        root["properties"][name] = json!({ "anyOf": [one, { "type": "array", "items": one }] });
    }
    root.insert("$schema".to_owned(), "http://json-schema.org/draft-07/schema#".into());
    root.insert("title".to_owned(), "pblink.toml".into());
    Json::Object(root)
}

fn section() -> Map<String, Json> {
    let all = json!({ "type": "object", "additionalProperties": false, "properties": {} });
    match all {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

/// Puts a value at its path; a section that is marked as a list becomes an array of sections.
fn insert(section: &mut Map<String, Json>, path: &str, value: Json) {
    let properties = &mut section["properties"];
    let Some((name, rest)) = path.split_once('.') else {
        properties[path] = value;
        return;
    };
    let (name, list) = name.strip_suffix("[]").map_or((name, false), |name| (name, true));
    let inner = &mut properties[name];
    if inner.is_null() {
        let new = Json::Object(self::section());
        *inner = if list { json!({ "type": "array", "items": new }) } else { new };
    }
    let inner = if list { &mut inner["items"] } else { inner };
    if let Json::Object(inner) = inner {
        insert(inner, rest, value);
    }
}

fn of_rule(rule: Rule) -> Map<String, Json> {
    let value = match rule {
        Rule::Number(Limits { least, most, unit, .. }) => {
            let number = json!({ "type": "integer", "minimum": least, "maximum": most });
            match unit {
                None => number,
                Some(_) => json!({ "anyOf": [number, { "type": "string", "pattern": "[a-z]" }] }),
            }
        }
        Rule::Bool => json!({ "type": "boolean" }),
        Rule::Choice(words, _) => json!({ "enum": words }),
        Rule::Text | Rule::Verbatim | Rule::Url => json!({ "type": "string" }),
        Rule::Ids => {
            let id = json!({ "type": "string", "minLength": 1 });
            json!({ "type": "array", "uniqueItems": true, "items": id })
        }
    };
    match value {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

/// Returns each key with its default, in TOML, and the words about it, for the reference.
#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "mqtt"))]
pub(crate) fn documented() -> Vec<(&'static str, Option<String>, String)> {
    let defaults = Settings::default();
    let described = |entry: &'static super::Entry| {
        let default = entry.get(&defaults);
        let default = entry.rule.accepts(&default).then(|| default.to_toml().to_string());
        (entry.path, default, comment(TEMPLATE, entry.path).unwrap_or_default())
    };
    lists::all_keys().map(described).collect()
}

/// Returns the comment above a key of a template.
pub(super) fn comment(template: &str, path: &str) -> Option<String> {
    let (section, name) = path.rsplit_once('.')?;
    // A list of sections is an example there, commented out.
    let (header, mark) = match section.strip_suffix("[]") {
        Some(section) => (format!("# [[{section}]]"), "# "),
        None => (format!("[{section}]"), ""),
    };
    let lines = template.lines().skip_while(|line| line.trim() != header).skip(1);
    let mut lines = lines.map_while(|line| line.strip_prefix(mark));
    let mut above: Vec<&str> = Vec::new();
    loop {
        let line = lines.next().filter(|line| !line.starts_with('['))?;
        if let Some(text) = line.strip_prefix('#') {
            above.push(text.trim());
        } else if line.split_once('=').is_some_and(|(key, _)| key.trim() == name) {
            return Some(above.join(" "));
        } else {
            above.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::KEYS;
    use super::*;

    /// `INSTA_UPDATE=always` writes the file, as it writes snapshots.
    #[test]
    fn the_schema_in_the_tree_is_that_of_the_keys() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../templates/pblink.schema.json");
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            std::fs::write(path, text()).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            kept == text(),
            "run this test with INSTA_UPDATE=always, and look at the difference"
        );
        assert!(TEMPLATE.starts_with("#:schema ./pblink.schema.json\n"));
    }

    #[test]
    fn every_key_is_described() {
        let schema = schema();
        for entry in &KEYS {
            let (section, name) = entry.path.split_once('.').unwrap();
            let of = &schema["properties"][section];
            let of = if REPEATED.contains(&section) { &of["anyOf"][0] } else { of };
            let key = &of["properties"][name];
            assert!(
                key["description"].as_str().is_some_and(|text| text.len() > 10),
                "{}",
                entry.path
            );
            assert!(!key["default"].is_null(), "{}", entry.path);
        }
        let timeout = &schema["properties"]["server"]["properties"]["timeout_ms"];
        assert_eq!(timeout["anyOf"][0]["maximum"], 60_000);
    }

    #[test]
    fn sections_nest_and_lists_of_sections_are_arrays() {
        let mut root = section();
        insert(&mut root, "consumer[].name", json!({ "type": "string" }));
        insert(&mut root, "consumer[].client", json!({ "type": "string" }));
        insert(&mut root, "mqtt.tls.ca", json!({ "type": "string" }));
        let root = Json::Object(root);
        let element = &root["properties"]["consumer"]["items"];
        assert_eq!(element["properties"]["name"]["type"], "string");
        assert_eq!(element["properties"]["client"]["type"], "string");
        let tls = &root["properties"]["mqtt"]["properties"]["tls"];
        assert_eq!(tls["properties"]["ca"]["type"], "string");
        assert_eq!(tls["additionalProperties"], false);
    }
}
