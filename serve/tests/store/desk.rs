//! One NATS server, and gateways in this process.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use pblink_serve::log::store::{Leader, Standing, Store, StoreError, StoreOptions};
use pblink_serve::log::{Commit, Engine, EngineError, EventRow, Line, Loaded};
use pblink_soak::nats::{Cluster, Wanted};
use pblink_soak::proxy::Proxy;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::commits::line;

/// Nothing here takes this long unless it hangs.
pub const HANGS: Duration = Duration::from_secs(120);

/// The stream's name.
pub const NAME: &str = "house";

/// Bytes that a message may have: records of some lines are cut.
const MAX_PAYLOAD: usize = 8 * 1024;

/// A NATS server with a stream, and the folders of gateways.
pub struct Desk {
    pub cluster: Cluster,
    pub runtime: Runtime,
    folder: tempfile::TempDir,
}

/// A gateway that stands by.
pub struct Standby {
    led: JoinHandle<Result<Leader, StoreError>>,
    standings: Receiver<Standing>,
}

/// All that a copy has.
#[derive(Debug, PartialEq)]
pub struct Contents {
    pub loaded: Loaded,
    pub lines: Vec<Line>,
    pub events: Vec<EventRow>,
}

impl Desk {
    /// Starts one with an empty stream. `None`: the NATS server is not there.
    pub fn start() -> Option<Self> {
        let desk = Self::bare(Wanted { max_payload: MAX_PAYLOAD, ..Wanted::default() })?;
        assert!(desk.wait(desk.store("init").init(1)).unwrap());
        Some(desk)
    }

    /// Starts one without a stream.
    pub fn bare(wanted: Wanted) -> Option<Self> {
        let cluster = Cluster::start(wanted)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        Some(Self { cluster, runtime, folder: tempfile::tempdir().unwrap() })
    }

    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { tokio::time::timeout(HANGS, work).await.expect("it hangs") })
    }

    pub fn options(&self) -> StoreOptions {
        let urls = self.cluster.urls();
        StoreOptions { urls, name: NAME.into(), ..StoreOptions::default() }
    }

    pub fn store(&self, gateway: &str) -> Store {
        self.wait(Store::connect(&self.options(), gateway)).unwrap()
    }

    /// Returns a network between a gateway and the store that can be stopped, and the gateway's way to the store.
    pub fn relay(&self, gateway: &str) -> (Proxy, Store) {
        let proxy = self.wait(Proxy::start(self.cluster.addresses()[0])).unwrap();
        let urls = format!("nats://{}", proxy.address());
        let options = StoreOptions { urls, ..self.options() };
        let store = self.wait(Store::connect(&options, gateway)).unwrap();
        (proxy, store)
    }

    /// Returns the folder of a gateway's copy.
    pub fn folder(&self, gateway: &str) -> PathBuf {
        self.folder.path().join(gateway)
    }

    /// Lets a gateway stand by.
    pub fn stand_by(&self, gateway: &str) -> Standby {
        self.stand_by_at(self.store(gateway), &self.folder(gateway))
    }

    /// Lets a gateway stand by with this store and folder.
    pub fn stand_by_at(&self, store: Store, folder: &Path) -> Standby {
        let (sender, standings) = mpsc::channel();
        let folder = folder.to_owned();
        let led = self.runtime.spawn(async move {
            // Nobody may be interested.
            let report = move |standing| drop(sender.send(standing));
            store.stand_by(&folder, report).await
        });
        Standby { led, standings }
    }

    /// Lets a gateway stand by until it leads.
    pub fn lead(&self, gateway: &str) -> Leader {
        self.leads(self.stand_by(gateway))
    }

    /// Waits until a gateway that stands by leads.
    pub fn leads(&self, standby: Standby) -> Leader {
        self.ends(standby).unwrap()
    }

    /// Waits until a gateway stands by no more.
    pub fn ends(&self, standby: Standby) -> Result<Leader, StoreError> {
        self.wait(standby.led).unwrap()
    }

    /// Stops to stand by, and waits until the folder is free.
    pub fn stop(&self, standby: Standby) {
        standby.led.abort();
        // It was aborted: that is the result.
        let _ = self.wait(standby.led);
    }

    /// Returns the number of the stream's last message.
    pub fn last(&self) -> u64 {
        self.wait(self.store("look").state()).unwrap().last
    }

    /// Returns the number of the stream's first message.
    pub fn first(&self) -> u64 {
        self.wait(self.store("look").state()).unwrap().first
    }
}

impl Standby {
    /// Waits until it has said this.
    pub fn says(&self, wanted: impl Fn(&Standing) -> bool) {
        loop {
            let standing = self.standings.recv_timeout(HANGS).expect("it says so");
            if wanted(&standing) {
                return;
            }
        }
    }

    /// Waits until it follows this gateway.
    pub fn follows(&self, gateway: &str) {
        self.says(|standing| *standing == Standing::Following(gateway.into()));
    }
}

/// Reads all that an engine has.
pub fn contents(engine: &mut impl Engine) -> Contents {
    let (loaded, reader) = (engine.load().unwrap(), engine.reader());
    let lines = reader.lines(0, usize::MAX, usize::MAX, None).unwrap().0;
    let events = reader.events(0, usize::MAX).unwrap();
    Contents { loaded, lines, events }
}

/// Ends a leader in good order.
pub fn close(mut leader: Leader) -> Contents {
    let contents = contents(&mut leader);
    leader.close();
    contents
}

/// Returns a commit of lines with these offsets and this text.
pub fn lines(offsets: std::ops::RangeInclusive<u64>, text: &str) -> Commit {
    let line = |offset| line(offset, format!("{text} {offset}"));
    Commit { lines: offsets.map(line).collect(), ..Commit::default() }
}

/// Commits as the writer does: a store that does not answer is asked again.
pub fn commit_at_last(leader: &mut Leader, commit: &Commit) {
    loop {
        match leader.commit(commit) {
            Err(EngineError::Unavailable { .. }) => std::thread::yield_now(),
            other => return other.unwrap(),
        }
    }
}
