//! Links whose clients the server refuses.

use serde_json::Value;

use super::Rig;
use crate::board::{Board, soon};

/// Asks for a link until it is so.
async fn until(rig: &Rig, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    soon(async {
        loop {
            let (_, link) = rig.get(&format!("/api/v1/links/{id}")).await;
            if is_so(&link) {
                return link;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_client_that_is_not_listed_any_more_is_seen_to_be_refused_until_it_is_admitted() {
    let rig = Rig::start().await;
    let mut a = rig.board("a", &["hello"]).await;
    // A connection that ends sooner takes the acknowledgement with it.
    assert_eq!(soon(a.hear()).await.as_deref(), Some("00"));
    rig.hub.set_expected(&["b".to_owned()], false).unwrap();
    assert_eq!(soon(a.hear()).await, None);
    let link = until(&rig, "a", |link| link["state"] == "down").await;
    assert_eq!((&link["observed"], &link["refused"]), (&"closed_here".into(), &Value::Null));
    let mut a = Board::connect(&rig.station, "a").await;
    assert_eq!(soon(a.hear()).await, None);
    let link = until(&rig, "a", |link| link["observed"] == "refused").await;
    assert_eq!((&link["state"], &link["likely"]), (&"down".into(), &Value::Null));
    let refused = &link["refused"];
    assert_eq!(refused["reason"], "unknown_id");
    assert!(refused["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{refused}");
    assert!(refused["at_ms"].is_u64() && refused["time"].as_str().unwrap().ends_with('Z'));
    // A stranger is refused, and is no link.
    let mut stranger = Board::connect(&rig.station, "c").await;
    assert_eq!(soon(stranger.hear()).await, None);
    assert_eq!(rig.get("/api/v1/links/c").await.0, 404);

    rig.hub.set_expected(&["a".to_owned()], false).unwrap();
    let _a = Board::connect(&rig.station, "a").await;
    let link = until(&rig, "a", |link| link["state"] == "up").await;
    assert_eq!(link["observed"], "up");
    until(&rig, "a", |link| link["refused"] == Value::Null).await;
}

#[tokio::test]
async fn a_second_board_with_the_same_id_is_refused_and_the_first_ones_link_says_so() {
    let rig = Rig::start().await;
    let mut first = rig.board("a", &[]).await;
    let mut second = Board::connect(&rig.station, "a").await;
    soon(async {
        let mut closed = std::pin::pin!(second.hear());
        // Each keepalive shows that the first one lives; the second may not have said its name before that.
        while futures::poll!(&mut closed).is_pending() {
            first.say("").await;
            tokio::task::yield_now().await;
        }
    })
    .await;
    let link = until(&rig, "a", |link| link["refused"] != Value::Null).await;
    assert_eq!(
        (&link["observed"], &link["refused"]["reason"]),
        (&"up".into(), &"duplicate".into())
    );
}
