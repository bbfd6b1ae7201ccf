//! Measures the log that servers share beside NATS JetStream used by hand, in one run:
//! `cargo run --release -p pblink-serve --example store_speed URL[,URL…] [ROUNDS]`.
//!
//! Nothing is asserted. All of them are measured in turns, with as many copies as there are servers: 1 or 3. Streams of the
//! names that begin with `PBLINK_SPEED` are deleted, before and after.

mod contest;

use std::sync::Arc;

use contest::{CLIENTS, Commits, Contender, Failure, TEXT, compare};
use pblink_serve::log::Engine;
use pblink_serve::log::store::{Leader, Store, StoreOptions};
use pblink_soak::jetstream::{BATCH, Jetstream};
use tokio::runtime::Runtime;

/// The log, with the sessions that belong to the lines, as a server has it.
struct Engined {
    leader: Leader,
    commits: Commits,
}

impl Contender for Engined {
    fn commit(&mut self, first: u64, lines: u64) -> Result<(), Failure> {
        Ok(self.leader.commit(&self.commits.of(first, lines, true))?)
    }
}

/// One message for each line.
struct ByHand {
    runtime: Arc<Runtime>,
    nats: Jetstream,
    way: Way,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Many are under way at a time.
    Pipelined,
    /// So many are stored together, or none of them.
    Atomic,
}

impl Way {
    fn stream(self) -> &'static str {
        match self {
            Self::Pipelined => "PBLINK_SPEED_PIPELINED",
            Self::Atomic => "PBLINK_SPEED_ATOMIC",
        }
    }
}

impl Contender for ByHand {
    fn commit(&mut self, first: u64, lines: u64) -> Result<(), Failure> {
        let subject = |n: u64| format!("{}.{}", self.way.stream(), n % CLIENTS);
        self.runtime.block_on(async {
            let numbers: Vec<u64> = (first..first + lines).collect();
            for some in numbers.chunks(BATCH as usize) {
                let subjects = some.iter().map(|n| subject(*n));
                match self.way {
                    Way::Pipelined => self.nats.pipeline(subjects, TEXT).await?,
                    Way::Atomic => self.nats.batch(subjects, TEXT).await?,
                }
            }
            Ok(())
        })
    }
}

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let urls = args.next().ok_or("give the URLs of NATS servers, with commas between")?;
    let rounds: usize = args.next().map_or(Ok(5), |rounds| rounds.parse())?;
    let replicas = if urls.contains(',') { 3 } else { 1 };
    let runtime = Arc::new(Runtime::new()?);
    let folder = tempfile::tempdir()?;
    let (nats, leader) = runtime.block_on(async {
        let nats = Jetstream::connect(&urls).await?;
        for name in ["PBLINK_SPEED", Way::Pipelined.stream(), Way::Atomic.stream()] {
            nats.delete(name).await?;
        }
        for way in [Way::Pipelined, Way::Atomic] {
            nats.create(way.stream(), replicas, way == Way::Atomic).await?;
        }
        let name = "PBLINK_SPEED".to_owned();
        let options = StoreOptions { urls: urls.clone(), name, ..StoreOptions::default() };
        let store = Store::connect(&options, "speed").await?;
        store.init(replicas).await?;
        let leader = store.stand_by(&folder.path().join("copy"), |_| {}).await?;
        Ok::<_, Failure>((nats, leader))
    })?;
    let by_hand = |way| {
        let (runtime, nats) = (Arc::clone(&runtime), nats.clone());
        Box::new(ByHand { runtime, nats, way })
    };
    let contenders: Vec<(&str, Box<dyn Contender>)> = vec![
        ("atomic batches of 256", by_hand(Way::Atomic)),
        ("256 under way", by_hand(Way::Pipelined)),
        ("log that servers share", Box::new(Engined { leader, commits: Commits::new() })),
    ];
    println!("{replicas} copies");
    compare(contenders, rounds)?;
    runtime.block_on(async {
        for name in ["PBLINK_SPEED", Way::Pipelined.stream(), Way::Atomic.stream()] {
            nats.delete(name).await?;
        }
        Ok(())
    })
}
