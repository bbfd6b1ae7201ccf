//! The table of abuse: what becomes of well-behaved clients beside each kind of attack on a `pblink serve` process.

mod attack;
mod good;
mod measure;
mod rows;
mod table;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::command::number;
pub use attack::main;
use rows::Row;

/// First argument of the command line.
pub const ABUSE: &str = "abuse";

/// Choice of rows.
#[derive(Debug)]
pub struct Options {
    rows: Vec<Row>,
    time: Duration,
    json: Option<PathBuf>,
    markdown: Option<PathBuf>,
}

/// Reads the command line behind its first word. The error says what is wrong with it.
pub fn parse(args: &[String]) -> Result<Options, String> {
    let mut options =
        Options { rows: Vec::new(), time: Duration::from_secs(5), json: None, markdown: None };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--json" => options.json = Some(value()?.into()),
            "--markdown" => options.markdown = Some(value()?.into()),
            "--seconds" => options.time = Duration::from_secs_f64(number(arg, value()?)?),
            name => match Row::parse(name) {
                Some(row) => options.rows.push(row),
                None => return Err(format!("there is no row {name:?}")),
            },
        }
    }
    if options.rows.is_empty() {
        options.rows = Row::ALL.to_vec();
    }
    Ok(options)
}

/// Measures, and reports.
pub fn run(options: &Options) -> io::Result<()> {
    crate::process::open_many_files();
    let mut report = table::Report::new(options.time);
    for &row in &options.rows {
        let Some(figures) = measure::measure(row, options.time)? else {
            return Err(io::Error::other("`pblink` is not built: build it in the same profile"));
        };
        eprintln!("{}", table::line(&figures));
        report.add(figures);
    }
    let table = report.markdown();
    println!("{table}");
    if let Some(path) = &options.markdown {
        std::fs::write(path, table)?;
    }
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&report).map_err(io::Error::other)?;
        std::fs::write(path, text + "\n")?;
    }
    Ok(())
}
