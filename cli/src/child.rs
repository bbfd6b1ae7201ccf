//! Programs that this one starts, itself among them.

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::Context;
use rustix::process::{self, Pid, kill_process};
use tokio::io::AsyncReadExt;

use crate::exit::Exit;
use crate::global::Global;
use crate::server::TOKEN_ENV;
use crate::settings::{MQTT_PASSWORD_ENV, PASSWORD_ENV, shell_word};
use crate::signals::{Signal, Signals};

/// Keeps WiFi password and token out of a program's environment: compilers, scripts, editors and git have no use for
/// them.
pub(crate) fn without_secrets(command: &mut Command) -> &mut Command {
    command.env_remove(PASSWORD_ENV).env_remove(MQTT_PASSWORD_ENV).env_remove(TOKEN_ENV)
}

/// Returns a command line of this program, as it can be pasted into a shell.
pub(crate) fn shown(words: &[String]) -> String {
    let words = words.iter().map(|word| shell_word(Path::new(word)));
    words.fold("pblink".to_owned(), |line, word| line + " " + &word)
}

/// Runs a command line of this program, as a process of its own: so ctrl-C does in a step what it does in the verb alone.
/// Returns its end, and what it has printed, if its standard output is a pipe.
///
/// # Errors
/// It cannot be run.
pub(crate) async fn step(
    words: &[String],
    (stdin, stdout): (Stdio, Stdio),
    signals: &mut Signals,
    global: &Global,
) -> anyhow::Result<(Exit, String)> {
    let program = std::env::current_exe().context("cannot find the file of this program")?;
    let mut child = tokio::process::Command::new(program)
        .args(global.words())
        .args(words)
        .stdin(stdin)
        .stdout(stdout)
        .spawn()
        .with_context(|| format!("cannot run `{}`", shown(words)))?;
    let (id, pipe) = (child.id(), child.stdout.take());
    let mut end = std::pin::pin!(async {
        let mut out = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut out).await?;
        }
        Ok::<_, std::io::Error>((child.wait().await?, out))
    });
    let mut told = false;
    let (status, out) = loop {
        let asked = tokio::select! {
            end = &mut end => break end?,
            asked = signals.next() => asked,
        };
        let signal = match asked {
            // The terminal has sent it to the step, too, and the step knows what to do.
            Signal::Interrupt => continue,
            Signal::Terminate => process::Signal::TERM,
            Signal::HangUp => process::Signal::HUP,
        };
        let id = id.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            let _ = kill_process(id, signal);
        }
        told = true;
    };
    let exit = match exit(status) {
        Exit::Failure if told => Exit::Interrupted,
        exit => exit,
    };
    Ok((exit, String::from_utf8_lossy(&out).into_owned()))
}

fn exit(status: ExitStatus) -> Exit {
    match status.code() {
        Some(0) => Exit::Ok,
        Some(2) => Exit::Usage,
        Some(3) => Exit::Config,
        Some(4) => Exit::Network,
        Some(5) => Exit::Lines,
        Some(130) => Exit::Interrupted,
        // A signal has no code.
        _ if std::os::unix::process::ExitStatusExt::signal(&status) == Some(2) => Exit::Interrupted,
        _ => Exit::Failure,
    }
}
