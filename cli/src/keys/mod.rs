//! Keys of the secure link: the server's file of them, `pblink.keys.toml`, and a board's file.
//!
//! | module | what is in it |
//! |---|---|
//! | `model` | the keys of a server: of each board, of those that were revoked, its own |
//! | `parse`, `text` | the server's file, from and to its text |
//! | `board` | the file of a board that is a program |
//! | `fields` | values in both files, each with its line |
//! | `disk` | files that nobody else may read, replaced in one step |
//! | `store` | the server's file on disk: read, changed by one process at a time |
//! | `give` | new keys for a board, in an order in which no interruption locks it out |
//! | `quiet` | no memory of this process in files |

mod board;
mod disk;
mod fields;
mod give;
mod model;
mod parse;
mod quiet;
mod store;
mod text;

pub use board::{BoardFile, Contents};
pub(crate) use fields::public_text;
pub(crate) use give::{Given, Held, Holder, Wish, give, prepare};
pub use model::KeyFile;
pub(crate) use model::{Known, Shown};
pub use store::Store;

#[cfg(test)]
mod tests;
