//! The order of rows.

use std::cmp::{Ordering, Reverse};

use pblink_serve::control::{End, Outage};
use pblink_server::{LinkState, LinkStatus};

use super::data::Data;
use super::ids::id_order;
use super::timeline::Day;

/// The column by which links are sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LinkOrder {
    /// Ids, numbers by value.
    #[default]
    Id,
    /// Down first, then waiting, then up.
    State,
    /// The latest change first.
    Since,
    /// The longest without a line first.
    Last,
    /// The most lines from the client first.
    In,
    /// The most lines to the client first.
    Out,
    /// The slowest acknowledgement first.
    WriteAck,
    /// The least free memory first.
    Free,
}

impl LinkOrder {
    const ALL: [Self; 8] = [
        Self::Id,
        Self::State,
        Self::Since,
        Self::Last,
        Self::In,
        Self::Out,
        Self::WriteAck,
        Self::Free,
    ];

    /// Returns the next one, the first after the last.
    pub(super) fn next(self) -> Self {
        Self::ALL[(self as usize + 1) % Self::ALL.len()]
    }

    /// Returns the title of its column.
    pub fn title(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::State => "state",
            Self::Since => "since",
            Self::Last => "last",
            Self::In => "in",
            Self::Out => "out",
            Self::WriteAck => "write→ack",
            Self::Free => "free",
        }
    }

    /// Compares two links; those that are equal are in the order of their ids.
    pub(super) fn compare(self, data: &Data, a: &LinkStatus, b: &LinkStatus) -> Ordering {
        match self {
            Self::Id => Ordering::Equal,
            Self::State => rank(a.state).cmp(&rank(b.state)),
            Self::Since => a.since_ms.cmp(&b.since_ms),
            Self::Last => {
                let silent = |link: &LinkStatus| data.last_line(&link.id).map(|(_, age)| age);
                let order = |age: Option<u64>| (age.is_none(), age.map(Reverse));
                order(silent(a)).cmp(&order(silent(b)))
            }
            Self::In => b.lines_in.cmp(&a.lines_in),
            Self::Out => b.lines_out.cmp(&a.lines_out),
            Self::WriteAck => b.write_ack_us.cmp(&a.write_ack_us),
            Self::Free => known(a.mem_free).cmp(&known(b.mem_free)),
        }
    }
}

fn rank(state: LinkState) -> u8 {
    match state {
        LinkState::Down { .. } => 0,
        LinkState::Waiting => 1,
        LinkState::Up => 2,
    }
}

/// Unknown values come last.
fn known(value: Option<u64>) -> (bool, Option<u64>) {
    (value.is_none(), value)
}

/// The column by which outages are sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OutageOrder {
    /// The newest first.
    #[default]
    Began,
    /// Open ones first, then the longest.
    Lasted,
    /// Ids.
    Id,
}

impl OutageOrder {
    const ALL: [Self; 3] = [Self::Began, Self::Lasted, Self::Id];

    /// Returns the next one, the first after the last.
    pub(super) fn next(self) -> Self {
        Self::ALL[(self as usize + 1) % Self::ALL.len()]
    }

    /// Returns the title of its column.
    pub fn title(self) -> &'static str {
        match self {
            Self::Began => "began",
            Self::Lasted => "lasted",
            Self::Id => "id",
        }
    }

    /// Compares two outages; those that are equal stay with the newest first.
    pub(super) fn compare(self, a: &Outage, b: &Outage) -> Ordering {
        match self {
            Self::Began => Ordering::Equal,
            Self::Lasted => length(a).cmp(&length(b)),
            Self::Id => id_order(&a.client).cmp(&id_order(&b.client)),
        }
    }
}

fn length(outage: &Outage) -> Reverse<(bool, Option<u64>)> {
    Reverse((outage.end == End::Open, outage.lasted_ms()))
}

/// The column by which days are sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DayOrder {
    /// Ids.
    #[default]
    Id,
    /// The longest time down first.
    Down,
    /// The longest outage first.
    Longest,
    /// The most outages first.
    Outages,
}

impl DayOrder {
    const ALL: [Self; 4] = [Self::Id, Self::Down, Self::Longest, Self::Outages];

    /// Returns the next one, the first after the last.
    pub(super) fn next(self) -> Self {
        Self::ALL[(self as usize + 1) % Self::ALL.len()]
    }

    /// Returns the title of its column.
    pub fn title(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Down => "down",
            Self::Longest => "longest",
            Self::Outages => "outages",
        }
    }

    /// Compares two days; those that are equal are in the order of their ids.
    pub(super) fn compare(self, a: &Day, b: &Day) -> Ordering {
        match self {
            Self::Id => Ordering::Equal,
            Self::Down => b.down_ms.cmp(&a.down_ms),
            Self::Longest => b.longest_ms.cmp(&a.longest_ms),
            Self::Outages => b.outages.cmp(&a.outages),
        }
    }
}

/// An order, and whether it is reversed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sorted<O> {
    /// The column.
    pub by: O,
    /// True if the rows are the other way round.
    pub reverse: bool,
}

impl<O> Sorted<O> {
    /// Returns the order of two rows whose order by the column is this.
    pub(super) fn turn(&self, order: Ordering) -> Ordering {
        if self.reverse { order.reverse() } else { order }
    }

    /// Returns the sign beside the title of the column.
    pub fn sign(&self) -> &'static str {
        if self.reverse { "▲" } else { "▼" }
    }
}
