//! `pblink new`: a folder with an application for the user's own STM32 code.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use pblink_image::map::MemoryX;
use pblink_templates::app;

use crate::exit::{Exit, Failed};
use crate::hardware::sources;
use crate::settings::{self, BoardKind, Settings};

/// Arguments of `pblink new`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink new kitchen                          the folder kitchen/, here
  pblink new kitchen --board black-pill       for another board than the Pyboard
  pblink new kitchen --config pblink.toml     with a copy of these settings
  pblink build stm32 --app kitchen            builds it, with these settings

The application sends a list every 5 s and prints what it receives; comments mark the places for your own \
code. The parts of pblink that it is built with are in its folder pblink/: it names no place of this machine, and \
builds on any other. A WiFi password is not copied. README.md in the folder says how to flash it.

Exit codes: 0 made, 1 the folder has something in it or cannot be written, 2 wrong name or flags, \
3 there are no sources, or the configuration is wrong.")]
pub struct Args {
    /// The name of the application and of its folder: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// Kind of board. Without it: board.kind of the settings, which is the Pyboard unless they say otherwise.
    #[arg(long, value_enum, value_name = "KIND")]
    pub board: Option<BoardKind>,
    /// The folder with the sources of pblink to copy. Without it: those that are part of this program.
    #[arg(long, value_name = "DIR")]
    pub source: Option<PathBuf>,
    /// The pblink.toml to copy. Without it: a new one, with the defaults.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The script that builds the application: it must be executable.
const BUILD_SH: &str = "build.sh";

/// One file of the application: its path in the folder, and what is in it.
type File = (String, String);

/// Runs the verb.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let Args { name, .. } = &args;
    check_name(name).map_err(|why| {
        let message = format!("{name:?} cannot be the name: {why}; try `{}`", suggestion(name));
        Failed::with(Exit::Usage, message)
    })?;
    let folder = Path::new(name);
    refuse_used(folder)?;
    let (files, kind) = files(&args)?;
    write(folder, &files)?;
    let mut out = io::stdout().lock();
    writeln!(out, "made {name}/: an application for a {}", kind.map().title)?;
    writeln!(out, "next: `pblink build stm32 --app {name}` builds it as it is")?;
    writeln!(out, "      YOUR CODE marks the places for yours in {name}/src/main.rs")?;
    writeln!(
        out,
        "      {name}/pblink.toml has its settings; {name}/README.md says how to flash it"
    )?;
    Ok(Exit::Ok)
}

/// Returns all files of the application, and the board that it is for.
fn files(args: &Args) -> anyhow::Result<(Vec<File>, BoardKind)> {
    let name = &args.name;
    let (toml, settings) = settings(args)?;
    let kind = settings.board.kind;
    let map = kind.map();
    let mut ignored = app::GITIGNORE.to_owned();
    // These files may have other names, which must stay out of version control too.
    let usual = Settings::default();
    let named =
        [(&settings.wifi.secrets, &usual.wifi.secrets), (&settings.link.keys, &usual.link.keys)];
    for (file, usual) in named {
        if file.is_relative() && !file.as_os_str().is_empty() && file != usual {
            ignored += &format!("/{}\n", file.display());
        }
    }
    let mut files: Vec<File> = [
        ("Cargo.toml", filled(app::CARGO_TOML, name, kind)),
        ("memory.x", MemoryX(map).to_string()),
        ("build.rs", app::BUILD_RS.to_owned()),
        (BUILD_SH, app::BUILD_SH.to_owned()),
        ("src/main.rs", app::MAIN_RS.to_owned()),
        ("pblink.toml", toml),
        (".gitignore", ignored),
        ("README.md", filled(app::README, name, kind)),
    ]
    .map(|(path, text)| (path.to_owned(), text))
    .into();
    for (path, text) in sources::for_application(args.source.as_deref())? {
        // The versions that the firmware is tested with. Cargo adds the application at its first build.
        files.push(match path.as_str() {
            "firmware-stm32/Cargo.lock" => ("Cargo.lock".to_owned(), text),
            _ => (format!("{}/{path}", sources::FOLDER), text),
        });
    }
    Ok((files, kind))
}

/// Returns the settings of the application, and the file that has them.
fn settings(args: &Args) -> anyhow::Result<(String, Settings)> {
    let Some(path) = &args.config else {
        let mut settings = Settings::default();
        settings.board.kind = args.board.unwrap_or(settings.board.kind);
        return Ok((settings::filled_template(&settings), settings));
    };
    let text = settings::read_text(path)?;
    let (settings, problems) = settings::read(path, &text);
    if !problems.is_empty() {
        return Err(settings::failed(&problems));
    }
    match args.board {
        Some(kind) if kind != settings.board.kind => Err(Failed::with(
            Exit::Usage,
            format!(
                "--board is {}, but board.kind in {} is {}: leave one of them out",
                kind.name(),
                path.display(),
                settings.board.kind.name()
            ),
        )),
        _ => Ok((text, settings)),
    }
}

/// Fills a template.
fn filled(template: &str, name: &str, kind: BoardKind) -> String {
    let bootloader = match kind {
        BoardKind::Pyboard => {
            "with its pin P1/DFU (BOOT0) connected to the 3V3 beside it and RST pressed"
        }
        BoardKind::BlackPill => "with BOOT0 held while NRST is pressed",
        BoardKind::NucleoF446 => {
            "if you wire a USB connector to PA11 and PA12; as it is, only by its debug probe"
        }
    };
    let console = match kind {
        BoardKind::Pyboard => "X3",
        BoardKind::BlackPill => "A2",
        BoardKind::NucleoF446 => "the serial port of the debug probe",
    };
    template
        .replace("{{name}}", name)
        .replace("{{board}}", kind.name())
        .replace("{{title}}", kind.map().title)
        .replace("{{chip}}", kind.map().chip)
        .replace("{{bootloader}}", bootloader)
        .replace("{{console}}", console)
}

