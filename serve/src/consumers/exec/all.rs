//! One program for all clients: lines as JSON, both ways.

mod hear;

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::child::{self, Input, Mouth};
use super::output::Printed;
use super::speech::{complaint, spoken};
use super::trouble::{Place, Trouble, Turn};
use super::{LAST, LOOK, Shop};
use crate::consumers::Consumer;
use crate::consumers::lanes::{self, Lane};
use crate::hub::Hub;
use crate::log::{Line, Outgoing, SendError};

/// Lines of one client that the program may have and that are not done.
const WINDOW: u32 = 32;

/// Lines of all clients.
const MAX_GIVEN: usize = 1000;

/// Lines that the program has printed and that are put into the log at once.
const BATCH: usize = 64;

/// Errors that wait until the program reads them; more are counted.
const MAX_ERRORS: usize = 100;

/// Interval at which lines are looked at on which the program has ended.
const TICK: Duration = Duration::from_millis(50);

/// A line for the program.
#[derive(Debug)]
struct Job {
    lane: Arc<Lane>,
    line: Line,
    /// Its place in the pipe, once it is given.
    end: u64,
    _permit: OwnedSemaphorePermit,
}

impl Job {
    fn place(&self) -> Place {
        (Arc::clone(&self.line.client), self.line.offset)
    }
}

/// The lines of a client on one of which the program ends: they wait, those of others do not.
#[derive(Debug)]
struct Held {
    jobs: VecDeque<Job>,
    trouble: Trouble,
    /// The first line is tried again.
    trying: bool,
}

/// Runs one program on the lines of all clients.
pub(super) async fn run(
    hub: Arc<Hub>,
    shop: Arc<Shop>,
    consumer: &Consumer,
    ending: CancellationToken,
) {
    let (jobs, queue) = mpsc::channel(BATCH);
    let log = shop.log.clone();
    let lanes = lanes::run(log, consumer, ending.clone(), move |lane| forward(lane, jobs.clone()));
    let trouble = shop.trouble();
    let all = All {
        hub,
        shop,
        ending,
        queue,
        over: false,
        pending: VecDeque::new(),
        given: VecDeque::new(),
        held: BTreeMap::new(),
        careful: 0,
        outgoing: Vec::new(),
        bytes: 0,
        errors: VecDeque::new(),
        lost: 0,
    };
    tokio::join!(lanes, all.run(trouble));
}

/// Hands on the lines of one client. Ends when all of them are done.
async fn forward(lane: Lane, jobs: mpsc::Sender<Job>) {
    let (lane, window) = (Arc::new(lane), Arc::new(Semaphore::new(WINDOW as usize)));
    while let Some(line) = lane.next().await {
        let Ok(permit) = Arc::clone(&window).acquire_owned().await else { return };
        let job = Job { lane: Arc::clone(&lane), line, end: 0, _permit: permit };
        if jobs.send(job).await.is_err() {
            return;
        }
    }
    // An error is impossible: nobody closes it.
    let _ = window.acquire_many(WINDOW).await;
}

struct All {
    hub: Arc<Hub>,
    shop: Arc<Shop>,
    ending: CancellationToken,
    queue: mpsc::Receiver<Job>,
    over: bool,
    /// Lines that are to be given before those of the queue.
    pending: VecDeque<Job>,
    /// Lines that the program has and that are not done.
    given: VecDeque<Job>,
    held: BTreeMap<Arc<str>, Held>,
    /// Lines that are given one at a time, since the program has ended on one of several.
    careful: usize,
    /// Lines that the program has printed since it acknowledged one.
    outgoing: Vec<Outgoing>,
    bytes: usize,
    /// Errors for the program to read.
    errors: VecDeque<String>,
    lost: u64,
}

/// End of a program's life.
enum End {
    Over,
    Ended(String),
}

