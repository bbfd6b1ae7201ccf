//! A key of a file: what it allows, how its value gets into settings and out again. One description
//! drives reading, `config show` and `config set`, the template and the JSON schema.

use super::limits::Limits;
use super::value::{self, Value};
use crate::address::zone;

/// The values that a key allows, as far as they can be checked without looking at other values.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule {
    /// A whole number, or a time.
    Number(Limits),
    Bool,
    /// One of these words, or a former name of one: names and words.
    Choice(&'static [&'static str], &'static [(&'static str, &'static str)]),
    /// A text; further rules are the key's own.
    Text,
    /// The same, but every blank of it counts, also where a user types it.
    Verbatim,
    /// A text that is never shown when it is wrong: people write passwords into URLs.
    Url,
    /// A list of different ids, names of hosts, or pins.
    Ids,
}

/// One key, whose value lies in an `S`.
pub(crate) struct Key<S: 'static> {
    /// Section and name, as in `server.port`; a key of a list of sections is `consumer[].name`.
    pub(crate) path: &'static str,
    pub(crate) rule: Rule,
    /// Completes "must be …"; for a number, what is to be known beside its limits; for a choice, what takes the place of
    /// too many words.
    pub(crate) allowed: &'static str,
    /// Puts a value into the settings, which the rule has let pass; `at` has the numbers of the lists'
    /// elements that the key stands in. `None` when it is not allowed.
    pub(super) put: fn(&mut S, at: &[usize], &Value) -> Option<()>,
    /// The value that the settings have.
    pub(super) get: fn(&S) -> Value,
}

impl<S> Key<S> {
    /// Puts a value into the settings.
    ///
    /// # Errors
    /// A message that says what is allowed, and what was given.
    pub(crate) fn apply(&self, settings: &mut S, value: &Value) -> Result<(), String> {
        self.apply_at(settings, &[], value)
    }

    /// As [`apply`](Self::apply), for a key within lists of sections.
    pub(super) fn apply_at(
        &self,
        settings: &mut S,
        at: &[usize],
        value: &Value,
    ) -> Result<(), String> {
        (self.rule.accept(value))
            .and_then(|value| (self.put)(settings, at, &value))
            .ok_or_else(|| self.refusal(value))
    }

    /// Returns the value that the settings have.
    pub(crate) fn get(&self, settings: &S) -> Value {
        (self.get)(settings)
    }

    /// Returns the value that words of the command line stand for. A word that is not a number
    /// where one is needed stays text: [`apply`](Self::apply) then says what is allowed.
    ///
    /// # Errors
    /// A message that says how many words the key takes, or why they are not a valid list.
    pub(crate) fn value_of(&self, words: &[String]) -> Result<Value, String> {
        if matches!(self.rule, Rule::Ids) {
            return match words {
                [] => Err(format!("`{}` needs a value; [] makes the list empty", self.path)),
                words => value::list(words)
                    .map(Value::List)
                    .map_err(|why| format!("`{}`: {why}", self.path)),
            };
        }
        let [word] = words else {
            return Err(format!("`{}` takes one value, not {}", self.path, words.len()));
        };
        let text = || word.as_str().into();
        Ok(match self.rule {
            Rule::Number(limits) => match word.parse() {
                Ok(n) => Value::Integer(n),
                Err(_) => limits
                    .count(word)
                    .and_then(|n| i64::try_from(n).ok())
                    .map_or_else(text, Value::Integer),
            },
            Rule::Bool => word.parse().map_or_else(|_| text(), Value::Bool),
            Rule::Choice(_, former) => present(former, word).into(),
            Rule::Text | Rule::Verbatim | Rule::Url | Rule::Ids => text(),
        })
    }

    /// Returns the words of an answer: a list takes several, everything else is one. Blanks alone are no answer.
    pub(crate) fn words(&self, answer: &str) -> Vec<String> {
        match (self.rule, answer.trim()) {
            (Rule::Ids, _) => value::words(answer),
            (_, "") => Vec::new(),
            (Rule::Verbatim, _) => vec![answer.to_owned()],
            (_, answer) => vec![answer.to_owned()],
        }
    }

    fn refusal(&self, value: &Value) -> String {
        if self.is_private() {
            return format!("`{}` must be {}", self.path, self.must_be());
        }
        let hint = match (value, self.rule) {
            (Value::Text(text), Rule::Number(_)) if text.parse::<i64>().is_ok() => {
                " (write it without quotes)"
            }
            (Value::Text(text), Rule::Text) if zone(text).is_some() => match self.path {
                "server.host" => {
                    " (a zone means something on one machine only, and the ESP8266 speaks IPv4; simulated boards take \
                     it: pblink simulate --server)"
                }
                _ => " (listen at \"::\", which includes addresses with a zone)",
            },
            (Value::Integer(_), Rule::Text | Rule::Verbatim | Rule::Choice(..)) => {
                " (write it with quotes)"
            }
            _ => "",
        };
        format!("`{}` must be {}, not {value}{hint}", self.path, self.must_be())
    }

    /// Returns the words that are allowed, where they can be counted.
    pub(crate) fn words_allowed(&self) -> &'static [&'static str] {
        match self.rule {
            Rule::Choice(words, _) => words,
            Rule::Bool => &["true", "false"],
            Rule::Number(_) | Rule::Text | Rule::Verbatim | Rule::Url | Rule::Ids => &[],
        }
    }

    /// Returns true if a wrong value may hold a password, and is not to be shown.
    pub(super) fn is_private(&self) -> bool {
        matches!(self.rule, Rule::Url)
    }

    /// Returns the values that are allowed, in words.
    fn must_be(&self) -> String {
        match self.rule {
            Rule::Number(limits) => format!("{}{}", limits.in_a_file(), self.allowed),
            Rule::Choice(words, _) if self.allowed.is_empty() => {
                let mut all: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
                let last = all.pop().unwrap_or_default();
                if all.is_empty() { last } else { format!("{} or {last}", all.join(", ")) }
            }
            Rule::Bool => "true or false".to_owned(),
            Rule::Choice(..) | Rule::Text | Rule::Verbatim | Rule::Url | Rule::Ids => {
                self.allowed.to_owned()
            }
        }
    }
}

impl Rule {
    /// Returns true if it allows the value.
    pub(super) fn accepts(self, value: &Value) -> bool {
        self.accept(value).is_some()
    }

    /// Returns the value as the key's own code takes it; `None` when the rule does not allow it.
    fn accept(self, value: &Value) -> Option<Value> {
        match (self, value) {
            (Self::Number(limits), Value::Integer(n)) => {
                limits.contains(*n).then_some(Value::Integer(*n))
            }
            // A time. A plain number in quotes is a mistake.
            (Self::Number(limits), Value::Text(text)) => {
                let n = i64::try_from(limits.unit?.count(text)?).ok()?;
                (text.parse::<i64>().is_err() && limits.contains(n)).then_some(Value::Integer(n))
            }
            (Self::Choice(words, former), Value::Text(text)) => {
                let word = present(former, text);
                words.contains(&word).then(|| word.into())
            }
            (Self::Bool, Value::Bool(_))
            | (Self::Text | Self::Verbatim | Self::Url, Value::Text(_))
            | (Self::Ids, Value::List(_)) => Some(value.clone()),
            _ => None,
        }
    }
}

/// Returns the present name of a word that may be a former one.
fn present<'a>(former: &[(&str, &'static str)], word: &'a str) -> &'a str {
    former.iter().find(|(name, _)| *name == word).map_or(word, |(_, present)| present)
}
