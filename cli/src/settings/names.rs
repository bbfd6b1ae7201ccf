//! "Did you mean": the names of keys and sections, and which of them is nearest.

use std::borrow::Cow;

use pblink_protocol::tcp::line::Escaped;

/// The names of a file's keys: paths without the marks of lists, in the order of the file.
#[derive(Debug)]
pub(super) struct Names(Vec<String>);

/// A name that is not longer is compared with others and shown whole.
const LONGEST: usize = 64;

/// Keys that older versions had, and what takes their place.
const FORMER: [(&str, &str); 1] = [(
    "link.protocol",
    "boards get keys by `pblink config push`, and `link.classic` lists the ids of those that do without, such as \
     classic = [\"1\"]; `pblink config unset link.protocol` takes it out of the file",
)];

/// Returns true for a key that an older version had.
pub(crate) fn is_former(key: &str) -> bool {
    FORMER.iter().any(|(name, _)| *name == key)
}

/// Returns a name as messages show it: what a terminal would obey is escaped, what is long is cut.
pub(super) fn shown(name: &str) -> String {
    let cut: String = name.chars().take(LONGEST).collect();
    let more = if cut.len() < name.len() { "..." } else { "" };
    format!("{}{more}", Escaped(&cut))
}

impl Names {
    pub(super) fn new(paths: impl Iterator<Item = &'static str>) -> Self {
        Self(paths.map(|path| path.replace("[]", "")).collect())
    }

    /// Says that there is no such key, and which one was probably meant.
    pub(super) fn unknown_key(&self, given: &str) -> String {
        let name = shown(given);
        if let Some((former, instead)) = FORMER.iter().find(|(former, _)| *former == given) {
            return format!("`{former}` is a key no more: {instead}");
        }
        if let Some(near) = self.nearest(given) {
            return format!("unknown key `{name}`; did you mean `{near}`?");
        }
        let section = given.rsplit_once('.').map_or("", |(section, _)| section);
        let inside: Vec<_> = (self.0.iter())
            .filter_map(|key| key.rsplit_once('.').filter(|(of, _)| *of == section))
            .map(|(_, name)| name)
            .collect();
        if inside.is_empty() {
            format!("unknown key `{name}`; the sections are {}", self.sections().join(", "))
        } else {
            format!("unknown key `{name}`; the keys of [{section}] are {}", inside.join(", "))
        }
    }

    /// Says that there is no such section, and which one was probably meant.
    pub(super) fn unknown_section(&self, given: &str) -> String {
        let name = shown(given);
        let sections = self.sections();
        let near = (sections.iter())
            .filter(|_| given.len() <= LONGEST)
            .map(|section| (strsim::damerau_levenshtein(given, section), section))
            .min();
        match near {
            Some((distance, near)) if distance <= 2 => {
                format!("unknown section `{name}`; did you mean `{near}`?")
            }
            _ => format!("unknown section `{name}`; the sections are {}", sections.join(", ")),
        }
    }

    /// Returns true if `leaf` is the last part of a key's path.
    pub(super) fn has_leaf(&self, leaf: &str) -> bool {
        self.0.iter().any(|key| key.rsplit('.').next() == Some(leaf))
    }

    /// Returns the sections, in the order of the file.
    fn sections(&self) -> Vec<Cow<'_, str>> {
        let mut sections: Vec<Cow<'_, str>> = Vec::new();
        for (section, _) in self.0.iter().filter_map(|key| key.rsplit_once('.')) {
            if !sections.iter().any(|known| known == section) {
                sections.push(section.into());
            }
        }
        sections
    }

    /// Returns the key whose spelling is nearest, in whichever section.
    fn nearest(&self, given: &str) -> Option<&str> {
        if given.len() > LONGEST {
            return None;
        }
        let leaf = given.rsplit('.').next().unwrap_or(given);
        let score = |key: &String| {
            let name = key.rsplit('.').next().unwrap_or(key);
            let whole = strsim::damerau_levenshtein(given, key);
            // The right name in the wrong section is as near as one wrong letter.
            let moved = 1 + strsim::damerau_levenshtein(leaf, name);
            let tolerance = 1 + name.len() / 3;
            let score = whole.min(moved);
            (score <= tolerance).then_some(score)
        };
        let scored = self.0.iter().filter_map(|key| score(key).map(|score| (score, key)));
        scored.min_by_key(|(score, _)| *score).map(|(_, key)| key.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::new(super::super::KEYS.iter().map(|key| key.path))
    }

    #[test]
    fn the_nearest_key_is_found_across_typos_and_sections() {
        for (given, near) in [
            ("server.prot", Some("server.port")),
            ("port", Some("server.port")),
            ("wifi.port", Some("server.port")),
            ("server.timeout", Some("server.timeout_ms")),
            ("server.timeoutms", Some("server.timeout_ms")),
            ("board.report", Some("board.report_s")),
            ("wifi.sid", Some("wifi.ssid")),
            ("server.client", Some("server.clients")),
            ("server.colour", None),
        ] {
            assert_eq!(names().nearest(given), near, "{given}");
        }
        assert!(
            names().unknown_key("server.colour").contains("the keys of [server] are host, port")
        );
        assert!(
            names()
                .unknown_key("colour")
                .contains("the sections are server, control, store, mqtt, wifi, board, link")
        );
    }

    #[test]
    fn a_former_key_is_named_with_what_takes_its_place() {
        let text = names().unknown_key("link.protocol");
        assert!(text.starts_with("`link.protocol` is a key no more: "), "{text}");
        assert!(text.contains("`link.classic`"), "{text}");
        for (former, _) in FORMER {
            assert!(is_former(former) && !names().0.iter().any(|key| key == former), "{former}");
        }
    }

    #[test]
    fn keys_of_lists_and_of_sections_in_sections_are_found_too() {
        let names = Names::new(["consumer[].name", "mqtt.tls.ca"].into_iter());
        assert_eq!(
            names.unknown_key("consumer.nmae"),
            "unknown key `consumer.nmae`; did you mean `consumer.name`?"
        );
        assert!(names.unknown_key("mqtt.tls.colour").ends_with("the keys of [mqtt.tls] are ca"));
        assert!(names.unknown_section("consumr").ends_with("did you mean `consumer`?"));
        assert!(names.unknown_section("mqtt.tsl").ends_with("did you mean `mqtt.tls`?"));
    }

    #[test]
    fn a_name_is_shown_without_what_a_terminal_obeys_and_not_without_end() {
        let text = names().unknown_key("server.k\u{1b}[31mX");
        assert!(text.starts_with(r"unknown key `server.k\u{1b}[31mX`"), "{text}");
        assert!(names().unknown_key(&"k".repeat(100_000)).len() < 300);
        assert!(names().unknown_section(&"k".repeat(100_000)).len() < 300);
    }
}
