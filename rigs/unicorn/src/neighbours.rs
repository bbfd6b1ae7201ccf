//! The computers on the board's network, as far as multicast DNS is concerned. They hear what the chip sends, and say what
//! the test gives them to say.

use std::collections::VecDeque;

use pblink_lx106::esp8266::udp::Datagram;

/// Where their answers come from.
pub(crate) const NEIGHBOUR: ([u8; 4], u16) = ([192, 168, 0, 42], 5353);

/// Answers to a question with this id, asked from this name as labels: messages, and after how many µs.
type Answers = Box<dyn FnMut(&Question) -> Vec<(u64, Vec<u8>)>>;

/// A question that was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// When, in µs.
    pub at: u64,
    /// Its id.
    pub id: u16,
    /// The name, as labels.
    pub labels: Vec<u8>,
}

impl Question {
    /// Returns the message that gives the name this address.
    pub fn answer(&self, address: [u8; 4]) -> Vec<u8> {
        let mut message = self.id.to_be_bytes().to_vec();
        // An answer of authority; one question, one answer.
        message.extend([0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0]);
        message.extend(&self.labels);
        message.extend([0, 1, 0, 1]);
        // The question's name; an address that is kept for 10 s.
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 10, 0, 4]);
        message.extend(address);
        message
    }
}

/// The neighbours.
#[derive(Default)]
pub struct Neighbours {
    /// Every question so far.
    pub heard: Vec<Question>,
    answers: Option<Answers>,
    /// Answers that are on their way: when, to which port.
    coming: VecDeque<(u64, u16, Vec<u8>)>,
}

impl Neighbours {
    /// From now on questions are answered like this.
    pub fn say(&mut self, answers: impl FnMut(&Question) -> Vec<(u64, Vec<u8>)> + 'static) {
        self.answers = Some(Box::new(answers));
    }

    /// Takes a datagram of the chip. It must be a question as the RFC has it.
    pub(crate) fn hear(&mut self, now: u64, datagram: Datagram) {
        let Datagram { from, address, port, bytes } = datagram;
        assert_eq!((address, port), ([224, 0, 0, 251], 5353), "the group");
        assert_ne!(from, 5353, "answers would go to the group");
        let (head, rest) = bytes.split_at(12);
        assert_eq!(head[2..], [0, 0, 0, 1, 0, 0, 0, 0, 0, 0], "one question");
        let (labels, kind) = rest.split_at(rest.len() - 4);
        assert_eq!(kind, [0, 1, 0x80, 1], "an address, for the asker alone");
        assert_eq!(labels.last(), Some(&0));
        let id = u16::from_be_bytes([head[0], head[1]]);
        let question = Question { at: now, id, labels: labels.to_vec() };
        for (delay, message) in self.answers.iter_mut().flat_map(|answers| answers(&question)) {
            self.coming.push_back((now + delay, from, message));
        }
        self.coming.make_contiguous().sort_by_key(|coming| coming.0);
        self.heard.push(question);
    }

    pub(crate) fn next_at(&self) -> Option<u64> {
        self.coming.front().map(|coming| coming.0)
    }

    /// Returns what they say now: to which port, and the message.
    pub(crate) fn speak(&mut self, now: u64) -> Option<(u16, Vec<u8>)> {
        self.next_at().filter(|at| *at <= now)?;
        self.coming.pop_front().map(|(_, to, message)| (to, message))
    }
}
