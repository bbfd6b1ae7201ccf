//! Random updates, keys and sizes: nothing makes the monitor panic.

use std::time::Duration;

use crate::monitor_fixture::{self, Feed, NASTY, info, link, screen, text};
use pblink_cli::monitor::{Key, Model, Now};
use pblink_serve::control::Update;
use pblink_server::{Cause, EventKind, Layer, LinkState, LinkStatus, Refusal, Report};

/// Small, seeded, good enough to choose with.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len() as u64) as usize].clone()
    }

    fn number(&mut self) -> u64 {
        let bits = self.roll(64);
        self.0 >> bits
    }

    fn id(&mut self) -> String {
        let long = "long ".repeat(60);
        self.pick(&["1", "2", "10", "", "厨房灯", NASTY, "👩‍🔬🇨🇭", "e\u{301}\u{301}", &long]).into()
    }

    fn layer(&mut self) -> Layer {
        self.pick(&[Layer::Wires, Layer::Coprocessor, Layer::Wifi, Layer::Server])
    }

    fn link(&mut self) -> LinkStatus {
        let down = LinkState::Down { layer: self.layer(), cause: Cause::Reset };
        let state = self.pick(&[LinkState::Up, LinkState::Waiting, down]);
        let mut link = link(&self.id(), state);
        (link.since_ms, link.lines_in, link.connects) =
            (self.number(), self.number(), self.number());
        link.peer = self.pick(&[None, Some(NASTY.to_owned())]);
        let some = Some(self.number());
        link.write_ack_us = self.pick(&[None, some]);
        link.mem_free = self.pick(&[None, some]);
        link
    }

    fn event(&mut self) -> EventKind {
        let id = self.id();
        match self.roll(8) {
            0 => EventKind::Connected { id, peer: NASTY.into() },
            1 => EventKind::OutageBegan { id, cause: Cause::SlowReader, layer: self.layer() },
            2 => EventKind::OutageEnded {
                id,
                peer: String::new(),
                lasted_ms: self.number(),
                connects: self.number(),
            },
            3 => EventKind::Refused {
                id: Some(id),
                peer: NASTY.into(),
                reason: Refusal::BadHello,
                times: 1,
            },
            4 => EventKind::Stopped,
            5 => EventKind::Note { id: None, text: self.id() },
            _ => EventKind::Report {
                id,
                report: Report {
                    connects: self.number() as u32,
                    number: self.number() as u32,
                    mem_free: self.number() as u32,
                },
            },
        }
    }

    /// Gives the model something that happened, or what a follower learnt.
    fn update(&mut self, model: &mut Model, feed: &mut Feed) {
        if self.roll(2) == 0 {
            let at_ms = self.number();
            return feed.happen(model, at_ms, self.event());
        }
        if self.roll(20) == 0 {
            return feed.lose(model, 1);
        }
        model.apply(match self.roll(8) {
            4 => {
                Update::Consumers(vec![monitor_fixture::failing(NASTY, &self.id(), self.number())])
            }
            0 => Update::Server(info(self.roll(2))),
            1 => Update::Missed(self.number()),
            3 => Update::LastLines(vec![(
                self.id(),
                monitor_fixture::last_line(self.number(), NASTY),
            )]),
            2 => Update::Lost { reason: NASTY.into(), retry_in: Duration::ZERO },
            _ => Update::Links((0..self.roll(60)).map(|_| self.link()).collect()),
        });
    }

    fn key(&mut self) -> Key {
        use Key::*;
        let named = [Enter, Esc, Tab, BackTab, Backspace, Up, Down, PageUp, PageDown, Home, End];
        let named = self.pick(&named);
        let typed = "12345/f?jkgGsSdej(房".chars().collect::<Vec<_>>();
        let typed = Char(self.pick(&typed));
        self.pick(&[named, typed, Ctrl('u')])
    }
}

#[test]
fn nothing_makes_the_monitor_panic() {
    for seed in 1..=150_u64 {
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed));
        let mut model = Model::new(seed % 2 == 0, vec![]);
        let mut feed = Feed::default();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..60 {
                for _ in 0..dice.roll(4) {
                    dice.update(&mut model, &mut feed);
                }
                model.key(dice.key());
                let now = dice.number();
                model.tick(Now { mono_ms: now, wall_ms: now });
                let size = (1 + dice.roll(130) as u16, 1 + dice.roll(45) as u16);
                model.resize(size.1);
                let shown = text(&screen(&model, size));
                assert!(!shown.contains(['\x1b', '\u{202e}', '\u{9b}']), "{shown}");
            }
        }));
        assert!(result.is_ok(), "seed {seed}");
    }
}
