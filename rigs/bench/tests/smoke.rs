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

/// Returns the figures of a server.
fn figures<'a>(
    results: &'a [serde_json::Value],
    workload: &str,
    server: &str,
) -> &'a [serde_json::Value] {
    let found = results.iter().find(|r| r["workload"] == workload && r["server"] == server);
    found.expect("each server does each workload")["figures"].as_array().unwrap()
}

/// Asserts that a server has these times, and that none is nothing.
fn assert_times(results: &[serde_json::Value], workload: &str, server: &str, names: &[&str]) {
    let figures = figures(results, workload, server);
    assert!(figures.len() >= names.len(), "{figures:?}");
    for (figure, name) in figures.iter().zip(names) {
        assert_eq!(figure["name"], *name, "{workload} {server}");
        assert!(figure["median"].as_f64().unwrap() > 0.0, "{workload} {server} {figure}");
    }
}

/// Asserts that a server has done some work.
fn assert_counted(results: &[serde_json::Value], workload: &str, server: &str) {
    for figure in figures(results, workload, server) {
        assert_eq!(figure["rounds"].as_array().unwrap().len(), 1, "{workload} {figure}");
        let rate = figure["name"].as_str().unwrap().ends_with("_per_s");
        assert!(!rate || figure["median"].as_f64().unwrap() > 0.0, "{workload} {figure}");
    }
}

#[test]
fn every_workload_counts_something_and_writes_json() {
    let servers = ["--servers", "raw,reader,library,batches,memory,disk,mosquitto"];
    let workloads = ["flood", "single", "steady", "print", "paced", "down", "accept", "idle"];
    let results = results(&[&servers[..], &workloads].concat());
    for workload in ["flood", "single", "down", "accept", "idle"] {
        ["raw", "library"].iter().for_each(|server| assert_counted(&results, workload, server));
    }
    ["reader", "batches"].iter().for_each(|server| assert_counted(&results, "flood", server));
    if results.iter().any(|result| result["server"] == "mosquitto") {
        assert_counted(&results, "down", "mosquitto");
    }
}

#[test]
fn clients_come_back_to_a_server_that_was_killed_and_one_that_has_seen_their_silence() {
    let results = results(&["--servers", "raw,library,memory,disk", "restart", "outage"]);
    for server in ["raw", "library", "memory", "disk"] {
        assert_times(&results, "restart", server, &["restart_p50_ms", "restart_max_ms"]);
    }
    let figures = &figures(&results, "restart", "disk")[2..];
    assert_eq!(figures.iter().map(|f| &f["name"]).collect::<Vec<_>>(), ["lost", "twice"]);
    assert!(figures.iter().all(|figure| figure["median"] == 0.0), "{figures:?}");
    let times = ["seen_p50_ms", "seen_max_ms", "back_p50_ms", "back_max_ms"];
    for server in ["library", "memory", "disk"] {
        assert_times(&results, "outage", server, &times);
    }
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
