//! Lines of a server elsewhere, by its control API.

use std::sync::{Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use pblink_serve::control::{Client, ClientError, LineQuery, Outgoing, Token};

use super::passing::{ACKNOWLEDGE, BEFORE, Lines, PAGE, Passage, Passed, WAIT};

/// The lines of the server that a client of the control API speaks to.
#[derive(Debug)]
pub struct RemoteLines {
    client: Client,
    /// Name of the log in which places are.
    log: Mutex<Option<String>>,
}

impl RemoteLines {
    /// Returns those of this client's server.
    pub fn new(client: Client) -> Self {
        Self { client, log: Mutex::default() }
    }

    fn log(&self) -> Option<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the place from which the newest lines are looked through, and notes the log.
    async fn begin(&self) -> Result<u64, ClientError> {
        let query = LineQuery { end: true, limit: 1, ..LineQuery::default() };
        let page = self.client.lines(&query).await?;
        *self.log.lock().unwrap_or_else(PoisonError::into_inner) = Some(page.log);
        Ok(page.head.saturating_sub(BEFORE).max(page.first.saturating_sub(1)))
    }

    async fn page(&self, client: &str, after: Option<u64>) -> Result<Passage, ClientError> {
        let after = match after {
            Some(after) => after,
            None => self.begin().await?,
        };
        let log = self.log();
        let query = LineQuery {
            after: Some(after),
            client: Some(client),
            log: log.as_deref(),
            limit: PAGE,
            wait: WAIT,
            ..LineQuery::default()
        };
        match self.client.lines(&query).await {
            Ok(page) => {
                let lines = page.lines.into_iter();
                let lines = lines.map(|line| Passed { at_ms: line.at_ms, text: line.text });
                Ok(Passage { after: page.after, lines: lines.collect() })
            }
            // Deleted meanwhile, or the server has another log.
            Err(ClientError::Refused { status: 409 | 410, .. }) => {
                Ok(Passage { after: self.begin().await?, lines: Vec::new() })
            }
            Err(error) => Err(error),
        }
    }
}

impl Lines for RemoteLines {
    fn next(&self, client: String, after: Option<u64>) -> BoxFuture<'_, Result<Passage, String>> {
        async move { self.page(&client, after).await.map_err(|error| error.reason()) }.boxed()
    }

    fn send(&self, client: String, text: String) -> BoxFuture<'_, Result<bool, String>> {
        async move {
            let key = Token::generate().map_err(|error| error.to_string())?;
            let outgoing = Outgoing {
                client: &client,
                lines: &[text],
                delivery: "guaranteed",
                key: key.as_str(),
                wait: ACKNOWLEDGE,
            };
            let sent = self.client.send(&outgoing).await;
            sent.map(|answer| answer.acknowledged).map_err(|error| error.reason())
        }
        .boxed()
    }

    fn refusal(&self) -> Option<String> {
        let why = "the server's token is needed to send lines: give its file with --token-file";
        (!self.client.has_token()).then(|| why.to_owned())
    }
}
