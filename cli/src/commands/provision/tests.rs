//! The verb with a user and steps that are only software.

use std::collections::VecDeque;

use clap::Parser;

use super::*;
use crate::commands::{Cli, Command as Verb};

/// A user who answers in this order, and boards of which some steps fail.
#[derive(Default)]
struct Bench {
    answers: VecDeque<&'static str>,
    /// Words of a step that fails the next time.
    fails: Vec<&'static str>,
    /// Words of the step during which the user presses ctrl-C.
    stops: Option<&'static str>,
    stopped: bool,
    /// The id of the board that is connected.
    connected: Option<&'static str>,
    ran: Vec<String>,
    printed: String,
}

impl Bench {
    fn new(answers: &[&'static str], fails: &[&'static str]) -> Self {
        let answers = answers.iter().copied().collect();
        Self { answers, fails: fails.to_vec(), ..Self::default() }
    }
}

impl World for Bench {
    fn ask(&mut self, _: &str) -> io::Result<Option<String>> {
        Ok(self.answers.pop_front().map(str::to_owned))
    }

    fn run(&mut self, words: &[String]) -> anyhow::Result<(Exit, String)> {
        let line = shown(words);
        self.ran.push(line.clone());
        if self.stops.is_some_and(|part| line.contains(part)) {
            self.stopped = true;
            return Ok((Exit::Interrupted, String::new()));
        }
        if let Some(at) = self.fails.iter().position(|part| line.contains(part)) {
            self.fails.remove(at);
            return Ok((Exit::Failure, String::new()));
        }
        if line.contains("pull") {
            return Ok((
                Exit::Ok,
                serde_json::json!({"settings": {"id": self.connected}}).to_string(),
            ));
        }
        let keys = r#"{"device":"DFU 1","keys":{"fingerprint":"7XR2M-0KQ4T","generation":2}}"#;
        Ok((Exit::Ok, if line.contains("push") { keys } else { "ok" }.to_owned()))
    }

    fn is_stopped(&mut self) -> bool {
        self.stopped
    }

    fn print(&mut self, text: &str) -> anyhow::Result<()> {
        self.printed += text;
        Ok(())
    }
}

fn args(folder: &Path, words: &[&str]) -> Args {
    let from = folder.join("ids.csv");
    let all = ["pblink", "provision", "--from", from.to_str().unwrap()];
    match Cli::try_parse_from(all.iter().chain(words)).unwrap().command {
        Verb::Provision(args) => args,
        other => panic!("{other:?}"),
    }
}

fn folder(list: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ids.csv"), list).unwrap();
    folder
}

fn run(args: &Args, bench: &mut Bench) -> Exit {
    work(args, Path::new("p.toml"), bench).unwrap()
}

#[test]
fn each_board_is_flashed_configured_and_checked_and_gets_a_label() {
    let folder = folder("kitchen,Over the sink\nattic\n");
    let mut bench = Bench::new(&["", ""], &[]);
    let words = ["--via", "dfu", "--image", "a.bin", "--replace", "--wait", "2min"];
    assert_eq!(run(&args(folder.path(), &words), &mut bench), Exit::Ok);
    let way = "--via dfu --wait 2min";
    let of = |id: &str| {
        [
            format!("pblink config pull --json --no-start {way}"),
            format!("pblink flash stm32 --yes --no-start --image a.bin {way}"),
            format!(
                "pblink config push --json --no-start --client={id} --config p.toml --replace {way}"
            ),
            format!("pblink config check --board --client={id} --config p.toml {way}"),
        ]
    };
    assert_eq!(bench.ran, [of("kitchen"), of("attic")].concat());
    let kitchen = "  kitchen\n  Over the sink\n  key 7XR2M-0KQ4T, generation 2\n";
    assert!(bench.printed.contains(kitchen), "{}", bench.printed);

    // All are done: nobody is asked.
    let mut again = Bench::new(&[], &[]);
    assert_eq!(run(&args(folder.path(), &[]), &mut again), Exit::Ok);
    assert!(again.ran.is_empty());
    // What the verb runs is what this program takes.
    for (_, words) in steps(&args(folder.path(), &["--skip-flash"]), Path::new("p"), "-a b") {
        let words = ["pblink".to_owned()].into_iter().chain(words);
        Cli::try_parse_from(words).unwrap();
    }
}

