//! `pblink build`, with the real compilers where they are installed.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Returns the verb's command in `folder`, without what this machine happens to have set.
fn verb(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pblink"));
    command.arg("build").args(args).current_dir(folder);
    for name in ["ESP8266_NONOS_SDK", "PBLINK_WIFI_PASSWORD", "PBLINK_SETTINGS"] {
        command.env_remove(name);
    }
    command
}

fn build(folder: &Path, args: &[&str]) -> Output {
    verb(folder, args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn source() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Returns a folder with the real sources in it, so that the tests' images do not take the place of
/// the user's.
fn real_sources() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["firmware-stm32", "firmware-esp8266"] {
        std::os::unix::fs::symlink(source().join(name), folder.path().join(name)).unwrap();
    }
    folder
}

/// Locks the compilers: they write to the same place, whoever asks them.
pub fn compilers() -> MutexGuard<'static, ()> {
    static COMPILERS: Mutex<()> = Mutex::new(());
    COMPILERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns true if tools are missing: an error in CI, a message elsewhere.
pub fn skipped(output: &Output) -> bool {
    let said = stderr(output);
    let missing = output.status.code() == Some(3);
    if missing {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "{said}");
        assert!(said.contains("install"), "what is missing is named: {said}");
        eprintln!("SKIPPED, this test needs more programs:\n{said}");
    }
    missing
}

/// Returns a folder that looks like the sources, with these scripts.
fn sources(stm32: &str, esp8266: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, script) in [("firmware-stm32", stm32), ("firmware-esp8266", esp8266)] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("build.sh"), script).unwrap();
    }
    folder
}

