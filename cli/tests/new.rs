//! `pblink new`, and that what it makes builds, with the real compiler where it is installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn new(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pblink"));
    command.arg("new").args(args).current_dir(folder);
    command.output().unwrap()
}

/// Makes an application, and returns its folder and the output.
fn make(folder: &Path, args: &[&str]) -> (PathBuf, String) {
    let output = new(folder, args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
    (folder.join(args[0]), String::from_utf8(output.stdout).unwrap())
}

/// Returns the error of an application that was not made.
fn refused(folder: &Path, args: &[&str], code: i32) -> String {
    let output = new(folder, args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    stderr(&output)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn source() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Returns the names of all that lies in a folder, and below.
fn names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            names.extend(self::names(&entry.path()).into_iter().map(|n| format!("{name}/{n}")));
        } else {
            names.push(name);
        }
    }
    names.sort();
    names
}

fn read(path: PathBuf) -> String {
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn the_files_are_there_and_have_the_name_in_them() {
    let folder = tempfile::tempdir().unwrap();
    let (app, said) = make(folder.path(), &["kitchen"]);
    assert!(
        said.contains("made kitchen/") && said.contains("`pblink build stm32 --app kitchen`"),
        "{said}"
    );
    let files = [
        ".gitignore",
        "Cargo.lock",
        "Cargo.toml",
        "README.md",
        "build.rs",
        "build.sh",
        "memory.x",
        "pblink.toml",
        "src/main.rs",
    ];
    let (theirs, own): (Vec<_>, Vec<_>) =
        names(&app).into_iter().partition(|name| name.starts_with("pblink/"));
    assert_eq!(own, files);
    for file in ["protocol/src/lib.rs", "image/src/map.rs", "firmware-stm32/src/lib.rs"] {
        assert!(theirs.contains(&format!("pblink/{file}")), "{file}");
    }
    // Nothing is left beside it.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    for file in files {
        assert!(!read(app.join(file)).contains("{{"), "{file}");
    }
    let manifest: toml::Table = read(app.join("Cargo.toml")).parse().unwrap();
    assert_eq!(manifest["package"]["name"].as_str(), Some("kitchen"));
    assert_eq!(manifest["bin"][0]["name"].as_str(), Some("kitchen"));
    let source = source().canonicalize().unwrap();
    for (name, place) in [("pblink-stm32", "firmware-stm32"), ("pblink-protocol", "protocol")] {
        let path = manifest["dependencies"][name]["path"].as_str();
        assert_eq!(path, Some(&*format!("pblink/{place}")), "{name}");
        assert!(app.join(path.unwrap()).join("src/lib.rs").is_file(), "{name}");
    }
    // It builds elsewhere: no file names a place of this machine.
    for file in names(&app) {
        let text = read(app.join(&file));
        for place in [&source, folder.path()] {
            assert!(!text.contains(place.to_str().unwrap()), "{file} names {}", place.display());
        }
    }
    assert!(read(app.join("README.md")).starts_with("# kitchen\n"));
    let ignored = read(app.join(".gitignore"));
    for line in ["/target", "/pblink.secrets.toml", "/pblink.keys.toml"] {
        assert!(ignored.lines().any(|l| l == line), "{ignored}");
    }
    assert_eq!(read(app.join("pblink.toml")), read(source.join("templates/pblink.toml")));
    // The same chip as the firmware's, whose build.rs does more.
    let theirs = |file| read(source.join("firmware-stm32").join(file));
    assert_eq!(
        read(app.join("memory.x")),
        pblink_image::map::MemoryX(&pblink_image::map::PYBOARD).to_string()
    );
    let build = theirs("build.rs");
    // The firmware makes its `memory.x` where the application has a file.
    let shared = |line: &&str| line.starts_with("    ") && !line.contains("memory.x");
    for line in read(app.join("build.rs")).lines().filter(shared) {
        assert!(build.contains(line), "{line}");
    }
}

#[test]
fn libraries_and_profile_are_those_of_the_firmware() {
    let folder = tempfile::tempdir().unwrap();
    let (app, _) = make(folder.path(), &["kitchen"]);
    let ours: toml::Table = read(app.join("Cargo.toml")).parse().unwrap();
    let theirs: toml::Table = read(source().join("firmware-stm32/Cargo.toml")).parse().unwrap();
    assert_eq!(ours["profile"], theirs["profile"]);
    for (name, wanted) in ours["dependencies"].as_table().unwrap() {
        if name.starts_with("pblink-") {
            continue;
        }
        let part = |value: &toml::Value, key| value.get(key).cloned();
        let version = |value: &toml::Value| part(value, "version").unwrap_or(value.clone());
        let firmware = &theirs["dependencies"][name];
        assert_eq!(version(wanted), version(firmware), "{name}");
        for key in ["features", "default-features"] {
            assert_eq!(part(wanted, key), part(firmware, key), "{name}: {key}");
        }
    }
}