/// Makes the folder with all files, or nothing: they are written beside it first.
fn write(folder: &Path, files: &[File]) -> anyhow::Result<()> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let cannot = |e: io::Error| {
        let message = format!(
            "cannot make the folder {}: {e}; nothing was written: run this where you may write",
            folder.display()
        );
        Failed::with(Exit::Failure, message)
    };
    std::fs::create_dir(&temporary).map_err(cannot)?;
    // An empty folder is replaced in the same step; one that has got something in it meanwhile is not.
    fill(&temporary, files).and_then(|()| std::fs::rename(&temporary, folder)).map_err(|e| {
        let _ = std::fs::remove_dir_all(&temporary);
        cannot(e)
    })
}

fn fill(folder: &Path, files: &[File]) -> io::Result<()> {
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        std::fs::write(path, text)?;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let script = folder.join(BUILD_SH);
        // Whoever may read it may run it.
        let mode = std::fs::metadata(&script)?.permissions().mode();
        let mode = mode | (mode & 0o444) >> 2;
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// Refuses a folder that is neither new nor empty.
fn refuse_used(folder: &Path) -> anyhow::Result<()> {
    let Ok(found) = folder.symlink_metadata() else { return Ok(()) };
    let what = if !found.is_dir() {
        "exists and is not a folder"
    } else if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none()) {
        return Ok(());
    } else {
        "exists and is not empty"
    };
    Err(Failed::with(
        Exit::Failure,
        format!("{} {what}; nothing is overwritten: choose another name", folder.display()),
    ))
}

/// Names that mean something else to Cargo or the compiler.
const RESERVED: &str = "abstract alloc as async await become box break build const continue core crate \
    deps do dyn else enum examples extern false final fn for gen if impl in incremental let loop macro \
    match mod move mut override priv proc-macro proc_macro pub ref return self static std struct super \
    test trait true try type typeof unsafe unsized use virtual where while yield";

/// The longest name that crates.io takes.
const MAX_NAME: usize = 64;

/// Checks that a package can have this name.
fn check_name(name: &str) -> Result<(), &'static str> {
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err("it must begin with a letter from a to z");
    }
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !name.chars().all(fits) {
        return Err("it is the name of a Rust package, of lower-case letters, digits, `-` and `_`");
    }
    if name.len() > MAX_NAME {
        return Err("it has more than 64 characters");
    }
    if RESERVED.split_whitespace().any(|word| word == name) {
        return Err("it means something else to Rust");
    }
    // In whichever spelling, it would be the same crate.
    let crate_name = name.replace('-', "_");
    let depends = |line: &str| {
        line.split_once(" = ").is_some_and(|(key, _)| key.replace('-', "_") == crate_name)
    };
    let (_, rest) = app::CARGO_TOML.split_once("[dependencies]").unwrap_or_default();
    if rest.lines().take_while(|line| !line.starts_with('[')).any(depends) {
        return Err("the application needs a library of that name");
    }
    Ok(())
}

/// Returns a name that is allowed, and near to one that is not.
fn suggestion(name: &str) -> String {
    let last = name.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or_default();
    let fits =
        |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' };
    let words = last.chars().map(fits).collect::<String>();
    let words: Vec<_> = words.split('-').filter(|word| !word.is_empty()).collect();
    let mut near = words.join("-");
    near.truncate(MAX_NAME);
    if check_name(&near).is_ok() {
        return near;
    }
    near.truncate(MAX_NAME - "app-".len());
    let near = format!("app-{near}");
    if check_name(&near).is_ok() && words.iter().any(|w| *w != "_") {
        near
    } else {
        "my-app".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_packages_are_taken() {
        for name in ["kitchen", "a", "led_2", "my-board", "demo", &"x".repeat(MAX_NAME)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn other_names_are_refused_with_one_that_is_taken() {
        for (name, near) in [
            ("Kitchen", "kitchen"),
            ("my board", "my-board"),
            ("boards/kitchen/", "kitchen"),
            ("../kitchen", "kitchen"),
            ("2nd", "app-2nd"),
            ("test", "app-test"),
            ("fn", "app-fn"),
            ("heapless", "app-heapless"),
            ("cortex_m", "app-cortex_m"),
            ("küche", "k-che"),
            ("_led", "app-_led"),
            ("", "my-app"),
            ("..", "my-app"),
            ("_", "my-app"),
            (".hidden", "hidden"),
            (&"9".repeat(70), &format!("app-{}", "9".repeat(60))),
            (&"x".repeat(70), &"x".repeat(64)),
        ] {
            assert!(check_name(name).is_err(), "{name}");
            assert_eq!(suggestion(name), near, "{name}");
            assert_eq!(check_name(near), Ok(()), "{near}");
        }
    }

    #[test]
    fn a_folder_that_fills_up_meanwhile_stays_as_it_is_and_nothing_is_left_beside_it() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("kitchen");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("mine.txt"), "mine").unwrap();
        let files = ["README.md", BUILD_SH].map(|name| (name.to_owned(), String::new()));
        let error = write(&folder, &files).unwrap_err().to_string();
        assert!(error.contains("cannot make the folder"), "{error}");
        let names = |folder: &Path| -> Vec<_> {
            let entries = std::fs::read_dir(folder).unwrap();
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
        };
        assert_eq!(
            (names(place.path()), names(&folder)),
            (vec!["kitchen".into()], vec!["mine.txt".into()])
        );
    }
}
