//! Lines of the carrier: `Packet::decode` and `Packet::encode`.

use pblink_protocol::secure::packet::{
    Hello, MAX_BYTES, MAX_COUNTER, MAX_FRAMES, MAX_UP, NoPacket, Packet, TAG,
};

use crate::input::Input;

/// Reads a line as a packet.
pub type Decode = for<'a> fn(&str, &'a mut [u8; MAX_BYTES]) -> Result<Packet<'a>, NoPacket>;

/// Runs an input: a line of a stranger, and a packet made of the same bytes.
pub fn run(data: &[u8]) {
    run_with(data, |line, buffer| Packet::decode(line, buffer));
}

/// Runs it with another reader.
pub fn run_with(data: &[u8], decode: Decode) {
    if let Ok(line) = str::from_utf8(data) {
        read(line, decode);
    }
    let mut input = Input::new(data);
    let packet = made(&mut input);
    let mut line = [0; MAX_UP];
    let Some(line) = packet.encode(&mut line) else {
        let Packet::Sealed { counter, sealed, .. } = packet else {
            panic!("{packet:?} has no line");
        };
        let says_it = counter <= MAX_COUNTER && (TAG..=MAX_FRAMES + TAG).contains(&sealed.len());
        assert!(!says_it, "{packet:?} has no line");
        return;
    };
    let mut buffer = [0; MAX_BYTES];
    assert_eq!(decode(line, &mut buffer), Ok(packet));
}

/// Reads a line: each packet has one line, and no other.
fn read(line: &str, decode: Decode) {
    let mut buffer = [0; MAX_BYTES];
    match decode(line, &mut buffer) {
        Ok(packet) => {
            let mut again = [0; MAX_UP];
            assert_eq!(packet.encode(&mut again), Some(line));
        }
        Err(NoPacket::Plain) => assert!(!line.starts_with('~')),
        Err(NoPacket::Unknown | NoPacket::Malformed) => assert!(line.starts_with('~')),
    }
}

/// Makes a packet of bytes.
fn made<'a>(input: &mut Input<'a>) -> Packet<'a> {
    fn array<const N: usize>(input: &mut Input<'_>) -> [u8; N] {
        core::array::from_fn(|_| input.byte())
    }
    match input.byte() % 5 {
        0 => Packet::Ask(array(input)),
        1 => Packet::Challenge(array(input)),
        2 => Packet::Hello(Hello {
            version: input.byte(),
            key: input.byte(),
            generation: u32::from_be_bytes(array(input)),
            message: array(input),
            mac: array(input),
        }),
        3 => Packet::Reply { key: input.byte(), message: array(input) },
        _ => Packet::Sealed {
            key: input.byte(),
            counter: u32::from_be_bytes(array(input)) >> (input.byte() % 32),
            sealed: input.rest(),
        },
    }
}
