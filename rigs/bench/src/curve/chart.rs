//! A curve as a picture: four panels over the number of clients, light or dark as whoever looks at it likes.

use super::points::{Curve, Point, Way};
use crate::picture::{Axis, Line, Panel, picture};

/// A kind of points with its colour and its words.
struct Kind {
    class: &'static str,
    words: &'static str,
    way: Way,
    timeout_s: f64,
}

const KINDS: [Kind; 3] = [
    Kind { class: "a", words: "time-out 2 s", way: Way::Direct, timeout_s: 2.0 },
    Kind { class: "b", words: "time-out 20 s", way: Way::Direct, timeout_s: 20.0 },
    Kind { class: "c", words: "2 s, passed on: the leader", way: Way::PassedOn, timeout_s: 2.0 },
];

/// The gateway that passes on has a colour of its own.
const PASSING: (&str, &str) = ("d", "and the one that passes on");

/// Draws a curve: the same one for the same figures.
pub fn draw(curve: &Curve) -> String {
    let lines = |value: fn(&Point) -> f64, high| lines(curve, value, high);
    let passing = |value: fn(&Point) -> Option<f64>| Line {
        class: PASSING.0,
        high: false,
        points: curve.points.iter().filter_map(|p| Some((p.clients as f64, value(p)?))).collect(),
    };
    let mut processor = lines(|point| point.leader_cores, false);
    processor.push(passing(|point| point.passing_cores));
    let mut memory = lines(|point| point.leader_bytes_each * point.clients as f64 / 1e6, false);
    memory.push(passing(|p| Some(p.passing_bytes_each? * p.clients as f64 / 1e6)));
    let mut delay = lines(|point| point.p50_ms, false);
    delay.extend(lines(|point| point.p99_ms, true));
    let panels = [
        ("processor, cores", processor),
        ("memory for boards, MB", memory),
        ("write to acknowledgement, ms: p50, p99 (dashed)", delay),
        ("commits a second", lines(|point| point.commits_per_s, false)),
    ];
    let (x_name, even) = ("boards", || Axis::Even);
    let panels = panels.map(|(title, lines)| Panel { title, x_name, x: even(), y: even(), lines });
    let kinds = KINDS.iter().map(|kind| (kind.class, kind.words)).chain([PASSING]);
    let legend: Vec<_> = kinds.collect();
    picture("One gateway of a store, by the number of boards", &legend, &panels)
}

/// Returns a line for each kind, its points in order of clients.
fn lines(curve: &Curve, value: fn(&Point) -> f64, high: bool) -> Vec<Line> {
    let line = |kind: &Kind| {
        let of_kind = curve.points.iter().filter(|point| {
            point.way == kind.way && (point.timeout_s - kind.timeout_s).abs() < 0.01
        });
        let mut points: Vec<_> =
            of_kind.map(|point| (point.clients as f64, value(point))).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Line { class: kind.class, high, points }
    };
    KINDS.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{LEFT, PANEL, TOP};

    fn committed(file: &str) -> String {
        let path = format!("{}/../../docs/{file}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn the_picture_in_docs_is_that_of_the_figures_in_docs() {
        let curve: Curve = serde_json::from_str(&committed("scale.json")).unwrap();
        assert!(
            draw(&curve) == committed("scale.svg"),
            "docs/scale.svg is not drawn from docs/scale.json: `cargo run -p pblink-bench -- draw docs/scale.json docs/scale.svg`"
        );
    }

    fn point(way: Way, clients: usize) -> Point {
        let passing = (way == Way::PassedOn).then_some(0.25);
        Point {
            way,
            timeout_s: 2.0,
            clients,
            leader_cores: clients as f64 / 20_000.0,
            leader_bytes_each: 9000.0,
            passing_cores: passing,
            passing_bytes_each: passing.map(|_| 8000.0),
            nats_cores: 0.1,
            load_cores: 0.1,
            lines_per_s: clients as f64 / 10.0,
            commits_per_s: 120.0,
            p50_ms: 3.0,
            p99_ms: 12.0,
            gone: 0,
        }
    }

    #[test]
    fn points_go_from_left_to_right_and_axes_are_named() {
        let (system, version) = (String::new(), String::new());
        let points = vec![
            point(Way::Direct, 20_000),
            point(Way::Direct, 1000),
            point(Way::Direct, 10_000),
            point(Way::PassedOn, 5000),
        ];
        let (processors, load_before, seconds) = (2, 0.0, 20.0);
        let curve = Curve { version, system, processors, load_before, seconds, points };
        let svg = draw(&curve);
        assert_eq!(svg, draw(&curve));
        // Half a core at 10,000 boards is in the middle of the first panel, the greatest at its corner.
        let first = svg.lines().find(|line| line.starts_with("<polyline class=\"a\"")).unwrap();
        let [left, right] = [LEFT[0], LEFT[0] + PANEL.0];
        let corner = format!("{right:.1},{:.1}\"/>", TOP[0]);
        assert!(first.ends_with(&corner), "{first} does not end at {corner}");
        let places = first.split('"').nth(3).unwrap().split(' ');
        let xs: Vec<f64> =
            places.map(|place| place.split_once(',').unwrap().0.parse().unwrap()).collect();
        assert!(xs.is_sorted() && xs.len() == 3 && xs[1] == (left + right) / 2.0, "{xs:?}");
        for words in ["processor, cores", "memory for boards, MB", "commits a second", ">20,000<"] {
            assert!(svg.contains(words), "{words} is missing");
        }
        assert_eq!(svg.matches(">boards<").count(), 4);
        assert_eq!(
            svg.matches("<polyline class=\"d\"").count(),
            2,
            "one that passes on has no lines"
        );
        assert!(svg.contains("prefers-color-scheme: dark"));
    }
}
