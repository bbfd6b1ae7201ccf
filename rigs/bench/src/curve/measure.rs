//! One point after the other, each with a gateway, a stream and clients of its own.

use std::io;
use std::time::{Duration, Instant};

use super::points::{Curve, Point, Way};
use crate::histogram::Histogram;
use crate::load::{Kind, Load, Shape};
use crate::process::{load_average, open_many_files};
use crate::servers::Server;
use crate::servers::stores::{Stores, Stream};
use crate::wire::Wire;

/// Numbers of clients at the usual time-out.
const CLIENTS: [usize; 6] = [1000, 2000, 5000, 10_000, 15_000, 19_500];
/// The same at the long time-out.
const CALM: [usize; 4] = [1000, 5000, 10_000, 19_500];
/// The same behind a gateway that passes them on, with two descriptors each.
const PASSED: [usize; 3] = [1000, 5000, 9500];

/// The usual time-out, and one for boards that are seldom spoken to.
const SHORT: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(20);

/// Descriptors that a gateway needs beside those for clients.
const RESERVED: usize = 300;

/// Processes of clients.
const LOADS: usize = 2;

/// Time after which connecting is over.
const SETTLED: Duration = Duration::from_secs(5);

/// Measures all points for so long each, with at most so many clients.
pub fn measure(time: Duration, most: usize) -> io::Result<Curve> {
    let load_before = load_average();
    let files = open_many_files() as usize;
    let stores = Stores::default();
    let direct = CLIENTS.map(|clients| (Way::Direct, SHORT, clients));
    let calm = CALM.map(|clients| (Way::Direct, LONG, clients));
    let passed = PASSED.map(|clients| (Way::PassedOn, SHORT, clients));
    let mut points = Vec::new();
    println!(
        "{:<9} {:>5} {:>7} {:>6} {:>8} {:>7} {:>8} {:>6} {:>6} {:>8} {:>9} {:>7} {:>8} {:>5}",
        "way",
        "s",
        "clients",
        "cores",
        "B each",
        "passing",
        "B each",
        "nats",
        "load",
        "lines/s",
        "commits/s",
        "p50 ms",
        "p99 ms",
        "gone"
    );
    for (way, timeout, clients) in direct.into_iter().chain(calm).chain(passed) {
        let each = if way == Way::PassedOn { 2 } else { 1 };
        if clients > most || clients * each + RESERVED > files {
            continue;
        }
        let Some(point) = point(&stores, (way, timeout, clients), time)? else {
            return Err(io::Error::other("there is no nats-server, and so no store"));
        };
        show(&point);
        points.push(point);
    }
    Ok(Curve {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        system: std::env::consts::OS.to_owned(),
        processors: std::thread::available_parallelism().map_or(0, usize::from),
        load_before,
        seconds: time.as_secs_f64(),
        points,
    })
}

fn point(
    stores: &Stores,
    (way, timeout, clients): (Way, Duration, usize),
    time: Duration,
) -> io::Result<Option<Point>> {
    let stand_by = usize::from(way == Way::PassedOn);
    let Some(mut server) = Server::share(stores, stand_by, timeout)? else { return Ok(None) };
    let empty: Vec<u64> = server.processes.iter().map(|process| process.memory()).collect();
    // The last gateway is the one that leads, or the one that passes on to it.
    let to = [server.addresses[stand_by]];
    let shape = |n: usize| {
        let (first, end) = (clients * n / LOADS, clients * (n + 1) / LOADS);
        let (kind, keepalive) = (Kind::Boards, timeout / 4);
        Shape { kind, wire: Wire::Link, clients: end - first, in_flight: 1, first, keepalive }
    };
    let begun = (0..LOADS).map(|n| Load::begin(shape(n), &to, None));
    let mut loads = begun.collect::<io::Result<Vec<_>>>()?;
    for load in &mut loads {
        load.await_all()?;
    }
    std::thread::sleep(SETTLED);

    let cpu = |server: &Server| server.processes.iter().map(|p| p.cpu()).collect::<Vec<_>>();
    let of_loads = |loads: &[Load]| loads.iter().map(|load| load.0.cpu()).sum::<Duration>();
    let lines = |loads: &mut [Load]| -> io::Result<(u64, u64, Histogram)> {
        let mut sum = (0, 0, Histogram::default());
        for load in loads {
            let mark = load.mark()?;
            sum.0 += mark.count;
            sum.1 += mark.gone;
            sum.2.merge(&mark.times);
        }
        Ok(sum)
    };
    let commits = |server: &mut Server| -> io::Result<f64> {
        server.processes[0].tell("commits")?;
        server.processes[0].hear()?.parse().map_err(io::Error::other)
    };
    let nats = |server: &Server| server.stream.as_ref().map(Stream::cpu).unwrap_or_default();
    let before = (cpu(&server), nats(&server), of_loads(&loads), commits(&mut server)?);
    let (lines_before, began) = (lines(&mut loads)?.0, Instant::now());
    std::thread::sleep(time);
    let (count, gone, times) = lines(&mut loads)?;
    let elapsed = began.elapsed().as_secs_f64();
    let after = (cpu(&server), nats(&server), of_loads(&loads), commits(&mut server)?);
    let full: Vec<u64> = server.processes.iter().map(|process| process.memory()).collect();

    let cores = |after: Duration, before: Duration| {
        rounded(after.saturating_sub(before).as_secs_f64() / elapsed, 1000.0)
    };
    let gateway = |n: usize| {
        let bytes = full[n].saturating_sub(empty[n]) as f64 / clients as f64;
        (cores(after.0[n], before.0[n]), bytes.round())
    };
    let passing = (way == Way::PassedOn).then(|| gateway(1));
    let ms = |part| rounded(times.percentile(part).as_secs_f64() * 1e3, 100.0);
    let (leader_cores, leader_bytes_each) = gateway(0);
    drop(loads);
    server.finish()?;
    Ok(Some(Point {
        way,
        timeout_s: timeout.as_secs_f64(),
        clients,
        leader_cores,
        leader_bytes_each,
        passing_cores: passing.map(|passing| passing.0),
        passing_bytes_each: passing.map(|passing| passing.1),
        nats_cores: cores(after.1, before.1),
        load_cores: cores(after.2, before.2),
        lines_per_s: rounded((count - lines_before) as f64 / elapsed, 10.0),
        commits_per_s: rounded((after.3 - before.3) / elapsed, 10.0),
        p50_ms: ms(0.5),
        p99_ms: ms(0.99),
        gone,
    }))
}

fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

fn show(point: &Point) {
    let way = match point.way {
        Way::Direct => "direct",
        Way::PassedOn => "passed on",
    };
    let optional = |value: Option<f64>, digits| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
    };
    println!(
        "{way:<9} {:>5} {:>7} {:>6.3} {:>8.0} {:>7} {:>8} {:>6.3} {:>6.3} {:>8.0} {:>9.0} {:>7.1} {:>8.1} {:>5}",
        point.timeout_s,
        point.clients,
        point.leader_cores,
        point.leader_bytes_each,
        optional(point.passing_cores, 3),
        optional(point.passing_bytes_each, 0),
        point.nats_cores,
        point.load_cores,
        point.lines_per_s,
        point.commits_per_s,
        point.p50_ms,
        point.p99_ms,
        point.gone,
    );
}
