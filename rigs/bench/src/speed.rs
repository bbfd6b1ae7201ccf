//! Lines a second against lines in flight and clients, beside other servers; and what is left of them on a network that loses
//! packets, which the simulator's tests have measured. A file of figures, and a picture of it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::load::{KEEPALIVE, Kind, Shape};
use crate::picture::{Axis, Line, Panel, picture};
use crate::process::{load_average, open_many_files};
use crate::report::system;
use crate::servers::Contender;
use crate::servers::stores::Stores;
use crate::workloads::flood;

/// First argument of the command line.
pub const SPEED: &str = "speed";
/// The same without measuring.
pub const DRAW: &str = "draw-speed";

/// Lines in flight of each of [`CLIENTS`], and clients with [`IN_FLIGHT`] lines each.
const DEPTHS: [usize; 4] = [1, 4, 16, 64];
const NUMBERS: [usize; 4] = [1, 10, 100, 1000];
const CLIENTS: usize = 100;
const IN_FLIGHT: usize = 64;

/// The servers, with their colours.
const SERVERS: [(Contender, &str); 5] = [
    (Contender::Library, "a"),
    (Contender::Memory, "b"),
    (Contender::Disk, "c"),
    (Contender::Mosquitto, "d"),
    (Contender::Raw, "e"),
];

/// The tables of the simulator, and their colours.
const TABLES: [(&str, &str); 4] = [
    ("classic_lines_to_the_server_without_wait", "a"),
    ("classic_lines_to_the_board", "b"),
    ("classic_lines_to_the_server", "c"),
    ("secure_lines_to_the_server", "d"),
];

/// Choice of files.
#[derive(Debug)]
pub struct Options {
    json: PathBuf,
    svg: PathBuf,
    /// Each point is measured for so long.
    time: Duration,
}

/// All figures of one run.
#[derive(Debug, Serialize, Deserialize)]
struct Speed {
    version: String,
    system: String,
    processors: usize,
    /// Load of the machine in the minute before, from other work.
    load_before: f64,
    /// Each point was measured for so long.
    seconds: f64,
    points: Vec<Point>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Point {
    server: String,
    clients: usize,
    in_flight: usize,
    lines_per_s: f64,
    /// Processor time of the server for each line, in µs.
    cpu_us: f64,
}

/// Reads the command line behind its first word. The error says what is wrong with it.
pub fn parse(args: &[String]) -> Result<Options, String> {
    let [json, svg, rest @ ..] = args else { return Err("two files are wanted".to_owned()) };
    let time = match rest {
        [] => Duration::from_secs(2),
        [name, value] if name == "--seconds" => {
            Duration::from_secs_f64(crate::command::number(name, value)?)
        }
        [other, ..] => return Err(format!("{other:?} is not understood")),
    };
    Ok(Options { json: json.into(), svg: svg.into(), time })
}

/// Measures, writes the figures, and draws them.
pub fn run(options: &Options) -> io::Result<()> {
    let load_before = load_average();
    open_many_files();
    let stores = Stores::default();
    let depths = DEPTHS.map(|depth| (CLIENTS, depth));
    let numbers = NUMBERS.into_iter().filter(|n| *n != CLIENTS).map(|n| (n, IN_FLIGHT));
    let mut points = Vec::new();
    println!("{:<10} {:>7} {:>9} {:>10} {:>7}", "server", "clients", "in flight", "lines/s", "us");
    for (clients, in_flight) in depths.into_iter().chain(numbers) {
        for (contender, _) in SERVERS {
            let wire = contender.wire();
            let kind = Kind::Send;
            let shape = Shape { kind, wire, clients, in_flight, first: 0, keepalive: KEEPALIVE };
            let Some((lines_per_s, cpu_us)) = flood(contender, shape, options.time, &stores)?
            else {
                continue;
            };
            let server = contender.name().to_owned();
            println!("{server:<10} {clients:>7} {in_flight:>9} {lines_per_s:>10.0} {cpu_us:>7.2}");
            points.push(Point { server, clients, in_flight, lines_per_s, cpu_us });
        }
    }
    let speed = Speed {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        system: system(),
        processors: std::thread::available_parallelism().map_or(0, usize::from),
        load_before,
        seconds: options.time.as_secs_f64(),
        points,
    };
    let text = serde_json::to_string_pretty(&speed).map_err(io::Error::other)?;
    std::fs::write(&options.json, text + "\n")?;
    draw(options)
}

/// Draws the figures that are there.
pub fn draw(options: &Options) -> io::Result<()> {
    let text = std::fs::read_to_string(&options.json)?;
    let speed: Speed = serde_json::from_str(&text)?;
    std::fs::write(&options.svg, paint(&speed, &losses()?))
}

/// Lines a second over a loss in percent, of each of [`TABLES`].
type Losses = Vec<Vec<(String, f64)>>;

/// Reads the tables of the simulator: its rows without cuts, at the least latency.
fn losses() -> io::Result<Losses> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../simulator/tests/snapshots");
    let table = |(name, _): &(&str, _)| {
        let text = std::fs::read_to_string(folder.join(format!("all__goodput__{name}.snap")))?;
        Ok(table_of(&text))
    };
    TABLES.iter().map(table).collect()
}

