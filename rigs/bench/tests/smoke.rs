//! Every workload runs, and what it reports is complete. No speed is asserted.

use std::process::Command;

/// Runs the benchmark with few clients for a moment, and returns its results.
fn results(args: &[&str]) -> Vec<serde_json::Value> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("figures.json");
    let output = Command::new(env!("CARGO_BIN_EXE_pblink-bench"))
        .args(["--rounds", "1", "--seconds", "0.2", "--clients", "5", "--json"])
        .arg(&path)
        .args(args)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let report = std::fs::read_to_string(path).unwrap();
    let mut report: serde_json::Value = serde_json::from_str(&report).unwrap();
    serde_json::from_value(report["results"].take()).unwrap()
}

/// Asserts that a server has done some work.
fn assert_counted(results: &[serde_json::Value], workload: &str, server: &str) {
    let found = results.iter().find(|r| r["workload"] == workload && r["server"] == server);
    let figures = found.expect("each server does each workload")["figures"].as_array().unwrap();
    for figure in figures {
        assert_eq!(figure["rounds"].as_array().unwrap().len(), 1, "{workload} {figure}");
        let rate = figure["name"].as_str().unwrap().ends_with("_per_s");
        assert!(!rate || figure["median"].as_f64().unwrap() > 0.0, "{workload} {figure}");
    }
}

#[test]
fn every_workload_counts_something_and_writes_json() {
    let alone = ["--servers", "raw,reader,library,batches,memory,disk,mosquitto"];
    let results = results(&alone);
    for workload in ["flood", "single", "down", "accept", "idle"] {
        ["raw", "library"].iter().for_each(|server| assert_counted(&results, workload, server));
    }
    ["reader", "batches"].iter().for_each(|server| assert_counted(&results, "flood", server));
}

#[test]
fn servers_that_share_a_log_are_measured_beside_jetstream() {
    let results = results(&["--servers", "jetstream,shared,gateways", "flood", "single", "down"]);
    if results.is_empty() {
        return eprintln!("SKIPPED: there is no nats-server");
    }
    for workload in ["flood", "single"] {
        ["jetstream", "shared", "gateways"]
            .iter()
            .for_each(|server| assert_counted(&results, workload, server));
    }
    assert_counted(&results, "down", "jetstream");
    let flood = results.iter().filter(|result| result["workload"] == "flood");
    let lines = flood.map(|result| &result["figures"][0]).collect::<Vec<_>>();
    assert!(lines.iter().all(|figure| figure["name"] == "lines_per_s"), "{lines:?}");
    assert_eq!(lines[1]["ratio"]["to"], "jetstream");
}

#[test]
fn a_curve_has_a_point_and_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let [json, svg] = ["a.json", "a.svg"].map(|name| folder.path().join(name));
    let output = Command::new(env!("CARGO_BIN_EXE_pblink-bench"))
        .arg("curve")
        .args([&json, &svg])
        // Fewer than those of the smallest point: none is measured.
        .args(["--most", "1"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(std::fs::read_to_string(svg).unwrap().contains(">boards<"));
    let curve: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(curve["points"].as_array().unwrap().len(), 0);
}

#[test]
fn a_wrong_command_line_says_what_is_right() {
    for args in
        [&["flod"][..], &["--rounds"], &["--seconds", "x"], &["curve"], &["--servers", "none"]]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_pblink-bench")).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("usage: "), "{args:?}");
    }
}
