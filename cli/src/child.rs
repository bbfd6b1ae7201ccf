//! Programs that this one starts.

use std::process::Command;

use crate::server::TOKEN_ENV;
use crate::settings::PASSWORD_ENV;

/// Keeps WiFi password and token out of a program's environment: compilers, scripts, editors and git have no use for
/// them.
pub(crate) fn without_secrets(command: &mut Command) -> &mut Command {
    command.env_remove(PASSWORD_ENV).env_remove(TOKEN_ENV)
}
