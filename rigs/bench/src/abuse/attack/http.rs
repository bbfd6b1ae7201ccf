//! Attacks on the port of HTTP.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::sleep;

use super::Attack;
use super::link::{SLOW, repeat};

/// A head without end.
const HEAD: &[u8] = b"GET /api/v1/links HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";

pub(super) fn streams(attack: &Attack, number: usize) {
    repeat(attack, number, |attack, _| async move {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(2048)?;
        let mut stream = socket.connect(attack.control).await?;
        attack.did(1);
        let wanted = "GET /api/v1/events?since=0 HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(wanted.as_bytes()).await?;
        // It is answered, and then nobody reads.
        stream.read_exact(&mut [0; 12]).await?;
        std::future::pending().await
    });
}

pub(super) fn slowloris(attack: &Attack, number: usize) {
    repeat(attack, number, |attack, _| async move {
        let mut stream = TcpStream::connect(attack.control).await?;
        attack.did(1);
        for byte in HEAD.iter().chain(std::iter::repeat(&b's')) {
            stream.write_all(&[*byte]).await?;
            sleep(SLOW).await;
        }
        Ok(())
    });
}
