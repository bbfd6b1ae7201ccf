//! One end of the classic link, whose peer may say anything: lines, times, a disk, and an application that is slow or
//! refuses.

use std::collections::{BTreeMap, BTreeSet};

use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::endpoint::{Disposition, Endpoint, Host, Receipt, Role, Ticket, Timing};
use pblink_protocol::tcp::line::{Found, Line, LineReader, Mid};
use pblink_protocol::time::{Duration, Instant};

use crate::input::Input;

/// Lines that may be unacknowledged.
const ROOM: usize = 8;

/// The longest line that it takes, digits included.
const LONGEST: usize = 64;

type Machine = Endpoint<heapless::Vec<u8, LONGEST>, Vec<u8>, ROOM>;

/// The promises of lines.
pub(crate) const DELIVERIES: [Delivery; 3] =
    [Delivery::ORDERED, Delivery::UNORDERED, Delivery::BestEffort];

/// Changes what the application says of a line before the machine hears it.
pub type Said = fn(Disposition) -> Disposition;

/// The application: what it has, and what may be acknowledged of it.
struct Owner {
    said: Said,
    mode: u8,
    /// Messages that have come, and the number of the one that is looked at.
    uses: usize,
    reader: LineReader<heapless::Vec<u8, LONGEST>>,
    number: Mid,
    /// The latest use of each number that the application has got.
    latest: BTreeMap<Mid, usize>,
    /// Lines that it has not released, with their numbers and uses.
    waiting: Vec<(Receipt, Mid, usize)>,
    /// Numbers that may be acknowledged: the latest line is kept.
    kept: BTreeSet<Mid>,
    acked: Vec<Ticket>,
}

impl Owner {
    fn release(&mut self, at: usize) -> Receipt {
        let (receipt, mid, number) = self.waiting.swap_remove(at);
        if self.latest[&mid] == number {
            self.kept.insert(mid);
        }
        receipt
    }
}

impl Host<Vec<u8>> for Owner {
    fn deliver(&mut self, text: &str, receipt: Receipt) -> Disposition {
        assert!(!text.is_empty() && !text.contains('\n') && text.len() + 2 <= LONGEST);
        let disposition = match self.mode % 4 {
            2 if self.waiting.len() < 300 => Disposition::Later,
            2 | 3 => Disposition::Refused,
            _ => Disposition::Taken,
        };
        if disposition != Disposition::Refused {
            self.uses += 1;
            self.latest.insert(self.number, self.uses);
        }
        match disposition {
            Disposition::Later => {
                self.kept.remove(&self.number);
                self.waiting.push((receipt, self.number, self.uses));
            }
            Disposition::Taken => drop(self.kept.insert(self.number)),
            Disposition::Refused => {}
        }
        (self.said)(disposition)
    }

    fn acked(&mut self, ticket: Ticket, _: Option<Vec<u8>>, _: Duration) {
        assert!(!self.acked.contains(&ticket), "it hears of each line once");
        self.acked.push(ticket);
    }
}

/// Runs an input.
pub fn run(data: &[u8]) {
    run_with(data, |said| said);
}

/// Runs it with an application that is not understood.
pub fn run_with(data: &[u8], said: Said) {
    let mut input = Input::new(data);
    let first = input.byte();
    let role = if first & 1 == 0 { Role::Server } else { Role::Client };
    let timing = Timing::new(Duration::from_millis(400));
    let mut machine = Machine::new(role, timing, heapless::Vec::new());
    let commits = first & 2 != 0;
    machine.set_commits(commits);
    let mut owner = Owner {
        said,
        mode: 0,
        uses: 0,
        reader: LineReader::default(),
        number: Mid(0),
        latest: BTreeMap::new(),
        waiting: Vec::new(),
        kept: BTreeSet::new(),
        acked: Vec::new(),
    };
    let (mut now, mut written, mut wire) = (Instant::from_millis(1), Vec::new(), Vec::new());
    while !input.is_empty() {
        match input.byte() % 13 {
            how @ 0..=1 => {
                match how {
                    0 => machine.on_connected(now),
                    _ => machine.on_disconnected(),
                }
                owner.reader.reset();
                wire.clear();
            }
            2 | 3 => hear(&mut machine, &mut owner, now, input.counted()),
            // A message or an acknowledgement with a small number: it takes luck otherwise.
            4 => {
                let (mid, how) = (Mid(input.byte() % 12), input.byte());
                let mut line = mid.digits().to_vec();
                line.extend(std::iter::repeat_n(b'a' + (how & 3), usize::from(how >> 4)));
                line.push(b'\n');
                hear(&mut machine, &mut owner, now, &line);
            }
            5 => now += Duration::from_millis(u64::from(input.byte()) * 4),
            6 => {
                let how = input.byte();
                let text = format!("t{}{}", written.len(), "x".repeat(usize::from(how % 30)));
                let delivery = DELIVERIES[usize::from(how % 3)];
                match machine.write(now, text.into_bytes(), delivery) {
                    Ok(ticket) => written.push(ticket),
                    Err(_) => assert_eq!(machine.unacked(), ROOM),
                }
            }
            7 => {
                if let Some(&ticket) = written.get(usize::from(input.byte())) {
                    let pending = machine.is_pending(ticket);
                    assert!(machine.cancel(ticket).is_none() || pending);
                }
            }
            8 => owner.mode = input.byte(),
            9 if !owner.waiting.is_empty() => {
                let at = usize::from(input.byte()) % owner.waiting.len();
                machine.release(owner.release(at));
            }
            10 => {
                let oldest: Vec<_> = machine.acked_oldest().collect();
                for ticket in oldest {
                    assert!(owner.acked.contains(&ticket) && machine.done(ticket));
                }
            }
            _ => transmit(&mut machine, now, 3 + usize::from(input.byte() % 40), &mut wire, &owner),
        }
        assert!(machine.unacked() <= ROOM);
        assert!(commits || owner.acked.iter().all(|&ticket| !machine.is_pending(ticket)));
    }
}

/// Hears one line at a time, so that it is known which number the application's line has.
fn hear(machine: &mut Machine, owner: &mut Owner, now: Instant, bytes: &[u8]) {
    if !machine.is_connected() {
        return;
    }
    for part in bytes.split_inclusive(|&byte| byte == b'\n') {
        let number = &mut owner.number;
        owner.reader.feed(part, |found| {
            if let Found::Line(line) = found
                && let Line::Message { mid, .. } = Line::parse(line)
            {
                *number = mid;
            }
            true
        });
        machine.on_bytes(now, part, owner);
    }
}

/// Sends all that is due, in pieces of `size` bytes: whole lines, of which each is one.
fn transmit(machine: &mut Machine, now: Instant, size: usize, wire: &mut Vec<u8>, owner: &Owner) {
    let mut out = vec![0; size];
    for round in 0.. {
        assert!(round < 3000, "it sends for ever");
        let len = machine.transmit(now, &mut out);
        if len == 0 {
            break;
        }
        wire.extend(&out[..len]);
    }
    assert!(machine.is_connected() || wire.is_empty());
    for line in wire.split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\n").expect("a whole line");
        match Line::parse(line) {
            Line::Keepalive => {}
            Line::Ack(mid) => assert!(owner.kept.contains(&mid), "{mid} is kept by nobody"),
            Line::Message { text, .. } => assert!(text.starts_with('t')),
            Line::Invalid(line) => panic!("{line:?} is no line"),
        }
    }
    wire.clear();
    if let Some(at) = machine.poll_at(now) {
        assert!(at > now || machine.outage(now), "it has sent all, and wants to send at once");
    }
}