impl All {
    async fn run(mut self, mut trouble: Trouble) {
        loop {
            let first = self.pending.front().map(Job::place);
            let line = first.as_ref().map(|(client, offset)| (client, *offset));
            match trouble.turn(line, &self.ending).await {
                Turn::Try => {}
                Turn::Skip => {
                    if let Some(job) = self.pending.pop_front()
                        && job.lane.done(job.line.offset, Vec::new()).await.is_err()
                    {
                        return;
                    }
                    continue;
                }
                Turn::End => return,
            }
            let began = Instant::now();
            let end = match self.shop.launch.start(None) {
                Ok((input, mouth)) => self.live(input, mouth, &mut trouble).await,
                Err(error) => End::Ended(format!("the program cannot be started: {error}")),
            };
            let End::Ended(why) = end else { return };
            if self.ending.is_cancelled() {
                return;
            }
            self.on_end(&mut trouble, began.elapsed(), &why);
        }
    }

    /// Takes back what the program had, and finds out on which line it ended.
    fn on_end(&mut self, trouble: &mut Trouble, ran: Duration, why: &str) {
        (self.outgoing, self.bytes) = (Vec::new(), 0);
        self.errors.clear();
        let several = self.given.len();
        let tried = (self.given.iter())
            .map(|job| &job.line.client)
            .find(|client| self.held.get(*client).is_some_and(|held| held.trying))
            .cloned();
        let alone = match several {
            1 => self.given.front().map(|job| Arc::clone(&job.line.client)),
            _ => None,
        };
        while let Some(job) = self.given.pop_back() {
            self.pending.push_front(job);
        }
        let culprit = if self.shop.ack { tried.or(alone) } else { None };
        let Some(client) = culprit else {
            self.careful = if self.shop.ack { several } else { 0 };
            trouble.on_end(self.pending.front().map(Job::place), ran, why);
            return;
        };
        let held = self.held.entry(Arc::clone(&client)).or_insert_with(|| Held {
            jobs: VecDeque::new(),
            trouble: self.shop.trouble(),
            trying: false,
        });
        held.trying = false;
        let (mut mine, others): (VecDeque<_>, _) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|job| job.line.client == client);
        mine.append(&mut held.jobs);
        (held.jobs, self.pending) = (mine, others);
        held.trouble.on_end(held.jobs.front().map(Job::place), ran, why);
        // Others are not to wait for longer than it takes to start it.
        self.careful = 0;
        trouble.calm();
    }

    async fn live(&mut self, input: Input, mut mouth: Mouth, trouble: &mut Trouble) -> End {
        let (group, ending) = (Arc::clone(&mouth.group), self.ending.clone());
        let pace = self.shop.launch.pace.clone();
        let limit = async {
            ending.cancelled().await;
            child::end(&group, &pace).await;
            sleep(LAST).await;
        };
        let life = async {
            let fault = self.converse(input, &mut mouth, trouble).await;
            // Its input is closed: it is to end. What it has printed counts all the same.
            let mut ending = pin!(child::end(&group, &pace));
            let mut killed = false;
            loop {
                tokio::select! {
                    printed = mouth.next() => match printed {
                        None => break,
                        Some(printed) => {
                            if self.hear(printed, &mut mouth, u64::MAX, trouble).await.is_err() {
                                return End::Over;
                            }
                        }
                    },
                    () = &mut ending, if !killed => killed = true,
                }
            }
            match fault {
                Fault::Over => End::Over,
                Fault::Ended => End::Ended(mouth.end()),
            }
        };
        tokio::select! {
            end = life => end,
            () = limit => End::Over,
        }
    }

    /// Gives lines, and hears what the program prints, until there are no more lines or it goes on no longer.
    async fn converse(
        &mut self,
        mut input: Input,
        mouth: &mut Mouth,
        trouble: &mut Trouble,
    ) -> Fault {
        let mut pause = LOOK.0;
        loop {
            if !self.shop.ack && self.settle(&input, trouble).await.is_err() {
                return Fault::Over;
            }
            if self.try_held().await.is_err() {
                return Fault::Over;
            }
            if input.is_empty() && self.give(&mut input) {
                pause = LOOK.0;
            }
            if self.over && self.pending.is_empty() && self.given.is_empty() && self.held.is_empty()
            {
                return Fault::Over;
            }
            let write = !input.is_empty();
            let take = !self.over && !write && self.pending.is_empty() && self.has_room();
            let unread = !self.shop.ack && !self.given.is_empty();
            tokio::select! {
                biased;
                written = input.write(), if write || !self.given.is_empty() => if written.is_err() {
                    return Fault::Ended;
                },
                printed = mouth.next() => match printed {
                    None => {
                        return match self.settle(&input, trouble).await {
                            Ok(()) => Fault::Ended,
                            Err(_) => Fault::Over,
                        };
                    }
                    Some(Printed::Closed) if self.shop.ack => return Fault::Ended,
                    Some(printed) => {
                        let read = input.read();
                        if self.hear(printed, mouth, read, trouble).await.is_err() {
                            return Fault::Over;
                        }
                    }
                },
                job = self.queue.recv(), if take => match job {
                    Some(job) => self.take(job),
                    None => self.over = true,
                },
                () = sleep(pause), if unread => pause = (pause * 2).min(LOOK.1),
                () = sleep(TICK), if !self.held.is_empty() => {}
            }
        }
    }

    fn has_room(&self) -> bool {
        let most = if self.careful > 0 { 1 } else { MAX_GIVEN };
        self.given.len() < most
    }

    /// Takes a line of the queue: its client may have to wait.
    fn take(&mut self, job: Job) {
        match self.held.get_mut(&job.line.client) {
            Some(held) => held.jobs.push_back(job),
            None => self.pending.push_back(job),
        }
    }

    /// Writes errors and lines. Returns true if there were any.
    fn give(&mut self, input: &mut Input) -> bool {
        for error in self.errors.drain(..) {
            input.put(&error);
        }
        if self.lost > 0 {
            input
                .put(&complaint(&format!("{} further errors are not shown", self.lost), json!({})));
            self.lost = 0;
        }
        let mut any = !input.is_empty();
        while self.has_room()
            && let Some(mut job) = self.pending.pop_front()
        {
            job.end = input.put(&spoken(&job.line));
            self.given.push_back(job);
            any = true;
        }
        any
    }

    /// Tries lines again on which the program has ended, when it is time, and passes over those that someone
    /// wants to be passed over.
    async fn try_held(&mut self) -> Result<(), SendError> {
        let mut free = Vec::new();
        for (client, held) in &mut self.held {
            let Some(first) = held.jobs.front() else { continue };
            let offset = first.line.offset;
            if held.trouble.is_skipped(client, offset) {
                first.lane.done(offset, Vec::new()).await?;
                held.jobs.pop_front();
                free.push(Arc::clone(client));
            } else if held.trouble.is_due() && !held.trying {
                held.trying = true;
                self.pending.extend(held.jobs.pop_front());
            }
        }
        for client in free {
            self.release(&client);
        }
        Ok(())
    }

    /// Lets the lines of a client go on.
    fn release(&mut self, client: &str) {
        if let Some(held) = self.held.remove(client) {
            self.pending.extend(held.jobs);
        }
    }

    /// Without acknowledgements: notes the lines that the program has read as done.
    async fn settle(&mut self, input: &Input, trouble: &mut Trouble) -> Result<(), SendError> {
        if self.shop.ack {
            return Ok(());
        }
        let read = input.read();
        while let Some(job) = self.given.front()
            && job.end <= read
        {
            job.lane.done(job.line.offset, Vec::new()).await?;
            trouble.on_done(&job.line.client, job.line.offset);
            self.given.pop_front();
        }
        Ok(())
    }
}

/// Why a program is given no more lines.
enum Fault {
    /// There are none, or the log has ended.
    Over,
    /// It has ended, or is about to.
    Ended,
}
