//! The ESP8266's side of the exchange in the hands of the test: its times, and wires that do what they should not.

use crate::common::world::config;
use pblink_protocol::coprocessor::Coprocessor;
use pblink_protocol::i2c::ResponderAction::{Ack, Read, Write};
use pblink_protocol::i2c::{BusFault, MAX_PAYLOAD, PULSE, Responder, ResponderAction, SETUP};
use pblink_protocol::time::{Duration, Instant};

const AT: Instant = Instant::from_millis(1);

/// Returns a responder that waits for an exchange.
fn idle() -> Responder {
    let mut esp = Responder::new(false);
    assert_eq!(actions(&mut esp), [Ack(false)]);
    esp
}

fn actions(esp: &mut Responder) -> Vec<ResponderAction> {
    std::iter::from_fn(|| esp.next_action()).collect()
}

/// Raises `syn`, and waits until the transfer begins.
fn transfer(esp: &mut Responder, wanted: ResponderAction) {
    esp.on_syn(AT, true);
    esp.poll(AT + SETUP);
    assert_eq!(actions(esp), [wanted]);
}

/// Begins an exchange, in which the initiator passes this payload.
fn receive(esp: &mut Responder, payload: &[u8]) {
    transfer(esp, Read(2));
    esp.on_read(AT, &[payload.len() as u8, 0]);
    assert_eq!(actions(esp), [Ack(true)]);
    if !payload.is_empty() {
        esp.on_syn(AT, false);
        assert_eq!(actions(esp), [Ack(false)]);
        transfer(esp, Read(payload.len()));
        esp.on_read(AT, payload);
        assert_eq!(actions(esp), [Ack(true)]);
    }
    esp.on_syn(AT, false);
    assert_eq!(actions(esp), [Ack(false)]);
}

/// Continues to where the responder has sent its header, and waits for the end of it.
fn send_header(esp: &mut Responder) {
    esp.on_ack_set(AT);
    esp.poll(AT + PULSE);
    assert_eq!(actions(esp), [Ack(true)]);
    transfer(esp, Write);
    esp.on_written(AT);
    assert_eq!(actions(esp), [Ack(false)]);
}

#[test]
fn a_transfer_and_the_end_of_a_pulse_wait_until_it_is_time() {
    let mut esp = idle();
    esp.on_syn(AT, true);
    assert_eq!(esp.poll_at(AT), Some(AT + SETUP));
    esp.poll(AT);
    assert_eq!(actions(&mut esp), []);
    esp.poll(AT + SETUP);
    assert_eq!(actions(&mut esp), [Read(2)]);
    // An address that nobody acknowledges is tried again, but not at once.
    let retry = AT + Duration::from_millis(1);
    esp.on_bus_fault(AT, BusFault::NoAddress);
    assert_eq!(esp.poll_at(AT), Some(retry));
    esp.poll(AT);
    assert_eq!(actions(&mut esp), []);
    esp.poll(retry);
    assert_eq!(actions(&mut esp), [Read(2)]);
    esp.on_read(AT, &[0, 0]);
    esp.on_syn(AT, false);
    assert_eq!(actions(&mut esp), [Ack(true), Ack(false)]);
    // A pulse is as long as it must be from the moment at which the pin moves.
    esp.on_ack_set(AT);
    assert_eq!(esp.poll_at(AT), Some(AT + PULSE));
    esp.poll(AT);
    assert_eq!(actions(&mut esp), []);
    esp.poll(AT + PULSE);
    assert_eq!(actions(&mut esp), [Ack(true)]);
    assert_eq!(esp.failures(), 0);
}

#[test]
fn a_syn_that_falls_before_a_transfer_ends_the_exchange() {
    let mut esp = idle();
    esp.on_syn(AT, true);
    esp.on_syn(AT, false);
    assert_eq!((esp.failures(), esp.poll_at(AT)), (1, None));
    assert_eq!(actions(&mut esp), [Ack(false)]);
    // It is ready for the next one.
    receive(&mut esp, b"one");
    assert_eq!((esp.failures(), esp.received()), (1, &b"one"[..]));
}

#[test]
fn a_payload_that_comes_although_it_was_held_off_is_refused() {
    let mut esp = idle();
    receive(&mut esp, b"one");
    send_header(&mut esp);
    assert_eq!(esp.tx_bytes(), [0, 0x80], "there is no room");
    esp.on_syn(AT, false);
    // Nothing to pass is no fault.
    receive(&mut esp, b"");
    send_header(&mut esp);
    esp.on_syn(AT, false);
    assert_eq!(esp.failures(), 0);
    transfer(&mut esp, Read(2));
    esp.on_read(AT, &[3, 0]);
    assert_eq!(actions(&mut esp), [Ack(false)]);
    assert_eq!((esp.failures(), esp.received()), (1, &b"one"[..]));
}

