//! `/api/v1/consumers`.

use reqwest::Method;

use crate::{Rig, answer, texts};

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
    rig.station.log.register("print", true, pblink_serve::log::From::Oldest).await.unwrap();
    let path = "/api/v1/consumers/print";
    // It makes another one, with a name of its own.
    assert_eq!(answer(rig.request(Method::PUT, path).body(r#"{"offset":1}"#)).await.0, 201);
    let (_, list) = rig.get("/api/v1/consumers").await;
    let of_server = list["consumers"].as_array().unwrap().iter().find(|c| c["kind"] == "server");
    assert_eq!(of_server.unwrap()["offset"], 0);
    assert_eq!(answer(rig.request(Method::DELETE, path)).await.0, 204, "that of HTTP");
    assert_eq!(answer(rig.request(Method::DELETE, path)).await.0, 409, "that of the server");
}