fn json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn contains(bytes: &[u8], part: &str) -> bool {
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn both_firmwares_become_images_with_a_manifest() {
    let _compilers = compilers();
    // Found from within, as by a user.
    let here = real_sources();
    let output = build(here.path(), &["--json"]);
    if skipped(&output) {
        return;
    }
    let printed = json(&output);
    assert!(stderr(&output).contains("it cannot be flashed"), "{}", stderr(&output));
    assert!(stderr(&output).contains("github.com/espressif/ESP8266_NONOS_SDK"));
    let folder = here.path().join("target/pblink");
    let written = std::fs::read(folder.join("manifest.json")).unwrap();
    assert_eq!(printed, serde_json::from_slice::<Value>(&written).unwrap());
    let images = printed["images"].as_array().unwrap();
    assert_eq!(images.len(), 2, "{printed}");
    for image in images {
        let bytes = std::fs::read(folder.join(image["file"].as_str().unwrap())).unwrap();
        assert_eq!(image["size"], bytes.len());
        let sha256: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(image["sha256"], sha256);
        assert_eq!(image["secret"], false);
    }
    let stm32 = &images[0];
    assert_eq!((&stm32["address"], &stm32["flashable"]), (&"0x08000000".into(), &true.into()));
    let bytes = std::fs::read(folder.join("stm32.bin")).unwrap();
    assert!(bytes.len() <= 96 * 1024, "{} bytes", bytes.len());
    // A vector table: the end of the stack in RAM, the reset handler in flash, with the Thumb bit.
    let word = |n: usize| u32::from_le_bytes(bytes[4 * n..4 * n + 4].try_into().unwrap());
    assert!((0x2000_0000..=0x2002_0000).contains(&word(0)), "{:#x}", word(0));
    assert!((0x0800_0000..0x080c_0000).contains(&word(1)) && word(1) & 1 == 1, "{:#x}", word(1));
    assert_eq!(images[1]["flashable"], false);
    assert_eq!(printed["config"]["source"], "defaults");
    // Both programs of the ESP8266: the one for the emulator, and the check of the chip's.
    let used = |n: usize, m: usize| printed["sizes"][n]["memories"][m]["used"].as_u64().unwrap();
    assert_eq!(printed["sizes"].as_array().unwrap().len(), 3);
    assert_eq!(used(0, 0), bytes.len() as u64, "the STM32's flash");
    assert!((1..=40 * 1024).contains(&used(0, 1)), "the STM32's RAM");
    for n in [1, 2] {
        assert!((1..=0x5_c000).contains(&used(n, 0)), "{printed}");
        assert!((1..=0x1_4000).contains(&used(n, 1)), "{printed}");
    }
}

#[test]
fn settings_are_compiled_in_and_the_password_stays_with_its_owner() {
    let _compilers = compilers();
    let here = real_sources();
    let plain = build(here.path(), &["stm32"]);
    if skipped(&plain) {
        return;
    }
    assert_eq!(plain.status.code(), Some(0), "{}", stderr(&plain));
    let folder = here.path().join("target/pblink");
    let image = || std::fs::read(folder.join("stm32.bin")).unwrap();
    let defaults = image();
    let write = |host: &str| {
        let text = format!("[server]\nhost = \"{host}\"\n[wifi]\nssid = \"Home\"\n");
        std::fs::write(here.path().join("pblink.toml"), text).unwrap();
    };
    let with_password = |args: &[&str]| {
        let mut command = verb(here.path(), args);
        command.env("PBLINK_WIFI_PASSWORD", "hunter2hunter2").output().unwrap()
    };
    write("10.9.8.7");
    let output = with_password(&["stm32", "--client", "kitchen", "--json"]);
    let manifest = json(&output);
    assert!(!contains(&output.stdout, "hunter2") && !contains(&output.stderr, "hunter2"));
    let config = &manifest["config"];
    assert_eq!((&config["id"], &config["server"]), (&"kitchen".into(), &"10.9.8.7".into()));
    assert_eq!((&config["ssid"], &config["password"]), (&"Home".into(), &true.into()));
    assert_eq!(manifest["images"][0]["secret"], true);
    let line = "[\"kitchen\\n\",8123,\"10.9.8.7\",2000,10,\"Home\",\"hunter2hunter2\",\"cfg\"]\n";
    assert!(contains(&image(), line));
    for file in ["stm32.bin", "settings.bin", "manifest.json"] {
        assert_eq!(mode(&folder.join(file)), 0o600, "{file}");
    }
    let release = source().join("firmware-stm32/target/thumbv7em-none-eabihf/release");
    for name in ["demo", "echo"] {
        assert_eq!(mode(&release.join(name)) & 0o077, 0, "{name}");
    }
    // Another password does not show in the settings' check sum; another server is compiled in.
    let sum = config["sha256"].clone();
    let other = verb(here.path(), &["stm32", "--client", "kitchen", "--json"])
        .env("PBLINK_WIFI_PASSWORD", "correct horse")
        .output()
        .unwrap();
    assert_eq!(json(&other)["config"]["sha256"], sum);
    write("10.9.8.6");
    let changed = json(&with_password(&["stm32", "--json"]));
    assert_ne!(changed["config"]["sha256"], sum);
    assert!(contains(&image(), "[\"1\\n\",8123,\"10.9.8.6\",2000,10,\"Home\",\"hunter2hunter2\","));
    assert!(!contains(&image(), "10.9.8.7"));
    // Without pblink.toml, all is as at first.
    std::fs::remove_file(here.path().join("pblink.toml")).unwrap();
    let output = with_password(&["stm32", "--json"]);
    assert_eq!(json(&output)["config"]["password"], false);
    assert!(image() == defaults, "the image without settings is another one");
    assert!(!folder.join("settings.bin").exists());
}

/// Returns a script that leaves a note of how it was called, and `program` where the real one
/// would.
fn leaves(program: &str, board: &str) -> String {
    format!(
        "cd \"$(dirname \"$0\")\"; echo \"$*\" >> calls; [ \"$1\" != check ] || exit 0; \
         echo \"${{ESP8266_NONOS_SDK-no SDK}}\" >> calls; \
         mkdir -p target/{board} && cp {program} target/{board}/pblink-esp8266.elf"
    )
}

/// Returns an ELF file of the chip's program, as far as an image needs it: the places of the SDK's
/// data.
fn chip_elf(size: u32) -> Vec<u8> {
    let table = [4, size - 0x5000, 0x1000, 5, size - 0x4000, 0x1000, 6, size - 0x3000, 0x3000];
    let sections: [(u32, u32, Vec<u8>); 3] = [
        (1, 0x3ffe_8000, table.iter().flat_map(|word: &u32| word.to_le_bytes()).collect()),
        (1, 0x4021_0000, b"flash...".to_vec()),
        (3, 0, b"\0".to_vec()),
    ];
    let content: Vec<u8> = sections.iter().flat_map(|(_, _, bytes)| bytes.clone()).collect();
    let mut out = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x5e\0".to_vec();
    let words = |out: &mut Vec<u8>, list: &[u32]| {
        list.iter().for_each(|word| out.extend(word.to_le_bytes()));
    };
    words(&mut out, &[1, 0x4010_0004, 0, 52 + content.len() as u32, 0]);
    words(&mut out, &[52, 40 << 16, 3 << 16 | 4]);
    out.truncate(46);
    out.extend([40, 0, 4, 0, 3, 0]);
    out.extend(&content);
    out.extend([0; 40]);
    let mut offset = 52;
    for (kind, address, bytes) in &sections {
        let length = bytes.len() as u32;
        words(&mut out, &[0, *kind, 2, *address, offset, length, 0, 0, 1, 0]);
        offset += length;
    }
    out
}

/// Fills a folder with all that is asked of the SDK.
fn sdk(folder: &Path) {
    for part in ["bin", "include", "ld", "lib"] {
        std::fs::create_dir_all(folder.join(part)).unwrap();
    }
    for file in ["ld/eagle.app.v6.ld", "ld/eagle.rom.addr.v6.ld"] {
        std::fs::write(folder.join(file), "").unwrap();
    }
    for name in ["main", "net80211", "pp", "phy", "wpa", "lwip", "crypto", "hal", "gcc"] {
        std::fs::write(folder.join(format!("lib/lib{name}.a")), "").unwrap();
    }
    let version = "#define ESP_SDK_VERSION_MAJOR   3\n";
    std::fs::write(folder.join("include/version.h"), version).unwrap();
    std::fs::write(folder.join("bin/esp_init_data_default_v08.bin"), [5; 128]).unwrap();
    std::fs::write(folder.join("bin/blank.bin"), [0xff; 4096]).unwrap();
}

#[test]
fn with_the_sdk_there_is_all_that_an_esp8266_needs_and_where_it_goes() {
    let folder = sources("exit 0", &leaves("chip.elf", "sdk"));
    let esp8266 = folder.path().join("firmware-esp8266");
    std::fs::write(esp8266.join("chip.elf"), chip_elf(0x10_0000)).unwrap();
    // Relative to pblink.toml, wherever one is.
    let config = folder.path().join("boards");
    sdk(&config.join("the SDK"));
    let toml = config.join("kitchen.toml");
    std::fs::write(&toml, "[build]\nesp8266_sdk = \"the SDK\"\n").unwrap();
    let arguments = ["esp8266", "--config", "boards/kitchen.toml", "--source", ".", "--json"];
    let output = build(folder.path(), &arguments);
    let manifest = json(&output);
    assert!(!stderr(&output).contains("cannot be flashed"), "{}", stderr(&output));
    let images = manifest["images"].as_array().unwrap();
    let places: Vec<_> = images
        .iter()
        .map(|i| (i["file"].as_str().unwrap(), i["address"].as_str().unwrap(), i["size"].clone()))
        .collect();
    let expected = [
        ("esp8266-0x00000.bin", "0x00000000", 64.into()),
        ("esp8266-0x10000.bin", "0x00010000", 8.into()),
        ("blank.bin", "0x000fb000", 4096.into()),
        ("esp_init_data_default_v08.bin", "0x000fc000", 128.into()),
        ("blank.bin", "0x000fe000", 4096.into()),
    ];
    assert_eq!(places, expected);
    assert!(images.iter().all(|image| image["flashable"] == true));
    let boot = std::fs::read(folder.path().join("target/pblink/esp8266-0x00000.bin")).unwrap();
    // DIO at 40 MHz, 1 MB: the size that the program registers, or it would not start.
    assert_eq!(boot[..8], [0xe9, 1, 2, 0x20, 4, 0, 0x10, 0x40]);
    // The variable overrides the file; the script sees an absolute path.
    let other = tempfile::tempdir().unwrap();
    sdk(other.path());
    let output = verb(folder.path(), &arguments).env("ESP8266_NONOS_SDK", other.path()).output();
    json(&output.unwrap());
    let calls = std::fs::read_to_string(esp8266.join("calls")).unwrap();
    let [first, second] = [config.join("the SDK"), other.path().to_owned()]
        .map(|path| path.canonicalize().unwrap().display().to_string());
    assert_eq!(calls, format!("check sdk\nsdk\n{first}\ncheck sdk\nsdk\n{second}\n"));
    // Places that the SDK would refuse make no image.
    std::fs::write(esp8266.join("chip.elf"), chip_elf(0x8_0000)).unwrap();
    let output = build(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("which no flash size allows"), "{}", stderr(&output));
}

#[test]
fn an_sdk_that_is_none_is_named_before_anything_is_compiled() {
    let folder = sources("exit 1", "exit 1");
    let source = folder.path().to_str().unwrap();
    let run = |path: &Path| {
        let output = verb(folder.path(), &["--source", source])
            .env("ESP8266_NONOS_SDK", path)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        stderr(&output)
    };
    let said = run(Path::new("/no/such/folder"));
    assert!(said.contains("ESP8266_NONOS_SDK names /no/such/folder"), "{said}");
    assert!(said.contains("github.com/espressif/ESP8266_NONOS_SDK"), "{said}");
    let other = tempfile::tempdir().unwrap();
    sdk(other.path());
    std::fs::remove_file(other.path().join("bin/blank.bin")).unwrap();
    assert!(run(other.path()).contains("has no bin/blank.bin"));
}

#[test]
fn the_other_board_s_images_stay_and_old_ones_go() {
    let esp8266 = "[ \"$1\" != check ] || exit 0; cd \"$(dirname \"$0\")\"; for b in emulator sdk; do \
                   mkdir -p target/$b && cp chip.elf target/$b/pblink-esp8266.elf; done";
    let folder = sources("exit 0", esp8266);
    let out = folder.path().join("target/pblink");
    std::fs::write(folder.path().join("firmware-esp8266/chip.elf"), chip_elf(0x10_0000)).unwrap();
    sdk(&folder.path().join("sdk"));
    let run = |args: &[&str], sdk: bool| {
        let mut command = verb(folder.path(), args);
        command.args(["--source", ".", "--json"]);
        if sdk {
            command.env("ESP8266_NONOS_SDK", "sdk");
        }
        let manifest = json(&command.output().unwrap());
        let images = manifest["images"].as_array().unwrap().clone();
        images.iter().map(|image| image["file"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(run(&["esp8266"], true).len(), 5);
    // What was for the chip is not left beside what is not.
    assert_eq!(run(&["esp8266"], false), ["esp8266-emulator.elf"]);
    assert!(!out.join("esp8266-0x00000.bin").exists());
    let release = folder.path().join("firmware-stm32/target/thumbv7em-none-eabihf/release");
    std::fs::create_dir_all(&release).unwrap();
    std::fs::write(release.join("demo"), stm32_elf()).unwrap();
    let both = ["stm32.bin", "esp8266-emulator.elf"];
    assert_eq!(run(&["stm32"], false), both);
    assert_eq!(run(&["esp8266"], false), both);
    // One that somebody has changed is not listed as if it were ours.
    std::fs::write(out.join("stm32.bin"), "mine").unwrap();
    assert_eq!(run(&["esp8266"], false), ["esp8266-emulator.elf"]);
}

/// Returns an ELF file with one segment for the STM32's flash.
fn stm32_elf() -> Vec<u8> {
    let mut out = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x28\0".to_vec();
    for word in [1_u32, 0, 52, 0, 0] {
        out.extend(word.to_le_bytes());
    }
    for half in [52_u16, 32, 1, 40, 0, 0] {
        out.extend(half.to_le_bytes());
    }
    for word in [1_u32, 84, 0x0800_0000, 0x0800_0000, 4, 4, 5, 4] {
        out.extend(word.to_le_bytes());
    }
    out.extend(b"code");
    out
}

#[test]
fn missing_tools_are_named_for_both_boards_before_anything_is_compiled() {
    let script = |tool: &str| {
        format!("echo 'missing: {tool}' >&2; [ \"$1\" = check ] || touch \"$0.ran\"; exit 3")
    };
    let folder = sources(&script("an assembler"), &script("a linker"));
    let output = build(folder.path(), &["--source", "."]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("an assembler") && said.contains("a linker"), "{said}");
    assert!(output.stdout.is_empty());
    for name in ["firmware-stm32", "firmware-esp8266"] {
        assert!(!folder.path().join(name).join("build.sh.ran").exists(), "{name} was built");
    }
}

#[test]
fn what_does_not_compile_is_code_1_and_names_the_script() {
    let stm32 = "[ \"$1\" = check ] || { echo 'error: no such thing' >&2; exit 101; }";
    let folder = sources(stm32, "exit 0");
    let output = build(folder.path(), &["stm32", "--source", "."]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error: no such thing") && said.contains("build.sh failed"), "{said}");
}

#[test]
fn a_script_that_makes_nothing_or_nonsense_is_an_error() {
    let folder = sources("exit 0", "exit 0");
    let said = stderr(&build(folder.path(), &["stm32", "--source", "."]));
    assert!(said.contains("the build made no"), "{said}");
    let release = folder.path().join("firmware-stm32/target/thumbv7em-none-eabihf/release");
    std::fs::create_dir_all(&release).unwrap();
    std::fs::write(release.join("demo"), "no ELF").unwrap();
    let output = build(folder.path(), &["stm32", "--source", "."]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("cannot be flashed: it is no 32-bit ELF"), "{said}");
    assert!(!folder.path().join("target/pblink/manifest.json").exists());
}

/// Compilers, and build scripts of whoever, have no use for the password: the settings' file has it.
#[test]
fn the_password_is_not_in_the_environment_of_what_is_built() {
    let script = "echo \"password: ${PBLINK_WIFI_PASSWORD-none}\" >&2; exit 0";
    let folder = sources(script, script);
    for board in ["stm32", "esp8266"] {
        let mut build = verb(folder.path(), &[board, "--source", "."]);
        let said = stderr(&build.env("PBLINK_WIFI_PASSWORD", "correct horse").output().unwrap());
        assert!(said.contains("password: none") && !said.contains("correct"), "{said}");
    }
}

#[test]
fn quiet_shows_what_a_script_has_said_only_if_it_fails() {
    let folder = sources("echo noise; exit 0", "echo noise; [ \"$1\" = check ] || exit 1");
    let loud = stderr(&build(folder.path(), &["stm32", "--source", "."]));
    assert!(loud.contains("noise\n") && loud.contains("building the program"), "{loud}");
    // The error is that nothing was built.
    let said = stderr(&build(folder.path(), &["stm32", "--source", ".", "--quiet"]));
    assert!(said.starts_with("pblink: error: ") && !said.contains("noise"), "{said}");
    let said = stderr(&build(folder.path(), &["esp8266", "--source", ".", "--quiet"]));
    assert!(said.starts_with("noise\npblink: error: "), "{said}");
}

#[test]
fn the_kind_of_board_is_the_scripts_business() {
    // The check goes well; then it fails, but has said what it was to do.
    let script = "[ \"$1\" != check ] || exit 0; echo \"$*\" > said; exit 1";
    let folder = sources(script, "exit 0");
    std::fs::write(folder.path().join("nucleo.toml"), "[board]\nkind = \"nucleo-f446\"\n").unwrap();
    for (args, wanted) in [
        (&["stm32"][..], "release pyboard"),
        (&["stm32", "--kind", "black-pill"], "release black-pill"),
        (&["stm32", "--config", "nucleo.toml"], "release nucleo-f446"),
        (&["stm32", "--config", "nucleo.toml", "--kind", "pyboard"], "release pyboard"),
    ] {
        let output = build(folder.path(), &[args, &["--source", "."]].concat());
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let said = std::fs::read_to_string(folder.path().join("said")).unwrap();
        assert_eq!(said.trim(), wanted, "{args:?}");
    }
}

#[test]
fn wrong_flags_and_files_are_named() {
    let folder = sources("exit 1", "exit 1");
    let run = |args: &[&str], code: i32| {
        let output = build(folder.path(), &[args, &["--source", "."]].concat());
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        stderr(&output)
    };
    let empty = tempfile::tempdir().unwrap();
    let output = build(empty.path(), &["--source", "."]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("is not the source folder of pblink"));
    // Nowhere near any sources; those that it was compiled from are none that anybody has named.
    let output = build(empty.path(), &["stm32"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("the sources of the firmwares are not here"), "{output:?}");
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
    assert!(run(&["--client", ""], 2).contains("the id of --client must be"));
    assert!(run(&["--app", "none"], 2).contains("none is not an application"));
    assert!(run(&["esp8266", "--app", "none"], 2).contains("--app is for the STM32"));
    assert!(run(&["--config", "none.toml"], 3).contains("cannot read none.toml"));
    std::fs::write(folder.path().join("pblink.toml"), "[server]\nhost = 7\n").unwrap();
    let said = run(&[], 3);
    assert!(said.contains("pblink.toml:2:") && said.contains("`server.host`"), "{said}");
}
