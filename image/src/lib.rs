//! What lies in the flash of pblink's boards: written by tools, read by the boards and by tools.
//!
//! | module | contents | used by |
//! |---|---|---|
//! | [`settings`] | what the STM32 keeps in a sector of its own: configuration and log level | STM32, tools |
//! | [`identity`] | the name and version of a program, where tools find them | STM32, tools |

#![no_std]

pub mod identity;
pub mod settings;
