//! The announcement of a server, over real sockets on this machine's own interface: asked as a board asks, with the
//! board's own code, and as programs ask, with those of a library.
//!
//! Where the system lets nobody send to a group on that interface (some containers), the tests say so and pass over.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use mdns_sd::{IfKind, ServiceDaemon, ServiceEvent};
use pblink_protocol::mdns::{GROUP, MAX_QUERY, answer, query};
use pblink_serve::announce::{Announcement, Ground, SERVICE};

/// Long enough for any machine.
const LIMIT: Duration = Duration::from_secs(60);
/// The time after which a question is asked again.
const AGAIN: Duration = Duration::from_millis(250);

/// A port that other programs do not use for this.
fn ground() -> Ground {
    let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    Ground { port: free.local_addr().unwrap().port(), loopback: true }
}

/// Returns true if a datagram to the group arrives on this machine's own interface.
fn has_groups(ground: Ground) -> bool {
    let receiver = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, ground.port)).unwrap();
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let works = receiver.join_multicast_v4(&GROUP.into(), &Ipv4Addr::LOCALHOST).is_ok()
        && sender.send_to(b"?", (Ipv4Addr::from(GROUP), ground.port)).is_ok()
        && receiver.recv(&mut [0; 8]).is_ok();
    if !works {
        println!("passed over: this system sends nothing to groups on its own interface (lo)");
    }
    works
}

/// Asks as a board does until there is an answer.
fn ask(ground: Ground, name: &str) -> [u8; 4] {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(AGAIN)).unwrap();
    let mut question = [0; MAX_QUERY];
    let len = query(name, 77, &mut question).unwrap();
    let began = Instant::now();
    let mut bytes = [0; 1500];
    while began.elapsed() < LIMIT {
        socket.send_to(&question[..len], (Ipv4Addr::from(GROUP), ground.port)).unwrap();
        match socket.recv(&mut bytes) {
            Ok(len) => match answer(&bytes[..len], name, 77) {
                Some(address) => return address,
                None => println!("no answer: {:?}", &bytes[..len]),
            },
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
            }
        }
    }
    panic!("nobody knows {name}");
}

#[tokio::test]
async fn a_server_is_found_and_says_goodbye() {
    let ground = ground();
    if !has_groups(ground) {
        return;
    }
    let listen: SocketAddr = "127.0.0.1:9123".parse().unwrap();
    let announcement = Announcement::start(listen, ground).unwrap().expect("it is announced");
    let (host, name) = (announcement.host().to_owned(), announcement.name().to_owned());

    // A board knows the name of the machine only.
    let address = tokio::task::spawn_blocking({
        let host = host.clone();
        move || ask(ground, &host)
    });
    assert_eq!(address.await.unwrap(), [127, 0, 0, 1]);

    // A program looks for all servers.
    let daemon = ServiceDaemon::new_with_port(ground.port).unwrap();
    daemon.disable_interface(IfKind::All).unwrap();
    daemon.enable_interface(IfKind::LoopbackV4).unwrap();
    let events = daemon.browse(SERVICE).unwrap();
    let wanted = format!("{name}.{SERVICE}");
    let events = tokio::task::spawn_blocking(move || {
        let found = loop {
            match events.recv_timeout(LIMIT).expect("it is found") {
                ServiceEvent::ServiceResolved(found) if found.fullname == wanted => break found,
                _ => {}
            }
        };
        assert_eq!((found.port, found.host.trim_end_matches('.')), (9123, &*host));
        assert_eq!(found.txt_properties.get_property_val_str("txtvers"), Some("1"));
        (events, wanted)
    });
    let (events, wanted) = events.await.unwrap();

    // Without a goodbye it would be believed in for much longer than the limit.
    announcement.stop().await;
    let gone = tokio::task::spawn_blocking(move || {
        loop {
            match events.recv_timeout(LIMIT).expect("it has said goodbye") {
                ServiceEvent::ServiceRemoved(_, gone) if gone == wanted => break,
                _ => {}
            }
        }
    });
    gone.await.unwrap();
    daemon.shutdown().unwrap();
}
