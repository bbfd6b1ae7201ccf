//! Lines out of the server's log and into it.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::super::answers::{Accepted, EventList, LinePage, LinkInfo};
use super::{Client, ClientError, LIST, REQUEST, SMALL, selection};

/// The longest wait of one request: a server that is silent for longer counts as gone.
const WAIT: Duration = Duration::from_secs(10);

/// A selection of lines.
#[derive(Debug, Clone, Default)]
pub struct LineQuery<'a> {
    /// Only lines behind this offset; `None`: from the oldest, or as `since` says.
    pub after: Option<u64>,
    /// Only lines since this time: a length such as `1h`, RFC 3339, or milliseconds since 1970.
    pub since: Option<&'a str>,
    /// Only the lines to come, instead of `after` and `since`.
    pub end: bool,
    /// Only lines of this client.
    pub client: Option<&'a str>,
    /// The name of the log that `after` belongs to.
    pub log: Option<&'a str>,
    /// The most lines; at most 1000.
    pub limit: usize,
    /// The longest wait for a line, at most 10 s.
    pub wait: Duration,
}

/// A selection of events.
#[derive(Debug, Clone, Default)]
pub struct EventQuery<'a> {
    /// Only those since this time, as [`Client::outages`] has it.
    pub from: Option<&'a str>,
    /// Only those of this client.
    pub client: Option<&'a str>,
    /// Only those of these kinds ([`EventKind::NAMES`](pblink_server::EventKind::NAMES)); none: all.
    pub kinds: &'a [String],
}

/// Lines for a client.
#[derive(Debug, Clone)]
pub struct Outgoing<'a> {
    /// The client's id.
    pub client: &'a str,
    /// The lines.
    pub lines: &'a [String],
    /// `guaranteed`, `unordered` or `best_effort`.
    pub delivery: &'a str,
    /// A request with the same key within a day sends nothing again.
    pub key: &'a str,
    /// The longest wait for the client's acknowledgement, at most 10 s.
    pub wait: Duration,
}

impl Client {
    /// Returns lines of the log.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with status 410 if lines were deleted, 409 if the place is one of another log.
    pub async fn lines(&self, query: &LineQuery<'_>) -> Result<LinePage, ClientError> {
        let wait = query.wait.min(WAIT);
        let mut pairs = vec![("limit", query.limit.to_string())];
        let mut add = |key, value: Option<String>| pairs.extend(value.map(|value| (key, value)));
        match query.end {
            true => add("after", Some("end".to_owned())),
            false => {
                add("after", query.after.map(|after| after.to_string()));
                add("since", query.since.map(str::to_owned));
            }
        }
        add("client", query.client.map(str::to_owned));
        add("log", query.log.map(str::to_owned));
        add("wait", (!wait.is_zero()).then(|| format!("{}ms", wait.as_millis())));
        let mut url = self.path("/api/v1/lines");
        url.query_pairs_mut().extend_pairs(&pairs);
        let request = self.request(Method::GET, url).timeout(wait + REQUEST);
        self.answer(request, LIST).await
    }

    /// Puts lines for a client into the log, and waits for the acknowledgement as long as it says.
    ///
    /// # Errors
    /// [`ClientError::Refused`]: none of the lines is in the log.
    pub async fn send(&self, outgoing: &Outgoing<'_>) -> Result<Accepted, ClientError> {
        let mut url = self.path("/api/v1/links");
        // Ids may hold any sign.
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(outgoing.client).push("lines");
        }
        let wait = outgoing.wait.min(WAIT);
        url.query_pairs_mut().append_pair("wait", &format!("{}ms", wait.as_millis()));
        let body = json!({ "lines": outgoing.lines, "delivery": outgoing.delivery });
        let request = self.request(Method::POST, url).header("Idempotency-Key", outgoing.key);
        self.answer(request.json(&body).timeout(wait + REQUEST), SMALL).await
    }

    /// Returns all links with their last lines.
    ///
    /// # Errors
    /// If the server cannot be reached.
    pub async fn link_infos(&self) -> Result<Vec<LinkInfo>, ClientError> {
        self.get("/api/v1/links").await
    }

    /// Returns one link.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with status 404 if there is none.
    pub async fn link_info(&self, id: &str) -> Result<LinkInfo, ClientError> {
        let mut url = self.path("/api/v1/links");
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(id);
        }
        self.answer(self.request(Method::GET, url).timeout(REQUEST), SMALL).await
    }

    /// Returns the newest 10,000 events of a selection: those of earlier runs too, if the server's log outlives it.
    ///
    /// # Errors
    /// If the server cannot be reached, or `from` is no time.
    pub async fn past_events(&self, query: &EventQuery<'_>) -> Result<EventList, ClientError> {
        let mut url = self.path("/api/v1/events");
        {
            let mut pairs = url.query_pairs_mut();
            for (key, value) in [("client", query.client), ("from", query.from)] {
                pairs.extend_pairs(value.map(|value| (key, value)));
            }
            if !query.kinds.is_empty() {
                pairs.append_pair("kind", &query.kinds.join(","));
            }
        }
        let request = self.request(Method::GET, url).header("Accept", "application/json");
        self.answer(request.timeout(REQUEST), LIST).await
    }

    /// Returns outages as CSV with a heading, as [`outages`](Self::outages).
    ///
    /// # Errors
    /// If the server cannot be reached, or `since` is no time.
    pub async fn outages_csv(
        &self,
        since: Option<&str>,
        client: Option<&str>,
    ) -> Result<Vec<u8>, ClientError> {
        let mut url = self.path("/api/v1/outages");
        url.query_pairs_mut().extend_pairs(selection(since, client));
        let request = self.request(Method::GET, url).header("Accept", "text/csv").timeout(REQUEST);
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let response = self.check(response).await?;
        self.body(response, LIST).await
    }
}
