//! Names of topics. An id may hold what has a meaning in topics: `/`, `+`, `#`, and `%`, by which these are escaped.

use std::fmt::Write;

use pblink_protocol::tcp::line::check_id;

/// Bytes of a prefix at most.
const MAX_PREFIX: usize = 64;

/// Checks the first levels of all topics.
///
/// # Errors
/// The rule, in words.
pub fn check_prefix(prefix: &str) -> Result<(), &'static str> {
    let level = |level: &str| !level.is_empty() && !level.contains(['+', '#']);
    let plain = |text: &str| !text.contains(char::is_control) && !text.starts_with('$');
    if prefix.len() <= MAX_PREFIX && plain(prefix) && prefix.split('/').all(level) {
        Ok(())
    } else {
        Err(
            "1 to 64 bytes, such as \"pblink\" or \"site/pblink\": no level of it is empty, none has + or #, \
             and $ does not begin it",
        )
    }
}

/// The topics under one prefix.
#[derive(Debug)]
pub(super) struct Topics {
    prefix: String,
}

/// Form of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A line.
    Text,
    /// JSON with lines.
    Json,
    /// A word to the server about the board.
    Command,
}

impl Topics {
    /// Returns the topics under a prefix that was [checked](check_prefix).
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// Returns the first levels of all topics.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the topic that says whether the server is there.
    pub(super) fn server_status(&self) -> String {
        format!("{}/status", self.prefix)
    }

    /// Returns one of a board's topics.
    pub(super) fn of(&self, id: &str, last: &str) -> String {
        format!("{}/{}/{last}", self.prefix, escape(id))
    }

    /// Returns the topic of one of a board's entities.
    pub(super) fn entity(&self, id: &str, name: &str) -> String {
        self.of(id, &format!("entity/{}", escape(name)))
    }

    /// Returns the filters of all messages to boards, and of commands about them.
    pub(super) fn filters(&self) -> [String; 3] {
        ["down", "down/json", "command"].map(|last| format!("{}/+/{last}", self.prefix))
    }

    /// Returns the board and the form of a message. `None`: no topic of ours, or one with an id that cannot be.
    pub(super) fn read(&self, topic: &str) -> Option<(String, Form)> {
        let rest = topic.strip_prefix(&self.prefix)?.strip_prefix('/')?;
        let forms =
            [("/down/json", Form::Json), ("/down", Form::Text), ("/command", Form::Command)];
        let (id, form) = forms
            .into_iter()
            .find_map(|(end, form)| rest.strip_suffix(end).map(|id| (id, form)))?;
        let id = unescape(id)?;
        check_id(&id).ok()?;
        Some((id, form))
    }
}

/// Escapes what has a meaning in topics, as URLs do it.
fn escape(id: &str) -> String {
    let mut escaped = String::with_capacity(id.len());
    for c in id.chars() {
        if matches!(c, '/' | '+' | '#' | '%') {
            // A text takes whatever is written.
            let _ = write!(escaped, "%{:02X}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

fn unescape(level: &str) -> Option<String> {
    let mut parts = level.split('%');
    let mut id = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        let c = char::from(u8::from_str_radix(code, 16).ok()?);
        id.push(Some(c).filter(char::is_ascii)?);
        id.push_str(rest);
    }
    (!level.contains('/')).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_has_topics_of_its_own_and_is_found_again() {
        let topics = Topics::new("site/pblink");
        for id in ["1", "küche 1", "a/b", "+", "#", "100%", "%2F", "$SYS", "down", "a%/+#%25"] {
            let topic = topics.of(id, "down");
            let level = topic.strip_prefix("site/pblink/").unwrap().strip_suffix("/down").unwrap();
            assert!(!level.contains(['/', '+', '#']), "{topic}");
            assert_eq!(topics.read(&topic), Some((id.to_owned(), Form::Text)), "{topic}");
            let topic = topics.of(id, "down/json");
            assert_eq!(topics.read(&topic), Some((id.to_owned(), Form::Json)), "{topic}");
            let topic = topics.of(id, "command");
            assert_eq!(topics.read(&topic), Some((id.to_owned(), Form::Command)), "{topic}");
        }
        assert_eq!(topics.of("a/b", "up"), "site/pblink/a%2Fb/up");
        assert_eq!(topics.entity("a/b", "+/down"), "site/pblink/a%2Fb/entity/%2B%2Fdown");
    }

    #[test]
    fn other_topics_are_no_messages_to_boards() {
        let topics = Topics::new("pblink");
        for topic in [
            "pblink/1/up",
            "pblink/1/entity/down",
            "pblink/down",
            "pblink//down",
            "pblink/a/b/down",
            "pblink/%/down",
            "pblink/%2/down",
            "pblink/%zz/down",
            "pblink/%+2/down",
            "pblink/%0A/down",
            "pblink/%C3%BC/down",
            "other/1/down",
            "pblinker/1/down",
        ] {
            assert_eq!(topics.read(topic), None, "{topic}");
        }
    }

    #[test]
    fn prefixes_are_levels_without_wildcards() {
        for good in ["pblink", "a/b/c", "küche"] {
            assert_eq!(check_prefix(good), Ok(()));
        }
        for bad in ["", "/", "a/", "/a", "a//b", "+", "a/#", "$SYS", "a\nb", &"x".repeat(65)] {
            assert!(check_prefix(bad).is_err(), "{bad:?}");
        }
    }
}
