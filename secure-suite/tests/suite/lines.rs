//! A session, byte for byte, as a program that shares no code with the suite has it: `tests/vectors/pblink.py`.

use pblink_protocol::secure::packet::{MAX_BYTES, Packet};
use pblink_protocol::secure::suite::{BoardSuite, Keys, ServerSuite};
use pblink_secure_suite::binding::{self, HelloKey};
use pblink_secure_suite::board::Board;
use pblink_secure_suite::drbg::Drbg;
use pblink_secure_suite::keys::{BoardKeys, Id, PublicKey, Secret, ServerKeys};
use pblink_secure_suite::random::Random;
use pblink_secure_suite::server::{Server, public_key};
use serde_json::Value;

struct Vector(Value);

impl Vector {
    fn text(&self, name: &str) -> &str {
        self.0.pointer(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no {name}"))
    }

    fn number(&self, name: &str) -> u64 {
        self.0.pointer(name).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {name}"))
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        let digits = self.text(name);
        (0..digits.len() / 2)
            .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap())
            .collect()
    }

    fn key(&self, name: &str) -> [u8; 32] {
        self.bytes(name).try_into().unwrap()
    }
}

/// Gives the server's ephemeral key.
struct Given([u8; 32]);

impl Random for Given {
    fn fill(&mut self, out: &mut [u8]) {
        out.copy_from_slice(&self.0);
    }
}

fn line(packet: Packet<'_>) -> String {
    packet.encode(&mut [0; 200]).unwrap().to_owned()
}

#[test]
fn both_ends_say_what_the_vector_says() {
    let text = include_str!("../vectors/pblink.json");
    let vector = Vector(serde_json::from_str(text).unwrap());
    let id = Id::new(vector.text("/id")).unwrap();
    let generation = vector.number("/generation") as u32;
    let number = vector.number("/key_number") as u8;
    let secret = |name| Secret::new(vector.key(name));
    let (board_public, server_public) =
        (PublicKey(vector.key("/board_public")), PublicKey(vector.key("/server_public")));
    assert_eq!(public_key(&secret("/board_private")), board_public);
    assert_eq!(public_key(&secret("/server_private")), server_public);
    assert_eq!(board_public.fingerprint().to_string(), vector.text("/board_fingerprint"));
    let challenge: [u8; 16] = vector.bytes("/challenge").try_into().unwrap();
    let prologue = binding::prologue(1, generation, number, &id, &challenge);
    assert_eq!(prologue[..], vector.bytes("/prologue"));

    let board = BoardKeys {
        id: id.clone(),
        generation,
        private: secret("/board_private"),
        server: server_public,
        shared: secret("/shared"),
    };
    let server = ServerKeys {
        id,
        generation,
        private: secret("/server_private"),
        board: board_public,
        shared: secret("/shared"),
    };
    let mut board = Board::new(board, Drbg::new(&[&vector.bytes("/drbg_seed")]));
    let mut server = Server::new(server, Given(vector.key("/server_ephemeral")));
    assert_eq!(board.public_key(), board_public);

    assert_eq!(line(Packet::Challenge(challenge)), vector.text("/challenge_line"));
    let (hello, handshake) = board.hello(number, &challenge);
    assert_eq!(line(Packet::Hello(hello)), vector.text("/hello_line"));
    assert!(HelloKey::new(&secret("/shared")).is_right(&hello, &challenge));
    assert!(server.is_authentic(&hello, &challenge));
    let (mut above, message) = server.answer(&hello, &challenge, vector.number("/now_ms")).unwrap();
    assert_eq!(line(Packet::Reply { key: number, message }), vector.text("/reply_line"));
    let (mut below, now) = board.finish(&handshake, &message).unwrap();
    assert_eq!(now, vector.number("/now_ms"));

    carry(&mut below, &mut above, number, &vector, "/up");
    carry(&mut above, &mut below, number, &vector, "/down");
}

/// Carries the frame of this way.
fn carry(from: &mut impl Keys, to: &mut impl Keys, key: u8, vector: &Vector, way: &str) {
    let field = |name| format!("{way}/{name}");
    let (frames, counter) =
        (vector.bytes(&field("frames")), vector.number(&field("counter")) as u32);
    let (mut sealed, mut opened) = ([0; MAX_BYTES], [0; MAX_BYTES]);
    let len = from.seal(counter, &frames, &mut sealed).unwrap();
    let said = line(Packet::Sealed { key, counter, sealed: &sealed[..len] });
    assert_eq!(said, vector.text(&field("line")));
    let len = to.open(counter, &sealed[..len], &mut opened).unwrap();
    assert_eq!(opened[..len], frames);
}
