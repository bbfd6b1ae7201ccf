//! Outages and reports: over HTTP, and to those who follow a server.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::fixture::{Fake, HANGS, NASTY, link, until};
use pblink_serve::control::{
    Client, ControlServer, End, Filter, LinkReports, Notice, Outage, OutageList, ReportList,
    Source, Update, follow_source,
};
use pblink_serve::hub::Hub;
use pblink_server::{Cause, Event, EventKind, Layer, LinkState, Refusal, Report, Server};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// 2026-03-01 12:00:00 UTC.
const NOON: u64 = 1_772_366_400_000;

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

async fn get(server: &ControlServer, path: &str, accept: &str) -> reqwest::Response {
    let url = format!("http://{}{path}", server.address());
    reqwest::Client::new().get(url).header("Accept", accept).send().await.unwrap()
}

async fn json(server: &ControlServer, path: &str) -> Value {
    get(server, path, "*/*").await.json().await.unwrap()
}

fn push(fake: &Fake, at_ms: u64, kind: EventKind) {
    fake.history.push(Event { seq: 0, at_ms, kind });
}

fn began(id: &str) -> EventKind {
    EventKind::OutageBegan { id: id.into(), cause: Cause::Silent, layer: Layer::Wifi }
}

fn ended(id: &str, lasted_ms: u64) -> EventKind {
    EventKind::OutageEnded { id: id.into(), peer: String::new(), lasted_ms, connects: 2 }
}

fn report(id: &str, number: u32) -> EventKind {
    EventKind::Report { id: id.into(), report: Report { connects: 1, number, mem_free: 41_234 } }
}

/// Returns a server with one outage that has ended, one that lasts, and two reports.
fn fake() -> Arc<Fake> {
    let fake = Fake::new(1, 100);
    push(&fake, NOON, began("1"));
    push(&fake, NOON + 2_500, ended("1", 2_500));
    push(&fake, NOON + 60_000, report("1", 7));
    push(&fake, NOON + 120_000, began(NASTY));
    push(&fake, NOON + 180_000, report("1", 8));
    fake
}

#[tokio::test]
async fn outages_have_their_times_as_text_and_as_numbers() {
    let server = ControlServer::bind(anywhere(), fake()).await.unwrap();
    let expected = json!({
        "revision": 5,
        "outages": [
            {
                "number": 1,
                "client": "1",
                "began": "2026-03-01T12:00:00.000Z",
                "began_ms": NOON,
                "ended": "2026-03-01T12:00:02.500Z",
                "ended_ms": NOON + 2_500,
                "lasted_ms": 2_500,
                "end": "reconnected",
                "layer": "wifi",
                "cause": "silent",
                "finding": null,
            },
            {
                "number": 2,
                "client": NASTY,
                "began": "2026-03-01T12:02:00.000Z",
                "began_ms": NOON + 120_000,
                "ended": null,
                "ended_ms": null,
                "lasted_ms": null,
                "end": "open",
                "layer": "wifi",
                "cause": "silent",
                "finding": null,
            },
        ],
    });
    assert_eq!(json(&server, "/api/v1/outages").await, expected);
    let client = Client::connect(&server.address().to_string()).await.unwrap();
    let list = client.outages(None, None).await.unwrap();
    assert_eq!(list.outages[0].end, End::Reconnected(2_500));
    assert_eq!(list, serde_json::from_value(expected).unwrap());
}

#[tokio::test]
async fn reports_come_by_client() {
    let server = ControlServer::bind(anywhere(), fake()).await.unwrap();
    let expected = json!({
        "revision": 5,
        "reports": [{
            "client": "1",
            "boots": 0,
            "samples": [
                {
                    "at": "2026-03-01T12:01:00.000Z",
                    "at_ms": NOON + 60_000,
                    "connects": 1,
                    "number": 7,
                    "mem_free": 41_234,
                },
                {
                    "at": "2026-03-01T12:03:00.000Z",
                    "at_ms": NOON + 180_000,
                    "connects": 1,
                    "number": 8,
                    "mem_free": 41_234,
                },
            ],
        }],
    });
    assert_eq!(json(&server, "/api/v1/reports").await, expected);
    let client = Client::connect(&server.address().to_string()).await.unwrap();
    let list: ReportList = client.reports(None, Some("1")).await.unwrap();
    assert_eq!(list, serde_json::from_value(expected).unwrap());
}

