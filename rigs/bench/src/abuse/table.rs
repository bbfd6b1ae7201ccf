//! Figures of all rows, as JSON and as a table of Markdown.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::good::CLIENTS;
use super::rows::Row;
use crate::report::system;

/// Figures of a row.
#[derive(Debug, Serialize)]
pub struct Figures {
    row: &'static str,
    abuse: &'static str,
    /// Connections, or bytes where it is bytes that abuse.
    pub abuse_a_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub lines_a_second: f64,
    /// Connections of well-behaved clients that were lost.
    pub drops: u64,
    pub cores: f64,
    pub megabytes: f64,
    pub descriptors: usize,
}

impl Figures {
    pub fn of(row: Row) -> Self {
        Self {
            row: row.name(),
            abuse: row.words(),
            abuse_a_second: 0.0,
            p50_ms: 0.0,
            p99_ms: 0.0,
            lines_a_second: 0.0,
            drops: 0,
            cores: 0.0,
            megabytes: 0.0,
            descriptors: 0,
        }
    }
}

/// All rows.
#[derive(Debug, Serialize)]
pub struct Report {
    version: &'static str,
    system: String,
    processors: usize,
    /// Processes that ran or waited for a processor before the measurement, on average of a minute.
    load: f64,
    seconds: f64,
    clients: usize,
    rows: Vec<Figures>,
}

impl Report {
    pub fn new(time: Duration) -> Self {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            system: system(),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            load: load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0),
            seconds: time.as_secs_f64(),
            clients: CLIENTS,
            rows: Vec::new(),
        }
    }

    pub fn add(&mut self, figures: Figures) {
        self.rows.push(figures);
    }

    /// Returns the table.
    pub fn markdown(&self) -> String {
        let mut text = String::from(
            "| abuse | a second | p50 | p99 | lines/s | drops | cores | memory | descriptors |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        );
        for row in &self.rows {
            // A `String` takes everything.
            let _ = writeln!(text, "{}", line(row));
        }
        text
    }
}

/// Returns a line of the table.
pub fn line(figures: &Figures) -> String {
    let Figures { abuse, p50_ms, p99_ms, drops, cores, descriptors, .. } = figures;
    format!(
        "| {abuse} | {:.0} | {p50_ms:.1} ms | {p99_ms:.1} ms | {:.0} | {drops} | {cores:.2} | {:.0} MB | {descriptors} |",
        figures.abuse_a_second, figures.lines_a_second, figures.megabytes
    )
}
