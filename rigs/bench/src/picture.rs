//! Pictures of figures: four panels, light or dark as whoever looks at it likes.

use std::fmt::Write;

/// The picture, and each of its panels, in pixels.
const SIZE: (f64, f64) = (792.0, 566.0);
pub const PANEL: (f64, f64) = (318.0, 180.0);
/// Corners of the panels.
pub const LEFT: [f64; 2] = [54.0, 450.0];
pub const TOP: [f64; 2] = [88.0, 340.0];

/// Ticks of an axis, about.
const TICKS: f64 = 5.0;

const STYLE: &str = "\
:root { --back: #ffffff; --ink: #24292f; --grid: #d8dee4; --a: #0969da; --b: #1a7f37; --c: #bc4c00; --d: #8250df; --e: #6e7781; }
@media (prefers-color-scheme: dark) {
:root { --back: #282c34; --ink: #dcdfe4; --grid: #454b57; --a: #61afef; --b: #98c379; --c: #e5a05c; --d: #c678dd; --e: #9aa2ae; }
}
text { fill: var(--ink); font-family: ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; font-size: 11px; }
.title { font-weight: bold; font-size: 12px; }
.end { text-anchor: end; }
.middle { text-anchor: middle; }
.grid { stroke: var(--grid); }
polyline { fill: none; stroke-width: 2; }
.high { stroke-dasharray: 5 4; }
.a { stroke: var(--a); } .b { stroke: var(--b); } .c { stroke: var(--c); } .d { stroke: var(--d); } .e { stroke: var(--e); }
circle.a { fill: var(--a); } circle.b { fill: var(--b); } circle.c { fill: var(--c); } circle.d { fill: var(--d); } circle.e { fill: var(--e); }
";

/// An axis.
pub enum Axis {
    /// From zero to some number beyond the greatest, in even steps.
    Even,
    /// From the power of ten below the least to that above the greatest.
    Powers,
    /// Places with names, at 0, 1, 2 and so on.
    Named(Vec<String>),
}

/// A panel.
pub struct Panel {
    pub title: &'static str,
    pub x_name: &'static str,
    pub x: Axis,
    pub y: Axis,
    pub lines: Vec<Line>,
}

/// A line of a panel.
pub struct Line {
    /// Its colour: a letter from `a` to `e`.
    pub class: &'static str,
    /// It is dashed, and without dots.
    pub high: bool,
    pub points: Vec<(f64, f64)>,
}

/// Draws a picture: the same one for the same figures. `legend`: colours, and their words.
pub fn picture(title: &str, legend: &[(&str, &str)], panels: &[Panel]) -> String {
    let (width, height) = SIZE;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" style=\"fill: var(--back)\"/>\n"
    );
    text(&mut svg, (20.0, 26.0), "title", title);
    let mut x = 20.0;
    for (class, words) in legend {
        let dot = x + 4.0;
        put(
            &mut svg,
            format_args!("<circle class=\"{class}\" cx=\"{dot:.1}\" cy=\"46\" r=\"4\"/>"),
        );
        text(&mut svg, (x + 14.0, 50.0), "", words);
        // Letters of these sizes are 6.7 pixels wide.
        x += 38.0 + 6.7 * words.len() as f64;
    }
    for (n, panel) in panels.iter().enumerate() {
        draw(&mut svg, (LEFT[n % 2], TOP[n / 2]), panel);
    }
    svg.push_str("</svg>\n");
    svg
}

/// The ticks of an axis, with their words, and the part of it at which a value is.
struct Scale {
    ticks: Vec<(f64, String)>,
    from: f64,
    to: f64,
    powers: bool,
}

