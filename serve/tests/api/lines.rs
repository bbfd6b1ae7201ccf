//! `GET /api/v1/lines`.

use eventsource_stream::{Event, Eventsource};
use futures::{Stream, StreamExt};
use pblink_serve::log::{Keep, Memory};
use std::time::Duration;

use super::{Rig, access, texts};
use crate::board::{Station, soon};

#[tokio::test]
async fn a_page_has_lines_in_order_and_says_where_to_go_on() {
    let rig = Rig::start().await;
    let _a = rig.board("a", &["one", "two"]).await;
    let _b = rig.board("b", &["three", "{\"pblink\":{\"report\":[1,2,30000]}}"]).await;
    let (status, page) = rig.get("/api/v1/lines?after=0").await;
    assert_eq!(status, 200);
    assert_eq!(page["log"], "abc.1");
    assert_eq!((texts(&page), &page["first"]), (vec!["one", "two", "three"], &1.into()));
    let line = &page["lines"][1];
    let ms = line["at_ms"].as_u64().unwrap();
    let expected = serde_json::json!({
        "offset": 2, "client": "a", "epoch": 1, "seq": 2, "kind": "line", "text": "two", "at_ms": ms, "written_ms": null,
        "time": pblink_serve::control::Rfc3339(ms).to_string(),
    });
    assert_eq!(line, &expected);

    let (_, page) = rig.get("/api/v1/lines?after=0&limit=1").await;
    assert_eq!((texts(&page), &page["after"]), (vec!["one"], &1.into()));
    let (_, page) = rig.get("/api/v1/lines?after=1&log=abc.1").await;
    assert_eq!(texts(&page), ["two", "three"]);
    let (_, page) = rig.get("/api/v1/lines?client=b").await;
    assert_eq!(texts(&page), ["three"]);
    let (_, page) = rig.get("/api/v1/lines?kind=report").await;
    assert_eq!((texts(&page).len(), &page["lines"][0]["kind"]), (1, &"report".into()));
    let (_, page) = rig.get("/api/v1/lines?kind=all").await;
    assert_eq!(texts(&page).len(), 4);
    let (_, page) = rig.get("/api/v1/lines?after=end").await;
    assert_eq!(texts(&page), [""; 0]);
    let (_, page) = rig.get("/api/v1/lines?since=1h").await;
    assert_eq!(texts(&page).len(), 3);
    let later = page["lines"][0]["at_ms"].as_u64().unwrap() + 3_600_000;
    let (_, page) = rig.get(&format!("/api/v1/lines?since={later}")).await;
    assert_eq!(texts(&page), [""; 0]);
}

/// A link in a page cannot give a header.
#[tokio::test]
async fn the_format_of_the_url_overrides_that_of_the_header() {
    let rig = Rig::start().await;
    let _a = rig.board("a", &["one"]).await;
    for path in ["/api/v1/lines", "/api/v1/outages", "/api/v1/reports"] {
        for (format, accept, kind) in [
            ("csv", "text/html, */*", "text/csv; charset=utf-8; header=present"),
            ("csv", "text/event-stream", "text/csv; charset=utf-8; header=present"),
            ("json", "text/csv", "application/json"),
        ] {
            let request = rig.http.get(rig.url(&format!("{path}?format={format}")));
            let response = soon(request.header("Accept", accept).send()).await.unwrap();
            assert_eq!(
                (response.status(), &response.headers()["content-type"]),
                (reqwest::StatusCode::OK, &reqwest::header::HeaderValue::from_static(kind)),
                "{path} {format}"
            );
        }
        let (status, body) = rig.get(&format!("{path}?format=xml")).await;
        assert_eq!(status, 400);
        assert!(body["error"].as_str().unwrap().contains("give json or csv"), "{body}");
    }
}

#[tokio::test]
async fn csv_is_given_to_those_who_ask_for_it() {
    let rig = Rig::start().await;
    let _a = rig.board("a", &["one, \"two\"", "3"]).await;
    let request = rig.http.get(rig.url("/api/v1/lines?limit=1")).header("Accept", "text/csv");
    let response = soon(request.send()).await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!((header("pblink-log"), header("pblink-after")), ("abc.1".into(), "1".into()));
    assert!(header("content-type").starts_with("text/csv"));
    let text = soon(response.text()).await.unwrap();
    let mut rows = text.split("\r\n");
    assert_eq!(rows.next(), Some("offset,client,epoch,seq,kind,time,at_ms,text,written_ms"));
    let row = rows.next().unwrap();
    assert!(row.starts_with("1,a,1,1,line,") && row.ends_with(",\"one, \"\"two\"\"\","), "{row}");
}

