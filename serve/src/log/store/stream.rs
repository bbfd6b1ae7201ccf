//! The stream: all that this program knows of the NATS client.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{DeliverPolicy, ReplayPolicy, pull};
use async_nats::jetstream::context::{self, GetStreamErrorKind, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, LastRawMessageErrorKind, RetentionPolicy, StorageType, Stream as Handle,
};
use async_nats::{Client, ConnectOptions, HeaderMap, ServerAddr, Subscriber};
use bytes::Bytes;
use futures::StreamExt;
use tokio::time::timeout;

use super::StoreError;
use super::options::{StoreOptions, plain, without_secrets};
use super::settings::{OLDEST, faults, older};

/// Time that connecting to one server may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Time that the store has for an answer. A stream whose leader has died has a new one within that, mostly.
const ANSWER: Duration = Duration::from_secs(3);

/// Interval at which a connection shows that it is alive. After three without an answer another server is tried: one that
/// stands still, or is cut off, closes no connection.
const PING: Duration = Duration::from_secs(2);

/// Pauses before the connection is tried again: twice as long each time.
const AGAIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// A stream, and the connection to it.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    client: Client,
    context: context::Context,
    name: String,
    subject: String,
}

/// The subject of what gateways tell each other.
#[derive(Debug, Clone, Copy)]
pub(super) enum About {
    /// One leads.
    Leading,
    /// One stands by.
    StandingBy,
}

/// The outcome of an attempt to append a message.
#[derive(Debug)]
pub(super) enum Unappended {
    /// Others are there that the sender does not know.
    Behind,
    /// It may be there, or come to be there later.
    Unclear(String),
}

/// The state of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamState {
    /// Number of the oldest message.
    pub first: u64,
    /// Number of the newest message; 0: there never was one.
    pub last: u64,
    /// Bytes of all messages.
    pub bytes: u64,
    /// Copies that NATS keeps.
    pub replicas: usize,
    /// Servers of its NATS cluster that hold a copy and are there.
    pub present: usize,
    /// Settings that are not as they have to be, each in words with what to do.
    pub faults: Vec<String>,
}

/// A message of the stream.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) number: u64,
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
}

impl Stream {
    /// Connects to the store. The stream itself need not be there.
    ///
    /// # Errors
    /// If no server answers, or does not want us, or is too old.
    pub(super) async fn connect(options: &StoreOptions, who: &str) -> Result<Self, StoreError> {
        let unreachable = |why: &dyn Display| StoreError::Unreachable {
            urls: without_secrets(&options.urls),
            why: why.to_string(),
        };
        let urls = options.urls.split(',').map(|url| url.trim().parse::<ServerAddr>());
        let urls = urls.collect::<Result<Vec<_>, _>>().map_err(|why| StoreError::BadUrl {
            url: without_secrets(&options.urls),
            why: why.to_string(),
        })?;
        let mut connect = ConnectOptions::new()
            .name(format!("pblink {who}"))
            .connection_timeout(CONNECT)
            .request_timeout(Some(ANSWER))
            .ping_interval(PING)
            .max_reconnects(None)
            .reconnect_delay_callback(|tries| {
                let factor = 1 << tries.min(10);
                (AGAIN.0 * factor).min(AGAIN.1)
            });
        // The library reads addresses only.
        let login = urls.iter().find_map(|url| Some((url.username()?, url.password())));
        connect = match login {
            Some((name, Some(password))) => connect.user_and_password(plain(name), plain(password)),
            Some((token, None)) => connect.token(plain(token)),
            None => connect,
        };
        if let Some(text) = &options.credentials {
            let bad = |why: &str| StoreError::Credentials { why: why.to_owned() };
            connect = match text.trim_end().split_once(':') {
                _ if text.contains("BEGIN NATS") => {
                    connect.credentials(text).map_err(|why| bad(&why.to_string()))?
                }
                Some((user, password)) if !password.contains('\n') => {
                    connect.user_and_password(user.to_owned(), password.to_owned())
                }
                _ => {
                    return Err(bad(
                        "it is neither a .creds file of NATS nor one line USER:PASSWORD",
                    ));
                }
            };
        }
        if let Some(path) = &options.authorities {
            connect = connect.add_root_certificates(path.clone());
        }
        let client = connect.connect(urls).await.map_err(|why| unreachable(&why))?;
        let version = client.server_info().version;
        if older(&version) {
            let (major, minor) = OLDEST;
            return Err(unreachable(&format!(
                "the server is NATS {version}, and has to be {major}.{minor} or newer"
            )));
        }
        let mut context = async_nats::jetstream::new(client.clone());
        context.set_timeout(ANSWER);
        let (name, subject) = (options.name.clone(), format!("pblink.{}.log", options.name));
        Ok(Self { client, context, name, subject })
    }

