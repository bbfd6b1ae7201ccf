//! Records of the stream: whoever reads them has the same log.

use async_nats::HeaderMap;
use pblink_serve::log::{Commit, Engine, EventClass, OutboxRow, Retention};
use pblink_server::Delivery;

use crate::commits::Writer;
use crate::desk::{Contents, Desk, NAME, close, contents, lines};

/// Lets gateways take the lead one after the other, and compares what they have.
fn assert_all_have(desk: &Desk, gateways: &[&str], wanted: &Contents) {
    for gateway in gateways {
        let found = close(desk.lead(gateway));
        assert_eq!(found, *wanted, "{gateway}");
    }
}

#[test]
fn the_stream_is_made_once() {
    let Some(desk) = Desk::start() else { return };
    assert!(!desk.wait(desk.store("a").init(1)).unwrap());
    let state = desk.wait(desk.store("a").state()).unwrap();
    assert_eq!((state.last, state.replicas, state.present), (0, 1, 1));
    assert_eq!(state.faults, [""; 0]);
}

#[test]
fn random_commits_purges_and_deletions_are_the_same_in_all_copies() {
    let Some(desk) = Desk::start() else { return };
    let mut leader = desk.lead("a");
    let follower = desk.stand_by("b");
    follower.follows("a");
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut writer = Writer::new(seed);
    for _ in 0..60 {
        leader.commit(&writer.commit()).unwrap();
        match writer.random.u8(..10) {
            0 => {
                let client = writer.client();
                leader.purge(client).unwrap();
                writer.rows.remove(client);
            }
            1 => {
                let before_ms = writer.now.saturating_sub(writer.random.u64(..20_000));
                let max_bytes = writer.random.u64(..100_000);
                leader.retain(Retention { before_ms, max_bytes }, writer.next).unwrap();
            }
            _ => {}
        }
    }
    let wanted = close(leader);
    assert!(wanted.lines.len() > 10 && !wanted.loaded.keys.is_empty());
    // One that has followed all the time, and one that reads everything now.
    assert_eq!(close(desk.leads(follower)), wanted);
    assert_all_have(&desk, &["c", "a"], &wanted);
}

#[test]
fn every_field_reaches_the_other_gateways() {
    let Some(desk) = Desk::start() else { return };
    let mut leader = desk.lead("a");
    let text: String =
        (0..32_u8).map(char::from).chain("\u{7f}\u{85}\u{2028}ß漢🦀\"\\".chars()).collect();
    let row = |row, delivery| OutboxRow {
        client: "küche".into(),
        row,
        at_ms: u64::MAX >> 1,
        text: text.as_str().into(),
        delivery,
    };
    let mut first = Writer::new(7).commit();
    first = Commit { forgotten: vec!["küche".into()], ..first };
    first.lines = lines(1..=3, &text).lines;
    first.lines[1].written_ms = Some(1 << 50);
    first.outbox =
        vec![row(1, Delivery::ORDERED), row(2, Delivery::UNORDERED), row(3, Delivery::BestEffort)];
    (first.alive_ms, first.hold_ms) = (Some(77), Some(88));
    first.cursors = ["", "küche"]
        .map(|client| pblink_serve::log::Cursor {
            consumer: "echo".into(),
            client: client.into(),
            offset: 2,
        })
        .to_vec();
    first.events = [EventClass::Other, EventClass::Report, EventClass::Stranger]
        .into_iter()
        .zip(1..)
        .map(|(class, id)| pblink_serve::log::EventRow {
            id,
            at_ms: 5,
            json: "{\"id\":\"küche\",\"n\":[1,\"\\u0000\"]}".into(),
            class,
        })
        .collect();
    leader.commit(&first).unwrap();
    leader.commit(&Commit { done: vec![("küche".into(), 1)], ..Commit::default() }).unwrap();
    let second = Commit { undetermined: vec![("küche".into(), 2)], ..Commit::default() };
    leader.commit(&second).unwrap();
    let before = contents(&mut leader);
    assert_eq!(before.loaded.undetermined, [row(2, Delivery::UNORDERED)]);
    assert_eq!(before.loaded.outbox, [row(3, Delivery::BestEffort)]);
    assert_eq!(before.lines, first.lines);
    assert_eq!(before.events, first.events);
    assert_eq!((before.loaded.alive_ms, before.loaded.hold_ms), (77, 88));
    close(leader);
    assert_all_have(&desk, &["b"], &before);

    let mut leader = desk.lead("a");
    let third = Commit {
        released: vec![("küche".into(), 2)],
        removed: vec!["echo".into()],
        forgotten: vec!["küche".into()],
        ..Commit::default()
    };
    leader.commit(&third).unwrap();
    let after = contents(&mut leader);
    let Contents { loaded, .. } = &after;
    assert_eq!((loaded.undetermined.len(), loaded.outbox.len(), loaded.cursors.len()), (0, 0, 0));
    close(leader);
    assert_all_have(&desk, &["b", "c"], &after);
}

#[test]
fn a_commit_that_no_message_can_take_is_cut_and_put_together() {
    let Some(desk) = Desk::start() else { return };
    let mut leader = desk.lead("a");
    let before = desk.last();
    leader.commit(&lines(1..=200, &"x".repeat(500))).unwrap();
    assert!(desk.last() > before + 10, "it has become many messages");
    leader.commit(&lines(201..=201, "small")).unwrap();
    let wanted = close(leader);
    assert_eq!(wanted.lines.len(), 201);
    assert_all_have(&desk, &["b"], &wanted);
}

#[test]
fn parts_of_a_record_that_was_never_whole_disturb_nobody() {
    let Some(desk) = Desk::start() else { return };
    let mut leader = desk.lead("a");
    let follower = desk.stand_by("b");
    follower.follows("a");
    leader.commit(&lines(1..=1, "before")).unwrap();
    // As a leader that was killed behind its second message of three would leave it.
    desk.wait(async {
        let client = async_nats::connect(desk.cluster.urls()).await.unwrap();
        let context = async_nats::jetstream::new(client);
        for part in ["half 1 3", "half 2 3"] {
            let mut headers = HeaderMap::new();
            headers.insert("Pb-Part", part);
            let subject = format!("pblink.{NAME}.log");
            let sent = context.publish_with_headers(subject, headers, "{\"commit\":{".into());
            sent.await.unwrap().await.unwrap();
        }
    });
    // Others were quicker than the leader, and have said nothing that counts.
    leader.commit(&lines(2..=100, &"x".repeat(200))).unwrap();
    leader.commit(&lines(101..=101, "after")).unwrap();
    let wanted = close(leader);
    assert_eq!(wanted.lines.len(), 101);
    assert_eq!(close(desk.leads(follower)), wanted);
    assert_all_have(&desk, &["c"], &wanted);
}
