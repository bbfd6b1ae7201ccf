//! All rounds of all workloads, as a table on stdout, and as JSON.

use std::io;

use serde::Serialize;

use crate::command::Options;
use crate::figures::{Figure, Series, series};
use crate::process::open_many_files;
use crate::servers::Contender;
use crate::servers::stores::Stores;
use crate::workloads::Workload;

#[derive(Debug, Serialize)]
struct Report {
    version: &'static str,
    system: String,
    processors: usize,
    seconds: f64,
    results: Vec<Result>,
}

#[derive(Debug, Serialize)]
struct Result {
    workload: &'static str,
    server: &'static str,
    figures: Vec<Series>,
}

/// Measures, and reports.
pub fn run(options: &Options) -> io::Result<()> {
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION"),
        system: system(),
        processors: std::thread::available_parallelism().map_or(0, usize::from),
        seconds: options.time.as_secs_f64(),
        results: Vec::new(),
    };
    // For programs that do not ask for it themselves.
    open_many_files();
    let stores = Stores::default();
    for &workload in &options.workloads {
        let results = measure(options, workload, &stores)?;
        match options.markdown {
            true => show_table(workload, options.clients, &results),
            false => show(workload, &results),
        }
        report.results.extend(results);
    }
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&report).map_err(io::Error::other)?;
        std::fs::write(path, text + "\n")?;
    }
    Ok(())
}

/// Returns the kernel's name and version.
pub fn system() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{} {}", std::env::consts::OS, release.trim()).trim().to_owned()
}

/// Measures all servers in turns, so that what else the machine does meets all of them.
fn measure(options: &Options, workload: Workload, stores: &Stores) -> io::Result<Vec<Result>> {
    let contenders: Vec<Contender> = (workload.contenders().iter().copied())
        .filter(|contender| options.servers.as_ref().is_none_or(|only| only.contains(contender)))
        .collect();
    let mut rounds: Vec<Vec<Vec<Figure>>> = vec![Vec::new(); contenders.len()];
    for round in 0..options.rounds {
        for turn in 0..contenders.len() {
            // Each has each place in turn.
            let at = (round + turn) % contenders.len();
            match workload.measure(contenders[at], options.clients, options.time, stores)? {
                Some(figures) => rounds[at].push(figures),
                None if round == 0 => {
                    eprintln!("{} is not there, and left out", contenders[at].name());
                }
                None => {}
            }
        }
    }
    let base = |contender: Contender| {
        let base = workload.base(contender);
        let at = contenders.iter().position(|contender| *contender == base)?;
        (base != contender).then(|| (base.name(), &rounds[at][..]))
    };
    let named = contenders.iter().zip(&rounds).filter(|(_, rounds)| !rounds.is_empty());
    let result = |(contender, rounds): (&Contender, &Vec<Vec<Figure>>)| Result {
        workload: workload.name(),
        server: contender.name(),
        figures: series(rounds, base(*contender)),
    };
    Ok(named.map(result).collect())
}

/// Prints a table of medians, each with its ratio.
fn show_table(workload: Workload, clients: Option<usize>, results: &[Result]) {
    let mut names: Vec<&str> = Vec::new();
    for series in results.iter().flat_map(|result| &result.figures) {
        if !names.contains(&series.name) {
            names.push(series.name);
        }
    }
    println!("#### {}: {}\n", workload.name(), workload.what(clients));
    let heads = names.iter().map(|name| name.replace('_', " "));
    println!("| server | {} |", heads.collect::<Vec<_>>().join(" | "));
    println!("|---|{}", "---|".repeat(names.len()));
    for result in results {
        let cells = names.iter().map(|name| {
            let Some(Series { median, ratio, .. }) =
                result.figures.iter().find(|series| series.name == *name)
            else {
                return String::new();
            };
            let digits = digits(*median);
            match ratio {
                Some(ratio) => format!("{median:.digits$} ({:.2} × {})", ratio.median, ratio.to),
                None => format!("{median:.digits$}"),
            }
        });
        println!("| {} | {} |", result.server, cells.collect::<Vec<_>>().join(" | "));
    }
    println!();
}

/// Returns how many digits a figure has behind its point: enough for the small ones, none too many for the large.
fn digits(figure: f64) -> usize {
    if figure < 10.0 { 2 } else { 0 }
}

fn show(workload: Workload, results: &[Result]) {
    println!("{}", workload.name());
    for result in results {
        println!("  {}", result.server);
        for Series { name, median, ratio, .. } in &result.figures {
            let digits = digits(*median);
            print!("    {name:<24}{median:>14.digits$}");
            match ratio {
                Some(ratio) => println!(
                    "   {:.2} × {} ({:.2} to {:.2})",
                    ratio.median, ratio.to, ratio.min, ratio.max
                ),
                None => println!(),
            }
        }
    }
    println!();
}
