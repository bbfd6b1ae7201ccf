//! A curve as a picture: four panels over the number of clients, light or dark as whoever looks at it likes.

use std::fmt::Write;

use super::points::{Curve, Point, Way};

/// The picture, and each of its panels, in pixels.
const SIZE: (f64, f64) = (792.0, 566.0);
const PANEL: (f64, f64) = (318.0, 180.0);
/// Corners of the panels.
const LEFT: [f64; 2] = [54.0, 450.0];
const TOP: [f64; 2] = [88.0, 340.0];

/// Ticks of an axis, about.
const TICKS: f64 = 5.0;

const STYLE: &str = "\
:root { --back: #ffffff; --ink: #24292f; --grid: #d8dee4; --a: #0969da; --b: #1a7f37; --c: #bc4c00; --d: #8250df; }
@media (prefers-color-scheme: dark) {
:root { --back: #282c34; --ink: #dcdfe4; --grid: #454b57; --a: #61afef; --b: #98c379; --c: #e5a05c; --d: #c678dd; }
}
text { fill: var(--ink); font-family: ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; font-size: 11px; }
.title { font-weight: bold; font-size: 12px; }
.end { text-anchor: end; }
.middle { text-anchor: middle; }
.grid { stroke: var(--grid); }
polyline { fill: none; stroke-width: 2; }
.high { stroke-dasharray: 5 4; }
.a { stroke: var(--a); } .b { stroke: var(--b); } .c { stroke: var(--c); } .d { stroke: var(--d); }
circle.a { fill: var(--a); } circle.b { fill: var(--b); } circle.c { fill: var(--c); } circle.d { fill: var(--d); }
";

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

/// A line of a panel.
struct Line {
    class: &'static str,
    high: bool,
    points: Vec<(f64, f64)>,
}

/// Draws a curve: the same one for the same figures.
pub fn draw(curve: &Curve) -> String {
    let (width, height) = SIZE;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n\
         <title>One gateway of a store, by the number of boards</title>\n<style>\n{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" style=\"fill: var(--back)\"/>\n"
    );
    text(&mut svg, (20.0, 26.0), "title", "One gateway of a store, by the number of boards");
    legend(&mut svg);
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
    for (n, (title, lines)) in panels.iter().enumerate() {
        panel(&mut svg, (LEFT[n % 2], TOP[n / 2]), title, lines);
    }
    svg.push_str("</svg>\n");
    svg
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

fn legend(svg: &mut String) {
    let mut x = 20.0;
    let kinds = KINDS.iter().map(|kind| (kind.class, kind.words));
    for (class, words) in kinds.chain([PASSING]) {
        put(
            svg,
            format_args!("<circle class=\"{class}\" cx=\"{:.1}\" cy=\"46\" r=\"4\"/>", x + 4.0),
        );
        text(svg, (x + 14.0, 50.0), "", words);
        // Letters of these sizes are 6.7 pixels wide.
        x += 38.0 + 6.7 * words.len() as f64;
    }
}

fn panel(svg: &mut String, (left, top): (f64, f64), title: &str, lines: &[Line]) {
    let (width, height) = PANEL;
    let bottom = top + height;
    let greatest = |of: fn(&(f64, f64)) -> f64| {
        let greatest = lines.iter().flat_map(|line| &line.points).map(of).fold(0.0, f64::max);
        // Also without points there are axes.
        if greatest > 0.0 { greatest } else { 1.0 }
    };
    let (x_step, y_step) = (step(greatest(|point| point.0)), step(greatest(|point| point.1)));
    let end = |greatest: f64, step: f64| (greatest / step).ceil() * step;
    let (x_end, y_end) =
        (end(greatest(|point| point.0), x_step), end(greatest(|point| point.1), y_step));
    let x = |value: f64| left + value / x_end * width;
    let y = |value: f64| bottom - value / y_end * height;
    text(svg, (left, top - 10.0), "title", title);
    let ticks =
        |end: f64, step: f64| (0..=(end / step).round() as u32).map(move |n| f64::from(n) * step);
    for value in ticks(y_end, y_step) {
        let at = y(value);
        put(
            svg,
            format_args!(
                "<line class=\"grid\" x1=\"{left:.1}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\"/>",
                left + width
            ),
        );
        text(svg, (left - 6.0, at + 4.0), "end", &label(value, y_step));
    }
    for value in ticks(x_end, x_step) {
        text(svg, (x(value), bottom + 16.0), "middle", &label(value, x_step));
    }
    text(svg, (left + width / 2.0, bottom + 32.0), "middle", "boards");
    for Line { class, high, points } in lines.iter().filter(|line| !line.points.is_empty()) {
        let places = points.iter().map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1)));
        let places = places.collect::<Vec<_>>().join(" ");
        let high_class = if *high { " high" } else { "" };
        put(svg, format_args!("<polyline class=\"{class}{high_class}\" points=\"{places}\"/>"));
        for point in points.iter().filter(|_| !high) {
            put(
                svg,
                format_args!(
                    "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/>",
                    x(point.0),
                    y(point.1)
                ),
            );
        }
    }
}

/// Returns the distance of ticks on an axis that ends here: 1, 2 or 5 times a power of ten.
fn step(end: f64) -> f64 {
    let power = 10_f64.powf((end / TICKS).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|part| part * power);
    steps.into_iter().find(|step| end / step <= TICKS).unwrap_or(10.0 * power)
}

/// Returns a number as it stands at an axis, with a comma between thousands.
fn label(value: f64, step: f64) -> String {
    if step < 1.0 {
        let digits = (-step.log10()).ceil() as usize;
        return format!("{value:.digits$}");
    }
    let whole = value.round() as u64;
    match whole {
        0..1000 => whole.to_string(),
        _ => format!("{},{:03}", whole / 1000, whole % 1000),
    }
}

fn text(svg: &mut String, (x, y): (f64, f64), class: &str, words: &str) {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    put(svg, format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\"{class}>{words}</text>"));
}

fn put(svg: &mut String, what: std::fmt::Arguments<'_>) {
    // A `String` takes everything.
    let _ = writeln!(svg, "{what}");
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn axes_have_round_numbers() {
        for (end, wanted) in
            [(1.0, 0.2), (0.9, 0.2), (19_500.0, 5000.0), (260.0, 100.0), (3.0, 1.0)]
        {
            assert!((step(end) - wanted).abs() < 1e-9, "{end}: {}", step(end));
        }
        assert_eq!(label(0.4, 0.2), "0.4");
        assert_eq!(label(15_000.0, 5000.0), "15,000");
        assert_eq!(label(0.0, 5000.0), "0");
    }
}
