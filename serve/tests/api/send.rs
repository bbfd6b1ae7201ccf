//! `POST /api/v1/links/{id}/lines`.

use reqwest::Method;

use super::{Rig, answer, hold};
use crate::board::soon;
use crate::engine::{Disk, Fault};

const LINES: &str = "/api/v1/links/a/lines";

#[tokio::test]
async fn each_line_of_a_text_is_sent_and_the_answer_waits_for_the_board() {
    let rig = Rig::start().await;
    let mut a = rig.board("a", &[]).await;
    let post = answer(rig.request(Method::POST, &format!("{LINES}?wait=1min")).body("on\r\noff\n"));
    let board = async {
        a.expect(&["00on"]).await;
        a.say("00").await;
        a.expect(&["01off"]).await;
        a.say("01").await;
    };
    let ((status, body), ()) = soon(async { tokio::join!(post, board) }).await;
    let expected =
        serde_json::json!({ "row": 2, "lines": 2, "repeated": false, "acknowledged": true });
    assert_eq!((status.as_u16(), body), (200, expected));
}

#[tokio::test]
async fn json_has_a_line_or_lines_and_a_delivery() {
    let rig = Rig::start().await;
    let mut a = rig.board("a", &[]).await;
    for (body, row) in [
        (r#"{"line":"x"}"#, 1),
        (r#"{"line":"y","delivery":"unordered"}"#, 2),
        (r#"{"lines":["1","2"],"delivery":"best_effort"}"#, 4),
    ] {
        let request = rig.request(Method::POST, LINES).header("Content-Type", "application/json");
        let (status, answer) = answer(request.body(body)).await;
        assert_eq!((status.as_u16(), &answer["row"]), (202, &row.into()), "{answer}");
        assert_eq!(answer["acknowledged"], false);
    }
    a.expect(&["00x"]).await;
    a.say("00").await;
    a.expect(&["01y"]).await;
    let (_, link) = rig.get("/api/v1/links/a").await;
    assert!(link["waiting"].as_u64().unwrap() >= 3, "{link}");
}

#[tokio::test]
async fn a_request_that_comes_again_with_its_key_sends_nothing_again() {
    let rig = Rig::start().await;
    let mut a = rig.board("a", &[]).await;
    let request = || rig.request(Method::POST, LINES).header("Idempotency-Key", "k1").body("on");
    let (status, first) = answer(request()).await;
    assert_eq!((status.as_u16(), &first["repeated"]), (202, &false.into()));
    let (status, again) = answer(request()).await;
    assert_eq!(
        (status.as_u16(), &again["repeated"], &again["row"]),
        (202, &true.into(), &first["row"])
    );
    a.expect(&["00on"]).await;
    a.say("00").await;
    let waits = rig.request(Method::POST, &format!("{LINES}?wait=1min"));
    let (status, done) = answer(waits.header("Idempotency-Key", "k1").body("on")).await;
    assert_eq!((status.as_u16(), &done["acknowledged"]), (200, &true.into()));
    let (_, other) = answer(rig.request(Method::POST, LINES).body("on")).await;
    assert_eq!(other["row"], 2, "another request is another line");
}

#[tokio::test]
async fn a_key_that_comes_again_with_other_lines_is_refused_and_nothing_is_added() {
    let disk = Disk::new();
    let rig = Rig::with(disk.clone()).await;
    let _a = rig.board("a", &["I was here"]).await;
    let _b = rig.board("b", &[]).await;
    let post = |path: &str, body: &str| {
        let request = rig.request(Method::POST, path).header("Idempotency-Key", "k1");
        answer(request.body(body.to_owned()))
    };
    assert_eq!(post(LINES, "on\noff").await.0, 202);
    let delivery = format!("{LINES}?delivery=unordered");
    for (path, other) in [
        (LINES, "on"),
        (LINES, "off\non"),
        (LINES, "onoff"),
        (LINES, "on\noff\noff"),
        (&delivery, "on\noff"),
    ] {
        let (status, said) = post(path, other).await;
        assert_eq!(status, 422, "{path} {other}: {said}");
        let said = said["error"].as_str().unwrap();
        assert!(said.contains("\"k1\" came with other lines to \"a\""), "{said}");
    }
    assert_eq!(post(LINES, "on\noff").await.1["repeated"], true);
    let (status, other) = post("/api/v1/links/b/lines", "on").await;
    assert_eq!(
        (status.as_u16(), &other["repeated"]),
        (202, &false.into()),
        "keys are each client's"
    );
    assert_eq!(rig.station.log.status().waiting, 3);
    soon(rig.station.log.stop()).await;
    // So it is in the next process.
    let rig = Rig::with(disk).await;
    let request = rig.request(Method::POST, LINES).header("Idempotency-Key", "k1");
    assert_eq!(answer(request.body("on")).await.0, 422);
    let request = rig.request(Method::POST, LINES).header("Idempotency-Key", "k1");
    assert_eq!(answer(request.body("on\noff")).await.1["repeated"], true);
}

#[tokio::test]
async fn on_a_full_disk_it_is_said_that_nothing_was_added() {
    let disk = Disk::new();
    let rig = Rig::with(disk.clone()).await;
    let mut a = rig.board("a", &[]).await;
    disk.fail([Fault::Full]);
    // It stays so, however often the server looks before the test does.
    disk.set_short(true);
    let post = || {
        let request = rig.request(Method::POST, LINES).header("Idempotency-Key", "k1");
        request.body("on").send()
    };
    let response = soon(post()).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), response.headers()["retry-after"].as_bytes()),
        (507, &b"10"[..])
    );
    let said: serde_json::Value = response.json().await.unwrap();
    assert!(said["error"].as_str().unwrap().contains("disk of the log is full"), "{said}");
    let ready = rig.http.get(rig.url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 503, "lines of boards wait, too");
    assert_eq!(rig.get(LINES).await.1, serde_json::json!([]));
    // There is room again, and the same request is a new one.
    disk.set_short(false);
    let response = soon(post()).await.unwrap();
    assert_eq!(response.status(), 202);
    assert_eq!(response.json::<serde_json::Value>().await.unwrap()["repeated"], false);
    a.expect(&["00on"]).await;
}

