//! Questions to the group of multicast DNS, and their answers.

use core::net::Ipv4Addr;

use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_net::udp::{PacketMetadata, UdpSocket};
use pblink_coprocessor_program::{Event, SEND};
use pblink_protocol::mdns::{GROUP, PORT};

use super::Shared;

/// The longest answer that is looked at: a datagram of any network.
const ANSWER: usize = 1472;

/// Answers that wait.
const ANSWERS: usize = 4;

/// Asks and listens for ever.
#[embassy_executor::task]
pub(super) async fn run(shared: &'static Shared, stack: Stack<'static>) {
    let (mut heads, mut answers) = ([PacketMetadata::EMPTY; ANSWERS], [0; 2 * ANSWER]);
    let (mut other_heads, mut questions) = ([PacketMetadata::EMPTY; 1], [0; SEND]);
    let mut socket =
        UdpSocket::new(stack, &mut heads, &mut answers, &mut other_heads, &mut questions);
    // Any port but the group's own: answers come to us alone then.
    if socket.bind(0).is_err() {
        return super::console::print(format_args!("mdns: no port"));
    }
    let group = (Ipv4Addr::from(GROUP), PORT);
    let mut answer = [0; ANSWER];
    loop {
        match select(shared.ask.wait(), socket.recv_from(&mut answer)).await {
            // One that cannot be sent is lost: the program asks again.
            Either::First(question) => drop(socket.send_to(&question, group).await),
            Either::Second(Ok((len, _))) => shared.report(Event::Answer(&answer[..len])),
            // It did not fit: no answer to our question is as long.
            Either::Second(Err(_)) => {}
        }
    }
}
