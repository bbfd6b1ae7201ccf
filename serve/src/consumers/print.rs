//! `print`: lines are printed.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Consumer, Cursor, Passed, lanes};
use crate::log::{Kind, Line, Log};

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
    let cursor = Cursor::follow(&log, name, place.offset);
    let mut scanned = place.offset;
    while let Some((lines, seen)) = lanes::next_page(&log, name, scanned, &ending).await {
        scanned = seen;
        for line in lines {
            match line.kind {
                Kind::Line if consumer.wants(&line.client) => {
                    look(&line);
                    cursor.hand(line.offset);
                    let line = Passed::Received { line, cursor: Some(cursor.clone()) };
                    if passed.send(line).await.is_err() {
                        return;
                    }
                }
                Kind::Line | Kind::Report => cursor.skip(line.offset),
            }
        }
    }
}