#[test]
fn it_goes_on_where_it_was_stopped_and_a_step_that_failed_is_done_again() {
    let folder = folder("a\nb\nc\n");
    let path = folder.path();
    for fails in ["flash", "push", "check"] {
        let mut bench = Bench::new(&["what?", "", "", "q"], &[fails]);
        let _ = std::fs::remove_file(path.join("ids.csv.done"));
        assert_eq!(run(&args(path, &["--json"]), &mut bench), Exit::Interrupted);
        let done: Value = serde_json::from_str(&bench.printed).unwrap();
        assert_eq!((&done["client"], &done["event"]), (&"a".into(), &"provisioned".into()));
        assert_eq!((&done["fingerprint"], &done["generation"]), (&"7XR2M-0KQ4T".into(), &2.into()));
        assert_eq!(std::fs::read_to_string(path.join("ids.csv.done")).unwrap(), bench.printed);
    }
    // One that was killed while it noted a board.
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.append(true).open(path.join("ids.csv.done")).unwrap();
    file.write_all(b"{\"client\":\"b\",").unwrap();
    let mut bench = Bench::new(&["s", ""], &[]);
    assert_eq!(run(&args(path, &["--skip-flash"]), &mut bench), Exit::Failure);
    assert!(bench.ran[1..].iter().all(|line| line.contains("--client=c")), "{:?}", bench.ran);
    assert_eq!(bench.ran.len(), 3);
    let mut bench = Bench::new(&[""], &[]);
    assert_eq!(run(&args(path, &[]), &mut bench), Exit::Ok);
    assert!(bench.ran[2].contains("--client=b"));
}

#[test]
fn ctrl_c_in_any_step_stops_it_and_the_same_command_does_that_board_again() {
    for stops in ["pull", "flash", "push", "check"] {
        let folder = folder("a\nb\n");
        let args = args(folder.path(), &[]);
        let mut bench = Bench::new(&["", "", ""], &[]);
        bench.stops = Some(stops);
        assert_eq!(run(&args, &mut bench), Exit::Interrupted);
        assert!(bench.ran.last().unwrap().contains(stops), "{:?}", bench.ran);
        assert_eq!((bench.answers.len(), &*bench.printed), (2, ""), "nobody is asked any more");
        let mut bench = Bench::new(&["", ""], &[]);
        assert_eq!(run(&args, &mut bench), Exit::Ok);
        assert_eq!(bench.ran.len(), 8, "{:?}", bench.ran);
    }
}

/// Who forgets to connect the next board would give the one with the label another id.
#[test]
fn a_board_that_is_done_and_still_connected_is_refused() {
    let folder = folder("a\nb\n");
    let args = args(folder.path(), &[]);
    let mut bench = Bench::new(&["", "q"], &[]);
    assert_eq!(run(&args, &mut bench), Exit::Interrupted);
    let mut bench = Bench { connected: Some("a"), ..Bench::new(&["", "q"], &[]) };
    assert_eq!(run(&args, &mut bench), Exit::Interrupted);
    assert_eq!(bench.ran, ["pblink config pull --json --no-start"]);
    // One that has the id that it is to have, or one that is nobody's here, is none of these.
    for connected in ["b", "other"] {
        std::fs::write(folder.path().join("ids.csv"), "a\nb\nc\nd\n").unwrap();
        let mut bench = Bench { connected: Some(connected), ..Bench::new(&["", "q"], &[]) };
        assert_eq!(run(&args, &mut bench), Exit::Interrupted);
        assert_eq!(bench.ran.len(), 4, "{connected}: {:?}", bench.ran);
    }
}

#[test]
fn another_file_is_not_taken_for_the_record() {
    let folder = folder("a\n");
    let record = folder.path().join("notes.txt");
    for text in ["my notes\n", "{\"event\":\"other\",\"client\":\"a\"}\n"] {
        std::fs::write(&record, text).unwrap();
        let args = args(folder.path(), &["--record", record.to_str().unwrap()]);
        let error = work(&args, Path::new("p"), &mut Bench::new(&[], &[])).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Config);
        assert!(error.to_string().contains("notes.txt:1: this is no list"), "{error}");
        assert_eq!(std::fs::read_to_string(&record).unwrap(), text);
    }
}
