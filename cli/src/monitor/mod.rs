//! The terminal screens of `pblink monitor` and `pblink demo`.
//!
//! The core does no I/O: a [`Model`] takes [`Update`](pblink_serve::control::Update)s, [`Key`]s and the
//! time, and [`view::draw`] draws it. [`run`] connects it to a terminal; [`plain::follow`] prints
//! the same events as lines where there is none.

mod data;
mod entry;
mod file;
mod filter;
mod groups;
mod ids;
mod keys;
mod model;
mod order;
mod passing;
pub mod plain;
mod rates;
mod remote;
mod runner;
mod terminal;
mod timeline;
pub mod view;

pub use data::{Connection, Data, Now, OutageKey, Reports};
pub use entry::{Group, LogEntry, Tone};
pub use file::{Export, Form};
pub use filter::{Pattern, States};
pub use keys::{Action, ExtraKey, Key, Tab};
pub use model::Model;
pub use order::{DayOrder, LinkOrder, OutageOrder, Sorted};
pub use passing::{Lines, Passage, Passed, Seen, Watched, watch};
pub use rates::{Rate, Rates};
pub use remote::RemoteLines;
pub use runner::{End, Extra, Options, run};
pub use terminal::takes_screens;
pub use timeline::Day;
