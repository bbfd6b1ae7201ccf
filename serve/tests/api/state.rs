//! A client that goes for good, and lines that a restore has left.

use pblink_serve::log::Sqlite;

use super::*;

#[tokio::test]
async fn a_client_goes_for_good_once_it_is_not_connected() {
    let rig = Rig::start().await;
    let board = rig.board("kitchen", &["hello"]).await;
    let path = "/api/v1/links/kitchen";
    let (status, _) = answer(rig.http.delete(rig.url(path))).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "it needs the token");
    let (status, said) = answer(rig.request(Method::DELETE, path)).await;
    assert_eq!(status, StatusCode::CONFLICT, "{said}");
    drop(board);
    while rig.get("/api/v1/outages").await.1["outages"] == serde_json::json!([]) {
        tokio::task::yield_now().await;
    }
    let (status, said) = answer(rig.request(Method::DELETE, path)).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{said}");
    let (_, page) = rig.get("/api/v1/lines").await;
    assert!(texts(&page).is_empty(), "{page}");
    let (_, outages) = rig.get("/api/v1/outages").await;
    assert_eq!(outages["outages"], serde_json::json!([]));
}

#[tokio::test]
async fn lines_that_a_restore_has_left_are_sent_or_dropped_by_decision_only() {
    let folder = tempfile::tempdir().unwrap();
    let (state, copy) = (folder.path().join("state"), folder.path().join("copy"));
    let mut engine = Sqlite::open(&state).unwrap();
    let row = |client: &str, row| pblink_serve::log::OutboxRow {
        client: client.into(),
        row,
        at_ms: 0,
        text: format!("line {row}").into(),
        delivery: pblink_server::Delivery::ORDERED,
    };
    let outbox = vec![row("kitchen", 1), row("kitchen", 2), row("garden", 1)];
    engine.commit(&pblink_serve::log::Commit { outbox, ..Default::default() }).unwrap();
    engine.backup(&copy).unwrap();
    drop(engine);
    Sqlite::restore(&state, &copy).unwrap();

    let rig = Rig::with(Sqlite::open(&state).unwrap()).await;
    let (_, held) = rig.get("/api/v1/outbox?client=kitchen").await;
    let texts: Vec<_> = held.as_array().unwrap().iter().map(|line| &line["text"]).collect();
    assert_eq!(texts, ["line 1", "line 2"]);
    let waiting = async || {
        let (_, lines) = rig.get("/api/v1/links/kitchen/lines").await;
        let lines = lines.as_array().unwrap().iter();
        let line = |line: &Value| (line["row"].as_u64().unwrap(), line["undetermined"] == true);
        lines.map(line).collect::<Vec<_>>()
    };
    let sent = answer(rig.request(Method::POST, "/api/v1/links/kitchen/lines").body("new")).await;
    // Nobody expects this client, and it has not connected.
    assert_eq!(sent.0, StatusCode::NOT_FOUND);
    assert_eq!(waiting().await, [(1, true), (2, true)]);
    let (status, _) = answer(rig.http.post(rig.url("/api/v1/outbox"))).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "it needs the token");
    let sent = answer(rig.request(Method::POST, "/api/v1/outbox?client=kitchen")).await;
    assert_eq!(sent, (StatusCode::OK, serde_json::json!({ "lines": 2 })));
    assert_eq!(waiting().await, [(1, false), (2, false)]);
    let (_, links) = rig.get("/api/v1/server").await;
    assert_eq!(links["log"]["waiting"], 2);
    let dropped = answer(rig.request(Method::DELETE, "/api/v1/outbox")).await;
    assert_eq!(dropped, (StatusCode::OK, serde_json::json!({ "lines": 1 })));
    assert_eq!(rig.get("/api/v1/outbox").await.1, serde_json::json!([]));
}