/// The disk has some room left, which is for cursors and a clean stop: lines to boards still go into it.
#[tokio::test]
async fn on_a_disk_that_is_nearly_full_boards_wait_and_the_api_says_so() {
    let disk = Disk::new();
    disk.set_short(true);
    let rig = Rig::with(disk.clone()).await;
    soon(rig.station.log.wait_for(|status| status.held.is_some())).await;
    let (status, said) = rig.get("/readyz").await;
    assert_eq!(status, 503, "{said}");
    let why = said["error"].as_str().unwrap();
    assert!(why.contains("1 MB are free") && why.contains("64 MB have to be"), "{why}");
    let (_, server) = rig.get("/api/v1/server").await;
    assert_eq!(server["log"]["held"], why);
    let mut a = rig.board("a", &[]).await;
    a.say("00hello").await;
    assert_eq!(answer(rig.request(Method::POST, LINES).body("on")).await.0, 202);
    a.expect(&["00on"]).await;
    assert_eq!(rig.station.log.head(), 0);
    disk.set_short(false);
    a.expect(&["00"]).await;
}

#[tokio::test]
async fn what_cannot_be_sent_says_why() {
    let rig = Rig::start().await;
    let _a = rig.board("a", &[]).await;
    let json = "application/json";
    let long = "x".repeat(1025);
    let many = "x\n".repeat(1001);
    let huge = "x".repeat(1 << 20) + "y";
    for (path, kind, body, status, word) in [
        ("/api/v1/links/nobody/lines", "text/plain", "x", 404, "no client \"nobody\""),
        ("/api/v1/links/a%0Ab/lines", "text/plain", "x", 404, "no client's id"),
        (LINES, "text/plain", "", 400, "no line"),
        (LINES, "text/plain", "x\n\ny", 400, "empty line"),
        (LINES, "text/plain", &long, 400, "1025 bytes"),
        (LINES, json, "{\"line\":\"a\\nb\"}", 400, "newline"),
        (LINES, json, "{\"lines\":[]}", 400, "no line"),
        (LINES, json, "{\"line\":1}", 400, "JSON of a line"),
        (LINES, json, "{}", 400, "send {\"line\""),
        (LINES, json, "{\"line\":\"x\",\"delivery\":\"fast\"}", 400, "best_effort"),
        (LINES, "text/plain", &many, 413, "at most 1000 lines"),
        (LINES, "text/plain", &huge, 413, "1 MB"),
    ] {
        let request = rig.request(Method::POST, path).header("Content-Type", kind);
        let (got, answer) = answer(request.body(body.to_owned())).await;
        let start = &body[..body.len().min(20)];
        assert_eq!(got, status, "{start}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(word), "{start}: {answer}");
    }
    let request = rig.request(Method::POST, LINES).header("Idempotency-Key", "k".repeat(129));
    assert_eq!(answer(request.body("x")).await.0, 400);
    assert_eq!(rig.station.log.status().waiting, 0, "nothing of it is sent");
}

#[tokio::test]
async fn a_full_outbox_asks_to_come_again() {
    let rig = Rig::start().await;
    let _a = rig.board("a", &[]).await;
    hold(&rig).await;
    let many = "x\n".repeat(1000);
    assert_eq!(answer(rig.request(Method::POST, LINES).body(many)).await.0, 202);
    let response = rig.request(Method::POST, LINES).body("one more").send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), response.headers()["retry-after"].as_bytes()),
        (429, &b"1"[..])
    );
    let error: serde_json::Value = response.json().await.unwrap();
    assert!(error["error"].as_str().unwrap().contains("1000 lines wait"), "{error}");
}