    /// Makes the stream, with this many copies, unless it is there. Returns true if it was made.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(super) async fn create(&self, replicas: usize) -> Result<bool, StoreError> {
        match self.state().await {
            Ok(_) => return Ok(false),
            Err(StoreError::NoStream { .. }) => {}
            Err(other) => return Err(other),
        }
        let config = Config {
            name: self.name.clone(),
            subjects: vec![self.subject.clone()],
            description: Some("The log of pblink serve, shared by its gateways".into()),
            num_replicas: replicas,
            storage: StorageType::File,
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::New,
            deny_delete: true,
            max_messages: -1,
            max_bytes: -1,
            max_messages_per_subject: -1,
            ..Config::default()
        };
        let made = self.context.create_stream(config).await;
        made.map(|_| true).map_err(|why| self.failed("make the stream", &why))
    }

    /// Returns what calls of the library go through. It asks no server: that the stream is there was seen before.
    async fn handle(&self) -> Result<Handle<()>, StoreError> {
        let handle = self.context.get_stream_no_info(&self.name).await;
        handle.map_err(|why| self.failed("find the stream", &why))
    }

    /// Returns the state of the stream, as its leader knows it.
    ///
    /// # Errors
    /// If nobody answers, or there is no such stream.
    pub(super) async fn state(&self) -> Result<StreamState, StoreError> {
        let info = self.context.get_stream(&self.name).await.map_err(|why| match why.kind() {
            GetStreamErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                StoreError::NoStream { name: self.name.clone() }
            }
            _ => self.failed("ask for the stream", &why),
        })?;
        let info = info.cached_info();
        let cluster = info.cluster.as_ref();
        let present = cluster.map_or(1, |cluster| {
            let others = cluster.replicas.iter().filter(|peer| !peer.offline);
            usize::from(cluster.leader.is_some()) + others.count()
        });
        Ok(StreamState {
            first: info.state.first_sequence,
            last: info.state.last_sequence,
            bytes: info.state.bytes,
            replicas: info.config.num_replicas,
            present,
            faults: faults(&info.config, &self.subject, self.servers()),
        })
    }

    /// Appends a message if `last` is the number of the newest one. Returns its number.
    ///
    /// # Errors
    /// If it is not, or nobody says.
    pub(super) async fn append(
        &self,
        last: u64,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<u64, Unappended> {
        let message = PublishMessage::build().headers(headers).payload(payload);
        let message = message.expected_last_sequence(last).expected_stream(&self.name);
        let unclear = |why: &context::PublishError| match why.kind() {
            PublishErrorKind::WrongLastSequence => Unappended::Behind,
            _ => Unappended::Unclear(why.to_string()),
        };
        let sent = self.context.send_publish(self.subject.clone(), message);
        let ack = sent.await.map_err(|why| unclear(&why))?.await.map_err(|why| unclear(&why))?;
        Ok(ack.sequence)
    }

    /// Reads one message, from the stream's leader.
    ///
    /// # Errors
    /// If nobody answers, or it is not there.
    pub(super) async fn read(&self, number: u64) -> Result<Message, StoreError> {
        let stream = self.handle().await?;
        let message = stream.get_raw_message(number).await;
        let message = message.map_err(|why| match why.kind() {
            LastRawMessageErrorKind::NoMessageFound => StoreError::Gone { number },
            _ => self.failed("read the stream", &why),
        })?;
        Ok(Message { number, headers: message.headers, payload: message.payload })
    }

    /// Follows the stream from message `number` on. It ends with an error, of whatever kind.
    ///
    /// # Errors
    /// If it cannot be followed now.
    pub(super) async fn follow(
        &self,
        number: u64,
    ) -> Result<impl futures::Stream<Item = Result<Message, StoreError>> + use<>, StoreError> {
        let config = pull::OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: number },
            replay_policy: ReplayPolicy::Instant,
            ..pull::OrderedConfig::default()
        };
        let stream = self.handle().await?;
        let consumer = stream.create_consumer(config).await;
        let consumer = consumer.map_err(|why| self.failed("follow the stream", &why))?;
        let messages = consumer.messages().await;
        let messages = messages.map_err(|why| self.failed("follow the stream", &why))?;
        let name = self.name.clone();
        Ok(messages.map(move |message| {
            let failed = |why: &dyn Display| StoreError::Failed {
                what: "follow the stream",
                name: name.clone(),
                why: why.to_string(),
            };
            let message = message.map_err(|why| failed(&why))?;
            let number = message.info().map_err(|why| failed(&why))?.stream_sequence;
            let (message, _) = message.split();
            let headers = message.headers.unwrap_or_default();
            Ok(Message { number, headers, payload: message.payload })
        }))
    }

    /// Deletes all messages before this one.
    ///
    /// # Errors
    /// If nobody says that it was done.
    pub(super) async fn forget_before(&self, number: u64) -> Result<(), StoreError> {
        let stream = self.handle().await?;
        let purged = stream.purge().sequence(number).await;
        purged.map(drop).map_err(|why| self.failed("shorten the stream", &why))
    }

    /// Returns how many servers the NATS cluster has, as far as they tell.
    pub(super) fn servers(&self) -> usize {
        self.client.server_info().connect_urls.len().max(1)
    }

    /// Returns how often this program has connected to a server.
    pub(super) fn connects(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
    }

    /// Returns its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Bytes that a message may have.
    pub(super) fn max_payload(&self) -> usize {
        self.client.server_info().max_payload
    }

    /// Tells all gateways something that nobody keeps.
    pub(super) async fn tell(&self, about: About, what: Bytes) {
        // It is about now: what cannot be told is told again.
        let told = self.client.publish(self.subject_of(about), what);
        let _ = timeout(ANSWER, told).await;
    }

    /// Hears what gateways [tell](Self::tell).
    ///
    /// # Errors
    /// If there is no connection any more.
    pub(super) async fn hear(&self, about: About) -> Result<Subscriber, StoreError> {
        let heard = self.client.subscribe(self.subject_of(about)).await;
        heard.map_err(|why| self.failed("hear the gateways of", &why))
    }

    fn subject_of(&self, about: About) -> String {
        match about {
            About::Leading => format!("pblink.{}.beat", self.name),
            About::StandingBy => format!("pblink.{}.standby", self.name),
        }
    }

    /// Returns the address at which the servers of NATS see this program, if they tell.
    pub(super) fn own_ip(&self) -> Option<IpAddr> {
        self.client.server_info().client_ip.parse().ok()
    }

    fn failed(&self, what: &'static str, why: &dyn Display) -> StoreError {
        StoreError::Failed { what, name: self.name.clone(), why: why.to_string() }
    }
}
