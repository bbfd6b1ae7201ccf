//! Lines and acknowledgements that the program for all clients prints.

use std::sync::Arc;

use serde_json::json;
use tokio::time::sleep;

use super::{All, BATCH, MAX_ERRORS};
use crate::consumers::exec::child::Mouth;
use crate::consumers::exec::output::Printed;
use crate::consumers::exec::speech::{Said, complaint, lines, said};
use crate::consumers::exec::trouble::Trouble;
use crate::consumers::exec::{MAX_PRINTED, MAX_PRINTED_BYTES, RETRY};
use crate::log::{Outgoing, SendError};

impl All {
    /// Takes what the program has printed, and what is there besides. An error: the log has ended.
    pub(super) async fn hear(
        &mut self,
        printed: Printed,
        mouth: &mut Mouth,
        read: u64,
        trouble: &mut Trouble,
    ) -> Result<(), SendError> {
        let (mut batch, mut next, mut count) = (Vec::new(), Some(printed), 0);
        while let Some(printed) = next {
            match said(printed, &self.hub) {
                Ok(None) => {}
                Ok(Some(Said::Line(line))) if self.shop.ack => self.keep(line),
                Ok(Some(Said::Line(line))) => batch.push(line),
                Ok(Some(Said::Done(offset))) if self.shop.ack => {
                    self.done(offset, read, trouble).await?;
                }
                Ok(Some(Said::Done(offset))) => {
                    let why = "an acknowledgement, and --exec-ack was not asked for";
                    self.complain(complaint(why, json!({ "done": offset })));
                }
                Err(error) => self.complain(error),
            }
            count += 1;
            next = if count < BATCH { mouth.ready() } else { None };
        }
        self.send(batch).await
    }

    fn complain(&mut self, error: String) {
        match self.errors.len() < MAX_ERRORS {
            true => self.errors.push_back(error),
            false => self.lost += 1,
        }
    }

    fn refuse(&mut self, line: &Outgoing, error: &SendError) {
        let about = json!({ "client": &*line.client, "line": &*line.text });
        self.complain(complaint(&error.to_string(), about));
    }

    /// Keeps a line until the program acknowledges one.
    fn keep(&mut self, line: Outgoing) {
        if self.outgoing.len() == MAX_PRINTED || self.bytes + line.text.len() > MAX_PRINTED_BYTES {
            let why = format!(
                "more than {MAX_PRINTED} lines or {} KB without an acknowledgement: not sent",
                MAX_PRINTED_BYTES / 1024
            );
            let about = json!({ "client": &*line.client, "line": &*line.text });
            self.complain(complaint(&why, about));
            return;
        }
        self.bytes += line.text.len();
        self.outgoing.push(line);
    }

    /// Notes that the program has processed a line, with all that it has printed since it said so last.
    async fn done(
        &mut self,
        offset: u64,
        read: u64,
        trouble: &mut Trouble,
    ) -> Result<(), SendError> {
        let Some(job) = self.given.iter().find(|job| job.line.offset == offset && job.end <= read)
        else {
            let why = "an acknowledgement of a line that the program does not have";
            self.complain(complaint(why, json!({ "done": offset })));
            return Ok(());
        };
        let (client, lane) = (Arc::clone(&job.line.client), Arc::clone(&job.lane));
        let mut outgoing = std::mem::take(&mut self.outgoing);
        self.bytes = 0;
        loop {
            match lane.done(offset, outgoing.clone()).await {
                Ok(()) => break,
                Err(SendError::DiskFull | SendError::Unavailable) => sleep(RETRY).await,
                Err(SendError::Stopped) => return Err(SendError::Stopped),
                Err(error) => {
                    // One silent board does not stop all.
                    let full = match &error {
                        SendError::OutboxFull { client, .. } => Some(client.clone()),
                        _ => None,
                    };
                    let (out, rest): (Vec<_>, Vec<_>) = (outgoing.into_iter())
                        .partition(|line| full.as_ref().is_none_or(|full| **full == *line.client));
                    for line in &out {
                        self.refuse(line, &error);
                    }
                    outgoing = rest;
                }
            }
        }
        let before = self.given.len();
        self.given.retain(|job| job.line.client != client || job.line.offset > offset);
        self.careful = self.careful.saturating_sub(before - self.given.len());
        trouble.on_done(&client, offset);
        if self.held.get(&client).is_some_and(|held| held.trying) {
            self.release(&client);
        }
        Ok(())
    }

    /// Puts lines into the log, those of all clients at once.
    async fn send(&mut self, batch: Vec<Outgoing>) -> Result<(), SendError> {
        let log = &self.shop.log;
        let sent = futures::future::join_all(lines(batch).into_iter().map(async |lines| {
            let error = log.send(lines.clone(), None).await.err();
            (lines, error)
        }));
        for (lines, error) in sent.await {
            match error {
                None => {}
                Some(SendError::Stopped) => return Err(SendError::Stopped),
                // Some may have room.
                Some(_) if lines.len() > 1 => {
                    for line in lines {
                        match self.shop.log.send(vec![line.clone()], None).await {
                            Ok(_) => {}
                            Err(SendError::Stopped) => return Err(SendError::Stopped),
                            Err(error) => self.refuse(&line, &error),
                        }
                    }
                }
                Some(error) => lines.iter().for_each(|line| self.refuse(line, &error)),
            }
        }
        Ok(())
    }
}