/// Returns loss and lines a second of the rows without cuts: `5 %  0  18.4 …`.
fn table_of(text: &str) -> Vec<(String, f64)> {
    let row = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            [loss, "%", "0", rate, ..] => Some((format!("{loss} %"), rate.parse().ok()?)),
            _ => None,
        }
    };
    text.lines().filter_map(row).collect()
}

/// Paints a picture: the same one for the same figures.
fn paint(speed: &Speed, losses: &Losses) -> String {
    let lines = |places: &[usize], of: fn(&Point) -> Option<usize>, value: fn(&Point) -> f64| {
        let line = |(contender, class): (Contender, &'static str)| {
            let points = speed.points.iter().filter(|point| point.server == contender.name());
            let place = |point: &Point| places.iter().position(|place| Some(*place) == of(point));
            let mut points: Vec<_> =
                points.filter_map(|point| Some((place(point)? as f64, value(point)))).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            Line { class, high: false, points }
        };
        SERVERS.map(line).into()
    };
    let depth: fn(&Point) -> Option<usize> =
        |point| (point.clients == CLIENTS).then_some(point.in_flight);
    let number: fn(&Point) -> Option<usize> =
        |point| (point.in_flight == IN_FLIGHT).then_some(point.clients);
    let measured = |title, x_name, places: &[usize], of, value| Panel {
        title,
        x_name,
        x: Axis::Named(places.iter().map(usize::to_string).collect()),
        y: Axis::Powers,
        lines: lines(places, of, value),
    };
    let left = losses.iter().zip(TABLES).map(|(table, (_, class))| {
        let points = table.iter().enumerate().map(|(n, row)| (n as f64, row.1)).collect();
        Line { class, high: false, points }
    });
    let percents = losses.first().into_iter().flatten().map(|row| row.0.clone()).collect();
    let rate: fn(&Point) -> f64 = |point| point.lines_per_s;
    let cost: fn(&Point) -> f64 = |point| point.cpu_us;
    let each = "lines in flight of each of 100 clients";
    let panels = [
        measured("lines a second", each, &DEPTHS, depth, rate),
        measured("processor of the server, us a line", each, &DEPTHS, depth, cost),
        measured("lines a second, 64 in flight of each", "clients", &NUMBERS, number, rate),
        Panel {
            title: "lines a second of a board: see the text",
            x_name: "packets that are lost",
            x: Axis::Named(percents),
            y: Axis::Even,
            lines: left.collect(),
        },
    ];
    let legend = SERVERS.map(|(contender, class)| (class, contender.name()));
    picture("Speed of the server", &legend, &panels)
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
        let speed: Speed = serde_json::from_str(&committed("speed.json")).unwrap();
        assert!(
            paint(&speed, &losses().unwrap()) == committed("speed.svg"),
            "docs/speed.svg is not drawn from docs/speed.json and the simulator's tables: \
             `cargo run -p pblink-bench -- draw-speed docs/speed.json docs/speed.svg`"
        );
    }

    #[test]
    fn tables_of_the_simulator_have_a_rate_for_each_loss() {
        for (table, (name, _)) in losses().unwrap().iter().zip(TABLES) {
            let percents: Vec<_> = table.iter().map(|row| &*row.0).collect();
            assert_eq!(percents, ["0 %", "1 %", "5 %", "20 %"], "{name}");
            assert!(table.iter().all(|row| row.1 > 0.0), "{name}: {table:?}");
        }
    }

    #[test]
    fn other_lines_of_a_table_are_passed_over() {
        let table =
            "  loss  cuts/min  <= 5 ms\n   1 %         0   28.1   12.9\n   1 %         2   29.9\n";
        assert_eq!(table_of(table), [("1 %".to_owned(), 28.1)]);
    }
}