#[tokio::test]
async fn a_request_selects_by_time_client_and_revision() {
    let server = ControlServer::bind(anywhere(), fake()).await.unwrap();
    for (query, outages, reports) in [
        ("", 2, 2),
        ("?since=0", 2, 2),
        ("?since=2026-03-01T12:01:30Z", 1, 1),
        ("?since=2026-03-01T14:01:30%2B02:00", 1, 1),
        ("?since=1772366400000&client=1", 1, 2),
        // Now is long after all of it, but for the one that lasts.
        ("?since=1s", 1, 0),
        ("?client=a%1b%5b31m%22b%5cc%0a%e2%80%aed", 1, 0),
        ("?client=nobody", 0, 0),
        ("?after=0", 2, 2),
        ("?after=2", 1, 2),
        ("?after=3", 1, 1),
        ("?after=5", 0, 0),
    ] {
        let list = json(&server, &format!("/api/v1/outages{query}")).await;
        assert_eq!(list["outages"].as_array().unwrap().len(), outages, "{query}");
        let list: ReportList =
            serde_json::from_value(json(&server, &format!("/api/v1/reports{query}")).await)
                .unwrap();
        assert_eq!(list.reports.iter().map(|r| r.samples.len()).sum::<usize>(), reports, "{query}");
        assert_eq!(list.revision, 5, "{query}");
    }
}

#[tokio::test]
async fn a_wrong_parameter_is_an_error_that_says_what_is_accepted() {
    let server = ControlServer::bind(anywhere(), fake()).await.unwrap();
    for (query, accepted) in [
        ("?since=later", "24h"),
        ("?since=", "2026-03-01T12:00:00Z"),
        ("?since=2026-02-30T00:00:00Z", "milliseconds"),
        ("?after=-1", "`revision`"),
        ("?sinse=24h", "`since`, `client`, `after` or `format`"),
    ] {
        for path in ["outages", "reports"] {
            let response = get(&server, &format!("/api/v1/{path}{query}"), "text/csv").await;
            assert_eq!(response.status(), 400, "{path}{query}");
            let body: HashMap<String, String> = response.json().await.unwrap();
            assert!(body["error"].contains(accepted), "{path}{query}: {}", body["error"]);
        }
    }
}

#[tokio::test]
async fn who_asks_for_csv_gets_a_table() {
    let fake = fake();
    push(&fake, NOON + 200_000, report("=a, \"b\"", 1));
    let server = ControlServer::bind(anywhere(), fake).await.unwrap();
    let response = get(&server, "/api/v1/outages", "text/csv").await;
    assert_eq!(response.headers()["content-type"], "text/csv; charset=utf-8; header=present");
    let text = response.text().await.unwrap();
    let expected = "number,client,began,began_ms,ended,ended_ms,lasted_ms,end,layer,cause,finding\r\n\
        1,1,2026-03-01T12:00:00.000Z,1772366400000,2026-03-01T12:00:02.500Z,1772366402500,2500,\
        reconnected,wifi,silent,\r\n\
        2,\"a\u{1b}[31m\"\"b\\c\n\u{202e}d\",2026-03-01T12:02:00.000Z,1772366520000,,,,open,wifi,silent,\r\n";
    assert_eq!(text, expected);
    let response = get(&server, "/api/v1/reports?since=1772366590000", "text/csv;q=0.9, */*").await;
    let expected = "client,at,at_ms,connects,number,mem_free\r\n\
        \"=a, \"\"b\"\"\",2026-03-01T12:03:20.000Z,1772366600000,1,1,41234\r\n";
    assert_eq!(response.text().await.unwrap(), expected);
    let response = get(&server, "/api/v1/reports", "application/json, text/csv").await;
    assert_eq!(response.headers()["content-type"], "application/json");
}

fn outages(update: Update) -> Option<Vec<(String, End)>> {
    match update {
        Update::Outages(list) => {
            Some(list.into_iter().map(|o: Outage| (o.client, o.end)).collect())
        }
        _ => None,
    }
}

