//! The control API's client side, as `pblink monitor` and other verbs use it.

mod address;
mod answer;
mod decisions;
mod lines;
mod sse;

use std::convert::Infallible;
use std::error::Error as _;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, TryStreamExt};
use pblink_server::{Event, LinkStatus};
use reqwest::{Method, RequestBuilder, Response, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::answer::{Broken, read};
use self::sse::{Cutter, Message};
use super::answers::{Refused, ServerAnswer};
use super::token::Token;
use super::{
    LinkInfo, OutageList, POLL, POLL_SOON, QUEUE, ReportList, ServerInfo, Update, changes_state,
};

pub use lines::{EventQuery, LineQuery, Outgoing};

/// The most bytes of an answer about one thing, and of one that refuses.
const SMALL: usize = 1 << 20;

/// The most bytes of a list: half a million reports are 50 MB.
const LIST: usize = 128 << 20;

/// Limit for an answer that is not a stream.
const REQUEST: Duration = Duration::from_secs(5);

/// Limit for silence on any answer: an event stream sends a keep-alive every five seconds.
const SILENCE: Duration = Duration::from_secs(15);

/// First and longest pause between tries to reach the server again.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));

/// Reason why the client cannot continue.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is no URL that the control API can have.
    #[error("{0:?} is no address of a control API; write it as http://127.0.0.1:8124")]
    Url(String),
    /// The zone of a link-local address is no name of an interface.
    #[error("{0:?} does not name the interface; write the address as http://[fe80::1%eth0]:8124")]
    Zone(String),
    /// Nothing answers.
    #[error("no server answers at {url} ({reason})")]
    Unreachable {
        /// Address of the server.
        url: Url,
        /// Reason, in a few words.
        reason: String,
    },
    /// Something else answers.
    #[error("what answers at {url} is no pblink server ({reason})")]
    NotPblink {
        /// Address at which it answers.
        url: Url,
        /// The fault in its answer.
        reason: String,
    },
    /// The server answers, and refuses.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The mistake and its remedy, in the server's words.
        message: String,
    },
    /// An event stream ended.
    #[error("the server ended the event stream")]
    Ended,
}

impl ClientError {
    /// Returns the reason alone, in a few words.
    pub fn reason(&self) -> String {
        match self {
            Self::Unreachable { reason, .. } | Self::NotPblink { reason, .. } => reason.clone(),
            Self::Refused { message, .. } => message.clone(),
            Self::Url(_) | Self::Zone(_) => "no valid address".into(),
            Self::Ended => "the server closed the connection".into(),
        }
    }
}

/// A client of the control API.
#[derive(Debug, Clone)]
pub struct Client {
    base: Url,
    /// The interface to a link-local address.
    zone: Option<String>,
    http: reqwest::Client,
    token: Option<Token>,
}

/// Item of the event stream. An event of a newer server that this version does not know has a
/// number only.
enum Item {
    Event(Arc<Event>),
    Unknown(u64),
    Missed(u64),
}

#[derive(Deserialize)]
struct Lagged {
    missed: u64,
}

/// State that must survive a reconnect: the run of the server, and what was seen of it.
#[derive(Default)]
struct Position {
    run: Option<u64>,
    since: u64,
    /// Revisions up to which outages and reports are known.
    outages: u64,
    reports: u64,
}

