//! The secure link, as far as it is a chip's: what survives a reset, and where random numbers come from.
//!
//! | module | contents |
//! |---|---|
//! | [`Vault`] | the parts of a chip that a secure link needs |
//! | [`kept`] | lines and numbers that survive a reset of the chip |
//! | [`entropy`] | the seed of the generator of random numbers |
//! | [`Sector`] | the flash of the keys, to which those are appended that come over the link |
//!
//! The link itself is [`pblink_protocol::app::secure`], its cryptography [`pblink_secure_suite`].

pub mod entropy;
pub mod kept;
mod sector;
mod vault;

pub use sector::Sector;
pub use vault::{LEAST_KEPT, Memory, Security, Vault};
pub(crate) use vault::{Session, Suite};
