//! Every workload runs, and what it reports is complete. No speed is asserted.

use std::process::Command;

#[test]
fn every_workload_counts_something_and_writes_json() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("figures.json");
    let output = Command::new(env!("CARGO_BIN_EXE_pblink-bench"))
        .args(["--rounds", "1", "--seconds", "0.2", "--clients", "5", "--json"])
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let report = std::fs::read_to_string(path).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let results = report["results"].as_array().unwrap();
    let all = ["flood", "single", "down", "accept", "idle"].map(|w| (w, &["raw", "library"][..]));
    for (workload, servers) in all.into_iter().chain([("flood", &["reader", "batches"][..])]) {
        for &server in servers {
            let found = results.iter().find(|r| r["workload"] == workload && r["server"] == server);
            let figures =
                found.expect("each server does each workload")["figures"].as_array().unwrap();
            for figure in figures {
                assert_eq!(figure["rounds"].as_array().unwrap().len(), 1, "{workload} {figure}");
                let rate = figure["name"].as_str().unwrap().ends_with("_per_s");
                assert!(!rate || figure["median"].as_f64().unwrap() > 0.0, "{workload} {figure}");
            }
        }
    }
}

#[test]
fn a_wrong_command_line_says_what_is_right() {
    for args in [&["flod"][..], &["--rounds"], &["--seconds", "x"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_pblink-bench")).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("usage: "), "{args:?}");
    }
}