#[tokio::test]
async fn a_long_poll_ends_with_the_first_line_that_fits() {
    let rig = Rig::start().await;
    let _a = rig.board("a", &["old"]).await;
    let poll = rig.get("/api/v1/lines?after=1&client=b&wait=1min");
    let boards = async {
        let _other = rig.board("a2", &["not this one"]).await;
        rig.board("b", &["this one"]).await
    };
    let ((status, page), _b) = soon(async { tokio::join!(poll, boards) }).await;
    assert_eq!((status.as_u16(), texts(&page)), (200, vec!["this one"]));
    // Without a line it ends in time, and says how far it has looked.
    let (status, page) = rig.get("/api/v1/lines?after=1&client=c&wait=10ms").await;
    assert_eq!((status.as_u16(), &page["after"], texts(&page).len()), (200, &3.into(), 0));
}

#[tokio::test]
async fn a_long_poll_does_not_hold_up_the_stop() {
    let rig = Rig::start().await;
    let request = rig.http.get(rig.url("/api/v1/lines?wait=1min"));
    let poll = tokio::spawn(super::answer(request));
    // The poll is there once the server has answered another request behind it.
    while rig.http.get(rig.url("/healthz")).send().await.is_err() {}
    soon(rig.control.shutdown()).await;
    // Whether it came before or after: it does not hang.
    let _ = soon(poll).await;
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let rig = Rig::start().await;
    let _a = rig.board("a", &["one"]).await;
    for (query, status, word) in [
        ("after=2", 409, "beyond the end"),
        ("after=1&log=abc.2", 409, "another log"),
        ("after=one", 400, "`after` is \"one\""),
        ("wait=soon", 400, "such as 500ms"),
        ("kind=all&limit=many", 400, "1 to 1000"),
        ("kind=x", 400, "line, report or all"),
        ("after=1&since=1h", 400, "one of"),
        ("consumer=nobody", 404, "no consumer"),
        ("colour=red", 400, "there is no parameter \"colour\""),
    ] {
        let (got, body) = rig.get(&format!("/api/v1/lines?{query}")).await;
        assert_eq!(got, status, "{query}: {body}");
        assert!(body["error"].as_str().unwrap().contains(word), "{query}: {body}");
        if status == 409 {
            assert_eq!((&body["log"], &body["head"]), (&"abc.1".into(), &1.into()), "{query}");
        }
    }
}

/// Starts a server whose log has lost its first lines.
async fn with_gap() -> (Rig, u64) {
    let keep = Keep { bytes: 3000, ..Keep::default() };
    let station = Station::with(Memory::new("abc"), keep, Duration::from_secs(1200)).await;
    let rig = Rig::around(station, "127.0.0.1:0".parse().unwrap(), access()).await;
    let text = "x".repeat(900);
    rig.board("a", &[&text, &text, &text, &text, &text]).await;
    soon(rig.station.log.retain_now()).await;
    let first = rig.station.log.first();
    assert!(first > 1, "something was deleted");
    (rig, first)
}

#[tokio::test]
async fn lines_that_are_gone_are_never_passed_over_in_silence() {
    let (rig, first) = with_gap().await;
    let (status, body) = rig.get("/api/v1/lines?after=0").await;
    assert_eq!(
        (status.as_u16(), &body["first"], &body["log"]),
        (410, &first.into(), &"abc.1".into())
    );
    assert!(body["error"].as_str().unwrap().contains(&format!("after={}", first - 1)), "{body}");
    // One who begins without a place begins with the oldest.
    let (status, page) = rig.get("/api/v1/lines").await;
    assert_eq!((status.as_u16(), &page["lines"][0]["offset"]), (200, &first.into()));
}

async fn stream(rig: &Rig, query: &str, last: Option<&str>) -> impl Stream<Item = Event> + Unpin {
    let mut request = rig.http.get(rig.url(query)).header("Accept", "text/event-stream");
    if let Some(last) = last {
        request = request.header("Last-Event-ID", last);
    }
    let response = soon(request.send()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["pblink-log"], "abc.1");
    Box::pin(response.bytes_stream().eventsource().map(Result::unwrap))
}

async fn next(stream: &mut (impl Stream<Item = Event> + Unpin)) -> Event {
    soon(stream.next()).await.expect("the stream goes on")
}

#[tokio::test]
async fn a_stream_goes_on_where_its_reader_was() {
    let rig = Rig::start().await;
    let mut a = rig.board("a", &["one", "two"]).await;
    let mut lines = stream(&rig, "/api/v1/lines?after=0", None).await;
    let hello = next(&mut lines).await;
    assert_eq!(hello.event, "log");
    assert!(hello.data.contains("\"log\":\"abc.1\""), "{}", hello.data);
    for (id, text) in [("1", "one"), ("2", "two")] {
        let line = next(&mut lines).await;
        assert_eq!((&*line.event, &*line.id), ("line", id));
        assert!(line.data.contains(text), "{}", line.data);
    }
    a.say("02three").await;
    assert_eq!(next(&mut lines).await.id, "3");
    drop(lines);
    // A browser comes again with its first URL, and says where it was.
    let mut lines = stream(&rig, "/api/v1/lines?after=0", Some("2")).await;
    assert_eq!(next(&mut lines).await.event, "log");
    assert_eq!(next(&mut lines).await.id, "3");
}

