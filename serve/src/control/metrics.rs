//! The counters in Prometheus' text format.

use std::fmt::{Display, Write};

use pblink_server::{Layer, LinkState, LinkStatus};

use super::{GatewayInfo, Source};
use crate::log::Log;

/// One family: name, type, help, and the value of a link if it has one.
type Family = (&'static str, &'static str, &'static str, fn(&LinkStatus) -> Option<f64>);

const FAMILIES: &[Family] = &[
    ("pblink_link_up", "gauge", "1 if lines flow.", |l| {
        Some(f64::from(u8::from(l.state == LinkState::Up)))
    }),
    ("pblink_link_state_seconds", "gauge", "Time since the link's state last changed.", |l| {
        Some(l.since_ms as f64 / 1e3)
    }),
    ("pblink_link_connects_total", "counter", "Connections of the client.", |l| {
        Some(l.connects as f64)
    }),
    ("pblink_link_outages_total", "counter", "Outages that have begun.", |l| {
        Some(l.outages as f64)
    }),
    ("pblink_link_lines_received_total", "counter", "Lines from the client.", |l| {
        Some(l.lines_in as f64)
    }),
    ("pblink_link_lines_sent_total", "counter", "Lines to the client.", |l| {
        Some(l.lines_out as f64)
    }),
    ("pblink_link_retransmissions_total", "counter", "Lines sent again.", |l| {
        Some(l.retransmissions as f64)
    }),
    ("pblink_link_duplicates_total", "counter", "Lines received again and dropped.", |l| {
        Some(l.duplicates as f64)
    }),
    ("pblink_link_invalid_lines_total", "counter", "Lines that were ignored as invalid.", |l| {
        Some(l.invalid_lines as f64)
    }),
    ("pblink_link_unread_lines", "gauge", "Lines that the application has not read.", |l| {
        Some(l.unread as f64)
    }),
    ("pblink_link_unacked_lines", "gauge", "Lines that are not acknowledged yet.", |l| {
        Some(l.unacked as f64)
    }),
    ("pblink_link_write_ack_seconds", "gauge", "Write to acknowledgement, last line.", |l| {
        l.write_ack_us.map(|us| us as f64 / 1e6)
    }),
    ("pblink_link_esp8266_free_bytes", "gauge", "Free memory of the ESP8266, last report.", |l| {
        l.mem_free.map(|bytes| bytes as f64)
    }),
];

/// Returns the server and its links in Prometheus' text format, version 0.0.4.
///
/// Links of clients that are not expected are counted, and not named, if any are expected: whoever finds the port
/// could otherwise make as many time series as it likes.
pub fn metrics(source: &dyn Source) -> String {
    let (info, mut links, history) = (source.info(), source.links(), source.history());
    let mut out = String::new();
    family(&mut out, "pblink_info", "gauge", "The server's version and application.");
    let labels = [("version", info.version.as_str()), ("app", info.app.as_str())];
    sample(&mut out, "pblink_info", &labels, 1);
    family(&mut out, "pblink_uptime_seconds", "gauge", "Time since the server started.");
    sample(&mut out, "pblink_uptime_seconds", &[], info.uptime_ms as f64 / 1e3);

    family(&mut out, "pblink_links", "gauge", "Links by state.");
    for (name, state) in [("up", 0), ("down", 1), ("waiting", 2)] {
        let count = links.iter().filter(|link| state_index(link.state) == state).count();
        sample(&mut out, "pblink_links", &[("state", name)], count);
    }
    let name = "pblink_refused_connections_total";
    family(&mut out, name, "counter", "Connections that were closed before they became a link.");
    for (reason, count) in source.refused() {
        // The reason as the JSON of events spells it.
        let reason = serde_json::to_value(reason).unwrap_or_default();
        sample(&mut out, name, &[("reason", reason.as_str().unwrap_or("other"))], count);
    }
    let name = "pblink_outages_total";
    family(&mut out, name, "counter", "Outages of all links that have begun.");
    sample(&mut out, name, &[], history.outage_count());

    links.retain(|link| !history.is_stranger(&link.id));
    let links = &links[..];
    for (name, kind, help, value) in FAMILIES {
        family(&mut out, name, kind, help);
        for link in links {
            if let Some(value) = value(link) {
                sample(&mut out, name, &[("id", &link.id)], value);
            }
        }
    }
    let name = "pblink_outage_seconds_total";
    family(&mut out, name, "counter", "Time that the link was down, the present outage included.");
    for (link, ms) in links.iter().zip(history.down_ms(links)) {
        sample(&mut out, name, &[("id", &link.id)], ms as f64 / 1e3);
    }
    if let Some(log) = source.log() {
        of_log(&mut out, log, links);
    }
    of_gateways(&mut out, &info.gateways);
    let name = "pblink_link_down";
    family(&mut out, name, "gauge", "1 for a link that is down, with the layer that is down.");
    for link in links {
        if let LinkState::Down { layer, .. } = link.state {
            sample(&mut out, name, &[("id", &link.id), ("layer", layer_label(layer))], 1);
        }
    }
    out
}

/// Adds the log, what waits in it, and its consumers.
fn of_log(out: &mut String, log: &Log, links: &[LinkStatus]) {
    let status = log.status();
    let held = u8::from(status.held.is_some());
    for (name, kind, help, value) in [
        (
            "pblink_log_first_offset",
            "gauge",
            "Offset of the oldest line that is there.",
            log.first(),
        ),
        ("pblink_log_head_offset", "gauge", "Offset of the newest line.", log.head()),
        ("pblink_log_commits_total", "counter", "Commits since the start.", status.commits),
        ("pblink_log_lines_total", "counter", "Lines that these have brought.", status.lines),
        ("pblink_log_held", "gauge", "1 if lines have to wait at their boards.", held.into()),
        ("pblink_log_waiting_lines", "gauge", "Lines to all clients, not done.", status.waiting),
    ] {
        family(out, name, kind, help);
        sample(out, name, &[], value);
    }
    let name = "pblink_consumer_lag_lines";
    family(out, name, "gauge", "Lines that the consumer has not consumed.");
    for consumer in &status.consumers {
        sample(out, name, &[("consumer", &consumer.name)], consumer.lag);
    }
    let name = "pblink_consumer_failing_clients";
    family(out, name, "gauge", "Clients whose lines wait, as the consumer fails at one.");
    for consumer in &status.consumers {
        sample(out, name, &[("consumer", &consumer.name)], consumer.failing_clients);
    }
    let name = "pblink_consumer_stalled";
    family(out, name, "gauge", "1 if the consumer cannot go on, such as without its broker.");
    for consumer in &status.consumers {
        let stalled = u8::from(consumer.stalled.is_some());
        sample(out, name, &[("consumer", &consumer.name)], stalled);
    }
    let failing = status.consumers.iter().filter_map(|consumer| {
        let oldest = consumer.failing.iter().min_by_key(|line| line.since_ms)?;
        Some((&consumer.name, oldest))
    });
    let failing: Vec<_> = failing.collect();
    let name = "pblink_consumer_failing_offset";
    family(out, name, "gauge", "Offset of the line at which the consumer fails longest.");
    for (consumer, line) in &failing {
        sample(out, name, &[("consumer", consumer)], line.offset);
    }
    let name = "pblink_consumer_failing_since_seconds";
    family(out, name, "gauge", "Unix time since which it does.");
    for (consumer, line) in &failing {
        sample(out, name, &[("consumer", consumer)], line.since_ms as f64 / 1e3);
    }
    let name = "pblink_link_waiting_lines";
    family(out, name, "gauge", "Lines to the client that it has not acknowledged.");
    for link in links {
        sample(out, name, &[("id", &link.id)], log.client(&link.id).waiting);
    }
    let name = "pblink_link_last_line_seconds";
    family(out, name, "gauge", "Unix time of the last line from the client.");
    for link in links {
        if let Some(line) = log.client(&link.id).last {
            sample(out, name, &[("id", &link.id)], line.at_ms as f64 / 1e3);
        }
    }
}

/// Adds the servers that share the log.
fn of_gateways(out: &mut String, gateways: &[GatewayInfo]) {
    type Value = fn(&GatewayInfo) -> f64;
    let families: [(_, _, Value); 4] = [
        ("pblink_gateway_leads", "1 if this gateway leads, 0 if it stands by.", |gateway| {
            f64::from(u8::from(gateway.leads))
        }),
        ("pblink_gateway_heard_seconds", "Time since the gateway was heard last.", |gateway| {
            gateway.heard_ms as f64 / 1e3
        }),
        (
            "pblink_gateway_behind_messages",
            "Messages of the store that its copy lacks.",
            |gateway| gateway.behind as f64,
        ),
        (
            "pblink_gateway_other_keys",
            "1 if the gateway has other keys of boards than the one that leads.",
            |gateway| f64::from(u8::from(gateway.other_keys)),
        ),
    ];
    for (name, help, value) in families {
        family(out, name, "gauge", help);
        for gateway in gateways {
            sample(out, name, &[("gateway", &gateway.name)], value(gateway));
        }
    }
}

fn state_index(state: LinkState) -> u8 {
    match state {
        LinkState::Up => 0,
        LinkState::Down { .. } => 1,
        LinkState::Waiting => 2,
    }
}

/// Returns the layer as the JSON of the API spells it.
fn layer_label(layer: Layer) -> &'static str {
    match layer {
        Layer::Wires => "wires",
        Layer::Coprocessor => "coprocessor",
        Layer::Wifi => "wifi",
        Layer::Server => "server",
    }
}

// Writing to a String cannot fail, so the results below are ignored.

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn sample(out: &mut String, name: &str, labels: &[(&str, &str)], value: impl Display) {
    out.push_str(name);
    for (i, (label, text)) in labels.iter().enumerate() {
        let _ = write!(out, "{}{label}=\"", if i == 0 { '{' } else { ',' });
        for c in text.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                c => out.push(c),
            }
        }
        out.push('"');
    }
    let _ = writeln!(out, "{} {value}", if labels.is_empty() { "" } else { "}" });
}
