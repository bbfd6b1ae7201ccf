//! The ESP8266's report, as the application base forwards it to the server.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outer {
    pblink: Inner,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    report: (u64, u64, u64),
}

/// `(connects, number, mem_free)` if `line` is a report and nothing else.
pub(crate) fn parse(line: &str) -> Option<(u64, u64, u64)> {
    // Spares all other lines the parser.
    if !line.starts_with("{\"pblink\"") {
        return None;
    }
    serde_json::from_str::<Outer>(line).ok().map(|outer| outer.pblink.report)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn only_the_exact_shape_is_a_report() {
        assert_eq!(parse(r#"{"pblink":{"report":[1,2,3]}}"#), Some((1, 2, 3)));
        assert_eq!(parse(r#"{"pblink": {"report": [1, 2, 3]}}"#), Some((1, 2, 3)));
        for line in [
            r#"{"pblink":{"report":[1,2]}}"#,
            r#"{"pblink":{"report":[1,2,3,4]}}"#,
            r#"{"pblink":{"report":[1,2,-3]}}"#,
            r#"{"pblink":{"report":[1,2,3],"more":1}}"#,
            r#"{"pblink":{"report":[1,2,3]},"more":1}"#,
            r#"{"pblink":{"report":[1,2,3]}} "x""#,
            r#"[1,2,3]"#,
            "",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
