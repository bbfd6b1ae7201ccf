//! Completion in shells. The script of a shell asks this program at each Tab, so that it knows keys, links of a running
//! server and ports, and not only verbs and flags.

mod values;

use clap::{Arg, Command};
use clap_complete::Shell;
use clap_complete::engine::ArgValueCandidates;
use clap_complete::env::{CompleteEnv, Shells};

/// The variable by which a script asks: the name of its shell.
const VARIABLE: &str = "PBLINK_COMPLETE";

/// The name that is completed, and the program that is asked.
const PROGRAM: &str = "pblink";

/// Answers a shell's script, if one has asked.
///
/// # Errors
/// For a shell that is not known, and if standard output takes no answer.
pub(crate) fn answer(command: fn() -> Command) -> clap::error::Result<bool> {
    CompleteEnv::with_factory(|| with_values(command(), ""))
        .var(VARIABLE)
        .try_complete(std::env::args_os(), std::env::current_dir().ok().as_deref())
}

/// Returns the script of a shell.
///
/// # Errors
/// None that are known: it is written to memory.
pub(crate) fn script(shell: Shell) -> std::io::Result<Vec<u8>> {
    let mut script = Vec::new();
    let known = Shells::builtins();
    if let Some(completer) = known.completer(&shell.to_string()) {
        completer.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
    }
    Ok(script)
}

/// Gives each argument the values that it may have. `path`: the verbs above, with blanks between them.
fn with_values(command: Command, path: &str) -> Command {
    let command = command.mut_args(|arg| match values_of(path, &arg) {
        Some(values) => arg.add(values),
        None => arg,
    });
    command.mut_subcommands(|below| {
        let path = format!("{path} {}", below.get_name());
        with_values(below, path.trim_start())
    })
}

/// Returns the values of an argument, by the name that its value has in the help.
fn values_of(path: &str, arg: &Arg) -> Option<ArgValueCandidates> {
    let [name] = arg.get_value_names()? else { return None };
    let values = match (path, name.as_str()) {
        ("config get" | "config set" | "config unset", "KEY") => values::keys,
        ("config set", "VALUE") => values::values_of_key,
        ("consumers rm" | "consumers rename" | "consumers skip", "NAME") => values::consumers,
        // New ones.
        ("config init", _) => return None,
        (_, "ID" | "IDS") => values::ids,
        ("simulate", "SCENE") => values::scenes,
        ("micropython install" | "micropython run", "PORT") => values::boards,
        (_, "PORT") => values::adapters,
        _ => return None,
    };
    Some(ArgValueCandidates::new(values))
}