#[test]
fn what_it_makes_builds_as_it_is() {
    // With a blank and quotes in the path, since the script and Cargo.toml have to bear them.
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("my \"boards\"");
    std::fs::create_dir(&place).unwrap();
    let (app, _) = make(&place, &["new-app-test"]);
    // Beside the firmware, since most of what it needs may be compiled there already.
    let target = source().join("firmware-stm32/target");
    let output =
        Command::new(app.join("build.sh")).env("CARGO_TARGET_DIR", &target).output().unwrap();
    let said = stderr(&output);
    if output.status.code() == Some(3) {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "{said}");
        assert!(said.contains("install"), "what is missing is named: {said}");
        eprintln!("SKIPPED, this test needs more programs:\n{said}");
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(!said.contains("warning"), "{said}");
    let sizes = String::from_utf8(output.stdout).unwrap();
    assert!(sizes.contains("new-app-test: flash "), "{sizes}");
    let elf = target.join("thumbv7em-none-eabihf/release/new-app-test");
    assert_eq!(std::fs::read(&elf).unwrap()[..6], *b"\x7fELF\x01\x01", "32 bits, little-endian");
    // With the settings of its own pblink.toml, as an image.
    let toml = read(app.join("pblink.toml")).replace("\"192.168.0.42\"", "\"10.7.7.7\"");
    std::fs::write(app.join("pblink.toml"), toml).unwrap();
    let sources = sources(&source().join("firmware-stm32"));
    let mut build = Command::new(env!("CARGO_BIN_EXE_pblink"));
    build.args(["build", "stm32", "--json", "--app", "my \"boards\"/new-app-test", "--source"]);
    build.arg(sources.path()).current_dir(folder.path()).env("CARGO_TARGET_DIR", &target);
    let output = build.env_remove("PBLINK_WIFI_PASSWORD").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let manifest: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(manifest["sizes"][0]["program"], "new-app-test");
    assert_eq!(manifest["config"]["server"], "10.7.7.7");
    let image = std::fs::read(sources.path().join("target/pblink/stm32.bin")).unwrap();
    let line = b"[\"1\\n\",8123,\"10.7.7.7\"";
    assert!(image.windows(line.len()).any(|part| part == line), "the settings are not in it");
    // Where there are no sources: the application is all that is needed.
    let mut build = Command::new(env!("CARGO_BIN_EXE_pblink"));
    build.args(["build", "stm32", "--app", "."]).current_dir(&app).env("CARGO_TARGET_DIR", &target);
    let output = build.env_remove("PBLINK_WIFI_PASSWORD").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(std::fs::read(app.join("target/pblink/stm32.bin")).unwrap(), image);
    assert!(
        stderr(&output).contains("note: `pblink flash stm32` writes it"),
        "{}",
        stderr(&output)
    );
    let mut flash = Command::new(env!("CARGO_BIN_EXE_pblink"));
    flash.args(["flash", "stm32", "--yes", "--via", "dfu", "--wait", "0"]);
    flash.args(["--probe", "0001:0001"]);
    let output = flash.current_dir(app.join("src")).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "it looks for a board: {output:?}");
    // Cargo has kept the versions of the firmware.
    let versions = |path: PathBuf| -> Vec<(String, String)> {
        let lock: toml::Table = read(path).parse().unwrap();
        let packages = lock["package"].as_array().unwrap().clone();
        let text = |p: &toml::Value, key: &str| p[key].as_str().unwrap().to_owned();
        packages.iter().map(|p| (text(p, "name"), text(p, "version"))).collect()
    };
    let firmware = versions(source().join("firmware-stm32/Cargo.lock"));
    for package in versions(app.join("Cargo.lock")) {
        assert!(package.0 == "new-app-test" || firmware.contains(&package), "{package:?}");
    }
}

/// Each kind of board has its own memory, chip and settings, and the program says which it is for.
#[test]
fn other_boards_get_a_program_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let (app, said) = make(folder.path(), &["hall", "--board", "black-pill"]);
    assert!(said.contains("an application for a Black Pill"), "{said}");
    assert!(read(app.join("README.md")).contains("Black Pill (STM32F411CE)"));
    assert!(read(app.join("memory.x")).contains("LENGTH = 256K"));
    let toml: toml::Table = read(app.join("pblink.toml")).parse().unwrap();
    assert_eq!(toml["board"]["kind"].as_str(), Some("black-pill"));
    // The settings name one, too; both must agree.
    std::fs::write(folder.path().join("my.toml"), "[board]\nkind = \"nucleo-f446\"\n").unwrap();
    let (nucleo, _) = make(folder.path(), &["attic", "--config", "my.toml"]);
    assert!(read(nucleo.join("Cargo.toml")).contains("features = [\"nucleo-f446\"]"));
    let words = ["cellar", "--config", "my.toml", "--board", "pyboard"];
    let said = refused(folder.path(), &words, 2);
    assert!(
        said.contains("--board is pyboard, but board.kind in my.toml is nucleo-f446"),
        "{said}"
    );

    let target = source().join("firmware-stm32/target");
    let build = |folder: &Path| {
        let mut build = Command::new(env!("CARGO_BIN_EXE_pblink"));
        build.args(["build", "stm32", "--app", "."]).current_dir(folder);
        build.env("CARGO_TARGET_DIR", &target).env_remove("PBLINK_WIFI_PASSWORD").output().unwrap()
    };
    let output = build(&app);
    if stderr(&output).contains("tools are missing") {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "{}", stderr(&output));
        eprintln!("SKIPPED, this test needs more programs:\n{}", stderr(&output));
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let image = std::fs::read(app.join("target/pblink/stm32.bin")).unwrap();
    let identity = pblink_image::identity::find(&image).unwrap();
    assert_eq!((identity.app, identity.board), ("hall", Some("black-pill")));
    // Settings for another board do not get into it.
    let text = read(app.join("pblink.toml")).replace("\"black-pill\"\n", "\"pyboard\"\n");
    std::fs::write(app.join("pblink.toml"), text).unwrap();
    let output = build(&app);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("was built for a Black Pill"), "{}", stderr(&output));
}

