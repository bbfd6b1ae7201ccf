//! The model: which of its steps may follow which, and what must hold.

use stateright::{Model, Property};

use super::rules::Rules;
use super::world::{Fault, World};

/// Faults that one model has: all of one kind of trouble. All of them at once are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// The faults.
    pub faults: &'static [Fault],
    /// The promises that they break: see the exceptions of the secure link in `docs/PROTOCOL.md`.
    pub exceptions: &'static [&'static str],
}

impl Family {
    /// A carrier that loses, repeats and delays.
    pub const CARRIER: Self = Self {
        name: "carrier",
        faults: &[
            Fault::LoseUp,
            Fault::LoseDown,
            Fault::RepeatUp,
            Fault::RepeatDown,
            Fault::DelayUp,
            Fault::DelayDown,
        ],
        exceptions: &[],
    };
    /// Connections that end, crashes of the ESP8266, two newcomers with one id.
    pub const CUTS: Self = Self {
        name: "cuts",
        faults: &[Fault::Cut, Fault::Reconnect, Fault::HalfOpen, Fault::LoseUp, Fault::LoseDown],
        exceptions: &[],
    };
    /// Processes that end: the server's, between taking and committing, too; the board's program.
    pub const CRASHES: Self = Self {
        name: "crashes",
        faults: &[Fault::Kill, Fault::Reset, Fault::Cut, Fault::HalfOpen],
        exceptions: &[],
    };
    /// Someone who holds lines back and shows them later.
    pub const REPLAYER: Self = Self {
        name: "replayer",
        faults: &[Fault::Hold, Fault::Show, Fault::Cut, Fault::Reset],
        exceptions: &[],
    };
    /// A board that loses its power.
    pub const POWER: Self = Self {
        name: "power",
        faults: &[Fault::Power, Fault::Kill, Fault::Cut, Fault::HalfOpen, Fault::Reconnect],
        exceptions: &[],
    };
    /// A store that is replaced by an older one.
    pub const RESTORE: Self = Self {
        name: "restore",
        faults: &[Fault::Restore, Fault::Kill, Fault::Reset],
        exceptions: &[],
    };
    /// The same, with a board that loses its power. Nobody notices an older store then: lines that the board's application
    /// had come again.
    pub const RESTORE_AND_POWER: Self = Self {
        name: "restore and power",
        faults: &[Fault::Restore, Fault::Power],
        exceptions: &[NO_REPEAT_DOWN],
    };
    /// A machine that goes back to a snapshot.
    pub const REWIND: Self =
        Self { name: "rewind", faults: &[Fault::Rewind, Fault::Cut], exceptions: &[] };
    /// A board that is given a new key, [which](Secure::rotations) may be taken back.
    pub const ROTATION: Self = Self {
        name: "rotation",
        faults: &[
            Fault::Cancel,
            Fault::Power,
            Fault::Kill,
            Fault::Cut,
            Fault::LoseUp,
            Fault::LoseDown,
        ],
        exceptions: &[],
    };

    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::CARRIER,
        Self::CUTS,
        Self::CRASHES,
        Self::REPLAYER,
        Self::POWER,
        Self::RESTORE,
        Self::RESTORE_AND_POWER,
        Self::REWIND,
        Self::ROTATION,
    ];

    fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }
}

/// A model of the secure link.
#[derive(Debug, Clone)]
pub struct Secure {
    /// The faults.
    pub family: Family,
    /// The most of them in one run.
    pub faults: u8,
    /// Lines from the board, to the board.
    pub lines: (u8, u8),
    /// The most steps of time. At the end of each run there is as much as it takes.
    pub waits: u8,
    /// Time passes and lines are written while others are on their way, too; otherwise when nothing is, and before the
    /// first.
    pub busy: bool,
    /// The first line of each way needs two packets.
    pub long: bool,
    /// Keys that the board is given over its link, one after the other.
    pub rotations: u8,
    /// Rules that are broken.
    pub rules: Rules,
}

impl Secure {
    /// Makes a model with one line each way and one fault.
    pub const fn small(family: Family) -> Self {
        Self {
            family,
            faults: 1,
            lines: (1, 1),
            waits: 1,
            busy: false,
            long: false,
            rotations: 0,
            rules: Rules {
                acknowledges_early: false,
                answers_early: false,
                forgets_mark: false,
                knows_all_epochs: false,
                checks_no_board: false,
                keeps_keys: false,
                keeps_epoch: false,
                forgets_key: false,
                settles_before_note: false,
                settles_when_taken: false,
            },
        }
    }

    fn copies(&self) -> bool {
        self.family.has(Fault::Restore) || self.family.has(Fault::Rewind)
    }

    /// Goes on without a fault, if nothing but time or a fault is left.
    fn end(&self, state: &State) -> Option<End> {
        let ledger = &state.world.ledger;
        let all = (ledger.up, ledger.down) == self.lines && state.rotations == 0;
        let over = all && state.world.is_quiet();
        over.then(|| {
            let mut world = state.world.clone();
            let arrives = world.settles(self.rules);
            let (ledger, store) = (&world.ledger, &world.store);
            End {
                arrives,
                once_up: !ledger.wrong_up,
                once_down: !ledger.wrong_down,
                complete_up: ledger.is_complete_up(store, world.board.memory()),
                complete_down: ledger.is_complete_down(store),
                certain: ledger.is_certain(store),
                shared: world.share_a_key(),
            }
        })
    }
}

