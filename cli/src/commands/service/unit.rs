//! The unit of systemd, for one program and one configuration.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use pblink_templates::SERVICE;

use crate::exit::{Exit, Failed};
use crate::output::diagnostics::warning;
use crate::settings::{DEFAULT_FILE, KEYS_FILE, Settings, shell_word};
use crate::state::State;

/// The line of the template that starts the server.
const START: &str = "ExecStart=/usr/bin/pblink serve --config /etc/pblink/pblink.toml\n";
/// Beginning of the lines of the template that name no secret yet.
const EXAMPLE: &str = "#   LoadCredential=";
/// Folders that the service sees empty, or without what is in them: `ProtectHome=`, `PrivateTmp=`.
const HIDDEN: [&str; 5] = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

/// Parts of the unit that differ from machine to machine.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unit {
    program: PathBuf,
    config: PathBuf,
    /// Secrets that there are: the name that the server knows each by, and its file.
    credentials: Vec<(&'static str, PathBuf)>,
}

impl Unit {
    /// Returns the unit for these settings, and `program` or this one.
    ///
    /// # Errors
    /// [`Exit::Config`] if there is no configuration.
    pub(super) fn of(settings: &Settings, program: Option<PathBuf>) -> anyhow::Result<Self> {
        let Some(file) = settings.file() else {
            let what = format!(
                "there is no {DEFAULT_FILE} for the service: `pblink config init` makes one, and --config names one"
            );
            return Err(Failed::with(Exit::Config, what));
        };
        let whole = |path: &Path| std::path::absolute(path).context("there is no current folder");
        let program = match program {
            Some(program) => program,
            None => std::env::current_exe().context("cannot find the file of this program")?,
        };
        let mut credentials = Vec::new();
        let mut add = |name, file: Option<PathBuf>| -> anyhow::Result<()> {
            if let Some(file) = file.filter(|file| file.exists()) {
                credentials.push((name, whole(&file)?));
            }
            Ok(())
        };
        // Under another name the server looks for it where that says.
        let usual = settings.link.keys == Path::new(KEYS_FILE);
        add(KEYS_FILE, settings.keys_path().filter(|_| usual))?;
        add("control.token", settings.token_path())?;
        #[cfg(feature = "mqtt")]
        add("mqtt.password", settings.path_of("mqtt.password_file", &settings.mqtt.password_file))?;
        Ok(Self { program: whole(&program)?, config: whole(file)?, credentials })
    }

    /// Returns the unit as a file.
    pub(super) fn text(&self) -> String {
        let start = format!(
            "ExecStart={} serve --config {}\n",
            quoted(&self.program),
            quoted(&self.config)
        );
        let mut text = String::new();
        let mut written = false;
        for line in SERVICE.split_inclusive('\n') {
            match line {
                START => text.push_str(&start),
                example if example.starts_with(EXAMPLE) => {
                    if !std::mem::replace(&mut written, true) {
                        for (name, file) in &self.credentials {
                            // The name of a file is taken as it is, but for specifiers.
                            let file = file.display().to_string().replace('%', "%%");
                            text.push_str(&format!("LoadCredential={name}:{file}\n"));
                        }
                    }
                }
                line => text.push_str(line),
            }
        }
        text
    }

    /// Returns an error if the service could not reach its program or its configuration.
    ///
    /// # Errors
    /// [`Exit::Config`]: which file, why, and what to do.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        for (file, mode, place) in [
            (&self.program, "755", "/usr/local/bin/pblink"),
            (&self.config, "644", "/etc/pblink/pblink.toml"),
        ] {
            let wrong = |why: &str| {
                let what = format!(
                    "the service cannot reach {}: {why}\n  copy it: sudo install -D -m {mode} {} {place}",
                    file.display(),
                    shell_word(file)
                );
                Failed::with(Exit::Config, what)
            };
            if let Some(folder) = HIDDEN.iter().find(|folder| file.starts_with(folder)) {
                return Err(wrong(&format!("{folder} is closed to it")));
            }
            let metadata = file.metadata().map_err(|error| wrong(&error.to_string()))?;
            // It runs as a user of its own.
            if metadata.permissions().mode() & 0o004 == 0 {
                return Err(wrong("only some users may read it"));
            }
        }
        Ok(())
    }

    /// Reports what will not work as it does by hand.
    pub(super) fn warn(&self, settings: &Settings) {
        if let State::Folder(folder) = &settings.server.state {
            let folder = settings.folder_of("server.state").join(folder);
            warning(format_args!(
                "server.state is {}, where the service cannot write: leave it out (systemd gives /var/lib/pblink), or add \
                 ReadWritePaths={0} with `systemctl edit pblink`",
                folder.display()
            ));
        }
    }
}

/// Returns a word of `ExecStart=`: systemd.service(5), "Command lines".
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let text = text.replace('%', "%%").replace('$', "$$");
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,=%$".contains(c);
    match text.chars().all(plain) {
        true => text,
        false => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_starts_this_program_with_the_secrets_that_there_are() {
        let unit = Unit {
            program: "/opt/my tools/pb%link".into(),
            config: "/etc/pblink/a.toml".into(),
            credentials: vec![("mqtt.password", "/etc/pblink/pass word".into())],
        };
        let text = unit.text();
        let start = "ExecStart=\"/opt/my tools/pb%%link\" serve --config /etc/pblink/a.toml\n";
        assert!(text.contains(start), "{text}");
        assert!(text.contains("\nLoadCredential=mqtt.password:/etc/pblink/pass word\n"), "{text}");
        assert_eq!(text.matches("LoadCredential=").count(), 1, "{text}");
        let plain = Unit {
            program: "/usr/bin/pblink".into(),
            config: "/etc/pblink/pblink.toml".into(),
            credentials: Vec::new(),
        };
        // The file in the tree is the one for the usual places.
        assert!(plain.text().contains(START));
        assert_eq!(SERVICE.matches(EXAMPLE).count(), 3);
    }
}
