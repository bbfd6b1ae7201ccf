//! The task of one connection: waits for the socket, the timer and the session.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;
use tokio::task::yield_now;
use tokio::time::{sleep_until, timeout};

use super::{Input, Session, Turn, Wire};
use crate::buffers::with_read_buffer;
use crate::event::Cause;

/// How long a closed connection may wait for its client to close, too.
const MAX_LINGER: std::time::Duration = std::time::Duration::from_millis(500);

/// Serves an attached connection until it is over. `first` came together with the hello.
pub(crate) async fn run(session: &Session, wire: Arc<Wire>, mut read: OwnedReadHalf, first: &[u8]) {
    let clock = session.shared.clock;
    let mut timer = pin!(sleep_until(clock.at(clock.now())));
    let mut turn = session.turn(&wire, Input::Bytes(first));
    while let Turn::Go { deadline, blocked } = turn {
        if let Some(at) = deadline {
            timer.as_mut().reset(clock.at(at));
        }
        // Reading comes first: a server that was held up must not take for silence what has
        // arrived meanwhile. Whatever wakes the task, the session looks at everything.
        turn = tokio::select! {
            biased;
            turn = std::future::poll_fn(|cx| poll_input(session, &wire, &mut read, cx)) => turn,
            () = &mut timer => session.turn(&wire, Input::Timer),
            () = wire.work.notified() => {
                // Whoever else is about to write comes first, so that all goes out together.
                yield_now().await;
                session.turn(&wire, Input::Other)
            }
            _ = wire.half.writable(), if blocked => session.turn(&wire, Input::Other),
        };
    }
    drop(wire);
    linger(session, read).await;
}

fn poll_input(
    session: &Session,
    wire: &Arc<Wire>,
    read: &mut OwnedReadHalf,
    cx: &mut Context<'_>,
) -> Poll<Turn> {
    with_read_buffer(|buffer| {
        let mut buffer = ReadBuf::new(buffer);
        let cause = match ready!(Pin::new(read).poll_read(cx, &mut buffer)) {
            Ok(()) if buffer.filled().is_empty() => Cause::ClosedByPeer,
            Ok(()) => return Poll::Ready(session.turn(wire, Input::Bytes(buffer.filled()))),
            Err(_) => Cause::Reset,
        };
        session.ended(Some(wire), cause);
        Poll::Ready(Turn::Over)
    })
}

/// The write half is closed, so the client will close, too. Until then what it sends is thrown
/// away: closing a socket with unread bytes resets it, and the client could lose the last
/// acknowledgements.
async fn linger(session: &Session, mut read: OwnedReadHalf) {
    let quarter = session.shared.limits.timing.timeout.part(4).as_micros();
    let patience = std::time::Duration::from_micros(quarter).min(MAX_LINGER);
    let rest = std::future::poll_fn(|cx| {
        with_read_buffer(|buffer| {
            loop {
                let mut buffer = ReadBuf::new(buffer);
                match ready!(Pin::new(&mut read).poll_read(cx, &mut buffer)) {
                    Ok(()) if !buffer.filled().is_empty() => {}
                    _ => return Poll::Ready(()),
                }
            }
        })
    });
    // That the client does not close in time changes nothing.
    let _ = timeout(patience, rest).await;
}
