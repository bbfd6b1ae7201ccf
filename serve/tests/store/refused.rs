//! Stores, streams and folders that no gateway may use.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use pblink_serve::log::store::{Store, StoreError, StoreOptions};
use pblink_serve::log::{Engine, EngineError, Sqlite};
use pblink_soak::broker::free_port;
use pblink_soak::nats::Wanted;

use crate::desk::{Desk, NAME, close, lines};

#[test]
fn a_folder_with_a_log_of_its_own_is_refused() {
    let Some(desk) = Desk::start() else { return };
    let folder = desk.folder("a");
    Sqlite::open(&folder).unwrap().commit(&lines(1..=1, "mine")).unwrap();
    let error = desk.ends(desk.stand_by("a")).unwrap_err();
    assert!(error.to_string().contains("shares it with nobody"), "{error}");
    assert_eq!(desk.last(), 0);
    // And it is as it was.
    assert_eq!(Sqlite::open(&folder).unwrap().load().unwrap().next, 2);
    // The other way round: a copy is no log of a server that shares it with nobody.
    close(desk.lead("b"));
    assert!(Sqlite::open(&desk.folder("b")).is_err(), "a copy is opened as a log of its own");
}

#[test]
fn a_copy_of_another_store_is_refused() {
    let Some(desk) = Desk::start() else { return };
    let other = StoreOptions { name: "other".into(), ..desk.options() };
    let other = || desk.wait(Store::connect(&other, "a")).unwrap();
    desk.wait(other().init(1)).unwrap();
    // The same number of messages in both, and then more in this one.
    close(desk.lead("b"));
    close(desk.leads(desk.stand_by_at(other(), &desk.folder("a"))));
    let error = desk.ends(desk.stand_by("a")).unwrap_err();
    assert!(matches!(error, StoreError::Other { .. }), "{error}");
    let mut leader = desk.lead("b");
    leader.commit(&lines(1..=3, "theirs")).unwrap();
    let error = desk.ends(desk.stand_by("a")).unwrap_err();
    assert!(matches!(error, StoreError::Other { .. }), "{error}");
    let mut copy = Sqlite::open_copy(&desk.folder("a")).unwrap();
    assert_eq!(copy.load().unwrap().next, 1, "nothing of it was taken");
}

#[test]
fn a_stream_that_was_made_anew_is_refused() {
    let Some(desk) = Desk::start() else { return };
    let mut leader = desk.lead("a");
    leader.commit(&lines(1..=3, "line")).unwrap();
    close(leader);
    desk.wait(async {
        let client = async_nats::connect(desk.cluster.urls()).await.unwrap();
        async_nats::jetstream::new(client).delete_stream(NAME).await.unwrap();
    });
    let error = desk.ends(desk.stand_by("a")).unwrap_err();
    assert!(matches!(error, StoreError::NoStream { .. }), "{error}");
    assert!(desk.wait(desk.store("init").init(1)).unwrap());
    let error = desk.ends(desk.stand_by("a")).unwrap_err();
    assert!(matches!(error, StoreError::Lost { last: 0, read } if read > 0), "{error}");
    // With more messages than before it is still another one.
    let mut leader = desk.lead("b");
    for offset in 1..=9 {
        leader.commit(&lines(offset..=offset, "another")).unwrap();
    }
    let error = desk.ends(desk.stand_by("a")).unwrap_err();
    assert!(matches!(error, StoreError::Other { .. }), "{error}");
}

#[test]
fn settings_that_would_lose_lines_are_named() {
    let Some(desk) = Desk::bare(Wanted::default()) else { return };
    let config = Config {
        name: NAME.into(),
        subjects: vec![format!("pblink.{NAME}.>")],
        storage: StorageType::Memory,
        retention: RetentionPolicy::Interest,
        discard: DiscardPolicy::Old,
        max_age: Duration::from_secs(1000),
        max_messages: 10,
        max_bytes: 10_000,
        max_message_size: 1000,
        ..Config::default()
    };
    desk.wait(async {
        let client = async_nats::connect(desk.cluster.urls()).await.unwrap();
        async_nats::jetstream::new(client).create_stream(config).await.unwrap();
    });
    assert!(!desk.wait(desk.store("a").init(1)).unwrap(), "it is there");
    let error = desk.ends(desk.stand_by("a")).unwrap_err();
    assert!(matches!(error, StoreError::Unsafe { .. }), "{error}");
    let said = error.to_string();
    for what in
        ["subjects", "memory", "retention", "max-age", "max-msgs)", "max-bytes", "max-msg-size"]
    {
        assert!(said.contains(what), "{what} is not named: {said}");
    }
}

#[test]
fn stores_that_cannot_be_reached_are_told_apart() {
    let login = Some(("gateway", "secret"));
    let Some(desk) = Desk::bare(Wanted { login, ..Wanted::default() }) else { return };
    let connect = |options: &StoreOptions| desk.wait(Store::connect(options, "a")).map(drop);
    connect(&desk.options()).unwrap();

    let address = desk.cluster.addresses()[0];
    let wrong = StoreOptions { urls: format!("nats://gateway:wrong@{address}"), ..desk.options() };
    let error = connect(&wrong).unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains(&address.to_string()) && !said.contains("wrong"), "{said}");
    assert!(said.contains("authorization"), "{said}");

    let nobody = format!("nats://127.0.0.1:{}", free_port());
    let error = connect(&StoreOptions { urls: nobody, ..desk.options() }).unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");

    let bad = StoreOptions { urls: "http://x:y@[z".into(), ..desk.options() };
    let error = connect(&bad).unwrap_err();
    assert!(matches!(error, StoreError::BadUrl { .. }), "{error}");
    assert!(!error.to_string().contains("x:y"), "{error}");

    let none = StoreOptions { credentials: Some("nothing".into()), ..desk.options() };
    let error = connect(&none).unwrap_err();
    assert!(matches!(error, StoreError::Credentials { .. }), "{error}");

    let apart = StoreOptions { urls: format!("nats://{address}"), ..desk.options() };
    let error = connect(&apart).unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    connect(&StoreOptions { credentials: Some("gateway:secret\n".into()), ..apart }).unwrap();

    let named = StoreOptions { name: "a.b".into(), ..desk.options() };
    let error = connect(&named).unwrap_err();
    assert!(matches!(error, StoreError::BadName { .. }), "{error}");

    // One of several is enough.
    let some = format!("nats://127.0.0.1:{},{}", free_port(), desk.cluster.urls());
    connect(&StoreOptions { urls: some, ..desk.options() }).unwrap();
    let error = desk.ends(desk.stand_by("a")).unwrap_err();
    assert!(matches!(error, StoreError::NoStream { .. }), "{error}");
    let busy = Sqlite::open_copy(&desk.folder("a")).unwrap();
    let error = desk.ends(desk.stand_by("a")).unwrap_err();
    assert!(matches!(error, StoreError::Copy(EngineError::InUse { .. })), "{error}");
    drop(busy);
}
