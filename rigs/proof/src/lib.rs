//! The long proofs and benchmarks: one command each, whose output is kept in `docs/proof/` and shown in `docs/PROOF.md`.

pub mod page;
pub mod proofs;
pub mod record;
pub mod wanted;

use std::path::{Path, PathBuf};

/// Returns the root of the tree.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
