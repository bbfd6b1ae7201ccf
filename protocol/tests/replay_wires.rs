//! The recorded I2C session of the published code, replayed against both machines at the level of
//! wires: the edges and transfers of one recorded side are fed to ours, and what ours does is
//! compared with what the other recorded side did.
//!
//! These must agree, exchange by exchange: the edges of `syn` and `ack` in their order, the lengths
//! and bytes of all transfers (so also the hold-off bits). What may differ:
//!
//! - ours arms the slave *before* it raises `syn`, the reference after (a hazard of its own);
//! - when an exchange begins: the reference waits for 100 ms, ours for less while payloads flow. So
//!   the recorded times count from the beginning of each exchange.

use crate::common::vectors::{Entry, load};
use pblink_protocol::config::Config;
use pblink_protocol::i2c::frame::{CoprocessorFrame, HostFrame};
use pblink_protocol::i2c::{
    Initiator, InitiatorAction, InitiatorEvent, InitiatorTiming, Responder, ResponderAction,
};
use pblink_protocol::report::Report;
use pblink_protocol::time::{Duration, Instant};

/// One recorded exchange.
#[derive(Debug, Default, Clone)]
struct Exchange {
    begin: Instant,
    entries: Vec<Entry>,
    syn: Vec<bool>,
    ack: Vec<bool>,
    /// Transfers for which the slave was armed: true for sending, and the number of bytes.
    arms: Vec<(bool, usize)>,
    /// Bytes from the initiator: header, payload.
    down: Vec<Vec<u8>>,
    /// Bytes to the initiator: header, payload.
    up: Vec<Vec<u8>>,
}

impl Exchange {
    fn add(&mut self, entry: &Entry) {
        if self.entries.is_empty() {
            self.begin = entry.at;
        }
        let n = entry.num("n").max(0) as usize;
        match (entry.str("who"), entry.str("ev"), entry.str("pin")) {
            ("I", "pin", "syn") => self.syn.push(entry.num("v") == 1),
            ("R", "pin", "ack") => self.ack.push(entry.num("v") == 1),
            ("I", "arm_send", _) => self.arms.push((true, n)),
            ("I", "arm_recv", _) => self.arms.push((false, n)),
            ("R", "i2c_read", _) => self.down.push(entry.bytes()),
            ("R", "i2c_write", _) => self.up.push(entry.bytes()),
            other => panic!("{other:?} within an exchange"),
        }
        self.entries.push(entry.clone());
    }

    /// Returns true if the transfers that the headers ask for are complete, and `syn` has come down
    /// after the last.
    fn is_complete(&self) -> bool {
        let wants = |transfers: &[Vec<u8>]| match transfers.first() {
            Some(header) => 1 + usize::from(header[0] > 0),
            None => 2,
        };
        self.down.len() == wants(&self.down)
            && self.up.len() == wants(&self.up)
            && self.syn.len() == 2 * (self.down.len() + self.up.len())
            && self.arms.len() == self.down.len() + self.up.len()
    }

    fn hold_off(header: &[u8]) -> bool {
        header[1] & 0x80 != 0
    }
}

fn recording() -> Vec<Exchange> {
    let entries = load("i2c_link_wires");
    // The session begins with the reset, the first exchange with the first syn 1 after it.
    let reset =
        entries.iter().rposition(|e| e.str("ev") == "hello").expect("the responder's second boot");
    let first = entries
        .iter()
        .position(|e| e.str("pin") == "syn" && e.num("v") == 1 && e.at > entries[reset].at)
        .expect("an exchange");
    let mut list = Vec::new();
    let mut now = Exchange::default();
    for entry in entries[first..].iter().filter(|e| e.str("ev") != "disconnect") {
        now.add(entry);
        if now.is_complete() {
            list.push(std::mem::take(&mut now));
        }
    }
    list
}

#[test]
fn the_recording_has_what_the_tests_need() {
    let list = recording();
    assert!(list.len() > 100);
    let with = |f: fn(&Exchange) -> bool| list.iter().filter(|e| f(e)).count();
    assert!(with(|e| e.down.len() == 2) >= 9, "payloads down");
    assert!(with(|e| e.up.len() == 2) >= 13, "payloads up");
    assert!(with(|e| Exchange::hold_off(&e.up[0])) >= 9, "the responder holds off");
}

