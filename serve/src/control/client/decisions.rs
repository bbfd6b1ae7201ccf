//! Decisions on the server's log: consumers, clients that go for good, lines that a restore has left.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Url};

use super::super::answers::{Decided, HeldLine, WaitingLine};
use super::super::consumer::{ConsumerInfo, ConsumerList, Passed};
use super::address::http;
use super::{Client, ClientError, LIST, REQUEST, SMALL};

/// Limit for a purge, which reads all of the log.
const PURGE: Duration = Duration::from_secs(600);

impl Client {
    /// Returns the consumers of the log.
    ///
    /// # Errors
    /// If the server cannot be reached, or has no log.
    pub async fn consumers(&self) -> Result<ConsumerList, ClientError> {
        self.get("/api/v1/consumers").await
    }

    /// Returns the consumers; none if the server keeps no log, or is of a time before consumers.
    pub(super) async fn consumers_if_any(&self) -> Result<Vec<ConsumerInfo>, ClientError> {
        match self.consumers().await {
            Ok(list) => Ok(list.consumers),
            Err(ClientError::Refused { status: 501 | 404, .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Removes a consumer that is no part of the running server.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with status 404 if there is none, 409 if it runs in the server.
    pub async fn remove_consumer(&self, name: &str) -> Result<(), ClientError> {
        self.done(self.short(Method::DELETE, self.below("/api/v1/consumers", &[name]))).await
    }

    /// Gives a consumer that is no part of the running server another name.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with status 404 if there is none, 409 if it runs in the server or the name is taken.
    pub async fn rename_consumer(&self, name: &str, to: &str) -> Result<ConsumerInfo, ClientError> {
        let mut url = self.below("/api/v1/consumers", &[name, "rename"]);
        url.query_pairs_mut().append_pair("to", to);
        self.answer(self.short(Method::POST, url), SMALL).await
    }

    /// Lets a consumer pass over the line at which it fails; `client` may be left out if there is only one.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with status 404 if there is none, 409 if it fails on no such line, or on several.
    pub async fn skip(&self, name: &str, client: Option<&str>) -> Result<Passed, ClientError> {
        let url = choose(self.below("/api/v1/consumers", &[name, "skip"]), client);
        self.answer(self.short(Method::POST, url), SMALL).await
    }

    /// Removes all that is kept of a client that is not connected. Takes minutes for a large log.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with status 409 if it is connected.
    pub async fn purge(&self, id: &str) -> Result<(), ClientError> {
        let patient = Self { http: http(&self.base, self.zone.as_deref(), PURGE)?, ..self.clone() };
        let request = patient.request(Method::DELETE, self.below("/api/v1/links", &[id]));
        patient.done(request.timeout(PURGE)).await
    }

    /// Returns the lines that wait for a client, undetermined ones before the others.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with status 404 if there is no such client.
    pub async fn waiting(&self, id: &str) -> Result<Vec<WaitingLine>, ClientError> {
        let url = self.below("/api/v1/links", &[id, "lines"]);
        self.answer(self.short(Method::GET, url), LIST).await
    }

    /// Returns lines to clients that a restore has left undetermined.
    ///
    /// # Errors
    /// If the server cannot be reached, or has no log.
    pub async fn undetermined(&self, client: Option<&str>) -> Result<Vec<HeldLine>, ClientError> {
        let url = choose(self.path("/api/v1/outbox"), client);
        self.answer(self.short(Method::GET, url), LIST).await
    }

    /// Has undetermined lines of a client, or of all, sent (or dropped, unless `send`).
    ///
    /// # Errors
    /// [`ClientError::Refused`]: all of them stay undetermined.
    pub async fn decide(&self, client: Option<&str>, send: bool) -> Result<Decided, ClientError> {
        let method = if send { Method::POST } else { Method::DELETE };
        let url = choose(self.path("/api/v1/outbox"), client);
        self.answer(self.short(method, url), SMALL).await
    }

    /// Returns a path with names in it, which may hold any sign.
    fn below(&self, path: &str, names: &[&str]) -> Url {
        let mut url = self.path(path);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(names);
        }
        url
    }

    fn short(&self, method: Method, url: Url) -> RequestBuilder {
        self.request(method, url).timeout(REQUEST)
    }

    /// Sends a request whose answer is empty.
    async fn done(&self, request: RequestBuilder) -> Result<(), ClientError> {
        let sent = request.send().await;
        self.check(sent.map_err(|error| self.unreachable(&error))?).await.map(drop)
    }
}

fn choose(mut url: Url, client: Option<&str>) -> Url {
    if let Some(client) = client {
        url.query_pairs_mut().append_pair("client", client);
    }
    url
}
