//! The TCP connection: there is one at a time.

use core::net::Ipv4Addr;

use embassy_futures::select::{Either, select};
use embassy_net::dns::DnsQueryType;
use embassy_net::tcp::{TcpReader, TcpSocket, TcpWriter};
use embassy_net::{IpAddress, Stack};
use embassy_time::{Duration, with_timeout};
use heapless::String;
use pblink_coprocessor_program::{Event, SEND};
use pblink_protocol::config::MAX_SERVER;

use super::Shared;

/// An order of the program.
pub(super) enum Order {
    /// Open a connection.
    Connect {
        /// Its number, for the events.
        connection: u32,
        server: String<MAX_SERVER>,
        port: u16,
    },
    /// Close what there is, or give up opening it.
    Close,
}

/// Buffers of the socket: bytes that have not been acknowledged, and bytes that have not been taken.
const TO_SEND: usize = 2 * SEND;
const RECEIVED: usize = 2048;

/// The time for the segment that tells the other end of a connection that was given up.
const FAREWELL: Duration = Duration::from_millis(100);

/// Follows the orders for ever.
#[embassy_executor::task]
pub(super) async fn run(shared: &'static Shared, stack: Stack<'static>) {
    let (mut received, mut to_send) = ([0; RECEIVED], [0; TO_SEND]);
    let mut order = shared.tcp.wait().await;
    loop {
        let Order::Connect { connection, server, port } = order else {
            order = shared.tcp.wait().await;
            continue;
        };
        let mut socket = TcpSocket::new(stack, &mut received, &mut to_send);
        // A line is sent when it is there.
        socket.set_nagle_enabled(false);
        let talk = talk(shared, stack, &mut socket, connection, &server, port);
        let next = select(shared.tcp.wait(), talk).await;
        socket.abort();
        let _ = with_timeout(FAREWELL, socket.flush()).await;
        drop(socket);
        order = match next {
            Either::First(order) => order,
            Either::Second(event) => {
                shared.report_of(connection, event);
                shared.tcp.wait().await
            }
        };
    }
}

/// Opens a connection, and carries bytes until it ends. Returns the event of its end.
async fn talk(
    shared: &Shared,
    stack: Stack<'static>,
    socket: &mut TcpSocket<'_>,
    connection: u32,
    server: &str,
    port: u16,
) -> Event<'static> {
    let Some(address) = find(stack, server).await else { return Event::ConnectFailed };
    if socket.connect((address, port)).await.is_err() {
        return Event::ConnectFailed;
    }
    shared.report_of(connection, Event::Connected);
    let (reader, writer) = socket.split();
    select(receive(shared, connection, reader), send(shared, connection, writer)).await;
    Event::Closed
}

/// Returns the address of a server. An address may stand for a name.
async fn find(stack: Stack<'static>, server: &str) -> Option<IpAddress> {
    if let Ok(address) = server.parse::<Ipv4Addr>() {
        return Some(address.into());
    }
    stack.dns_query(server, DnsQueryType::A).await.ok()?.first().copied()
}

/// Hands over what comes, until the other end closes.
async fn receive(shared: &Shared, connection: u32, mut reader: TcpReader<'_>) {
    let take = |bytes: &mut [u8]| {
        if !bytes.is_empty() {
            shared.report_of(connection, Event::Received(bytes));
        }
        (bytes.len(), bytes.len())
    };
    while let Ok(1..) = reader.read_with(take).await {}
}

/// Sends what the program gives, until that fails.
async fn send(shared: &Shared, connection: u32, mut writer: TcpWriter<'_>) {
    loop {
        let bytes = shared.send.wait().await;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            match writer.write(rest).await {
                Ok(sent @ 1..) => rest = &rest[sent..],
                _ => return,
            }
        }
        shared.report_of(connection, Event::Sent);
    }
}