/// The owner was at something else while one exchange ended and the next began. At any other step a pulse is a
/// disturbance: the level counts.
#[test]
fn an_exchange_that_begins_unseen_takes_place() {
    for payload in [&b""[..], b"up"] {
        let mut esp = idle();
        assert_eq!(esp.submit(payload), payload.len());
        transfer(&mut esp, Read(2));
        esp.on_read(AT, &[0, 0]);
        assert_eq!(actions(&mut esp), [Ack(true)]);
        esp.on_syn_pulse(AT);
        assert_eq!(actions(&mut esp), []);
        esp.on_syn(AT, false);
        assert_eq!(actions(&mut esp), [Ack(false)]);
        send_header(&mut esp);
        if !payload.is_empty() {
            esp.on_syn_pulse(AT);
            assert_eq!(actions(&mut esp), []);
            esp.on_syn(AT, false);
            assert_eq!(actions(&mut esp), [Ack(true)]);
            transfer(&mut esp, Write);
            assert_eq!(esp.tx_bytes(), payload);
            esp.on_written(AT);
            assert_eq!(actions(&mut esp), [Ack(false)]);
        }
        esp.on_syn_pulse(AT);
        esp.poll(AT + SETUP);
        assert_eq!(actions(&mut esp), [Read(2)], "{payload:?}");
        assert_eq!((esp.failures(), esp.can_submit()), (0, true));
    }
}

/// Passes a payload as far as the initiator has asked for it, and begins the transfer.
fn send_payload() -> Responder {
    let mut esp = idle();
    assert_eq!(esp.submit(b"up"), 2);
    receive(&mut esp, b"");
    send_header(&mut esp);
    esp.on_syn(AT, false);
    assert_eq!(actions(&mut esp), [Ack(true)]);
    transfer(&mut esp, Write);
    assert_eq!(esp.tx_bytes(), b"up");
    esp
}

/// An `ack` that falls says that the payload has passed. An initiator that has all of it would go on, and get it once more; so it
/// hears nothing, and resets this board.
#[test]
fn a_payload_of_which_nobody_knows_whether_it_has_come_is_not_confirmed() {
    let late = AT + SETUP + Duration::from_secs(5);
    let faults: [fn(&mut Responder, Instant); 2] =
        [|esp, _| esp.on_bus_fault(AT, BusFault::Other), |esp, late| esp.poll(late)];
    for fault in faults {
        let mut esp = send_payload();
        fault(&mut esp, late);
        assert_eq!((actions(&mut esp), esp.failures()), (vec![], 1));
        esp.on_syn(AT, false);
        assert_eq!(actions(&mut esp), []);
    }
}

/// Passes a payload behind which nobody sees `syn` fall in time.
fn send_payload_unseen() -> Responder {
    let mut esp = send_payload();
    esp.on_written(AT);
    assert_eq!(actions(&mut esp), [Ack(false)]);
    esp.poll(AT + Duration::from_secs(5));
    assert_eq!((actions(&mut esp), esp.failures()), (vec![Ack(false)], 1));
    esp.on_syn(AT, false);
    esp
}

/// Each byte of it was acknowledged: an initiator that goes on has it.
#[test]
fn a_payload_that_was_confirmed_is_not_passed_again() {
    let mut esp = send_payload_unseen();
    // What its owner gives meanwhile waits until the initiator goes on.
    assert!(!esp.can_submit());
    receive(&mut esp, b"");
    assert!(esp.can_submit());
    send_header(&mut esp);
    assert_eq!(esp.tx_bytes(), [0, 0], "there is nothing to pass");
}

/// With a payload it may begin anew: its owner knows.
#[test]
fn a_payload_that_was_confirmed_waits_for_the_owner_to_read_the_next_word() {
    let mut esp = send_payload_unseen();
    receive(&mut esp, b"word");
    send_header(&mut esp);
    assert_eq!((esp.tx_bytes(), esp.can_submit()), (&[0, 0x80][..], false));
}

/// An STM32 that was slow has what was sent to it. One that gives the configuration once more has begun anew, and has forgotten it.
#[test]
fn the_next_word_of_an_stm32_says_whether_it_has_what_was_sent() {
    let mut line = [0; MAX_PAYLOAD];
    let len = config().encode(&mut line).expect("a configuration");
    let configuration = &line[..len];
    for (word, again) in [(&b"3line\n"[..], false), (configuration, true)] {
        let mut esp = Coprocessor::new(false);
        assert_eq!(actions(esp.exchange()), [Ack(false)]);
        receive(esp.exchange(), configuration);
        esp.poll(AT);
        send_header(esp.exchange());
        esp.exchange().on_syn(AT, false);
        assert_eq!(actions(esp.exchange()), [Ack(true)]);
        transfer(esp.exchange(), Write);
        let keepalive = esp.exchange().tx_bytes().to_vec();
        assert_eq!((keepalive[0], keepalive.len()), (b'k', 6));
        esp.exchange().on_written(AT);
        esp.exchange().poll(AT + Duration::from_secs(5));
        esp.exchange().on_syn(AT, false);
        assert_eq!(actions(esp.exchange()), [Ack(false)]);

        receive(esp.exchange(), word);
        esp.poll(AT);
        send_header(esp.exchange());
        // The line waits for a server.
        let held = if again { [6, 0] } else { [0, 0x80] };
        assert_eq!(esp.exchange().tx_bytes(), held);
        assert_eq!(esp.exchange().can_submit(), !again);
    }
}
