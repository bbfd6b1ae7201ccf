//! The text of a scene, as a file has it: all that is not as by default, so that it is read as the same scene.

use std::fmt::Write as _;

use pblink_protocol::delivery::Delivery;
use pblink_protocol::time::Duration;
use serde::Serialize;
use toml::Value;

use super::Scene;
use super::fault::{Kind, SceneFault, When};
use super::link::Link;
use super::value;
use crate::world::WorldOptions;

/// A table: its keys, with their values as they are written.
#[derive(Default)]
struct Table(Vec<(&'static str, String)>);

impl Table {
    /// Adds a key, if its value is not the usual one.
    fn add<T: PartialEq>(
        &mut self,
        key: &'static str,
        value: T,
        usual: T,
        text: impl Fn(T) -> String,
    ) {
        if value != usual {
            self.0.push((key, text(value)));
        }
    }

    fn write(self, head: &str, out: &mut String) {
        if self.0.is_empty() {
            return;
        }
        let _ = write!(out, "\n{head}\n");
        for (key, value) in self.0 {
            let _ = writeln!(out, "{key} = {value}");
        }
    }
}

/// Writes a text in quotes.
fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

fn time(time: Duration) -> String {
    quoted(&value::written(time.as_micros()))
}

fn at(at: pblink_protocol::time::Instant) -> String {
    quoted(&value::written(at.as_micros()))
}

/// Writes a word that files have for a value.
fn word<T: Serialize>(value: T) -> String {
    Value::try_from(value).map(|word| word.to_string()).unwrap_or_default()
}

fn range(range: Option<(u32, u32)>) -> String {
    let (least, most) = range.unwrap_or_default();
    format!("[{least}, {most}]")
}

/// Writes a scene, with these lines of comment at its head.
pub(super) fn write(scene: &Scene, comment: &str) -> String {
    let mut out = String::new();
    for line in comment.lines() {
        let _ = writeln!(out, "# {line}");
    }
    let _ = writeln!(out, "name = {}\nprotects = {}", quoted(&scene.name), quoted(&scene.protects));
    if scene.options.seed != 0 {
        let _ = writeln!(out, "seed = {}", scene.options.seed);
    }
    if scene.seeds != 1 {
        let _ = writeln!(out, "seeds = {}", scene.seeds);
    }
    let _ = writeln!(out, "for = {}", time(scene.length));
    options(&scene.options, &mut out);
    for fault in &scene.faults {
        self::fault(fault, &mut out);
    }
    let mut must = Table::default();
    let possible = scene.allows.iter().filter(|exception| scene.may_allow(**exception));
    let allows: Vec<String> = possible.map(word).collect();
    must.add("allows", allows, Vec::new(), |allows| format!("[{}]", allows.join(", ")));
    must.add("back", scene.back, super::PATIENCE, time);
    must.add("arrive", scene.arrive, super::PATIENCE, time);
    must.add("resets", scene.resets, None, range);
    must.add("connects", scene.connects, None, range);
    must.add("outages", scene.outages, None, range);
    let boards: Vec<_> = scene.undisturbed.iter().map(|board| (board + 1).to_string()).collect();
    must.add("undisturbed", boards, Vec::new(), |boards| format!("[{}]", boards.join(", ")));
    must.write("[must]", &mut out);
    out
}

fn options(options: &WorldOptions, out: &mut String) {
    let usual = WorldOptions::default();
    let waits = |delivery: Delivery| delivery != Delivery::UNORDERED;
    let (program, usual_program) = (&options.pair.program, &usual.pair.program);
    let number = |number: u64| number.to_string();
    let mut boards = Table::default();
    boards.add("count", options.boards, 1, |count| count.to_string());
    boards.add("link", Link::of(options.keys), Link::Classic, word);
    boards.add("every", program.every, usual_program.every, time);
    boards.add("wait", waits(program.delivery), true, |wait| wait.to_string());
    boards.add("padding", program.padding as u64, 0, number);
    boards.add("timeout", options.timeout, usual.timeout, time);
    let report = |seconds: u32| Duration::from_secs(seconds.into());
    boards.add("report", report(options.report_s), report(usual.report_s), time);
    boards.write("[boards]", out);
    let mut wires = Table::default();
    wires.add("clock-hz", options.pair.clock_hz, usual.pair.clock_hz, number);
    wires.add("boot", options.pair.boot, usual.pair.boot, time);
    wires.write("[wires]", out);
    let mut wifi = Table::default();
    wifi.add("join", options.pair.join, usual.pair.join, time);
    wifi.add("latency", options.latency, usual.latency, time);
    wifi.add("loss-percent", options.loss_percent.into(), 0, number);
    wifi.write("[wifi]", out);
    let mut server = Table::default();
    match options.server_writes {
        None => server.0.push(("writes", "false".to_owned())),
        every => {
            server.add("every", every, usual.server_writes, |every| time(every.unwrap_or_default()))
        }
    }
    server.add("wait", waits(options.server_delivery), true, |wait| wait.to_string());
    server.add("timeout", options.server_timeout, None, |it| time(it.unwrap_or_default()));
    server.add("commits", options.server_commits, None, |it| time(it.unwrap_or_default()));
    server.write("[server]", out);
}

fn fault(fault: &SceneFault, out: &mut String) {
    let mut table = Table::default();
    match fault.when {
        When::At(instant) => table.0.push(("at", at(instant))),
        When::EachStep(from, to) => {
            table.0.push(("each-step", format!("[{}, {}]", at(from), at(to))));
        }
    }
    table.add("board", fault.board, 0, |board| (board + 1).to_string());
    table.0.push(("kind", word(fault.kind)));
    if fault.kind.has_length() {
        table.0.push(("length", time(fault.length)));
    }
    if fault.kind == Kind::WireStuck {
        table.0.push(("wire", word(fault.wire)));
        table.0.push(("level", quoted(if fault.high { "high" } else { "low" })));
    }
    table.write("[[fault]]", out);
}

#[cfg(test)]
mod tests {
    use super::super::random::Chances;
    use super::super::{BUILT_IN, Scene};
    use super::*;

    fn is_read_as_it_was_written(scene: &Scene) {
        let text = write(scene, "A comment.\nAnother line of it.");
        let file = format!("{}.toml", scene.name);
        let read = Scene::parse(&file, &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(format!("{read:?}"), format!("{scene:?}"), "{text}");
    }

    #[test]
    fn all_scenes_of_the_folder_and_random_ones_are_read_as_they_were_written() {
        for (name, text) in BUILT_IN {
            is_read_as_it_was_written(&Scene::parse(&format!("{name}.toml"), text).unwrap());
        }
        for seed in 0..60 {
            for link in [Link::Classic, Link::Secure, Link::SecureReal] {
                let length = Duration::from_secs(600);
                let chances = Chances { seed, length, link };
                is_read_as_it_was_written(&Scene::random("by-chance", &chances));
            }
        }
    }

    #[test]
    fn only_what_is_not_as_by_default_is_written() {
        let file = "name = \"small\"\nprotects = \"texts that are as short as can be\"\nfor = \"20s\"\n\n\
                    [[fault]]\nat = \"6500ms\"\nkind = \"tcp-cut\"\n";
        let scene = Scene::parse("small.toml", file).unwrap();
        assert_eq!(write(&scene, ""), file);
    }
}
