//! A log that several servers share, in a stream of NATS JetStream.
//!
//! Each server, a *gateway*, has a copy of the log on its own disk. One of them *leads*: boards connect to it, and each of its
//! commits is a record of the stream before it counts. The others *stand by*: they take the same steps in the same order, so that
//! one of them can go on when the leader is gone, with all that was acknowledged.
//!
//! The stream decides who leads. A record is taken only behind the one that its writer has read last
//! (`Nats-Expected-Last-Sequence`), so the record with which a gateway begins to lead ends the time of the one before:
//! whatever that one still sends is refused, and it has acknowledged nothing that is not in the stream. No clock and no lock
//! has a part in that. Who is *thought* to be gone is a matter of time: the leader says twice a second that it is there, and
//! after three seconds of silence others claim.
//!
//! To a board, another leader is the same server that was started anew.

mod election;
mod fellows;
mod follower;
mod leader;
mod listen;
mod options;
mod record;
mod settings;
mod standby;
mod stream;
mod way;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;
use tokio::task::AbortHandle;

pub use fellows::Fellows;
pub use leader::Leader;
pub use options::StoreOptions;
pub use standby::Standing;
use stream::Stream;
pub use stream::StreamState;
pub use way::Way;

use super::engine::EngineError;
use super::gateway::GatewayInfo;
use super::model::LogName;
use super::sqlite::Sqlite;

/// A connection to the store of a log.
#[derive(Debug)]
pub struct Store {
    stream: Stream,
    gateway: String,
    runtime: Background,
    way: watch::Sender<Option<Way>>,
    fellows: Fellows,
}

/// Threads on which the connection lives: the log outlives the runtime in which it was opened. They end with the last clone.
#[derive(Debug, Clone)]
struct Background {
    handle: Handle,
    _threads: Arc<Threads>,
}

#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Nobody waits for what is under way: this may be a task itself.
            runtime.shutdown_background();
        }
    }
}

impl Background {
    fn start() -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("store")
            .enable_all()
            .build();
        let runtime = runtime.map_err(|why| StoreError::NoThreads(why.to_string()))?;
        let handle = runtime.handle().clone();
        Ok(Self { handle, _threads: Arc::new(Threads(Some(runtime))) })
    }

    /// Waits for `work`, on a thread that is none of these.
    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.handle.block_on(work)
    }

    /// Lets `work` run on these threads until it is aborted.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.handle.spawn(work).abort_handle()
    }

    /// Runs `work` on these threads.
    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.handle.spawn(work).await.unwrap_or(Err(StoreError::Ended))
    }
}

/// Learns that another gateway leads, or may lead, since the store has not answered for long.
#[derive(Debug, Clone, Default)]
pub struct Replaced(Arc<OnceLock<Option<String>>>);

impl Replaced {
    /// Returns true once this gateway does not lead any more.
    pub fn happened(&self) -> bool {
        self.0.get().is_some()
    }

    /// Returns the name of the gateway that leads in its place, if it is known.
    pub fn by(&self) -> Option<&str> {
        self.0.get()?.as_deref()
    }

    /// Notes that this gateway does not lead any more. What was noted first stays.
    fn note(&self, by: Option<&str>) {
        let _ = self.0.set(by.map(str::to_owned));
    }
}

impl Store {
    /// Connects to the store. `gateway` is the name of this server, which no other has.
    ///
    /// # Errors
    /// If no server answers, or none wants us. The stream need not be there.
    pub async fn connect(options: &StoreOptions, gateway: &str) -> Result<Self, StoreError> {
        check_name("the store", &options.name)?;
        check_name("the gateway", gateway)?;
        let runtime = Background::start()?;
        let (options, name) = (options.clone(), gateway.to_owned());
        let connecting = async move { Stream::connect(&options, &name).await };
        let stream = runtime.run(connecting).await?;
        let (gateway, way, fellows) =
            (gateway.to_owned(), watch::Sender::default(), Fellows::new(gateway));
        Ok(Self { stream, gateway, runtime, way, fellows })
    }

    /// Returns the way to the gateway that leads, as far as this one [stands by](Self::stand_by) and knows it.
    pub fn way(&self) -> watch::Receiver<Option<Way>> {
        self.way.subscribe()
    }

    /// Returns the gateways of the store, as far as they are heard.
    pub fn fellows(&self) -> Fellows {
        self.fellows.clone()
    }

    /// Returns the address at which the servers of the store see this one, if they tell: others may reach it there, too.
    pub fn own_ip(&self) -> Option<IpAddr> {
        self.stream.own_ip()
    }

    /// Makes the stream, with this many copies (1 to 5) on as many servers of NATS, unless it is there. Returns true if it was
    /// made.
    ///
    /// # Errors
    /// If it cannot be made.
    pub async fn init(&self, replicas: usize) -> Result<bool, StoreError> {
        let stream = self.stream.clone();
        self.runtime.run(async move { stream.create(replicas).await }).await
    }

    /// Returns how many copies a new stream should have: three where there are as many servers.
    pub fn most_replicas(&self) -> usize {
        if self.stream.servers() >= 3 { 3 } else { 1 }
    }

