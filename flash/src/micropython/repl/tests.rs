use super::*;

const MS: Duration = Duration::from_millis(1);
const GREETS: &[u8] = b"\r\nraw REPL; CTRL-B to exit\r\n>";

/// Lets time pass until the machine has something to say, or to send.
fn pass(repl: &mut Repl, now: &mut Duration) {
    *now = repl.poll_at().expect("it waits for a time").max(*now);
    repl.on_time(*now);
}

/// Returns a machine whose board takes code.
fn ready() -> (Repl, Duration) {
    let (mut repl, mut now) = (Repl::default(), MS);
    repl.on_enter(now);
    assert_eq!(repl.transmit(), b"\r\x03\x03");
    pass(&mut repl, &mut now);
    assert_eq!(repl.transmit(), b"\r\x01");
    repl.on_bytes(now, GREETS);
    assert_eq!(repl.event(), None, "there may be more on its way");
    pass(&mut repl, &mut now);
    assert_eq!(repl.event(), Some(Event::Ready));
    (repl, now)
}

/// Returns a machine that knows that its board has no raw paste, and has sent code.
fn plain(code: &str) -> (Repl, Duration, Vec<u8>) {
    let (mut repl, mut now) = ready();
    repl.on_code(now, code, 9 * MS);
    assert_eq!(repl.transmit(), b"\x05A\x01");
    repl.on_bytes(now, GREETS);
    let mut sent = repl.transmit();
    while !sent.ends_with(&[END]) {
        assert_eq!(sent.len() % PIECE, 0, "with a pause after each piece");
        pass(&mut repl, &mut now);
        sent.extend(repl.transmit());
    }
    (repl, now, sent)
}

#[test]
fn code_goes_out_as_the_board_has_room_and_its_output_comes_before_its_error() {
    let (mut repl, now) = ready();
    repl.on_code(now, &"x".repeat(300), 9 * MS);
    assert_eq!(repl.transmit(), b"\x05A\x01");
    // A window of 128 bytes, and one more at once.
    repl.on_bytes(now, b"R\x01\x80");
    assert_eq!(repl.transmit(), b"");
    repl.on_bytes(now, b"\x00\x01");
    assert_eq!(repl.transmit().len(), 256);
    repl.on_bytes(now, b"\x01");
    assert_eq!(repl.transmit(), [&[b'x'; 44][..], &[END]].concat());
    repl.on_bytes(now, b"\x01\x04one\r\n");
    assert_eq!(repl.event(), Some(Event::Output(b"one\r\n".to_vec())));
    repl.on_bytes(now, b"two\x04Trace");
    repl.on_bytes(now, b"back\r\n\x04");
    assert_eq!(repl.event(), Some(Event::Output(b"two".to_vec())));
    assert_eq!(repl.event(), None);
    repl.on_bytes(now, b">");
    assert_eq!(repl.event(), Some(Event::Done(b"Traceback\r\n".to_vec())));
    assert_eq!(repl.poll_at(), None);
}

#[test]
fn without_raw_paste_code_goes_in_pieces_and_that_is_remembered() {
    let code = "y".repeat(600);
    let (mut repl, now, sent) = plain(&code);
    assert_eq!(sent, [code.as_bytes(), &[END]].concat());
    repl.on_bytes(now, b"OK\x04\x04>");
    assert_eq!(repl.event(), Some(Event::Done(Vec::new())));
    repl.on_code(now, "z", 9 * MS);
    assert_eq!(repl.transmit(), b"z\x04");
}

#[test]
fn a_board_that_says_that_it_cannot_paste_is_believed() {
    let (mut repl, now) = ready();
    repl.on_code(now, "z", 9 * MS);
    repl.transmit();
    repl.on_bytes(now, b"R\x00");
    assert_eq!(repl.transmit(), b"z\x04");
}

