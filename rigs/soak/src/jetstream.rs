//! NATS JetStream used by hand, one message for each line: the thing beside which the log that servers share is measured.

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, Context};
use async_nats::{Client, HeaderMap, ServerAddr};
use futures::StreamExt;
use futures::future::try_join_all;
use serde_json::{Value, json};

/// A reason why NATS did not do as it was asked.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Messages that are stored together, or not at all.
pub const BATCH: u64 = 256;

/// NATS's own code for "there is no such stream".
const NO_STREAM: u64 = 10059;

/// A connection to NATS.
#[derive(Debug, Clone)]
pub struct Jetstream {
    client: Client,
    context: Context,
}

impl Jetstream {
    /// Connects to servers, as a store takes them: with commas between.
    ///
    /// # Errors
    /// If none answers.
    pub async fn connect(urls: &str) -> Result<Self, Failure> {
        let servers = urls.split(',').map(str::parse).collect::<Result<Vec<ServerAddr>, _>>()?;
        let client = async_nats::connect(servers).await?;
        Ok(Self { context: jetstream::new(client.clone()), client })
    }

    /// Makes a stream of this name with this many copies on disks, for subjects `NAME.*`. `atomic`: it takes batches.
    ///
    /// # Errors
    /// If NATS does not.
    pub async fn create(&self, name: &str, replicas: usize, atomic: bool) -> Result<(), Failure> {
        self.make(
            name,
            json!({ "num_replicas": replicas, "storage": "file", "allow_atomic": atomic }),
        )
        .await
    }

    /// Makes a stream of this name that is in the memory of one server, for subjects `NAME.*`.
    ///
    /// # Errors
    /// If NATS does not.
    pub async fn create_in_memory(&self, name: &str) -> Result<(), Failure> {
        self.make(name, json!({ "num_replicas": 1, "storage": "memory" })).await
    }

    /// Deletes a stream, if it is there.
    ///
    /// # Errors
    /// If NATS does not.
    pub async fn delete(&self, name: &str) -> Result<(), Failure> {
        self.ask(&format!("STREAM.DELETE.{name}"), json!({})).await
    }

    /// Publishes an atomic batch (the architecture decision record ADR-50 of NATS), one message for each subject, and waits until it is
    /// stored. At most [`BATCH`] of them are meant.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn batch(
        &self,
        subjects: impl ExactSizeIterator<Item = String>,
        text: &'static str,
    ) -> Result<(), Failure> {
        let id = self.client.new_inbox();
        let last = subjects.len();
        for (at, subject) in (1..).zip(subjects) {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Batch-Id", id.as_str());
            headers.insert("Nats-Batch-Sequence", at.to_string());
            if at < last {
                self.client.publish_with_headers(subject, headers, text.into()).await?;
                continue;
            }
            headers.insert("Nats-Batch-Commit", "1");
            let sent = self.client.request_with_headers(subject, headers, text.into()).await?;
            let answer: Value = serde_json::from_slice(&sent.payload)?;
            if !answer["error"].is_null() {
                return Err(answer.to_string().into());
            }
        }
        Ok(())
    }

    /// Publishes a message, and waits until it is stored.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn publish(&self, subject: String, text: &'static str) -> Result<(), Failure> {
        self.context.publish(subject, text.into()).await?.await?;
        Ok(())
    }

    /// Publishes a message for each subject, and waits until all are stored: all of them are under way at a time.
    ///
    /// # Errors
    /// If one is refused.
    pub async fn pipeline(
        &self,
        subjects: impl Iterator<Item = String>,
        text: &'static str,
    ) -> Result<(), Failure> {
        let mut acks = Vec::new();
        for subject in subjects {
            let message = PublishMessage::build().payload(text.into());
            acks.push(self.context.send_publish(subject, message).await?);
        }
        try_join_all(acks.into_iter().map(IntoFuture::into_future)).await?;
        Ok(())
    }

    /// Begins to take the messages of one subject from a stream in memory, by a pull consumer. NATS sends it at most this many that it has
    /// not acknowledged.
    ///
    /// # Errors
    /// If NATS makes no consumer.
    pub async fn consume(
        &self,
        stream: &str,
        subject: String,
        pending: usize,
    ) -> Result<Messages, Failure> {
        let config = pull::Config {
            filter_subject: subject,
            max_ack_pending: pending as i64,
            memory_storage: true,
            ..pull::Config::default()
        };
        let consumer = self.context.create_consumer_on_stream(config, stream).await?;
        Ok(Messages(consumer.messages().await?))
    }

    async fn make(&self, name: &str, more: Value) -> Result<(), Failure> {
        let mut config = json!({
            "name": name, "subjects": [format!("{name}.*")], "retention": "limits", "discard": "new",
            "duplicate_window": 0,
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        self.ask(&format!("STREAM.CREATE.{name}"), config).await
    }

    async fn ask(&self, what: &str, body: Value) -> Result<(), Failure> {
        let body = serde_json::to_vec(&body)?;
        let answer = self.client.request(format!("$JS.API.{what}"), body.into()).await?;
        let answer: Value = serde_json::from_slice(&answer.payload)?;
        match answer["error"]["err_code"].as_u64() {
            None | Some(NO_STREAM) => Ok(()),
            Some(_) => Err(answer.to_string().into()),
        }
    }
}

/// Messages of a [consumer](Jetstream::consume).
pub struct Messages(pull::Stream);

impl Messages {
    /// Waits for the next message, and acknowledges it.
    ///
    /// # Errors
    /// If none comes any more.
    pub async fn take(&mut self) -> Result<(), Failure> {
        let message = self.0.next().await.ok_or("the consumer has ended")??;
        message.ack().await
    }
}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Messages").finish_non_exhaustive()
    }
}
