//! All scenes of `scenarios/`, each as a test of its own name; and planted faults, which they must find.

use pblink_simulator::Flaw;
use pblink_simulator::scene::{BUILT_IN, Report, Scene};

fn scene(name: &str) -> Scene {
    let found = BUILT_IN.iter().find(|(other, _)| *other == name);
    let (_, text) = found.unwrap_or_else(|| panic!("there is no scene {name}"));
    Scene::parse(&format!("scenarios/{name}.toml"), text).unwrap_or_else(|e| panic!("{e}"))
}

fn passes(name: &str) {
    let report = scene(name).run();
    println!("{name}: {} cases, {} s simulated", report.cases, report.simulated_ms / 1000);
    assert_eq!(report.failure, None, "{name}");
    assert!(report.totals.arrived > 0, "{name}: nothing was written");
}

// A test for each file, see build.rs.
include!(concat!(env!("OUT_DIR"), "/scene_tests.rs"));

#[test]
fn every_file_of_the_folder_is_built_in_and_has_a_test() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let built_in: Vec<String> = BUILT_IN.iter().map(|(name, _)| format!("{name}.toml")).collect();
    assert_eq!(files, built_in);
    let tests = include_str!(concat!(env!("OUT_DIR"), "/scene_tests.rs"));
    assert_eq!(tests.matches("#[test]").count(), files.len());
}

fn found(name: &str, flaw: Flaw) -> Report {
    let report = scene(name).run_with(flaw);
    assert!(report.failure.is_some(), "{name} does not find {flaw:?}: {:?}", report.totals);
    report
}

/// Every scene can fail: by each kind of wrong line, and by a link that does not come back.
#[test]
fn every_scene_finds_lines_that_are_lost_repeated_swapped_or_changed_and_a_link_that_is_silent() {
    for (name, text) in BUILT_IN {
        // A number that has changed on the bus puts others out of order.
        let changes = text.contains("7 bit-inverted-on-i2c");
        for flaw in [Flaw::Loses, Flaw::Repeats, Flaw::Swaps, Flaw::Garbles, Flaw::Silent] {
            if flaw != Flaw::Swaps || !changes {
                found(name, flaw);
            }
        }
    }
}

/// A flaw of the real machinery, one for each family of faults: network, kills of the server, and kills of the ESP8266.
#[test]
fn each_family_of_scenes_finds_a_flaw_of_its_own() {
    found("each-step-classic-tcp-cut", Flaw::Forgets);
    found("server-kill-loses-nothing-acknowledged", Flaw::AcknowledgesFirst);
    let report = found("esp8266-crash-is-repaired", Flaw::NoReset);
    assert!(report.failure.unwrap().what.starts_with("no new lines pass"));
}

/// Faults that the machines once had, or could have: each scene is what is left of hours in which chance found it.
#[test]
fn a_scene_of_one_fault_finds_the_flaw_that_it_was_made_for() {
    found("number-stays-taken-until-commit", Flaw::FreesFirst);
    found("server-stall-is-no-outage", Flaw::TimersFirst);
    found("secure-kill-keeps-numbers", Flaw::NumbersAnew);
    found("secure-restart-keeps-what-waits", Flaw::LosesMemory);
    found("crash-of-one-board-disturbs-no-other", Flaw::NoReset);
    let report = found("unsure-payload-is-passed-once", Flaw::ConfirmsUnsure);
    assert!(report.failure.unwrap().what.contains("from the server"));
}

#[test]
fn a_failure_has_seed_times_and_the_first_wrong_line_and_comes_again() {
    let first = found("esp8266-crash-is-repaired", Flaw::Repeats);
    let failure = first.failure.clone().unwrap();
    assert_eq!((failure.seed, failure.faults_at_us), (5, vec![6_000_000]));
    assert!(failure.line.unwrap().starts_with("line 0 arrived again"));
    assert!((1..10_000_000).contains(&failure.at_us), "{}", failure.at_us);
    assert_eq!(found("esp8266-crash-is-repaired", Flaw::Repeats), first);
}

#[test]
fn a_fault_at_each_step_makes_a_case_of_each() {
    let text = |faults: &str| {
        let head = "name = \"t\"\nprotects = \"tests of each-step\"\nfor = \"6s\"\n";
        let scene = Scene::parse("t.toml", &format!("{head}{faults}")).unwrap();
        let report = scene.run();
        assert_eq!(report.failure, None);
        report.cases
    };
    // The board writes at 4 s.
    let fault = "[[fault]]\neach-step = [\"4s\", \"4010ms\"]\nkind = \"tcp-cut\"\n";
    let boards = "[boards]\nevery = \"4s\"\n";
    let single = text(&format!("{fault}{boards}"));
    assert!(single > 5, "{single}");
    let pairs = text(&format!("{fault}{fault}{boards}"));
    assert!(pairs > single, "{pairs} pairs, {single} single ones");
}