fn reports(update: Update) -> Option<Vec<(String, usize)>> {
    match update {
        Update::Reports(list) => {
            Some(list.into_iter().map(|r: LinkReports| (r.client, r.samples.len())).collect())
        }
        _ => None,
    }
}

#[tokio::test]
async fn who_comes_late_learns_of_what_the_events_have_lost() {
    let fake = Fake::new(1, 4);
    push(&fake, NOON, began("1"));
    push(&fake, NOON + 2_500, ended("1", 2_500));
    push(&fake, NOON + 3_000, report("1", 7));
    push(&fake, NOON + 4_000, report("1", 8));
    (0..100).for_each(|_| fake.note("pushes the others out"));
    let server = ControlServer::bind(anywhere(), fake.clone()).await.unwrap();
    let client = Client::connect(&server.address().to_string()).await.unwrap();
    for mut updates in [client.follow(), follow_source(fake.clone())] {
        let list = until(&mut updates, outages).await;
        assert_eq!(list, [("1".to_owned(), End::Reconnected(2_500))]);
        assert_eq!(until(&mut updates, reports).await, [("1".to_owned(), 2)]);
    }
}

#[tokio::test]
async fn a_follower_gets_only_what_is_new_or_has_changed() {
    let fake = fake();
    let server = ControlServer::bind(anywhere(), fake.clone()).await.unwrap();
    let client = Client::connect(&server.address().to_string()).await.unwrap();
    let mut both = [client.follow(), follow_source(fake.clone())];
    for updates in &mut both {
        assert_eq!(until(updates, outages).await.len(), 2);
        assert_eq!(until(updates, reports).await, [("1".to_owned(), 2)]);
    }
    push(&fake, NOON + 190_000, ended(NASTY, 70_000));
    push(&fake, NOON + 200_000, report("1", 9));
    for updates in &mut both {
        assert_eq!(until(updates, outages).await, [(NASTY.to_owned(), End::Reconnected(70_000))]);
        assert_eq!(until(updates, reports).await, [("1".to_owned(), 1)]);
    }
    // Events are lost; the link is seen to be down.
    fake.history.lose(7);
    let state = LinkState::Down { layer: Layer::Wifi, cause: Cause::Reset };
    fake.history.see(&[link("1", state)]);
    for updates in &mut both {
        assert_eq!(until(updates, outages).await, [("1".to_owned(), End::Open)]);
    }
}

#[tokio::test]
async fn a_follower_goes_on_after_the_api_or_the_server_was_away() {
    let fake = fake();
    let server = ControlServer::bind(anywhere(), fake.clone()).await.unwrap();
    let address = server.address();
    let mut updates = Client::connect(&address.to_string()).await.unwrap().follow();
    assert_eq!(until(&mut updates, outages).await.len(), 2);
    assert_eq!(until(&mut updates, reports).await.len(), 1);

    // The API goes away; the server behind it goes on.
    server.shutdown().await;
    push(&fake, NOON + 190_000, ended(NASTY, 70_000));
    let server = ControlServer::bind(address, fake).await.unwrap();
    assert_eq!(until(&mut updates, outages).await, [(NASTY.to_owned(), End::Reconnected(70_000))]);

    // Another run counts anew.
    server.shutdown().await;
    let fake = Fake::new(2, 100);
    push(&fake, NOON + 300_000, began("2"));
    let _server = ControlServer::bind(address, fake).await.unwrap();
    let mut runs = Vec::new();
    let list = until(&mut updates, |update| {
        if let Update::Server(info) = &update {
            runs.push(info.started_at_ms);
        }
        outages(update)
    })
    .await;
    assert_eq!(list, [("2".to_owned(), End::Open)]);
    assert_eq!(runs.last(), Some(&2), "the new run is announced before its outages");
}

