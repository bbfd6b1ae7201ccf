//! One gateway of a store under more and more boards, as a file of figures and as a picture of it.

mod chart;
mod measure;
mod points;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::command::number;
use points::Curve;

/// First argument of the command line.
pub const CURVE: &str = "curve";
/// The same without measuring.
pub const DRAW: &str = "draw";

/// Choice of a curve.
#[derive(Debug)]
pub struct Options {
    json: PathBuf,
    svg: PathBuf,
    /// Each point is measured for so long.
    time: Duration,
    /// The greatest number of clients.
    most: usize,
}

/// Reads the command line behind its first word. The error says what is wrong with it.
pub fn parse(args: &[String]) -> Result<Options, String> {
    let [json, svg, rest @ ..] = args else { return Err("two files are wanted".to_owned()) };
    let (time, most) = (Duration::from_secs(20), usize::MAX);
    let mut options = Options { json: json.into(), svg: svg.into(), time, most };
    for pair in rest.chunks(2) {
        match pair {
            [name, value] if name == "--seconds" => {
                options.time = Duration::from_secs_f64(number(name, value)?);
            }
            [name, value] if name == "--most" => options.most = number(name, value)? as usize,
            _ => return Err(format!("{:?} is not understood", pair[0])),
        }
    }
    Ok(options)
}

/// Measures, writes the figures, and draws them.
pub fn run(options: &Options) -> io::Result<()> {
    let curve = measure::measure(options.time, options.most)?;
    let text = serde_json::to_string_pretty(&curve).map_err(io::Error::other)?;
    std::fs::write(&options.json, text + "\n")?;
    draw(options)
}

/// Draws the figures that are there.
pub fn draw(options: &Options) -> io::Result<()> {
    let text = std::fs::read_to_string(&options.json)?;
    let curve: Curve = serde_json::from_str(&text)?;
    std::fs::write(&options.svg, chart::draw(&curve))
}
