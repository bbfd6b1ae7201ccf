//! The choice of rows: a pattern and a state.

use pblink_server::LinkState;
use regex::{Regex, RegexBuilder};

/// Longest pattern in bytes.
const LONGEST: usize = 64;

/// Bytes that a compiled pattern may take.
const COMPILED: usize = 256 * 1024;

/// A pattern that is typed, and its meaning.
#[derive(Debug, Clone, Default)]
pub struct Pattern {
    text: String,
    /// `None`: the text is searched as it is.
    regex: Option<Regex>,
}

impl Pattern {
    /// Returns the text; empty lets everything through.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns true if it is not a valid regular expression, so that the text itself is searched.
    pub fn is_literal(&self) -> bool {
        self.regex.is_none() && !self.text.is_empty()
    }

    /// Adds a character, if there is room for it.
    pub(super) fn push(&mut self, c: char) {
        if !c.is_control() && self.text.len() + c.len_utf8() <= LONGEST {
            self.text.push(c);
            self.compile();
        }
    }

    /// Removes the last character.
    pub(super) fn pop(&mut self) {
        self.text.pop();
        self.compile();
    }

    /// Removes everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns true if the pattern is found in one of the texts, in capitals or not.
    pub fn finds<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> bool {
        if self.text.is_empty() {
            return true;
        }
        texts.into_iter().any(|text| match &self.regex {
            Some(regex) => regex.is_match(text),
            None => text.to_lowercase().contains(&self.text.to_lowercase()),
        })
    }

    fn compile(&mut self) {
        let mut builder = RegexBuilder::new(&self.text);
        let built = builder.case_insensitive(true).size_limit(COMPILED).dfa_size_limit(COMPILED);
        self.regex = built.build().ok();
    }
}

/// The states of links that are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum States {
    /// All of them.
    #[default]
    All,
    /// Links that are down; outages that last.
    Down,
    /// Links that never connected.
    Waiting,
    /// Links that are up; outages that have ended.
    Up,
}

impl States {
    /// Returns the next one, the first after the last.
    pub(super) fn next(self) -> Self {
        match self {
            Self::All => Self::Down,
            Self::Down => Self::Waiting,
            Self::Waiting => Self::Up,
            Self::Up => Self::All,
        }
    }

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Down => "down",
            Self::Waiting => "waiting",
            Self::Up => "up",
        }
    }

    /// Returns true if links in this state are shown.
    pub fn has(self, state: LinkState) -> bool {
        match self {
            Self::All => true,
            Self::Down => matches!(state, LinkState::Down { .. }),
            Self::Waiting => state == LinkState::Waiting,
            Self::Up => state == LinkState::Up,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        let mut pattern = Pattern::default();
        text.chars().for_each(|c| pattern.push(c));
        pattern
    }

    #[test]
    fn a_pattern_is_a_regular_expression_or_the_text_itself() {
        assert!(pattern("").finds([]), "no pattern hides nothing");
        assert!(pattern("^1$|küche").finds(["KÜCHE 2"]));
        assert!(!pattern("^1$").finds(["10", "21"]));
        let open = pattern("a(b");
        assert!(open.is_literal() && open.finds(["xA(B"]) && !open.finds(["ab"]));
        assert!(pattern("((((x{99}){99}){99}){99})").is_literal(), "too large when compiled");
    }
}
