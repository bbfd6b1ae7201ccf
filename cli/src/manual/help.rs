//! The text behind a verb's options, taken apart into the sections of a manual page.

/// Parts of such a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// Paragraphs that belong to no other part.
    pub(super) text: Vec<String>,
    /// Lines of the examples.
    pub(super) examples: Vec<String>,
    /// Exit codes and their meanings.
    pub(super) codes: Vec<(u8, String)>,
}

/// Takes a text apart.
pub(super) fn parts(help: &str) -> Parts {
    let mut parts = Parts::default();
    for paragraph in help.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        if let Some(examples) = paragraph.strip_prefix("Examples:\n") {
            parts.examples.extend(examples.lines().map(str::to_owned));
        } else if let Some(codes) = paragraph.strip_prefix("Exit codes: ") {
            parts.codes = codes_of(&codes.replace('\n', " "));
        } else {
            parts.text.push(paragraph.to_owned());
        }
    }
    parts
}

/// Reads "0 done, 1 failed, or so, 130 stopped.": a number behind a comma or semicolon that is greater than the one before
/// begins the next.
fn codes_of(text: &str) -> Vec<(u8, String)> {
    let mut codes: Vec<(u8, String)> = Vec::new();
    for piece in text.trim_end_matches('.').split_inclusive([',', ';']) {
        let number = piece.trim_start().split_once(' ');
        let number = number.and_then(|(number, rest)| Some((number.parse::<u8>().ok()?, rest)));
        match (number, codes.last_mut()) {
            (Some((number, rest)), last)
                if last.as_ref().is_none_or(|(before, _)| *before < number) =>
            {
                codes.push((number, rest.to_owned()));
            }
            (_, Some((_, meaning))) => meaning.push_str(piece),
            (_, None) => {}
        }
    }
    for (_, meaning) in &mut codes {
        let trimmed = meaning.trim_end_matches([',', ';']);
        let mut letters = trimmed.chars();
        let first = letters.next().map(|first| first.to_uppercase().to_string());
        *meaning = first.unwrap_or_default() + letters.as_str() + ".";
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_help_text_has_text_examples_and_codes() {
        let found = parts(
            "Before.\n\nExamples:\n  pblink a    so\n  pblink b\n\nAfter,\nand on.\n\nExit codes: 0 ended by `q`, a \
             signal, or --no-follow; 1 failed, 3 times, 4 no server, and\nno log, 130 stopped.",
        );
        assert_eq!(found.text, ["Before.", "After,\nand on."]);
        assert_eq!(found.examples, ["  pblink a    so", "  pblink b"]);
        let codes: Vec<_> = found.codes.iter().map(|(code, text)| (*code, text.as_str())).collect();
        assert_eq!(
            codes,
            [
                (0, "Ended by `q`, a signal, or --no-follow."),
                (1, "Failed."),
                (3, "Times."),
                (4, "No server, and no log."),
                (130, "Stopped."),
            ]
        );
        assert_eq!(parts(""), Parts::default());
    }
}