impl Client {
    /// Connects to the server at `url` (`http://` may be left out) and checks that it is one.
    ///
    /// # Errors
    /// If it cannot be reached, or is something else.
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        Self::connect_with(url, None).await.map(|(client, _)| client)
    }

    /// Connects as [`connect`](Self::connect), with a token if it has one, and returns how the server describes
    /// itself.
    ///
    /// # Errors
    /// As there; [`ClientError::Refused`] if the token is not the server's.
    pub async fn connect_with(
        url: &str,
        token: Option<Token>,
    ) -> Result<(Self, ServerAnswer), ClientError> {
        let mut client = Self::new(url)?;
        client.token = token;
        let url = client.path("/api/v1/server");
        let request = client.request(Method::GET, url).timeout(REQUEST);
        let server: ServerAnswer = client.answer(request, SMALL).await?;
        if server.program != "pblink" {
            let reason = "it says that it is another program".to_owned();
            return Err(ClientError::NotPblink { url: client.base.clone(), reason });
        }
        Ok((client, server))
    }

    /// Sends this token from now on.
    #[must_use]
    pub fn with_token(self, token: Token) -> Self {
        Self { token: Some(token), ..self }
    }

    /// Returns true if it sends a token: without one it can only read.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    fn new(url: &str) -> Result<Self, ClientError> {
        let (base, zone) = address::parse(url)?;
        let http = address::http(&base, zone.as_deref(), SILENCE)?;
        Ok(Self { http, base, zone, token: None })
    }

    /// Returns the address of the server.
    pub fn url(&self) -> &Url {
        &self.base
    }

    /// Returns the server's description.
    pub async fn info(&self) -> Result<ServerInfo, ClientError> {
        self.get("/api/v1/server").await
    }

    /// Returns all links.
    pub async fn links(&self) -> Result<Vec<LinkStatus>, ClientError> {
        self.get("/api/v1/links").await
    }

    /// Returns the outages since `since` (a length such as `24h`, RFC 3339, or milliseconds since 1970; `None`: all
    /// that the server keeps) of one client or of all.
    pub async fn outages(
        &self,
        since: Option<&str>,
        client: Option<&str>,
    ) -> Result<OutageList, ClientError> {
        self.ask("/api/v1/outages", &selection(since, client)).await
    }

    /// Returns the reports since `since` of one client or of all, as [`outages`](Self::outages).
    pub async fn reports(
        &self,
        since: Option<&str>,
        client: Option<&str>,
    ) -> Result<ReportList, ClientError> {
        self.ask("/api/v1/reports", &selection(since, client)).await
    }

    /// Follows the server until the receiver is dropped: reconnects when the server goes away,
    /// and continues with the first event that it has not seen. Must be called within a tokio runtime.
    pub fn follow(self) -> mpsc::Receiver<Update> {
        self.follow_from(Position::default())
    }

    /// Follows as [`follow`](Self::follow), but for the events up to number `seen` of the run that `server` is in.
    pub fn follow_after(self, server: &ServerInfo, seen: u64) -> mpsc::Receiver<Update> {
        let run = Some(server.started_at_ms);
        self.follow_from(Position { run, since: seen, ..Position::default() })
    }

    fn follow_from(self, position: Position) -> mpsc::Receiver<Update> {
        let (updates, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            tokio::select! {
                () = updates.closed() => {}
                () = self.keep_following(position, &updates) => {}
            }
        });
        receiver
    }

    async fn keep_following(&self, mut position: Position, updates: &mpsc::Sender<Update>) {
        let mut pause = BACK_OFF.0;
        loop {
            let since = (position.run, position.since);
            let Err(error) = self.session(updates, &mut position, &mut pause).await;
            tracing::debug!("lost the server after event {since:?}: {error}");
            let lost = Update::Lost { reason: error.reason(), retry_in: pause };
            if updates.send(lost).await.is_err() {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(BACK_OFF.1);
        }
    }

    /// Follows the server for as long as it can be reached.
    async fn session(
        &self,
        updates: &mpsc::Sender<Update>,
        position: &mut Position,
        pause: &mut Duration,
    ) -> Result<Infallible, ClientError> {
        // A failed send means that the receiver is gone; `follow` then drops this future.
        let info = self.info().await?;
        if position.run != Some(info.started_at_ms) {
            // What this run knows of earlier ones was seen already. Later numbers are those of its own events.
            let since = position.since.min(info.recalled);
            *position = Position { run: Some(info.started_at_ms), since, ..Position::default() };
        }
        let mut items = Box::pin(self.events(position.since).await?);
        *pause = BACK_OFF.0;
        let _ = updates.send(Update::Server(info)).await;
        let mut poll_at = Instant::now();
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(poll_at) => {
                    self.poll(updates, position).await?;
                    poll_at = Instant::now() + POLL;
                }
                item = items.next() => match item.ok_or(ClientError::Ended)?? {
                    Item::Event(event) => {
                        position.since = event.seq;
                        if changes_state(&event.kind) {
                            poll_at = poll_at.min(Instant::now() + POLL_SOON);
                        }
                        let _ = updates.send(Update::Event(event)).await;
                    }
                    Item::Unknown(seq) => position.since = seq,
                    Item::Missed(missed) => {
                        let _ = updates.send(Update::Missed(missed)).await;
                    }
                }
            }
        }
    }

    /// Asks for what no event carries.
    async fn poll(
        &self,
        updates: &mpsc::Sender<Update>,
        position: &mut Position,
    ) -> Result<(), ClientError> {
        let infos: Vec<LinkInfo> = self.get("/api/v1/links").await?;
        let after = |revision: u64| [("after", revision.to_string())];
        let outages: OutageList = self.ask("/api/v1/outages", &after(position.outages)).await?;
        let reports: ReportList = self.ask("/api/v1/reports", &after(position.reports)).await?;
        let consumers = self.consumers_if_any().await?;
        // Last, so that answers of another run, which has revisions of its own, are not taken for this one's.
        let info = self.info().await?;
        if position.run != Some(info.started_at_ms) {
            return Err(ClientError::Ended);
        }
        (position.outages, position.reports) = (outages.revision, reports.revision);
        let _ = updates.send(Update::Server(info)).await;
        let last =
            infos.iter().filter_map(|info| Some((info.status.id.clone(), info.last_line.clone()?)));
        let last = last.collect();
        let ways =
            infos.iter().filter_map(|info| Some((info.status.id.clone(), info.gateway.clone()?)));
        let ways = ways.collect();
        let links = infos.into_iter().map(|info| info.status).collect();
        let _ = updates.send(Update::Links(links)).await;
        let _ = updates.send(Update::Gateways(ways)).await;
        let _ = updates.send(Update::LastLines(last)).await;
        let _ = updates.send(Update::Consumers(consumers)).await;
        if !outages.outages.is_empty() {
            let _ = updates.send(Update::Outages(outages.outages)).await;
        }
        if !reports.reports.is_empty() {
            let _ = updates.send(Update::Reports(reports.reports)).await;
        }
        Ok(())
    }

    async fn events(
        &self,
        since: u64,
    ) -> Result<impl Stream<Item = Result<Item, ClientError>> + use<>, ClientError> {
        let mut url = self.path("/api/v1/events");
        url.query_pairs_mut().append_pair("since", &since.to_string());
        let sent = self.request(Method::GET, url).send().await;
        let response = self.check(sent.map_err(|error| self.unreachable(&error))?).await?;
        let client = self.clone();
        let state = (response.bytes_stream(), Cutter::default());
        Ok(futures::stream::try_unfold(state, move |(mut bytes, mut cutter)| {
            let client = client.clone();
            async move {
                let Some(piece) = bytes.next().await else { return Ok(None) };
                let piece = piece.map_err(|error| client.unreachable(&error))?;
                let messages = cutter.push(&piece).map_err(|error| client.not_pblink(&error))?;
                let items: Vec<_> = messages.iter().map(|message| client.item(message)).collect();
                Ok(Some((futures::stream::iter(items), (bytes, cutter))))
            }
        })
        .try_flatten())
    }

    fn item(&self, message: &Message) -> Result<Item, ClientError> {
        if message.event == "lagged" {
            let lagged: Lagged =
                serde_json::from_str(&message.data).map_err(|error| self.not_pblink(&error))?;
            return Ok(Item::Missed(lagged.missed));
        }
        match (serde_json::from_str(&message.data), message.id.parse()) {
            (Ok(event), _) => Ok(Item::Event(Arc::new(event))),
            (Err(_), Ok(seq)) => Ok(Item::Unknown(seq)),
            (Err(error), Err(_)) => Err(self.not_pblink(&error)),
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.ask(path, &[]).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, ClientError> {
        let mut url = self.path(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.answer(self.request(Method::GET, url).timeout(REQUEST), LIST).await
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token.as_str()),
            None => request,
        }
    }

    /// Sends a request, and reads an answer of at most `max` bytes.
    async fn answer<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        max: usize,
    ) -> Result<T, ClientError> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let response = self.check(response).await?;
        // Its bytes first: one that breaks off is not one of another program.
        let answer = self.body(response, max).await?;
        serde_json::from_slice(&answer).map_err(|error| self.not_pblink(&error))
    }

    async fn body(&self, response: Response, max: usize) -> Result<Vec<u8>, ClientError> {
        read(response, max).await.map_err(|broken| match &broken {
            Broken::Cut(error) => self.unreachable(error),
            Broken::TooLong(_) => self.not_pblink(&broken),
        })
    }

    /// Passes an answer on, unless it refuses.
    async fn check(&self, response: Response) -> Result<Response, ClientError> {
        let Err(error) = response.error_for_status_ref() else { return Ok(response) };
        let status = response.status().as_u16();
        let body = self.body(response, SMALL).await?;
        match serde_json::from_slice::<Refused>(&body) {
            Ok(refused) => Err(ClientError::Refused { status, message: refused.error }),
            Err(_) => Err(self.not_pblink(&error)),
        }
    }

    fn path(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url.set_query(None);
        url
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        self.report(error);
        let reason = match io_kind(error) {
            _ if error.is_timeout() => "it does not answer in time",
            Some(ErrorKind::ConnectionRefused) => "connection refused",
            Some(ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => {
                "there is no way to that address"
            }
            _ if error.is_connect() => "there is no connection to that name or address",
            _ => "the connection was cut",
        };
        ClientError::Unreachable { url: self.base.clone(), reason: reason.to_owned() }
    }

    fn not_pblink(&self, error: &(dyn std::error::Error + 'static)) -> ClientError {
        self.report(error);
        let status = error.downcast_ref::<reqwest::Error>().and_then(reqwest::Error::status);
        let reason = match status {
            Some(status) => format!("HTTP status {}", status.as_u16()),
            None => "its answer is not one of the control API".to_owned(),
        };
        ClientError::NotPblink { url: self.base.clone(), reason }
    }

    /// Keeps the libraries' words for those who ask for more.
    fn report(&self, error: &dyn std::error::Error) {
        tracing::info!("{}: {}", self.base, innermost(error));
    }
}

fn selection(since: Option<&str>, client: Option<&str>) -> Vec<(&'static str, String)> {
    let parameters = [("since", since), ("client", client)];
    parameters.into_iter().filter_map(|(key, value)| Some((key, value?.to_owned()))).collect()
}

/// Returns the system's reason, if that is what is behind an error.
fn io_kind(error: &reqwest::Error) -> Option<ErrorKind> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        next = error.source();
    }
    None
}

/// Returns the innermost cause.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
