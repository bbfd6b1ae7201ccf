//! `print`: lines are printed.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{Consumer, Passed, lanes};
use crate::log::{Kind, Line, Log, Progress};

/// Hands out each line, to be accepted when it is printed, after `look` has seen it.
pub(super) async fn run(
    log: Log,
    consumer: &Consumer,
    passed: mpsc::Sender<Passed>,
    ending: CancellationToken,
    look: impl Fn(&Line),
) {
    let Some(place) = consumer.register(&log).await else { return };
    let name = &consumer.name;
    let printed = Printed::follow(&log, name, place.offset);
    let mut scanned = place.offset;
    while let Some((lines, seen)) = lanes::next_page(&log, name, scanned, &ending).await {
        scanned = seen;
        for line in lines {
            match line.kind {
                Kind::Line if consumer.wants(&line.client) => {
                    look(&line);
                    printed.hand(line.offset);
                    let line = Passed::Received { line, printed: Some(printed.clone()) };
                    if passed.send(line).await.is_err() {
                        return;
                    }
                }
                Kind::Line | Kind::Report => printed.skip(line.offset),
            }
        }
    }
}

/// Learns which lines were printed.
#[derive(Debug, Clone)]
pub struct Printed(Arc<watch::Sender<Place>>);

#[derive(Debug, Default, Clone, Copy)]
struct Place {
    printed: u64,
    /// The last line that is to be printed.
    handed: u64,
    /// The last line or report.
    seen: u64,
}

impl Place {
    /// Returns the offset up to which nothing is left to print.
    fn done(self) -> u64 {
        if self.printed >= self.handed { self.printed.max(self.seen) } else { self.printed }
    }
}

impl Printed {
    /// Notes in the log what is printed, until the last copy is gone.
    pub(super) fn follow(log: &Log, name: &str, offset: u64) -> Self {
        let sender = watch::Sender::new(Place { printed: offset, handed: offset, seen: offset });
        let mut places = sender.subscribe();
        let (log, consumer) = (log.clone(), Arc::<str>::from(name));
        tokio::spawn(async move {
            while places.changed().await.is_ok() {
                let offset = places.borrow_and_update().done();
                let consumer = Arc::clone(&consumer);
                let (clients, outgoing) = (Vec::new(), Vec::new());
                let step = Progress { consumer, offset, clients, outgoing };
                if log.progress(step).await.is_err() {
                    return;
                }
            }
        });
        Self(Arc::new(sender))
    }

    /// Notes that all lines up to this one are printed.
    pub(super) fn note(&self, offset: u64) {
        self.0.send_modify(|place| place.printed = place.printed.max(offset));
    }

    /// Returns the offset up to which nothing is left to print.
    #[cfg(feature = "mqtt")]
    pub(super) fn done(&self) -> u64 {
        self.0.borrow().done()
    }

    /// Notes that this line is about to be printed, and none behind it.
    pub(super) fn hand(&self, offset: u64) {
        self.0.send_modify(|place| (place.handed, place.seen) = (offset, offset));
    }

    /// Notes that this one is not to be printed.
    pub(super) fn skip(&self, offset: u64) {
        self.0.send_modify(|place| place.seen = offset);
    }
}