/// Returns a folder that looks like pblink's sources; so the test's images do not lie among the
/// user's.
fn sources(stm32: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["firmware-stm32", "firmware-esp8266"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        let to = folder.path().join(name).join("build.sh");
        // By another process, as a program is: see `process::copy_program`.
        assert!(Command::new("cp").arg(stm32.join("build.sh")).arg(to).status().unwrap().success());
    }
    folder
}

#[test]
fn settings_are_copied_but_checked_first() {
    let folder = tempfile::tempdir().unwrap();
    let toml = "# mine\n[board]\nid = \"kitchen\"\n[wifi]\nsecrets = \"wifi.toml\"\n\
                [link]\nkeys = \"boards.toml\"\n";
    std::fs::write(folder.path().join("my.toml"), toml).unwrap();
    std::fs::write(folder.path().join("wrong.toml"), "[board]\nid = 7\n").unwrap();
    let (app, _) = make(folder.path(), &["kitchen", "--config", "my.toml"]);
    assert_eq!(read(app.join("pblink.toml")), toml);
    let ignored = read(app.join(".gitignore"));
    for line in ["/wifi.toml", "/boards.toml"] {
        assert!(ignored.lines().any(|l| l == line), "{ignored}");
    }
    let said = refused(folder.path(), &["hall", "--config", "wrong.toml"], 3);
    assert!(said.contains("wrong.toml:2:6: `board.id`"), "{said}");
    let said = refused(folder.path(), &["hall", "--config", "none.toml"], 3);
    assert!(said.contains("cannot read none.toml"), "{said}");
    assert!(!folder.path().join("hall").exists());
}

#[test]
fn nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().join("kitchen");
    std::fs::create_dir(&app).unwrap();
    std::fs::write(app.join("mine.txt"), "mine").unwrap();
    std::fs::write(folder.path().join("hall"), "a file").unwrap();
    let said = refused(folder.path(), &["kitchen"], 1);
    assert!(said.contains("kitchen exists and is not empty"), "{said}");
    assert!(said.contains("choose another name"), "{said}");
    let said = refused(folder.path(), &["hall"], 1);
    assert!(said.contains("hall exists and is not a folder"), "{said}");
    assert_eq!(names(folder.path()), ["hall", "kitchen/mine.txt"]);
    // An empty folder is as good as none.
    std::fs::remove_file(app.join("mine.txt")).unwrap();
    make(folder.path(), &["kitchen"]);
    assert!(app.join("src/main.rs").is_file());
}

#[test]
fn a_name_that_no_package_can_have_is_refused_with_another() {
    let folder = tempfile::tempdir().unwrap();
    for (name, near) in [("My Board", "my-board"), ("../kitchen", "kitchen"), ("test", "app-test")]
    {
        let said = refused(folder.path(), &[name], 2);
        assert!(said.contains(&format!("{name:?} cannot be the name: ")), "{said}");
        assert!(said.contains(&format!("try `{near}`")), "{said}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_without_sources_is_a_wrong_flag() {
    let folder = tempfile::tempdir().unwrap();
    let said = refused(folder.path(), &["kitchen", "--source", "."], 2);
    assert!(said.contains(". is not the source folder of pblink"), "{said}");
    // It looks right, but something is missing.
    for name in ["firmware-stm32", "firmware-esp8266"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("build.sh"), "").unwrap();
    }
    let said = refused(folder.path(), &["kitchen", "--source", "."], 3);
    assert!(said.contains("is the clone of pblink whole?"), "{said}");
    assert!(!folder.path().join("kitchen").exists());
}

/// The folder cannot be made where there is none; root, as which tests may run, could write into a
/// folder whose mode forbids it.
#[cfg(target_os = "linux")]
#[test]
fn where_nothing_can_be_written_the_error_says_so() {
    let said = refused(Path::new("/proc"), &["kitchen"], 1);
    assert!(said.contains("cannot make the folder kitchen: "), "{said}");
    assert!(said.contains("nothing was written"), "{said}");
}