/// A state, and what is left to happen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    world: World,
    faults: u8,
    waits: u8,
    rotations: u8,
    /// The outcome, once nothing but time or a fault is left.
    end: Option<End>,
}

/// The outcome of going on without a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct End {
    arrives: bool,
    once_up: bool,
    once_down: bool,
    complete_up: bool,
    complete_down: bool,
    certain: bool,
    shared: bool,
}

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// The next line of this connection reaches the server.
    Up(usize),
    /// The next line reaches the board.
    Down,
    /// The server's next change is committed.
    Commit,
    /// The board's application reads a line and is done with it.
    Read,
    /// The board's application writes a line.
    WriteUp,
    /// The server's application writes a line.
    WriteDown,
    /// Time passes until someone has something to do.
    Wait,
    /// A copy of the store, or of the server's whole machine, is made.
    BackUp,
    /// A new key is made for the board.
    Rotate,
    /// The server's process reads its keys again.
    ReadKeys,
    /// It notes that the board has proven its new key.
    Note,
    /// A fault.
    Fault(Fault),
}

/// Asks for something of the outcome, where there is one.
fn ends(state: &State, holds: fn(&End) -> bool) -> bool {
    state.end.as_ref().is_none_or(holds)
}

impl Model for Secure {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let world = World::new(self.rules, self.family.has(Fault::Rewind));
        let Self { faults, waits, rotations, .. } = *self;
        vec![State { world, faults, waits, rotations, end: None }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let world = &state.world;
        let ledger = &world.ledger;
        if ledger.wrong_up || ledger.wrong_down || ledger.repeated || !world.share_a_key() {
            return;
        }
        actions.extend(world.ways_up().map(Action::Up));
        let calm = self.busy || world.is_quiet();
        let writes = calm || !world.has_begun();
        let steps = [
            (world.has_down(), Action::Down),
            (world.process.wishes(), Action::Commit),
            (world.board.has_line(), Action::Read),
            (writes && ledger.up < self.lines.0, Action::WriteUp),
            (writes && ledger.down < self.lines.1, Action::WriteDown),
            (calm && state.waits > 0, Action::Wait),
            (self.copies() && world.may_back_up(), Action::BackUp),
            (state.rotations > 0 && world.may_rotate(), Action::Rotate),
            (world.may_read_keys(), Action::ReadKeys),
            (world.may_note(), Action::Note),
        ];
        actions.extend(steps.into_iter().filter(|step| step.0).map(|step| step.1));
        if state.faults > 0 {
            let faults = self.family.faults.iter().filter(|&&fault| world.may(fault));
            actions.extend(faults.map(|&fault| Action::Fault(fault)));
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        let world = &mut state.world;
        let first = |written: u8| self.long && written == 0;
        match action {
            Action::Up(at) => world.deliver_up(at, self.rules),
            Action::Down => world.deliver_down(),
            Action::Commit => world.commit(self.rules),
            Action::Read => _ = world.read(),
            Action::WriteUp => world.write_up(first(world.ledger.up)),
            Action::WriteDown => world.write_down(first(world.ledger.down)),
            Action::Wait => {
                state.waits -= 1;
                world.wait();
            }
            Action::Rotate => {
                state.rotations -= 1;
                world.rotate(self.rules);
            }
            Action::ReadKeys => world.read_keys(),
            Action::Note => world.note(),
            Action::BackUp => world.back_up(self.family.has(Fault::Rewind)),
            Action::Fault(fault) => {
                state.faults -= 1;
                world.suffer(fault, self.rules);
            }
        }
        state.end = self.end(&state);
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NO_REPEAT_UP, |_, state: &State| {
                !state.world.ledger.wrong_up && ends(state, |end| end.once_up)
            }),
            Property::always(NO_REPEAT_DOWN, |_, state: &State| {
                !state.world.ledger.wrong_down && ends(state, |end| end.once_down)
            }),
            Property::always(NO_COUNTER_TWICE, |_, state: &State| !state.world.ledger.repeated),
            Property::always(SHARED, |_, state: &State| {
                state.world.share_a_key() && ends(state, |end| end.shared)
            }),
            Property::always(NONE_LOST_UP, |_, state: &State| ends(state, |end| end.complete_up)),
            Property::always(NONE_LOST_DOWN, |_, state: &State| {
                ends(state, |end| end.complete_down)
            }),
            Property::always(NO_OTHER_EXCEPTIONS, |_, state: &State| {
                ends(state, |end| end.certain)
            }),
            Property::always(ARRIVES, |_, state: &State| ends(state, |end| end.arrives)),
            Property::sometimes(ALL_HAPPENS, |_, state: &State| {
                state.faults == 0 && state.end.is_some()
            }),
        ]
    }
}

/// Names of what must hold.
pub const NO_REPEAT_UP: &str = "lines from the board come once and in order";
/// See above.
pub const NO_REPEAT_DOWN: &str = "lines to the board come once and in order";
/// See above.
pub const NO_COUNTER_TWICE: &str = "a counter seals one packet";
/// See above.
pub const SHARED: &str = "board and server share a key";
/// See above.
pub const NONE_LOST_UP: &str = "no line from the board is lost without a word";
/// See above.
pub const NONE_LOST_DOWN: &str = "no line to the board is lost without a word";
/// See above.
pub const NO_OTHER_EXCEPTIONS: &str = "what is known is not called undetermined or lost";
/// See above.
pub const ARRIVES: &str = "without further faults everything arrives";
/// A check of the model itself.
pub const ALL_HAPPENS: &str = "all faults happen in some run";