fn refused(text: &str) -> String {
    Scene::parse("scenes/a-scene.toml", text).expect_err(text).to_string()
}

const HEAD: &str =
    "name = \"a-scene\"\nprotects = \"what a test of texts protects\"\nfor = \"20s\"\n";

#[test]
fn a_mistake_is_said_with_file_line_key_and_what_is_allowed() {
    let cases = [
        (
            "sed = 1\n",
            "scenes/a-scene.toml:4:1: unknown field `sed`, expected one of `name`, `protects`, `seed`",
        ),
        ("seed = -1\n", "scenes/a-scene.toml:4:8: `seed`: "),
        (
            "seeds = 1001\n",
            "scenes/a-scene.toml:4:9: `seeds`: 1001 must be a number from 1 to 1000",
        ),
        (
            "[boards]\nevery = \"1ms\"\n",
            "scenes/a-scene.toml:5:9: `every`: \"1ms\" must be a time from 10ms to 1h",
        ),
        (
            "[boards]\nevery = \"fast\"\n",
            "scenes/a-scene.toml:5:9: `every`: \"fast\" must be a time from 10ms to 1h: whole numbers of us, ms, s, min or h",
        ),
        (
            "[boards]\nlink = \"open\"\n",
            "scenes/a-scene.toml:5:8: `link`: unknown variant `open`, expected one of `classic`, `secure`, `secure-real`",
        ),
        (
            "[[fault]]\nat = \"1s\"\nkind = \"fire\"\n",
            "scenes/a-scene.toml:6:8: `kind`: unknown variant `fire`, expected one of `wifi-outage`, ",
        ),
        (
            "[[fault]]\nkind = \"tcp-cut\"\n",
            "scenes/a-scene.toml:5:8: `kind`: a fault needs either `at` or `each-step`",
        ),
        (
            "[[fault]]\nat = \"1s\"\nkind = \"wifi-outage\"\n",
            "scenes/a-scene.toml:6:8: `kind`: this kind of fault needs `length`",
        ),
        (
            "[[fault]]\nat = \"1s\"\nkind = \"tcp-cut\"\nlength = \"1s\"\n",
            "scenes/a-scene.toml:6:8: `kind`: this kind of fault has no `length`",
        ),
        (
            "[[fault]]\nat = \"1s\"\nboard = 2\nkind = \"tcp-cut\"\n",
            "scenes/a-scene.toml:7:8: `kind`: `board` is 2, and there are 1",
        ),
        (
            "[[fault]]\nat = \"1s\"\nkind = \"server-kill\"\nlength = \"1s\"\n",
            "scenes/a-scene.toml:6:8: `kind`: `server-kill` needs `commits` in [server]",
        ),
        (
            "[[fault]]\nat = \"20s\"\nkind = \"tcp-cut\"\n",
            "a fault must come before the end of `for`",
        ),
        (
            "[[fault]]\nat = \"9s\"\nkind = \"tcp-cut\"\n[[fault]]\nat = \"8s\"\nkind = \"tcp-cut\"\n",
            "faults must be in the order of their times",
        ),
        (
            "[must]\nallows = [\"4 sleeps\"]\n",
            "scenes/a-scene.toml:5:11: `allows`: unknown variant `4 sleeps`, expected one of `1 esp8266-restarts`, `2 stm32-loses-power`, `7 bit-inverted-on-i2c`",
        ),
        (
            "[must]\nallows = [\"1 esp8266-restarts\"]\n",
            "no fault of this scene is a cause of \"1 esp8266-restarts\"",
        ),
        (
            "[must]\nresets = [2, 1]\n",
            "scenes/a-scene.toml:5:1: `resets` must be [least, most], not [2, 1]",
        ),
    ];
    for (text, expected) in cases {
        let said = refused(&format!("{HEAD}{text}"));
        assert!(said.contains(expected), "{text}\n{said}");
    }
}

#[test]
fn the_name_is_that_of_the_file_and_the_secure_link_has_no_exception_for_the_esp8266() {
    let said = refused(&HEAD.replace("\"a-scene\"", "\"b\""));
    assert_eq!(
        said,
        "scenes/a-scene.toml:1:8: `name` is \"b\" and must be that of the file, \"a-scene\""
    );
    let said = refused(&format!(
        "{HEAD}[boards]\nlink = \"secure\"\n[[fault]]\nat = \"4s\"\nkind = \"esp8266-crash\"\n\
         [must]\nallows = [\"1 esp8266-restarts\"]\n"
    ));
    assert!(said.contains("is no exception of the secure link"), "{said}");
}

#[test]
fn a_scene_has_at_most_a_thousand_faults() {
    let many = "[[fault]]\nat = \"1s\"\nkind = \"tcp-cut\"\n".repeat(1001);
    assert!(refused(&format!("{HEAD}{many}")).contains("there are 1001 faults; 1000 are allowed"));
}