#[tokio::test]
async fn a_server_that_stops_says_so() {
    let rig = Rig::start().await;
    let _a = rig.board("a", &[]).await;
    soon(rig.station.log.stop()).await;
    assert_eq!(answer(rig.request(Method::POST, LINES).body("x")).await.0, 503);
    let (status, _) = rig.get("/api/v1/lines?wait=1min").await;
    assert_eq!(status, 503);
}

#[tokio::test]
async fn a_client_that_was_here_once_can_be_sent_to_although_it_is_away() {
    let rig = Rig::start().await;
    drop(rig.board("a", &["hello"]).await);
    assert_eq!(answer(rig.request(Method::POST, LINES).body("later")).await.0, 202);
    let mut a = rig.board("a", &[]).await;
    a.expect(&["00later"]).await;
}

#[tokio::test]
async fn lines_that_wait_for_a_client_are_listed_until_it_has_acknowledged_them() {
    let rig = Rig::start().await;
    let mut a = rig.board("a", &[]).await;
    answer(rig.request(Method::POST, &format!("{LINES}?delivery=best_effort")).body("on")).await;
    let done = rig.request(Method::POST, &format!("{LINES}?wait=1min")).body("off");
    let board = async {
        a.expect(&["00on"]).await;
        let (_, lines) = rig.get(LINES).await;
        let first = &lines[0];
        assert_eq!((&first["client"], &first["row"]), (&"a".into(), &1.into()), "{lines}");
        assert_eq!((&first["text"], &first["undetermined"]), (&"on".into(), &false.into()));
        assert_eq!(first["delivery"], "best_effort");
        assert!(first["at_ms"].as_u64().unwrap() > 0, "{lines}");
        a.say("00").await;
        a.expect(&["01off"]).await;
        a.say("01").await;
    };
    soon(async { tokio::join!(answer(done), board) }).await;
    assert_eq!(rig.get(LINES).await, (reqwest::StatusCode::OK, serde_json::json!([])));
    let (status, said) = rig.get("/api/v1/links/nobody/lines").await;
    assert!(status == 404 && said["error"].as_str().unwrap().contains("nobody"), "{said}");
}
