//! The file of a scene: its form, and what is said when it is not kept.

use std::fmt;
use std::path::Path;

use pblink_protocol::delivery::Delivery;
use pblink_protocol::time::Duration;
use serde::Deserialize;
use toml::Spanned;

use super::exception::Exception;
use super::fault::{Kind, SceneFault, When};
use super::link::Link;
use super::value::{HOUR, MS, Number, SECOND, Time};
use super::{PATIENCE, Scene};
use crate::fault::Wire;
use crate::pair::PairOptions;
use crate::program::ProgramOptions;
use crate::world::WorldOptions;

/// The most faults of a scene.
pub(super) const FAULTS: usize = 1000;

/// A moment of a scene.
type Moment = Time<0, HOUR>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    name: Spanned<String>,
    protects: Spanned<String>,
    #[serde(default)]
    seed: u32,
    seeds: Option<Number<1, 1000>>,
    #[serde(rename = "for")]
    length: Moment,
    #[serde(default)]
    boards: Boards,
    #[serde(default)]
    wires: Wires,
    #[serde(default)]
    wifi: Wifi,
    #[serde(default)]
    server: Server,
    #[serde(default)]
    fault: Vec<Spanned<FaultTable>>,
    #[serde(default)]
    must: Must,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Boards {
    count: Option<Number<1, 16>>,
    link: Option<Link>,
    every: Option<Time<{ 10 * MS }, HOUR>>,
    wait: Option<bool>,
    padding: Option<Number<0, 900>>,
    timeout: Option<Time<{ 500 * MS }, { 60 * SECOND }>>,
    report: Option<Time<0, HOUR>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Wires {
    clock_hz: Option<Number<10_000, 1_000_000>>,
    boot: Option<Time<MS, { 10 * SECOND }>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Wifi {
    join: Option<Time<{ 100 * MS }, { 60 * SECOND }>>,
    latency: Option<Time<{ MS / 2 }, { 10 * SECOND }>>,
    loss_percent: Option<Number<0, 50>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Server {
    writes: Option<bool>,
    every: Option<Time<{ 10 * MS }, HOUR>>,
    wait: Option<bool>,
    timeout: Option<Time<{ 500 * MS }, { 60 * SECOND }>>,
    commits: Option<Time<MS, { 60 * SECOND }>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Must {
    #[serde(default)]
    allows: Vec<Spanned<Exception>>,
    back: Option<Time<SECOND, HOUR>>,
    arrive: Option<Time<SECOND, HOUR>>,
    resets: Option<(u32, u32)>,
    connects: Option<(u32, u32)>,
    outages: Option<(u32, u32)>,
    #[serde(default)]
    undisturbed: Vec<Spanned<Number<1, 16>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct FaultTable {
    at: Option<Moment>,
    each_step: Option<(Moment, Moment)>,
    board: Option<Spanned<Number<1, 16>>>,
    kind: Spanned<Kind>,
    length: Option<Time<MS, HOUR>>,
    wire: Option<Wire>,
    level: Option<Level>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Level {
    Low,
    High,
}

/// A file that is no scene, with the place of the mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SceneError {
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// The mistake, with the key, and the values that are allowed.
    pub message: String,
}

impl fmt::Display for SceneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

impl std::error::Error for SceneError {}

/// A message, and where it belongs to.
type Mistake = (std::ops::Range<usize>, String);

/// Reads a scene.
pub(super) fn parse(file: &str, text: &str) -> Result<Scene, SceneError> {
    read(file, text).map_err(|(span, message)| {
        let before = text.get(..span.start).unwrap_or(text);
        let begin = before.rfind('\n').map_or(0, |at| at + 1);
        let line = text[begin..].lines().next().unwrap_or_default();
        let key = line.split_once('=').map(|(key, _)| key.trim());
        let message = match key {
            Some(key) if !message.contains(&format!("`{key}`")) => format!("`{key}`: {message}"),
            _ => message,
        };
        SceneError {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[begin..].chars().count() + 1,
            message,
        }
    })
}

fn read(file: &str, text: &str) -> Result<Scene, Mistake> {
    let scene: File = toml::from_str(text)
        .map_err(|e| (e.span().unwrap_or_default(), e.message().replace('\n', ", ")))?;
    let stem = Path::new(file).file_stem().unwrap_or_default().to_string_lossy();
    let name = scene.name.get_ref();
    if *name != stem {
        let message = format!("`name` is {name:?} and must be that of the file, {stem:?}");
        return Err((scene.name.span(), message));
    }
    if !(10..=300).contains(&scene.protects.get_ref().trim().len()) {
        let message =
            "`protects` must be a sentence of 10 to 300 bytes: what is broken if this fails";
        return Err((scene.protects.span(), message.to_owned()));
    }
    if scene.fault.len() > FAULTS {
        let message = format!("there are {} faults; {FAULTS} are allowed", scene.fault.len());
        return Err((scene.fault[FAULTS].span(), message));
    }
    let options = options(&scene);
    let faults = faults(&scene, &options)?;
    let allows = allows(text, &scene.must, &options, &faults)?;
    let undisturbed = undisturbed(&scene.must, &options)?;
    for (key, range) in [
        ("resets", scene.must.resets),
        ("connects", scene.must.connects),
        ("outages", scene.must.outages),
    ] {
        if let Some((least, most)) = range.filter(|(least, most)| least > most) {
            let at = text.find(&format!("\n{key}")).map_or(0, |at| at + 1);
            return Err((at..at, format!("`{key}` must be [least, most], not [{least}, {most}]")));
        }
    }
    Ok(Scene {
        name: scene.name.into_inner(),
        protects: scene.protects.into_inner().trim().to_owned(),
        seeds: scene.seeds.map_or(1, Number::get),
        length: scene.length.duration(),
        faults,
        allows,
        back: scene.must.back.map_or(PATIENCE, Time::duration),
        arrive: scene.must.arrive.map_or(PATIENCE, Time::duration),
        resets: scene.must.resets,
        connects: scene.must.connects,
        outages: scene.must.outages,
        undisturbed,
        options,
    })
}

fn options(scene: &File) -> WorldOptions {
    let usual = WorldOptions::default();
    let File { boards, wires, wifi, server, .. } = scene;
    let delivery = |wait: Option<bool>| match wait {
        Some(false) => Delivery::UNORDERED,
        _ => Delivery::ORDERED,
    };
    let program = ProgramOptions {
        every: boards.every.map_or(usual.pair.program.every, Time::duration),
        delivery: delivery(boards.wait),
        padding: boards.padding.map_or(0, |bytes| bytes.get() as usize),
        ..usual.pair.program
    };
    WorldOptions {
        seed: scene.seed.into(),
        boards: boards.count.map_or(1, |count| count.get() as usize),
        timeout: boards.timeout.map_or(usual.timeout, Time::duration),
        server_timeout: server.timeout.map(Time::duration),
        pair: PairOptions {
            clock_hz: wires.clock_hz.map_or(usual.pair.clock_hz, Number::get),
            boot: wires.boot.map_or(usual.pair.boot, Time::duration),
            join: wifi.join.map_or(usual.pair.join, Time::duration),
            program,
            ..usual.pair
        },
        server_writes: match server.writes {
            Some(false) => None,
            _ => server.every.map(Time::duration).or(usual.server_writes),
        },
        server_delivery: delivery(server.wait),
        server_commits: server.commits.map(Time::duration),
        keys: boards.link.unwrap_or_default().cryptography(),
        latency: wifi.latency.map_or(usual.latency, Time::duration),
        loss_percent: wifi.loss_percent.map_or(0, |percent| percent.get() as u8),
        report_s: boards
            .report
            .map_or(usual.report_s, |every| (every.duration().as_millis() / 1000) as u32),
    }
}

fn faults(scene: &File, options: &WorldOptions) -> Result<Vec<SceneFault>, Mistake> {
    let mut faults: Vec<SceneFault> = Vec::new();
    for table in &scene.fault {
        let (span, fault) = (table.get_ref().kind.span(), table.get_ref());
        let fault = self::fault(fault, options).map_err(|message| (span.clone(), message))?;
        let place = table.span();
        if faults.last().is_some_and(|last| last.begins() > fault.begins()) {
            return Err((place, "faults must be in the order of their times".to_owned()));
        }
        let end = match fault.when {
            When::At(at) => at,
            When::EachStep(_, to) => to,
        };
        if end >= scene.length.instant() {
            return Err((place, "a fault must come before the end of `for`".to_owned()));
        }
        faults.push(fault);
    }
    Ok(faults)
}

fn fault(table: &FaultTable, options: &WorldOptions) -> Result<SceneFault, String> {
    let kind = *table.kind.get_ref();
    let when = match (table.at, table.each_step) {
        (Some(at), None) => When::At(at.instant()),
        (None, Some((from, to))) if from.instant() < to.instant() => {
            When::EachStep(from.instant(), to.instant())
        }
        (None, Some(_)) => return Err("`each-step` must be [from, to], from before to".to_owned()),
        _ => return Err("a fault needs either `at` or `each-step`".to_owned()),
    };
    let needs = |key: &str, given: bool, needed: bool| match (given, needed) {
        (true, false) => Err(format!("this kind of fault has no `{key}`")),
        (false, true) => Err(format!("this kind of fault needs `{key}`")),
        _ => Ok(()),
    };
    let stuck = kind == Kind::WireStuck;
    needs("length", table.length.is_some(), kind.has_length())?;
    needs("wire", table.wire.is_some(), stuck)?;
    needs("level", table.level.is_some(), stuck)?;
    if table.board.is_some() {
        needs("board", true, kind.has_board())?;
    }
    let board = table.board.as_ref().map_or(1, |board| board.get_ref().get() as usize);
    if board > options.boards {
        return Err(format!("`board` is {board}, and there are {}", options.boards));
    }
    if kind == Kind::ServerKill && options.server_commits.is_none() && options.keys.is_none() {
        return Err(
            "`server-kill` needs `commits` in [server]: without, lines are kept nowhere".into()
        );
    }
    Ok(SceneFault {
        when,
        board: board - 1,
        kind,
        length: table.length.map_or(Duration::ZERO, Time::duration),
        wire: table.wire.unwrap_or(Wire::Syn),
        high: table.level == Some(Level::High),
    })
}

/// Returns the boards that must not be disturbed, from 0.
fn undisturbed(must: &Must, options: &WorldOptions) -> Result<Vec<usize>, Mistake> {
    let board = |board: &Spanned<Number<1, 16>>| match board.get_ref().get() as usize {
        number if number > options.boards => {
            let message = format!("there are {} boards", options.boards);
            Err((board.span(), message))
        }
        number => Ok(number - 1),
    };
    must.undisturbed.iter().map(board).collect()
}

fn allows(
    text: &str,
    must: &Must,
    options: &WorldOptions,
    faults: &[SceneFault],
) -> Result<Vec<Exception>, Mistake> {
    let mut allowed = Vec::new();
    for exception in &must.allows {
        let (span, exception) = (exception.span(), *exception.get_ref());
        let name = &text[span.clone()];
        if options.keys.is_some() && !exception.is_possible_with_keys() {
            return Err((span, format!("{name} is no exception of the secure link")));
        }
        if !faults.iter().any(|fault| exception.is_caused_by(fault.kind)) {
            return Err((span, format!("no fault of this scene is a cause of {name}")));
        }
        allowed.push(exception);
    }
    Ok(allowed)
}