#[test]
fn a_board_that_has_seen_enough_is_answered() {
    let (mut repl, now) = ready();
    repl.on_code(now, &"(".repeat(300), 9 * MS);
    repl.on_bytes(now, b"R\x01\x80\x00");
    repl.transmit();
    repl.on_bytes(now, b"\x04");
    assert_eq!(repl.transmit(), [END]);
    repl.on_bytes(now, b"\x04SyntaxError\x04>");
    assert_eq!(repl.event(), Some(Event::Done(b"SyntaxError".to_vec())));
}

#[test]
fn a_board_is_entered_when_the_program_has_caught_some_interrupts() {
    let (mut repl, mut now) = (Repl::default(), MS);
    repl.on_enter(now);
    let mut interrupts = 0;
    for _ in 0..5 {
        let sent = repl.transmit();
        interrupts += sent.iter().filter(|byte| **byte == INTERRUPT).count();
        repl.on_bytes(now, b"not now\r\n");
        pass(&mut repl, &mut now);
    }
    assert_eq!(interrupts, 6);
    // Greetings of several tries are one.
    repl.on_bytes(now, GREETS);
    repl.on_bytes(now, GREETS);
    repl.transmit();
    pass(&mut repl, &mut now);
    assert_eq!((repl.event(), repl.event()), (Some(Event::Ready), None));
    repl.on_bytes(now, GREETS);
    assert_eq!(repl.event(), None);
}

#[test]
fn what_keeps_a_board_from_being_entered_is_told_apart() {
    for (says, fault) in [
        (b"" as &[u8], Fault::Silent),
        (b"\xff\x00\x55", Fault::NoRepl),
        (b"\r\n>>> ", Fault::NoRawRepl),
    ] {
        let (mut repl, mut now) = (Repl::default(), MS);
        repl.on_enter(now);
        let mut steps = 0;
        let event = loop {
            repl.transmit();
            repl.on_bytes(now, says);
            pass(&mut repl, &mut now);
            steps += 1;
            if let Some(event) = repl.event() {
                break event;
            }
        };
        assert_eq!(event, Event::Failed(fault));
        assert_eq!(steps, 2 * TRIES);
        assert_eq!(repl.poll_at(), None);
    }
}

#[test]
fn nonsense_for_an_answer_is_a_fault_and_not_for_ever() {
    // After the question, in the middle of the code, and for the prompt.
    for bytes in [b"R\x01\x00\x00" as &[u8], b"R\x01\x02\x00?", b"R\x01\x80\x00\x04\x04\x04?"] {
        let (mut repl, mut now) = ready();
        repl.on_code(now, "code", 9 * MS);
        repl.on_bytes(now, bytes);
        while repl.poll_at().is_some() {
            pass(&mut repl, &mut now);
        }
        assert_eq!(repl.event(), Some(Event::Failed(Fault::Garbled)), "{bytes:?}");
    }
    let (mut repl, mut now) = ready();
    repl.on_code(now, "code", 9 * MS);
    pass(&mut repl, &mut now);
    assert_eq!(repl.event(), Some(Event::Failed(Fault::Silent)));
    let (mut repl, mut now, _) = plain("code");
    repl.on_bytes(now, b"NO");
    pass(&mut repl, &mut now);
    assert_eq!(repl.event(), Some(Event::Failed(Fault::Garbled)));
}

#[test]
fn code_that_says_nothing_is_late_and_output_extends_its_time() {
    let (mut repl, mut now, _) = plain("code");
    repl.on_bytes(now, b"OK");
    now += 8 * MS;
    repl.on_bytes(now, b".");
    now += 8 * MS;
    repl.on_time(now);
    assert_eq!(repl.event(), Some(Event::Output(b".".to_vec())));
    assert_eq!(repl.event(), None);
    now += MS;
    repl.on_time(now);
    assert_eq!(repl.event(), Some(Event::Failed(Fault::Late)));
}

#[test]
fn a_long_error_keeps_its_end() {
    let (mut repl, now, _) = plain("code");
    repl.on_bytes(now, b"OK\x04");
    for _ in 0..5 * ERROR {
        repl.on_bytes(now, b"e");
    }
    assert!(repl.error.len() <= 2 * ERROR);
    repl.on_bytes(now, b"end\x04>");
    let Some(Event::Done(error)) = repl.event() else { panic!("it has ended") };
    assert!(error.len() == ERROR && error.ends_with(b"eend"));
}