#[test]
fn our_initiator_does_what_the_recorded_one_did() {
    let mut machine = Initiator::new(InitiatorTiming::default());
    let mut now = Instant::from_millis(1);
    machine.on_ack(now, true);
    machine.start(now);
    let mut actions = Vec::new();
    while let Some(action) = machine.next_action() {
        actions.push(action);
    }
    // As recorded: syn 1 and reset, 200 ms, then syn 0; the responder takes ack down.
    while actions.last() != Some(&InitiatorAction::Syn(false)) {
        now = machine.poll_at(now).unwrap();
        machine.poll(now);
        while let Some(action) = machine.next_action() {
            actions.push(action);
        }
    }
    assert_eq!(now, Instant::from_millis(201));
    machine.on_ack(now + Duration::from_millis(10), false);
    while machine.next_event() != Some(InitiatorEvent::Synchronised) {
        now = machine.poll_at(now).unwrap();
        machine.poll(now);
    }
    for (n, exchange) in recording().into_iter().enumerate() {
        if !Exchange::hold_off(&exchange.down[0]) {
            machine.consume(usize::MAX);
        }
        if let Some(payload) = exchange.down.get(1) {
            assert_eq!(machine.submit(now, payload), payload.len(), "exchange {n}");
        }
        let (mut syn, mut arms, mut armed) = (Vec::new(), Vec::new(), Vec::new());
        let mut collect = |machine: &mut Initiator, armed: &mut Vec<u8>| {
            let mut ready = false;
            while let Some(action) = machine.next_action() {
                match action {
                    InitiatorAction::Syn(level) => {
                        assert!(!level || ready, "armed before syn rises");
                        syn.push(level);
                    }
                    InitiatorAction::ArmTx => {
                        *armed = machine.tx_bytes().to_vec();
                        arms.push((true, armed.len()));
                        ready = true;
                    }
                    InitiatorAction::ArmRx(n) => {
                        arms.push((false, n));
                        ready = true;
                    }
                    other => panic!("{other:?} in exchange {n}"),
                }
            }
        };
        now = machine.poll_at(now).unwrap().max(now);
        machine.poll(now);
        collect(&mut machine, &mut armed);
        let base = now;
        for entry in &exchange.entries {
            now = base + entry.at.since(exchange.begin);
            machine.poll(now);
            match entry.str("ev") {
                "i2c_read" => {
                    assert_eq!(armed, entry.bytes(), "exchange {n}");
                    machine.on_sent(now);
                }
                "i2c_write" => machine.on_received(now, &entry.bytes()),
                "pin" if entry.str("who") == "R" => machine.on_ack(now, entry.num("v") == 1),
                _ => {}
            }
            collect(&mut machine, &mut armed);
            assert_eq!(machine.next_event(), None, "exchange {n} failed");
        }
        assert_eq!(syn, exchange.syn, "exchange {n}");
        assert_eq!(arms, exchange.arms, "exchange {n}");
        assert_eq!(machine.exchanges() as usize, n + 1);
        assert!(machine.is_passed());
        if let Some(payload) = exchange.up.get(1) {
            assert_eq!(machine.received(), payload, "exchange {n}");
        }
    }
}

#[test]
fn our_responder_does_what_the_recorded_one_did() {
    let mut machine = Responder::new(false);
    assert_eq!(machine.next_action(), Some(ResponderAction::Ack(false)));
    let mut now = Instant::from_millis(1);
    for (n, exchange) in recording().into_iter().enumerate() {
        now += Duration::from_millis(50);
        if let Some(payload) = exchange.up.get(1) {
            assert_eq!(machine.submit(payload), payload.len(), "exchange {n}");
        }
        let (mut ack, mut down, mut up) = (Vec::new(), Vec::new(), Vec::new());
        for (edge, &level) in exchange.syn.iter().enumerate() {
            // The reference had taken what it received before it made this header.
            if edge == 2 * exchange.down.len() && !Exchange::hold_off(&exchange.up[0]) {
                machine.consume(usize::MAX);
            }
            machine.on_syn(now, level);
            loop {
                match machine.next_action() {
                    Some(ResponderAction::Ack(level)) => {
                        ack.push(level);
                        machine.on_ack_set(now);
                    }
                    Some(ResponderAction::Read(len)) => {
                        let bytes = &exchange.down[down.len()];
                        assert_eq!(len, bytes.len(), "exchange {n}");
                        down.push(bytes.clone());
                        machine.on_read(now, bytes);
                    }
                    Some(ResponderAction::Write) => {
                        up.push(machine.tx_bytes().to_vec());
                        machine.on_written(now);
                    }
                    None => {
                        // Set-up times and pulses pass; what waits for syn does not come.
                        let soon = machine.poll_at(now).filter(|at| at.since(now).as_millis() < 10);
                        let Some(at) = soon else { break };
                        now = at.max(now);
                        machine.poll(now);
                    }
                }
            }
        }
        assert_eq!(ack, exchange.ack, "exchange {n}");
        assert_eq!(down, exchange.down, "exchange {n}");
        assert_eq!(up, exchange.up, "exchange {n}");
        assert!(machine.can_submit());
        if let Some(payload) = exchange.down.get(1)
            && Exchange::hold_off(&exchange.up[0])
        {
            assert_eq!(machine.received(), payload, "exchange {n}");
        }
    }
    assert_eq!(machine.failures(), 0);
}

/// Our code understands what the published programs say to each other.
#[test]
fn recorded_payloads_are_understood() {
    let list = recording();
    let down: Vec<_> = list.iter().filter_map(|e| e.down.get(1)).collect();
    let up: Vec<_> = list.iter().filter_map(|e| e.up.get(1)).collect();
    let config = Config::decode(down[0]).expect("the configuration comes first");
    assert_eq!(config.id, "qos");
    assert_eq!(config.port, 18491);
    assert_eq!(config.server, "127.0.0.1");
    assert_eq!((config.timeout_ms, config.report_s), (2000, 10));
    assert_eq!((config.ssid.as_str(), config.password.as_str()), ("sim", "sim"));
    assert!(down[1..].iter().all(|p| p.starts_with(b"3[") && p.ends_with(b"\n")));
    let reports: Vec<_> = up.iter().filter(|p| p[0] == b'r').collect();
    assert_eq!(
        Report::decode(&reports[0][1..]),
        Some(Report { connects: 1, number: 0, mem_free: 8_244_320 })
    );
    assert!(up.iter().all(|p| b"nukr".contains(&p[0])));
    // And what is read is written as the same bytes.
    for payload in &down[1..] {
        let frame = HostFrame::parse(payload.strip_suffix(b"\n").expect("a line"));
        let mut written = vec![0; payload.len()];
        assert_eq!(frame.expect("a frame").emit(&mut written), payload.len());
        assert_eq!(written, **payload);
    }
    for payload in up {
        let frame = CoprocessorFrame::parse(payload.strip_suffix(b"\n").expect("a line"));
        let mut written = vec![0; payload.len()];
        assert_eq!(frame.expect("a frame").emit(&mut written), payload.len());
        assert_eq!(written, *payload);
    }
}
