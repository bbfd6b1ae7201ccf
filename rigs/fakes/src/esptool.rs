//! Espressif's own tool, with which fakes, images and stub are compared. It is not part of pblink.

use std::path::Path;
use std::sync::OnceLock;

use pblink_tools::Tool;

static ESPTOOL: Tool = Tool {
    package: "esptool==5.6.0",
    program: "esptool",
    works: &["version"],
    says: "",
    found: OnceLock::new(),
};

/// Returns the command of esptool: the one in the path, else one that is installed below `target/`.
/// `None` means that it is not available and the test cannot run: on a desk it reports so and is skipped.
///
/// # Panics
/// If it cannot be had and the variable `CI` is set, since a test that is always skipped proves nothing.
pub fn esptool() -> Option<&'static Path> {
    ESPTOOL.path()
}