    /// Returns the state of the stream.
    ///
    /// # Errors
    /// If nobody answers, or there is no such stream.
    pub async fn state(&self) -> Result<StreamState, StoreError> {
        let stream = self.stream.clone();
        self.runtime.run(async move { stream.state().await }).await
    }

    /// Listens for the gateways that are there, and returns those that are heard, the one that leads first. Takes three seconds.
    ///
    /// # Errors
    /// If nobody answers.
    pub async fn gateways(&self) -> Result<Vec<GatewayInfo>, StoreError> {
        let stream = self.stream.clone();
        self.runtime.run(async move { listen::gateways(&stream).await }).await
    }

    /// Follows the log with the copy in `folder`, until this gateway leads. What happens meanwhile is told to `report`; dropping
    /// the future ends it.
    ///
    /// # Errors
    /// If the folder cannot be used, its log is another one, or the stream is not what it has to be. That nobody answers is
    /// no error: it waits.
    pub async fn stand_by(
        &self,
        folder: &Path,
        report: impl FnMut(Standing) + Send + 'static,
    ) -> Result<Leader, StoreError> {
        let copy = Sqlite::open_copy(folder)?;
        standby::stand_by(self, copy, report).await
    }
}

/// Returns a random value that no other has.
fn random() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}", random())
}

fn check_name(what: &'static str, name: &str) -> Result<(), StoreError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match !name.is_empty() && name.len() <= 64 && name.chars().all(fits) {
        true => Ok(()),
        false => Err(StoreError::BadName { what, name: name.to_owned() }),
    }
}

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A name has characters that it cannot have.
    #[error("{what} cannot be called \"{}\": a name has 1 to 64 letters, digits, - or _", .name.escape_debug())]
    BadName {
        /// The thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A URL cannot be read.
    #[error(
        "{url} is no address of a store ({why}): it looks like nats://10.0.0.5:4222, with commas between several"
    )]
    BadUrl {
        /// The URLs, without passwords.
        url: String,
        /// The reason.
        why: String,
    },
    /// Credentials are none.
    #[error("the store's credentials cannot be used: {why}")]
    Credentials {
        /// The reason.
        why: String,
    },
    /// No server answers, or none wants us.
    #[error("no server of the store at {urls} can be used: {why}")]
    Unreachable {
        /// The URLs, without passwords.
        urls: String,
        /// The reason.
        why: String,
    },
    /// There is no such stream.
    #[error("the store has no stream {name}: `pblink store init` makes it")]
    NoStream {
        /// Its name.
        name: String,
    },
    /// A question to the store was not answered as it should.
    #[error("cannot {what} {name} of the store: {why}")]
    Failed {
        /// The question.
        what: &'static str,
        /// The stream's name.
        name: String,
        /// The answer.
        why: String,
    },
    /// The stream's settings would lose lines.
    #[error("the stream {name} of the store is not safe:\n  {}", .faults.join("\n  "))]
    Unsafe {
        /// Its name.
        name: String,
        /// The faults, in words.
        faults: Vec<String>,
    },
    /// A message is not there any more.
    #[error(
        "message {number} of the store's stream is gone: others have gone on without this gateway"
    )]
    Gone {
        /// Its number.
        number: u64,
    },
    /// A message cannot be understood.
    #[error(
        "message {number} of the store's stream says what this program does not know ({why}): a newer pblink may have written it"
    )]
    Unknown {
        /// Its number.
        number: u64,
        /// The reason.
        why: String,
    },
    /// The stream begins with something else than a full state.
    #[error(
        "the store's stream begins at message {number} without a full state, so that no copy can be made of it: someone has shortened it. A gateway whose copy is newer can go on; else make a new stream"
    )]
    NoState {
        /// The message's number.
        number: u64,
    },
    /// The stream has fewer messages than the copy.
    #[error(
        "the store has lost messages: its stream ends at {last}, and this gateway's copy has {read}. It may have been made anew, or its servers have lost what they had acknowledged; docs/SCALE.md says what to do"
    )]
    Lost {
        /// Number of its last message.
        last: u64,
        /// Number of the last one in the copy.
        read: u64,
    },
    /// The stream has another history than the copy.
    #[error(
        "the store has lost messages, and others have been written in their place: its message {number} follows on what this gateway's copy has not. Its servers have gone back to an older copy of the stream; docs/SCALE.md says what to do"
    )]
    Diverged {
        /// Number of the message that shows it.
        number: u64,
    },
    /// The folder has a copy of another log.
    #[error(
        "this folder has a copy of the log {ours}, and the store that of {theirs}: choose another folder with --state, or another store"
    )]
    Other {
        /// The copy's.
        ours: LogName,
        /// The stream's.
        theirs: LogName,
    },
    /// The copy on this gateway's own disk cannot be used.
    #[error(transparent)]
    Copy(#[from] EngineError),
    /// The system gives no threads.
    #[error("the system gives no threads for the store: {0}")]
    NoThreads(String),
    /// This program is about to end.
    #[error("the connection to the store has ended")]
    Ended,
}