#[test]
fn an_interrupt_goes_out_while_code_runs_only() {
    let (mut repl, now) = ready();
    repl.on_interrupt(now);
    assert_eq!(repl.transmit(), b"");
    let (mut repl, now, _) = plain("code");
    repl.on_bytes(now, b"OK");
    repl.on_interrupt(now);
    assert_eq!(repl.transmit(), [INTERRUPT]);
    repl.on_bytes(now, b"\x04KeyboardInterrupt\x04>");
    assert_eq!(repl.event(), Some(Event::Done(b"KeyboardInterrupt".to_vec())));
}

#[test]
fn a_program_goes_without_raw_paste_and_may_be_silent() {
    let (mut repl, now) = ready();
    repl.on_program(now, "import x");
    assert_eq!(repl.transmit(), b"import x\x04");
    repl.on_bytes(now, b"OK");
    assert_eq!(repl.poll_at(), None);
}

#[test]
fn a_program_that_exits_restarts_the_interpreter() {
    let (mut repl, now) = ready();
    repl.on_program(now, "import x");
    repl.on_bytes(now, b"OKbye\x04\x04\r\nMPY: soft reboot\r\nraw REPL; CTRL-B to exit\r\n>");
    assert_eq!(repl.event(), Some(Event::Output(b"bye".to_vec())));
    assert_eq!(repl.event(), Some(Event::Done(EXIT.to_vec())));
    assert_eq!((repl.event(), repl.poll_at()), (None, None));
    repl.on_leave(now);
    repl.on_bytes(now, b"\r\n>>> ");
    assert_eq!(repl.event(), Some(Event::Left));
}

#[test]
fn a_restart_ends_in_the_raw_repl_or_is_helped_there() {
    let (mut repl, mut now) = ready();
    repl.on_restart(now);
    assert_eq!(repl.transmit(), [END]);
    repl.on_bytes(now, b"OK\r\nMPY: soft reboot\r\nraw REPL; CTRL-B to exit\r\n>");
    pass(&mut repl, &mut now);
    assert_eq!(repl.event(), Some(Event::Ready));

    // Of another kind: it is where it begins.
    repl.on_restart(now);
    repl.transmit();
    repl.on_bytes(now, b"MicroPython v1.29\r\n>>> ");
    assert_eq!(repl.poll_at(), Some(now));
    pass(&mut repl, &mut now);
    assert_eq!(repl.transmit(), b"\r\x03\x03");
}

#[test]
fn the_board_is_left_at_its_prompt() {
    let (mut repl, mut now) = ready();
    repl.on_leave(now);
    assert_eq!(repl.transmit(), b"\r\x02");
    repl.on_bytes(now, b"\r\nMicroPython v1.22\r\n>>");
    assert_eq!(repl.event(), None);
    repl.on_bytes(now, b"> ");
    assert_eq!(repl.event(), Some(Event::Left));
    repl.on_leave(now);
    pass(&mut repl, &mut now);
    assert_eq!(repl.event(), Some(Event::Failed(Fault::Garbled)));
}

#[test]
fn any_bytes_at_any_time_change_nothing_for_the_worse() {
    // Each state gets each kind of byte; nothing panics, and the machine ends somewhere.
    let mut seed = 7_u32;
    for _ in 0..2000 {
        let (mut repl, mut now) = ready();
        repl.on_code(now, &"c".repeat(700), MS);
        for _ in 0..40 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let byte = b"R\x00\x01\x04OK>\x80\r"[(seed >> 24) as usize % 9];
            repl.on_bytes(now, &[byte]);
            repl.transmit();
        }
        for _ in 0..100 {
            if repl.poll_at().is_some() {
                pass(&mut repl, &mut now);
            }
        }
        assert_eq!(repl.poll_at(), None);
        assert!(repl.tail.len() <= TAIL && repl.events.len() < 200);
    }
}
