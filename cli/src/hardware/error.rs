//! Errors of flashing as errors of a verb.

use crate::exit::{Exit, Failed};

/// Returns an error of flashing with the exit code of the verb: 130 if the user stopped it, else 1.
pub(crate) fn failed(error: pblink_flash::Error) -> anyhow::Error {
    let exit = match error.kind() {
        pblink_flash::Kind::Cancelled => Exit::Interrupted,
        _ => Exit::Failure,
    };
    if let Some(source) = std::error::Error::source(&error) {
        tracing::info!("the error of the system or library: {source}");
    }
    Failed::with(exit, error.to_string())
}
