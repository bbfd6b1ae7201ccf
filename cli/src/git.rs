//! Files that git must not keep.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::child::without_secrets;
use crate::settings::shell_word;

/// Returns the command that keeps a file out of the repository that it lies in. `None`: it is ignored there, or lies in none.
pub(crate) fn ignore_command(file: &Path) -> Option<String> {
    let absolute = std::path::absolute(file).ok()?;
    let folder = absolute.parent()?;
    let is_repository = |folder: &Path| folder.join(".git").symlink_metadata().is_ok();
    if !folder.ancestors().any(is_repository) {
        return None;
    }
    let mut git = Command::new("git");
    git.args(["check-ignore", "--quiet", "--"]).arg(&absolute).current_dir(folder);
    git.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let ignored = without_secrets(&mut git).status();
    if ignored.is_ok_and(|status| status.success()) {
        return None;
    }
    let name = shell_word(Path::new(absolute.file_name()?));
    let list = file.parent().unwrap_or(Path::new("")).join(".gitignore");
    Some(format!("echo {name} >> {}", shell_word(&list)))
}
