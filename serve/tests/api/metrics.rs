//! Dashboard, alerts and Telegraf's settings in `templates/` use what there is.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::Rig;

fn template(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../templates").join(name)
}

/// Returns the names of metrics in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    text.split(word).filter(|word| word.starts_with("pblink_")).collect()
}

/// Returns the metrics of a server with a board.
async fn text() -> String {
    let rig = Rig::start().await;
    let _board = rig.board("kitchen", &["hello"]).await;
    #[cfg(feature = "nats")]
    rig.hub.share_with(pblink_serve::log::store::Fellows::new("a"));
    rig.http.get(rig.url("/metrics")).send().await.unwrap().text().await.unwrap()
}

/// Returns the families that a server with a board has, and the labels of their samples.
async fn scraped() -> (BTreeSet<String>, BTreeSet<String>) {
    let text = text().await;
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let labels = text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| {
        let labels = line.split_once('{').map_or("", |(_, rest)| rest);
        labels
            .split(',')
            .filter_map(|label| label.split_once("=\"").map(|(name, _)| name.to_owned()))
    });
    (families.map(str::to_owned).collect(), labels.collect())
}

#[tokio::test]
async fn every_name_in_dashboard_and_alerts_is_scraped() {
    let (families, labels) = scraped().await;
    for (file, least) in [("grafana-dashboard.json", 15), ("prometheus-alerts.yml", 6)] {
        let text = std::fs::read_to_string(template(file)).unwrap();
        let names = names(&text);
        assert!(names.len() >= least, "{file}: {names:?}");
        let wrong: Vec<_> = names.iter().filter(|name| !families.contains(**name)).collect();
        assert!(wrong.is_empty(), "{file} uses what no server has: {wrong:?}");
    }
    // Names of curves are labels; a consumer's are there once one runs.
    let text = std::fs::read_to_string(template("grafana-dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let legend = target["legendFormat"].as_str().unwrap();
            for label in legend.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap()) {
                assert!(
                    labels.contains(label) || label == "consumer",
                    "{}: {label}",
                    panel["title"]
                );
            }
        }
    }
}

/// Telegraf itself was never started with it.
#[tokio::test]
async fn telegraf_asks_where_the_metrics_are() {
    let text = std::fs::read_to_string(template("telegraf.conf")).unwrap();
    let urls = text.lines().filter_map(|line| line.trim().strip_prefix("urls = [\""));
    let urls: Vec<_> = urls.map(|rest| rest.trim_end_matches("\"]")).collect();
    let [url] = urls[..] else { panic!("{urls:?}") };
    let base = format!("http://{}", pblink_serve::control::DEFAULT_ADDRESS);
    let rig = Rig::start().await;
    let answer = rig.http.get(rig.url(url.strip_prefix(&base).unwrap())).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
}

/// Returns docs/METRICS.md, from what a server says. Labels are not in it: which there are depends on what has happened.
fn page(metrics: &str) -> String {
    let mut page = String::from(
        "# Metrics\n\n`/metrics` of the control API, in Prometheus' text format. A test writes this page from the answer of a server. \
         [GRAFANA.md](GRAFANA.md) says what to do with them. What is of one link has its `id`, what is of a consumer the name in \
         `consumer`, what is of one of several servers that share a log the name in `gateway`.\n\n| metric | type | meaning |\n|---|---|---|\n",
    );
    let families = metrics.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    for (name, help) in families {
        let mut lines = metrics.lines();
        let kind = lines
            .find_map(|line| line.strip_prefix("# TYPE ")?.strip_prefix(name)?.strip_prefix(' '));
        page += &format!("| `{name}` | {} | {help} |\n", kind.unwrap_or("?"));
    }
    page
}

/// `INSTA_UPDATE=always` writes the file, as it writes snapshots.
#[tokio::test]
async fn the_metrics_in_the_docs_are_those_of_a_server() {
    let page = page(&text().await);
    assert!(page.lines().count() > 20 && !page.contains("| ? |"), "{page}");
    let path = template("../docs/METRICS.md");
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(there == page, "docs/METRICS.md is old: run this test with INSTA_UPDATE=always");
}

#[cfg(feature = "nats")]
#[tokio::test]
async fn a_gateway_that_leads_is_said_to() {
    let text = text().await;
    for line in ["leads", "behind_messages", "heard_seconds"] {
        let value = u8::from(line == "leads");
        let line = format!("\npblink_gateway_{line}{{gateway=\"a\"}} {value}\n");
        assert!(text.contains(&line), "{line} {text}");
    }
}

/// Prometheus' own tool judges the alerts, where it is there (`apt-get install prometheus`).
#[test]
fn the_alerts_come_when_they_are_to_come() {
    let mut promtool = Command::new("promtool");
    promtool.args(["test", "rules"]).arg(template("prometheus-alerts.test.yml"));
    match promtool.output() {
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
        }
        Err(error) => eprintln!("NOT TESTED: there is no promtool here ({error})"),
    }
}
