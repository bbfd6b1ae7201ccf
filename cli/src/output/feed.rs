//! The output of `pblink serve`: events and lines, each kept until it is written. A line from a board is
//! acknowledged only then.

use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use futures::FutureExt;
use pblink_serve::consumers::Passed;
use pblink_serve::control::{EventStream, Notice};
use pblink_server::EventKind;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::diagnostics::{note, warning};
use super::printer::{Form, write_event, write_passed};

/// Once this many bytes wait, they are written before more is taken.
const BATCH: usize = 64 * 1024;
/// The pause between two tries on a full disk.
const RETRY: Duration = Duration::from_secs(1);
/// The pause between two tries on a pipe or terminal that does not wait, and takes nothing at the moment.
const SOON: Duration = Duration::from_millis(10);

/// Events and lines on their way to an output.
#[derive(Debug)]
pub(crate) struct Feed {
    events: Option<EventStream>,
    lines: Option<mpsc::Receiver<Passed>>,
    form: Form,
}

/// Something to print.
enum Item {
    Notice(Notice),
    Line(Passed),
}

impl Feed {
    /// Merges events until the server stops, and lines until all applications have ended.
    pub(crate) fn new(events: EventStream, lines: mpsc::Receiver<Passed>, form: Form) -> Self {
        Self { events: Some(events), lines: Some(lines), form }
    }

    /// Prints until there is nothing more to come. What is there at a time is written with one call, and
    /// flushed.
    ///
    /// Lines from clients are accepted when they are written and flushed. A full disk holds everything up:
    /// nothing is accepted, and nothing dropped, until there is room. `out` may block; run this on a thread of its own.
    ///
    /// # Errors
    /// If `out` cannot be written for any other reason.
    pub(crate) async fn print(mut self, out: &mut impl Write) -> io::Result<()> {
        let (mut batch, mut lines) = (Vec::new(), Vec::new());
        while let Some(item) = self.next().await {
            self.add(item, &mut batch, &mut lines)?;
            while batch.len() < BATCH
                && let Some(Some(item)) = self.next().now_or_never()
            {
                self.add(item, &mut batch, &mut lines)?;
            }
            write(&batch, out).await?;
            batch.clear();
            lines.drain(..).for_each(Passed::accept);
        }
        Ok(())
    }

    /// Waits for the next item; `None` when there will be no more. Dropping the future loses none.
    async fn next(&mut self) -> Option<Item> {
        loop {
            let (events, lines) = (&mut self.events, &mut self.lines);
            if events.is_none() && lines.is_none() {
                return None;
            }
            tokio::select! {
                notice = async { events.as_mut()?.next().await }, if events.is_some() => match notice {
                    Some(notice) => return Some(Item::Notice(notice)),
                    None => self.events = None,
                },
                line = async { lines.as_mut()?.recv().await }, if lines.is_some() => match line {
                    Some(line) => return Some(Item::Line(line)),
                    None => self.lines = None,
                },
            }
        }
    }

    fn add(&mut self, item: Item, batch: &mut Vec<u8>, lines: &mut Vec<Passed>) -> io::Result<()> {
        match item {
            Item::Notice(Notice::Event(event)) => {
                if event.kind == EventKind::Stopped {
                    self.events = None;
                }
                write_event(&event, &self.form, batch)
            }
            Item::Notice(Notice::Lagged(n)) => {
                warning(format_args!("{n} events were not printed: the output is read too slowly"));
                Ok(())
            }
            Item::Line(line) => {
                write_passed(&line, &self.form, batch)?;
                lines.push(line);
                Ok(())
            }
        }
    }
}

/// Writes all of `bytes`, however long a full disk may take.
async fn write(bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    let mut rest = bytes;
    let mut full = false;
    loop {
        let result = match out.write(rest) {
            Ok(0) if !rest.is_empty() => Err(ErrorKind::WriteZero.into()),
            Ok(n) => {
                rest = &rest[n..];
                if rest.is_empty() { out.flush().map(|()| true) } else { Ok(false) }
            }
            Err(error) => Err(error),
        };
        match result {
            Ok(true) => break,
            Ok(false) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Another program that has the same pipe or terminal may have made it so. A flush that has to wait
            // is tried again, too.
            Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(SOON).await,
            Err(error) if is_full(&error) => {
                if !full {
                    warning(
                        "standard output cannot be written, its disk is full: lines are held until there is \
                         room; retrying each second",
                    );
                }
                full = true;
                sleep(RETRY).await;
            }
            Err(error) => return Err(error),
        }
    }
    if full {
        note("standard output is written again");
    }
    Ok(())
}

/// Returns true if there may be room later.
fn is_full(error: &io::Error) -> bool {
    use ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for N bytes, that gets some more at each try.
    #[derive(Default)]
    struct Disk {
        written: Vec<u8>,
        room: usize,
        more: usize,
        refused: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(self.room);
            if n == 0 {
                self.refused += 1;
                self.room += self.more;
                return Err(ErrorKind::StorageFull.into());
            }
            self.room -= n;
            self.written.extend(&bytes[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_disk_gets_each_byte_once_as_soon_as_it_has_room() {
        let mut disk = Disk { room: 3, more: 2, ..Disk::default() };
        write(b"0123456789", &mut disk).await.unwrap();
        assert_eq!((&disk.written[..], disk.refused), (&b"0123456789"[..], 4));
    }

    #[tokio::test(start_paused = true)]
    async fn an_output_that_nobody_reads_is_an_error() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let error = write(b"x", &mut Gone).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn lines_that_wait_are_printed_although_the_server_has_stopped() {
        let history = pblink_serve::control::History::default();
        history.record(EventKind::Stopped);
        let (passed, lines) = mpsc::channel(8);
        for n in 0..3 {
            let line = Passed::Sent { id: "1".into(), line: format!("line {n}") };
            passed.send(line).await.unwrap();
        }
        drop(passed);
        let mut out = Vec::new();
        Feed::new(history.subscribe(), lines, Form::Text(crate::output::times::Zone::utc()))
            .print(&mut out)
            .await
            .unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!((0..3).all(|n| text.contains(&format!("1 ← line {n}\n"))), "{text}");
        assert_eq!(text.lines().count(), 4, "{text}");
    }
}
