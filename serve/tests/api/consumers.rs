//! `/api/v1/consumers`.

use std::time::Duration;

use pblink_serve::consumers::{self, Consumer, Exec, Kind, Pace};
use pblink_serve::control::{Client, Update, follow_source};
use pblink_serve::log::From;
use reqwest::Method;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Rig, answer, texts};
use crate::board::soon;

const MINE: &str = "/api/v1/consumers/mine";

#[tokio::test]
async fn a_consumer_has_its_cursor_at_the_server() {
    let rig = Rig::start().await;
    let _a = rig.board("a", &["one", "two", "three"]).await;
    let put = |body: &str| answer(rig.request(Method::PUT, MINE).body(body.to_owned()));
    let (status, new) = put(r#"{"from":"oldest"}"#).await;
    assert_eq!((status.as_u16(), &new["offset"], &new["kind"]), (201, &0.into(), &"http".into()));
    let (_, page) = rig.get("/api/v1/lines?consumer=mine&limit=2").await;
    assert_eq!(texts(&page), ["one", "two"]);
    let (status, moved) = put(&format!(r#"{{"offset":{},"log":"abc.1"}}"#, page["after"])).await;
    assert_eq!((status.as_u16(), &moved["offset"], &moved["lag"]), (200, &2.into(), &1.into()));
    let (_, page) = rig.get("/api/v1/lines?consumer=mine").await;
    assert_eq!(texts(&page), ["three"]);
    let (status, shown) = rig.get(MINE).await;
    assert_eq!((status.as_u16(), &shown["lag"]), (200, &1.into()));
    let (_, list) = rig.get("/api/v1/consumers").await;
    assert_eq!((&list["head"], &list["consumers"][0]["name"]), (&3.into(), &"mine".into()));

    let (status, back) = put(r#"{"offset":1}"#).await;
    assert_eq!(status, 409, "{back}");
    assert_eq!(answer(rig.request(Method::DELETE, MINE)).await.0, 204);
    assert_eq!(rig.get(MINE).await.0, 404);
    let (status, anew) = put(r#"{"offset":1}"#).await;
    assert_eq!((status.as_u16(), &anew["offset"]), (201, &1.into()));
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let rig = Rig::start().await;
    let _a = rig.board("a", &["one"]).await;
    for (name, body, status, word) in [
        ("mine", r#"{"offset":9}"#, 409, "another log"),
        ("mine", r#"{"offset":1,"log":"abc.7"}"#, 409, "abc.1"),
        ("mine", r#"{"from":"tomorrow"}"#, 400, "oldest"),
        ("mine", r#"{"offset":"1"}"#, 400, "JSON of a place"),
        ("a%20b", "{}", 400, "letters"),
    ] {
        let path = format!("/api/v1/consumers/{name}");
        let (got, answer) = answer(rig.request(Method::PUT, &path).body(body)).await;
        assert_eq!(got, status, "{body}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(word), "{body}: {answer}");
    }
    for n in 0..100 {
        let (status, _) =
            answer(rig.request(Method::PUT, &format!("/api/v1/consumers/c{n}"))).await;
        assert_eq!(status, 201);
    }
    assert_eq!(answer(rig.request(Method::PUT, "/api/v1/consumers/c100")).await.0, 429);
    assert_eq!(answer(rig.request(Method::PUT, "/api/v1/consumers/c99")).await.0, 200);
}

#[tokio::test]
async fn a_part_of_the_server_cannot_be_moved_from_outside() {
    let rig = Rig::start().await;
    let _a = rig.board("a", &["one"]).await;
    rig.station.log.register("print", true, From::Oldest).await.unwrap();
    let path = "/api/v1/consumers/print";
    // It makes another one, with a name of its own.
    assert_eq!(answer(rig.request(Method::PUT, path).body(r#"{"offset":1}"#)).await.0, 201);
    let (_, list) = rig.get("/api/v1/consumers").await;
    let of_server = list["consumers"].as_array().unwrap().iter().find(|c| c["kind"] == "server");
    assert_eq!(of_server.unwrap()["offset"], 0);
    assert_eq!(answer(rig.request(Method::DELETE, path)).await.0, 204, "that of HTTP");
    assert_eq!(answer(rig.request(Method::DELETE, path)).await.0, 409, "that of the server");
}

/// Runs a program for each client whose name is `exec`, and that ends on each line of "bad" and "worse".
async fn failing(rig: &Rig) -> CancellationToken {
    let ms = Duration::from_millis;
    let pace = Pace { first: ms(1), longest: ms(10), ..Pace::default() };
    let command = "case $PBLINK_CLIENT in good) cat > /dev/null;; *) exit 7;; esac";
    let consumer = Consumer::new(Kind::Exec(Exec { pace, ..Exec::new(command) }), true);
    consumer.register(&rig.station.log).await.unwrap();
    let (passed, _) = tokio::sync::mpsc::channel(8);
    let ending = CancellationToken::new();
    let log = rig.station.log.clone();
    let run = consumers::run(rig.hub.clone(), log, vec![consumer], passed, ending.clone());
    tokio::spawn(run);
    ending
}

/// Waits until the consumer `exec` fails for this many clients, and returns it.
async fn fails_for(rig: &Rig, clients: u64) -> Value {
    let is_so = |status: &pblink_serve::log::Status| {
        let exec = status.consumers.iter().find(|consumer| &*consumer.name == "exec");
        exec.is_some_and(|exec| exec.failing_clients == clients)
    };
    soon(rig.station.log.wait_for(is_so)).await;
    rig.get("/api/v1/consumers/exec").await.1
}

#[tokio::test]
async fn the_line_at_which_a_consumer_fails_is_shown_and_passed_over_when_someone_asks_for_that() {
    let rig = Rig::start().await;
    let ending = failing(&rig).await;
    let skip = |query: &str| {
        answer(rig.request(Method::POST, &format!("/api/v1/consumers/exec/skip{query}")))
    };
    let (status, said) = skip("").await;
    assert_eq!(
        (status.as_u16(), &said["error"]),
        (409, &"consumer \"exec\" fails on no line".into())
    );
    let _good = rig.board("good", &["one"]).await;
    let _bad = rig.board("bad", &["two"]).await;
    let exec = fails_for(&rig, 1).await;
    let line = &exec["failing"][0];
    assert_eq!((&line["client"], &line["offset"]), (&"bad".into(), &2.into()), "{exec}");
    assert!(line["why"].as_str().unwrap().contains("exit status: 7"), "{exec}");
    assert!(line["since"].as_str().unwrap().ends_with('Z') && line["since_ms"].is_u64(), "{exec}");
    let _worse = rig.board("worse", &["three"]).await;
    let exec = fails_for(&rig, 2).await;
    assert_eq!((&exec["failing_clients"], &exec["failing"][1]["offset"]), (&2.into(), &3.into()));

    // Whoever follows learns it, too.
    let updates = Client::connect(&rig.url("/")).await.unwrap().follow();
    for mut updates in [updates, follow_source(rig.hub.clone())] {
        let failing = async {
            loop {
                if let Update::Consumers(consumers) = updates.recv().await.unwrap() {
                    return consumers[0].failing.iter().map(|line| line.offset).collect::<Vec<_>>();
                }
            }
        };
        assert_eq!(soon(failing).await, [2, 3]);
    }

    let metrics = rig.http.get(rig.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for line in [
        "pblink_consumer_failing_clients{consumer=\"exec\"} 2\n",
        "pblink_consumer_failing_offset{consumer=\"exec\"} 2\n",
        "pblink_consumer_failing_since_seconds{consumer=\"exec\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let (status, said) = skip("").await;
    let named = said["error"].as_str().unwrap().contains("name one of \"bad\", \"worse\"");
    assert!(status == 409 && named, "{said}");
    assert_eq!(skip("?client=good").await.0, 409);
    let skipped = serde_json::json!({ "consumer": "exec", "client": "bad", "offset": 2 });
    assert_eq!(skip("?client=bad").await, (reqwest::StatusCode::OK, skipped));
    let exec = fails_for(&rig, 1).await;
    assert_eq!(exec["failing"][0]["client"], "worse");
    assert_eq!(skip("").await.1["client"], "worse");
    let exec = fails_for(&rig, 0).await;
    assert_eq!(exec["failing"], serde_json::json!([]));
    ending.cancel();

    rig.request(Method::PUT, MINE).send().await.unwrap();
    for (path, status, word) in [
        ("/api/v1/consumers/mine/skip", 409, "runs elsewhere"),
        ("/api/v1/consumers/nobody/skip", 404, "no consumer \"nobody\""),
        ("/api/v1/consumers/exec/skip?to=x", 400, "no parameter \"to\""),
    ] {
        let (got, said) = answer(rig.request(Method::POST, path)).await;
        assert!(got == status && said["error"].as_str().unwrap().contains(word), "{path}: {said}");
    }
}

#[tokio::test]
async fn a_consumer_gets_another_name_unless_it_runs_here_or_the_name_is_taken() {
    let rig = Rig::start().await;
    let _a = rig.board("a", &["one", "two"]).await;
    rig.station.log.register("print", true, From::Oldest).await.unwrap();
    for name in ["mine", "yours"] {
        let path = format!("/api/v1/consumers/{name}");
        answer(rig.request(Method::PUT, &path).body(r#"{"offset":1}"#)).await;
    }
    let rename =
        |path: &str| answer(rig.request(Method::POST, &format!("/api/v1/consumers/{path}")));
    let (status, renamed) = rename("mine/rename?to=ours").await;
    assert_eq!(
        (status.as_u16(), &renamed["name"], &renamed["kind"], &renamed["offset"]),
        (200, &"ours".into(), &"http".into(), &1.into())
    );
    assert_eq!(rig.get(MINE).await.0, 404);
    assert_eq!(rig.get("/api/v1/consumers/ours").await.1, renamed);
    for (path, status, word) in [
        ("mine/rename?to=x", 404, "no consumer \"mine\""),
        ("ours/rename?to=yours", 409, "offset 1"),
        ("print/rename?to=x", 409, "stop the server first"),
        ("ours/rename?to=a%20b", 400, "letters"),
        ("ours/rename", 400, "`to`"),
    ] {
        let (got, said) = rename(path).await;
        assert!(got == status && said["error"].as_str().unwrap().contains(word), "{path}: {said}");
    }
}
