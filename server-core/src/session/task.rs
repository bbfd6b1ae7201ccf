//! The task of one connection: waits for the socket, the timer and the session.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::ready;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::Sleep;

use super::transport::{Incoming, Socket};
use super::{Input, Session, Turn};

/// The time for which a closed connection waits for its client to close, too.
const MAX_LINGER: Duration = Duration::from_millis(500);

/// Serves an attached connection until it is over. `first` came together with the hello, and `timer` is one that
/// may be used.
pub(crate) async fn run(
    session: &Session,
    socket: Arc<Socket>,
    mut incoming: Incoming,
    first: &[u8],
    mut timer: Pin<&mut Sleep>,
) {
    let clock = session.shared.clock;
    let mut turn = session.turn(&socket, Input::Bytes(first));
    while let Turn::Go { deadline, blocked } = turn {
        if incoming.had_its_turn() {
            yield_now().await;
        }
        if let Some(at) = deadline {
            timer.as_mut().reset(clock.at(at));
        }
        let arrived = poll_fn(|cx| {
            ready!(incoming.poll_ready(cx));
            session.poll_read(&socket, &mut incoming, cx)
        });
        // Reading comes first. Whatever wakes the task, the session looks at everything.
        turn = tokio::select! {
            biased;
            turn = arrived => turn,
            () = &mut timer => session.turn(&socket, Input::Timer),
            () = socket.asked() => {
                // Whoever else is about to write comes first, so that all goes out together.
                yield_now().await;
                session.turn(&socket, Input::Other)
            }
            () = socket.writable(), if blocked => session.turn(&socket, Input::Other),
        };
    }
    let quarter = Duration::from_micros(session.shared.limits.timing.timeout.part(4).as_micros());
    incoming.close(socket, quarter.min(MAX_LINGER)).await;
}
