//! The terminal screens of `pblink monitor` and `pblink demo`.
//!
//! The core does no I/O: a [`Model`] takes [`Update`](pblink_serve::control::Update)s, [`Key`]s and the
//! time, and [`view::draw`] draws it. [`run`] connects it to a terminal; [`plain::follow`] prints
//! the same events as lines where there is none.

mod data;
mod filter;
mod keys;
mod model;
mod order;
pub mod plain;
mod runner;
mod terminal;
pub mod view;

pub use data::{Connection, Data, LogEntry, Now, OutageKey, Reports, Tone};
pub use filter::{Pattern, States};
pub use keys::{Action, ExtraKey, Key, Tab};
pub use model::Model;
pub use order::{LinkOrder, OutageOrder, Sorted};
pub use runner::{End, Extra, Options, run};
pub use terminal::takes_screens;