#[tokio::test]
async fn a_stream_tells_of_lines_that_are_gone() {
    let (rig, first) = with_gap().await;
    let mut lines = stream(&rig, "/api/v1/lines?after=0", None).await;
    assert_eq!(next(&mut lines).await.event, "log");
    let gap = next(&mut lines).await;
    let expected = format!("{{\"after\":0,\"first\":{first},\"lines\":{}}}", first - 1);
    assert_eq!((&*gap.event, &*gap.id, gap.data), ("gap", &*(first - 1).to_string(), expected));
    assert_eq!(next(&mut lines).await.id, first.to_string());
    let request = rig.http.get(rig.url("/api/v1/lines?after=99"));
    let (status, _) = super::answer(request.header("Accept", "text/event-stream")).await;
    assert_eq!(status, 409, "not of this log");
}

#[tokio::test]
async fn links_show_the_last_line_and_what_waits() {
    let rig = Rig::start().await;
    let _a = rig.board("a", &["one", "two"]).await;
    let (_, link) = rig.get("/api/v1/links/a").await;
    assert_eq!(
        (&link["state"], &link["observed"], &link["likely"]),
        (&"up".into(), &"up".into(), &serde_json::Value::Null)
    );
    let last = &link["last_line"];
    assert_eq!((&last["text"], &last["offset"]), (&"two".into(), &2.into()));
    assert!(last["age_ms"].is_u64() && last["time"].as_str().unwrap().ends_with('Z'), "{last}");
    assert_eq!(link["waiting"], 0);
    let (_, links) = rig.get("/api/v1/links").await;
    assert_eq!(links[0]["last_line"]["text"], "two");
    // The server sees TCP; the layer is a guess, and stands apart.
    drop(_a);
    let (_, link) = soon(async {
        loop {
            let (status, link) = rig.get("/api/v1/links/a").await;
            if link["state"] == "down" {
                return (status, link);
            }
        }
    })
    .await;
    assert_eq!(
        (&link["observed"], &link["likely"]),
        (&"closed_by_other_side".into(), &"esp8266".into())
    );
}

#[tokio::test]
async fn metrics_show_the_log_and_its_consumers() {
    let rig = Rig::start().await;
    let _a = rig.board("a", &["one", "two"]).await;
    rig.request(reqwest::Method::PUT, "/api/v1/consumers/mine")
        .body("{\"offset\":1}")
        .send()
        .await
        .unwrap();
    let text = soon(async {
        loop {
            let text =
                rig.http.get(rig.url("/metrics")).send().await.unwrap().text().await.unwrap();
            // What a consumer has is shown a moment later.
            if text.contains("pblink_consumer_lag_lines{consumer=\"http:mine\"} 1\n") {
                return text;
            }
        }
    })
    .await;
    for line in [
        "pblink_log_head_offset 2\n",
        "pblink_log_first_offset 1\n",
        "pblink_log_lines_total 2\n",
        "pblink_log_held 0\n",
        "pblink_link_waiting_lines{id=\"a\"} 0\n",
        "pblink_link_last_line_seconds{id=\"a\"} 1",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let ready = rig.http.get(rig.url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 200);
}

#[tokio::test]
async fn events_of_the_past_are_a_list_for_those_who_want_json() {
    let rig = Rig::start().await;
    let _a = rig.board("a", &["one"]).await;
    let _b = rig.board("b", &["two"]).await;
    let ask = async |query: &str| {
        let request = rig.http.get(rig.url(&format!("/api/v1/events?{query}")));
        super::answer(request.header("Accept", "application/json")).await
    };
    // They reach the log within a second, and are there before.
    let (status, body) = ask("client=b&from=1h").await;
    assert_eq!(status, 200, "{body}");
    let list = body["events"].as_array().unwrap().clone();
    assert!(list.iter().any(|event| event["event"] == "connected"), "{list:?}");
    let last = body["last"].as_u64().unwrap();
    assert!(list.iter().all(|event| event["seq"].as_u64() <= Some(last)), "{body}");
    let (_, two) = ask("kind=connected,note").await;
    let two = two["events"].as_array().unwrap();
    assert_eq!((two.len(), &two[0]["id"]), (2, &"a".into()), "{two:?}");
    let (status, body) = ask("kind=conected").await;
    assert!(status == 400 && body["error"].as_str().unwrap().contains("outage_began"), "{body}");
    assert!(list.iter().all(|event| event["id"] == "b"), "{list:?}");
    let (_, one) = ask("limit=1").await;
    assert_eq!(one["events"].as_array().unwrap().len(), 1);
    let (status, body) = ask("from=then").await;
    assert_eq!(status, 400, "{body}");
}