#[tokio::test]
async fn strangers_have_a_quarter_of_the_events() {
    let fake = Fake::new(1, 100);
    fake.history.expect(["1"]);
    push(&fake, NOON, began("1"));
    for n in 0..1005 {
        let id = Some(format!("stranger {n}"));
        let reason = Refusal::UnknownId;
        push(&fake, NOON, EventKind::Refused { id, peer: "10.0.0.1".into(), reason, times: 1 });
        push(&fake, NOON, began(&format!("stranger {n}")));
        push(&fake, NOON, report("1", n));
    }
    let mut events = fake.history.subscribe();
    let Some(Notice::Event(first)) = events.next().await else { panic!("no event") };
    assert_eq!((first.seq, &first.kind), (1, &began("1")));
    let mut strangers = 0;
    for _ in 1..100 {
        let Some(Notice::Event(event)) = events.next().await else { panic!("no event") };
        strangers += usize::from(event.kind.id() != Some("1"));
    }
    assert!((25..=26).contains(&strangers), "{strangers}");
}

#[tokio::test]
async fn a_hub_knows_who_is_expected_and_counts_who_is_refused() {
    let timeout = Duration::from_secs(60);
    let bind = || Server::builder().listen(anywhere()).timeout(timeout).expected(["1"]).bind();
    let hub = Hub::new(bind().await.unwrap(), timeout, "print");
    assert!(hub.history().is_stranger("2") && !hub.history().is_stranger("1"));
    let knock = async || {
        let mut events = hub.events();
        let mut stranger = TcpStream::connect(hub.server().local_addr()).await.unwrap();
        stranger.write_all(b"2\n\n").await.unwrap();
        let refused = async {
            loop {
                if let Notice::Event(event) = events.next().await.unwrap()
                    && let EventKind::Refused { .. } = event.kind
                    && hub.server().refused(Refusal::UnknownId) == 1
                {
                    return;
                }
            }
        };
        tokio::time::timeout(HANGS, refused).await.unwrap();
    };
    let count = || hub.refused().into_iter().find(|(reason, _)| *reason == Refusal::UnknownId);
    knock().await;
    assert_eq!(count(), Some((Refusal::UnknownId, 1)));
    // A server in its place begins at 0; the hub goes on.
    hub.stop().await;
    hub.replace(bind().await.unwrap());
    assert_eq!(count(), Some((Refusal::UnknownId, 1)));
    knock().await;
    assert_eq!(count(), Some((Refusal::UnknownId, 2)));
}

#[tokio::test]
async fn a_hub_that_has_lost_events_asks_the_links() {
    let timeout = Duration::from_secs(60);
    let server = Server::builder().listen(anywhere()).timeout(timeout).bind().await.unwrap();
    let hub = Hub::new(server, timeout, "print");
    let mut events = hub.events();
    let mut wait_for = async |want: fn(&Notice) -> bool| {
        let find = async { while !want(&events.next().await.unwrap()) {} };
        tokio::time::timeout(HANGS, find).await.unwrap();
    };
    let mut board = TcpStream::connect(hub.server().local_addr()).await.unwrap();
    board.write_all(b"1\n\n").await.unwrap();
    wait_for(|n| matches!(n, Notice::Event(e) if matches!(e.kind, EventKind::Connected { .. })))
        .await;
    drop(board);
    wait_for(|n| matches!(n, Notice::Event(e) if matches!(e.kind, EventKind::OutageBegan { .. })))
        .await;
    // All on one thread: the hub can read none of these before the next await.
    for _ in 0..2000 {
        hub.server().publish(crate::fixture::note("flood"));
    }
    wait_for(|n| matches!(n, Notice::Lagged(_))).await;
    let list = hub.history().outages(Filter::default()).outages;
    assert_eq!(list.iter().map(|o| o.end).collect::<Vec<_>>(), [End::Open], "it is still down");
}

#[test]
fn an_answer_of_a_newer_server_is_understood() {
    let list: OutageList = serde_json::from_value(json!({
        "revision": 1,
        "outages": [{
            "number": 1, "client": "1", "began": "", "began_ms": 5, "ended": null, "ended_ms": null,
            "lasted_ms": null, "end": "by_an_end_unknown_today", "layer": null, "cause": null,
            "finding": null, "more": 7,
        }],
    }))
    .unwrap();
    assert_eq!(list.outages[0].end, End::Unseen);
}