impl Scale {
    fn of(axis: &Axis, values: impl Iterator<Item = f64> + Clone) -> Self {
        let greatest = values.clone().fold(0.0, f64::max);
        // Also without points there are axes.
        let greatest = if greatest > 0.0 { greatest } else { 1.0 };
        match axis {
            Axis::Even => {
                let step = step(greatest);
                let to = (greatest / step).ceil() * step;
                let ticks = (0..=(to / step).round() as u32).map(|n| f64::from(n) * step);
                let ticks = ticks.map(|value| (value, label(value, step))).collect();
                Self { ticks, from: 0.0, to, powers: false }
            }
            Axis::Powers => {
                let least = values.filter(|value| *value > 0.0).fold(greatest, f64::min);
                let from = least.log10().floor();
                let to = greatest.log10().ceil().max(from + 1.0);
                let ticks = (from as i32..=to as i32).map(|power| {
                    let value = 10_f64.powi(power);
                    (value, label(value, value))
                });
                Self { ticks: ticks.collect(), from, to, powers: true }
            }
            Axis::Named(names) => {
                let ticks = names.iter().enumerate().map(|(n, name)| (n as f64, name.clone()));
                let to = names.len().saturating_sub(1).max(1) as f64;
                Self { ticks: ticks.collect(), from: 0.0, to, powers: false }
            }
        }
    }

    fn part(&self, value: f64) -> f64 {
        let value = if self.powers { value.max(f64::MIN_POSITIVE).log10() } else { value };
        (value - self.from) / (self.to - self.from)
    }
}

fn draw(svg: &mut String, (left, top): (f64, f64), panel: &Panel) {
    let (width, height) = PANEL;
    let bottom = top + height;
    let points = panel.lines.iter().flat_map(|line| &line.points);
    let across = Scale::of(&panel.x, points.clone().map(|point| point.0));
    let up = Scale::of(&panel.y, points.map(|point| point.1));
    let x = |value: f64| left + across.part(value) * width;
    let y = |value: f64| bottom - up.part(value) * height;
    text(svg, (left, top - 10.0), "title", panel.title);
    for (value, words) in &up.ticks {
        let (at, right) = (y(*value), left + width);
        put(
            svg,
            format_args!(
                "<line class=\"grid\" x1=\"{left:.1}\" y1=\"{at:.1}\" x2=\"{right:.1}\" y2=\"{at:.1}\"/>"
            ),
        );
        text(svg, (left - 6.0, at + 4.0), "end", words);
    }
    for (value, words) in &across.ticks {
        text(svg, (x(*value), bottom + 16.0), "middle", words);
    }
    text(svg, (left + width / 2.0, bottom + 32.0), "middle", panel.x_name);
    for Line { class, high, points } in panel.lines.iter().filter(|line| !line.points.is_empty()) {
        let places = points.iter().map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1)));
        let places = places.collect::<Vec<_>>().join(" ");
        let high_class = if *high { " high" } else { "" };
        put(svg, format_args!("<polyline class=\"{class}{high_class}\" points=\"{places}\"/>"));
        for (at_x, at_y) in points.iter().filter(|_| !high).map(|point| (x(point.0), y(point.1))) {
            put(
                svg,
                format_args!(
                    "<circle class=\"{class}\" cx=\"{at_x:.1}\" cy=\"{at_y:.1}\" r=\"3\"/>"
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
        1000..1_000_000 => format!("{},{:03}", whole / 1000, whole % 1000),
        // There is no room for more.
        _ => format!("{} M", whole / 1_000_000),
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
        assert_eq!(label(10_000_000.0, 10_000_000.0), "10 M");
    }

    #[test]
    fn powers_and_names_have_their_places() {
        let scale = Scale::of(&Axis::Powers, [30_000.0, 4_000_000.0].into_iter());
        assert_eq!((scale.part(10_000.0), scale.part(10_000_000.0)), (0.0, 1.0));
        assert!((scale.part(1_000_000.0) - 2.0 / 3.0).abs() < 1e-9);
        let words: Vec<_> = scale.ticks.iter().map(|tick| &*tick.1).collect();
        assert_eq!(words, ["10,000", "100,000", "1 M", "10 M"]);
        let names = Axis::Named(["1", "4", "16"].map(str::to_owned).into());
        assert_eq!(Scale::of(&names, std::iter::empty()).part(1.0), 0.5);
    }
}
