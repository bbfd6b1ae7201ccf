//! Mutants that no test can notice, or that none has to.
//!
//! A file has a reason, in lines that begin with `#`, and below it the names of its mutants, without their places.

use std::collections::BTreeMap;

/// Reasons, by the mutants' names.
#[derive(Debug, Default)]
pub struct Explained(BTreeMap<String, String>);

impl Explained {
    /// Reads a file.
    ///
    /// # Errors
    /// If a mutant has no reason, or has two.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut explained = Self::default();
        let (mut reason, mut ended) = (String::new(), false);
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(words) = line.strip_prefix('#') {
                if std::mem::take(&mut ended) {
                    reason.clear();
                }
                reason = format!("{reason} {}", words.trim()).trim().to_owned();
                continue;
            }
            ended = true;
            if reason.is_empty() {
                return Err(format!("there is no reason above {line:?}"));
            }
            if explained.0.insert(line.to_owned(), reason.clone()).is_some() {
                return Err(format!("{line:?} is there twice"));
            }
        }
        Ok(explained)
    }

    /// Returns the reason for a mutant, by its name without its place.
    pub fn reason(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns the names that are not among these.
    pub fn others(&self, missed: &[String]) -> Vec<&str> {
        self.0.keys().map(String::as_str).filter(|name| !missed.iter().any(|m| m == name)).collect()
    }

    /// Returns each reason, with the number of names below it.
    pub fn reasons(&self) -> BTreeMap<&str, usize> {
        let mut reasons = BTreeMap::new();
        for reason in self.0.values() {
            *reasons.entry(reason.as_str()).or_default() += 1;
        }
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_holds_for_the_names_below_it() {
        let text = "# One\n# reason.\na.rs: x\nb.rs: y\n\n# Another.\nc.rs: z\n";
        let explained = Explained::parse(text).unwrap();
        assert_eq!(explained.reason("b.rs: y"), Some("One reason."));
        assert_eq!(explained.reason("c.rs: z"), Some("Another."));
        assert_eq!(explained.reason("c.rs: y"), None);
        assert_eq!(explained.others(&["a.rs: x".into()]), ["b.rs: y", "c.rs: z"]);
        assert_eq!(explained.reasons()["One reason."], 2);
        for wrong in ["a.rs: x\n", "# R\na.rs: x\na.rs: x\n"] {
            assert!(Explained::parse(wrong).is_err(), "{wrong}");
        }
    }
}
