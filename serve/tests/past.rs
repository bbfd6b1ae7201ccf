//! The history of earlier runs comes out of the log.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pblink_serve::control::{End, Filter, Notice, Outage, Source};
use pblink_serve::hub::Hub;
use pblink_serve::log::{EngineError, Keep, Log, Opened, Sqlite};
use pblink_server::{Cause, EventKind, Layer, LinkState, Report, Server};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Far longer than anything here takes: reached only when something hangs.
const HANGS: Duration = Duration::from_secs(60);

/// A server, as `pblink serve` runs one.
struct Run {
    hub: Arc<Hub>,
    server: Server,
    log: Log,
}

impl Run {
    async fn start(folder: &Path) -> Self {
        let engine = loop {
            match Sqlite::open(folder) {
                Ok(engine) => break engine,
                // The thread of the last run is about to end.
                Err(EngineError::InUse { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        };
        let Opened { log, sessions, past } = Log::open(engine, Keep::default()).unwrap();
        let builder = Server::builder().listen("127.0.0.1:0".parse().unwrap());
        let builder = builder.timeout(Duration::from_secs(600)).commits(true);
        let server = builder.expected(["1", "2"]).restore_states(sessions).bind().await.unwrap();
        let resumed = Hub::resume(server.clone(), log.clone(), past, Duration::from_secs(600), "");
        let hub = resumed.await.unwrap();
        log.attach(server.clone()).await;
        let run = Self { hub, server, log };
        run.wait_for(|kind| matches!(kind, EventKind::Listening { .. })).await;
        run
    }

    /// Connects a client for the `nth` time in this run.
    async fn connect(&self, id: &str, nth: usize) -> TcpStream {
        let mut socket = TcpStream::connect(self.server.local_addr()).await.unwrap();
        socket.write_all(format!("{id}\n\n").as_bytes()).await.unwrap();
        let mut there = 0;
        self.wait_for(|kind| {
            let is_there =
                matches!(kind, EventKind::Connected { .. } | EventKind::OutageEnded { .. });
            there += usize::from(is_there && kind.id() == Some(id));
            there == nth
        })
        .await;
        socket
    }

    /// Waits for an event of this run.
    async fn wait_for(&self, mut is_it: impl FnMut(&EventKind) -> bool) {
        let mut events = self.hub.events();
        let find = async {
            loop {
                match events.next().await.expect("the history goes on") {
                    Notice::Event(event) if is_it(&event.kind) => return,
                    _ => {}
                }
            }
        };
        tokio::time::timeout(HANGS, find).await.expect("it happens");
    }

    fn outages(&self, client: &str) -> Vec<Outage> {
        self.hub.history().outages(Filter { client: Some(client), ..Filter::default() }).outages
    }

    async fn events(&self, this_run: bool) -> Vec<(u64, EventKind)> {
        self.hub.record(EventKind::Note { id: None, text: "the end".into() });
        let mut events = match this_run {
            true => self.hub.events(),
            false => self.hub.history().subscribe(),
        };
        let mut found = Vec::new();
        loop {
            match events.next().await.unwrap() {
                Notice::Event(event) => match &event.kind {
                    EventKind::Note { text, .. } if text == "the end" => return found,
                    kind => found.push((event.seq, kind.clone())),
                },
                other => panic!("{other:?}"),
            }
        }
    }

    /// Ends as a process does that is killed, once all events are on the disk.
    async fn die(self) {
        self.log.retain_now().await;
        self.log.stop().await;
    }

    async fn stop(self) {
        self.hub.stop().await;
        self.log.stop().await;
    }
}

fn report(id: &str, number: u32) -> EventKind {
    EventKind::Report { id: id.into(), report: Report { connects: 1, number, mem_free: 41_234 } }
}

#[tokio::test]
async fn outages_and_reports_are_there_again_and_the_servers_own_absence_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let first = Run::start(folder.path()).await;
    let one = first.connect("1", 1).await;
    drop(one);
    first.wait_for(|kind| matches!(kind, EventKind::OutageBegan { .. })).await;
    let _one = first.connect("1", 2).await;
    let _two = first.connect("2", 1).await;
    first.hub.record(report("1", 7));
    let ended = first.outages("1");
    assert!(matches!(ended[0].end, End::Reconnected(_)), "{ended:?}");
    let before = first.events(false).await;
    first.die().await;

    let second = Run::start(folder.path()).await;
    let again = second.outages("1");
    assert_eq!(again[0], ended[0]);
    let absence = (again[1].end, again[1].layer, again[1].cause);
    assert_eq!(absence, (End::Open, Some(Layer::Server), Some(Cause::ServerDied)));
    assert_eq!(second.outages("2").len(), 1);
    let reports = second.hub.history().reports(Filter::default()).reports;
    assert_eq!((reports[0].samples.len(), reports[0].samples[0].report.number), (1, 7));
    let link = second.hub.link("1").unwrap();
    assert!(matches!(link.state, LinkState::Down { layer: Layer::Server, .. }), "{link:?}");
    assert_eq!(link.outages, 2);

    // The numbers go on, and what is new is distinguished from what is old.
    let all = second.events(false).await;
    assert_eq!(all[..before.len()], before);
    let new = second.events(true).await;
    let (seq, kind) = &new[0];
    assert!(*seq > before.last().unwrap().0, "{seq} after {before:?}");
    assert!(matches!(kind, EventKind::ServerWasDown { stopped: false, .. }), "{kind:?}");
    assert!(matches!(new[1].1, EventKind::Listening { .. }), "{new:?}");

    // Whoever comes back ends it.
    let _one = second.connect("1", 1).await;
    assert!(matches!(second.outages("1")[1].end, End::Reconnected(_)));
    assert_eq!(second.hub.link("1").unwrap().state, LinkState::Up);
    second.stop().await;

    let third = Run::start(folder.path()).await;
    let all = third.outages("1");
    assert_eq!(all[..2], second_of(&all), "as they were");
    assert_eq!((all.len(), all[2].cause, all[2].end), (3, Some(Cause::Shutdown), End::Open));
    assert_eq!(third.outages("2").len(), 1, "it did not come back, and that is one outage");
    let new = third.events(true).await;
    assert!(matches!(new[0].1, EventKind::ServerWasDown { stopped: true, .. }), "{new:?}");
    third.stop().await;
}

fn second_of(all: &[Outage]) -> Vec<Outage> {
    assert!(all[..2].iter().all(|outage| matches!(outage.end, End::Reconnected(_))), "{all:?}");
    all[..2].to_vec()
}

#[tokio::test]
async fn the_first_server_of_a_folder_has_no_past() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::start(folder.path()).await;
    let events = run.events(true).await;
    assert!(matches!(events[0], (1, EventKind::Listening { .. })), "{events:?}");
    assert_eq!(run.hub.info().recalled, 0);
    run.stop().await;
}
