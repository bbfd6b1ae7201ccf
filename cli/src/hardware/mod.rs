//! The layer between the verbs and the boards: sources, SDK, images, progress, the board itself.

pub(crate) mod board;
pub(crate) mod checkout;
pub mod confirm;
pub(crate) mod error;
pub(crate) mod images;
pub(crate) mod keys;
pub(crate) mod micropython;
pub(crate) mod progress;
pub(crate) mod sdk;
pub mod settings_args;
pub(crate) mod sources;
pub mod target;
pub(crate) mod tools;
