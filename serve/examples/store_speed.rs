//! Measures the log that servers share beside NATS JetStream used by hand, in one run:
//! `cargo run --release -p pblink-serve --example store_speed URL[,URL…] [ROUNDS]`.
//!
//! Nothing is asserted. All of them are measured in turns, with as many copies as there are servers: 1 or 3. Streams of the
//! names that begin with `PBLINK_SPEED` are deleted, before and after.

mod contest;

use std::sync::Arc;

use async_nats::jetstream::message::PublishMessage;
use async_nats::{Client, HeaderMap, ServerAddr};
use contest::{CLIENTS, Commits, Contender, Failure, TEXT, compare};
use futures::future::try_join_all;
use pblink_serve::log::Engine;
use pblink_serve::log::store::{Leader, Store, StoreOptions};
use serde_json::json;
use tokio::runtime::Runtime;

/// Messages of an atomic batch.
const ATOMIC: u64 = 256;

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
    client: Client,
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
            for some in numbers.chunks(ATOMIC as usize) {
                match self.way {
                    Way::Pipelined => {
                        let context = async_nats::jetstream::new(self.client.clone());
                        let mut acks = Vec::new();
                        for n in some {
                            let message = PublishMessage::build().payload(TEXT.into());
                            acks.push(context.send_publish(subject(*n), message).await?);
                        }
                        try_join_all(acks.into_iter().map(IntoFuture::into_future)).await?;
                    }
                    Way::Atomic => self.batch(some, &subject).await?,
                }
            }
            Ok(())
        })
    }
}

impl ByHand {
    /// Sends an atomic batch: the architecture decision record ADR-50 of NATS.
    async fn batch(&self, some: &[u64], subject: &impl Fn(u64) -> String) -> Result<(), Failure> {
        let id = self.client.new_inbox();
        for (at, n) in some.iter().enumerate() {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Batch-Id", id.as_str());
            headers.insert("Nats-Batch-Sequence", (at + 1).to_string());
            let is_last = at + 1 == some.len();
            if is_last {
                headers.insert("Nats-Batch-Commit", "1");
            }
            if !is_last {
                let sent = self.client.publish_with_headers(subject(*n), headers, TEXT.into());
                sent.await?;
                continue;
            }
            let sent = self.client.request_with_headers(subject(*n), headers, TEXT.into()).await?;
            let answer: serde_json::Value = serde_json::from_slice(&sent.payload)?;
            if !answer["error"].is_null() {
                return Err(answer.to_string().into());
            }
        }
        Ok(())
    }
}

async fn api(client: &Client, what: &str, body: serde_json::Value) -> Result<(), Failure> {
    let body = serde_json::to_vec(&body)?;
    let answer = client.request(format!("$JS.API.{what}"), body.into()).await?;
    let answer: serde_json::Value = serde_json::from_slice(&answer.payload)?;
    match answer["error"]["err_code"].as_u64() {
        // There is no such stream.
        None | Some(10059) => Ok(()),
        Some(_) => Err(answer.to_string().into()),
    }
}

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let urls = args.next().ok_or("give the URLs of NATS servers, with commas between")?;
    let rounds: usize = args.next().map_or(Ok(5), |rounds| rounds.parse())?;
    let replicas = if urls.contains(',') { 3 } else { 1 };
    let runtime = Arc::new(Runtime::new()?);
    let folder = tempfile::tempdir()?;
    let (client, leader) = runtime.block_on(async {
        let servers = urls.split(',').map(str::parse).collect::<Result<Vec<ServerAddr>, _>>()?;
        let client = async_nats::connect(servers).await?;
        for name in ["PBLINK_SPEED", Way::Pipelined.stream(), Way::Atomic.stream()] {
            api(&client, &format!("STREAM.DELETE.{name}"), json!({})).await?;
        }
        for way in [Way::Pipelined, Way::Atomic] {
            let name = way.stream();
            let config = json!({
                "name": name, "subjects": [format!("{name}.*")], "num_replicas": replicas, "storage": "file",
                "retention": "limits", "discard": "new", "allow_atomic": way == Way::Atomic, "duplicate_window": 0,
            });
            api(&client, &format!("STREAM.CREATE.{name}"), config).await?;
        }
        let name = "PBLINK_SPEED".to_owned();
        let options = StoreOptions { urls: urls.clone(), name, ..StoreOptions::default() };
        let store = Store::connect(&options, "speed").await?;
        store.init(replicas).await?;
        let leader = store.stand_by(&folder.path().join("copy"), |_| {}).await?;
        Ok::<_, Failure>((client, leader))
    })?;
    let by_hand = |way| {
        let (runtime, client) = (Arc::clone(&runtime), client.clone());
        Box::new(ByHand { runtime, client, way })
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
            api(&client, &format!("STREAM.DELETE.{name}"), json!({})).await?;
        }
        Ok(())
    })
}
