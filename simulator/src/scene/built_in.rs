//! The scenes of this crate.

/// Names and texts of the files in `scenarios/`, in the order of their names. `build.rs` finds them.
pub const BUILT_IN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/built_in.rs"));
