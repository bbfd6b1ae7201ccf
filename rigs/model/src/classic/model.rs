//! The model: which of its steps may follow which, and what may be broken.

use pblink_protocol::time::Instant;
use stateright::{Model, Property};

use super::world::{Fault, Owner, Step, World};

/// Faults and an owner, and what `docs/PROTOCOL.md` lists as the exceptions that follow from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// Its name, with the number of the exception.
    pub name: &'static str,
    /// The faults.
    pub faults: &'static [Fault],
    /// The owner of the server's endpoint.
    pub owner: Owner,
    /// The board always says the same.
    pub equal: bool,
    /// The promises that they break.
    pub exceptions: &'static [&'static str],
}

impl Family {
    /// The families, each with its exceptions.
    pub const ALL: [Self; 8] = [
        Self::of("a network that breaks", &[Fault::Cut], &[]),
        Self::of("a server with a log that is killed", &[Fault::Cut, Fault::Kill], &[]),
        Self::of("1: an ESP8266 that crashes", &[Fault::Esp], &[DOUBLED_DOWN, LOST_UP]),
        Self::of("2: a board without power", &[Fault::Power], &[DOUBLED_DOWN, LOST_DOWN, LOST_UP]),
        Self {
            owner: Owner::ReadsFirst,
            ..Self::of("3: a program that dies", &[Fault::Kill], &[DOUBLED_UP, LOST_UP])
        },
        Self::of("a board that starts again", &[Fault::Reboot], &[]),
        Self {
            equal: true,
            ..Self::of("4: one that says the same too soon", &[Fault::Reboot], &[LOST_UP])
        },
        Self { equal: true, ..Self::of("one that stays awake", &[Fault::LateReboot], &[]) },
    ];

    /// Makes one with a server that has a log.
    pub const fn of(
        name: &'static str,
        faults: &'static [Fault],
        exceptions: &'static [&'static str],
    ) -> Self {
        Self { name, faults, owner: Owner::Log, equal: false, exceptions }
    }
}

/// A model of the classic link.
#[derive(Debug, Clone)]
pub struct Classic {
    /// The faults.
    pub family: Family,
    /// The most of them in one run.
    pub faults: u8,
    /// Lines from the board, to the board.
    pub lines: (u8, u8),
    /// The time after which nothing more is tried.
    pub until: Instant,
    /// Time passes while commits and programs have something to do, too.
    pub slow: bool,
}

/// A state, and what is left to happen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    world: World,
    faults: u8,
    /// The end, once nothing but time or a fault is left.
    end: Option<(bool, bool, bool)>,
}

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// One that is no fault.
    Step(Step),
    /// The board's application writes a line.
    WriteUp,
    /// The server's application writes a line.
    WriteDown,
    /// Time passes until someone has something to do.
    Wait,
    /// A fault.
    Fault(Fault),
}

/// A line from the board has come twice.
pub const DOUBLED_UP: &str = "doubled: a line from the board";
/// A line to the board has come twice.
pub const DOUBLED_DOWN: &str = "doubled: a line to the board";
/// A line from the board is lost.
pub const LOST_UP: &str = "lost: a line from the board";
/// A line to the board is lost.
pub const LOST_DOWN: &str = "lost: a line to the board";
/// Lines from the board have come in another order.
pub const ORDER_UP: &str = "out of order: lines from the board";
/// Lines to the board have come in another order.
pub const ORDER_DOWN: &str = "out of order: lines to the board";
/// Something is never done.
pub const STUCK: &str = "stuck";

impl Classic {
    /// Returns whether something is stuck, lost on the way up, and on the way down.
    fn end(&self, state: &State) -> Option<(bool, bool, bool)> {
        let world = &state.world;
        let over = (world.up, world.down) == self.lines && world.is_quiet();
        over.then(|| {
            let mut world = world.clone();
            (!world.settles(), world.lacks(true), world.lacks(false))
        })
    }
}

impl Model for Classic {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let world = World::new(self.family.owner.clone(), self.family.equal);
        vec![State { world, faults: self.faults, end: None }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let world = &state.world;
        actions.extend(world.steps().map(Action::Step));
        let quiet = world.is_quiet();
        let writes = quiet || world.is_new();
        let others = [
            (writes && world.up < self.lines.0, Action::WriteUp),
            (writes && world.down < self.lines.1, Action::WriteDown),
            ((quiet || self.slow && world.is_still()) && world.now() < self.until, Action::Wait),
        ];
        actions.extend(others.into_iter().filter(|step| step.0).map(|step| step.1));
        if state.faults > 0 {
            let faults = self.family.faults.iter().filter(|&&fault| world.may(fault));
            actions.extend(faults.map(|&fault| Action::Fault(fault)));
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        let world = &mut state.world;
        match action {
            Action::Step(step) => world.step(step),
            Action::WriteUp => world.write_up(),
            Action::WriteDown => world.write_down(),
            Action::Wait => world.wait(),
            Action::Fault(fault) => {
                state.faults -= 1;
                world.suffer(fault);
            }
        }
        state.end = self.end(&state);
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(DOUBLED_UP, |_, state: &State| !state.world.has_twice(true)),
            Property::always(DOUBLED_DOWN, |_, state: &State| !state.world.has_twice(false)),
            Property::always(ORDER_UP, |_, state: &State| !state.world.is_out_of_order(true)),
            Property::always(ORDER_DOWN, |_, state: &State| !state.world.is_out_of_order(false)),
            Property::always(STUCK, |_, state: &State| state.end.is_none_or(|end| !end.0)),
            Property::always(LOST_UP, |_, state: &State| state.end.is_none_or(|end| !end.1)),
            Property::always(LOST_DOWN, |_, state: &State| state.end.is_none_or(|end| !end.2)),
        ]
    }
}
