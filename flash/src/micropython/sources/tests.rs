use super::*;

/// Both clones as far as it matters, with words of our own.
fn clones() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("iot/pb_link/__init__.py", ""),
        (
            "iot/pb_link/app_base.py",
            "import ujson\nfrom . import link\nfrom primitives.delay_ms import D\nfrom primitives.message import M\n",
        ),
        ("iot/pb_link/link.py", "import machine, gc\n"),
        ("iot/pb_link/pb_client.py", "import of_the_user\nCONN_ID = '7\\n'\n"),
        ("iot/pb_link/config.py", "config = 'theirs'\n"),
        ("iot/pb_link/README.md", "no module"),
        ("async/v3/primitives/__init__.py", "import asyncio\n"),
        ("async/v3/primitives/delay_ms.py", "import asyncio\nfrom . import launch\n"),
        ("async/v3/primitives/message.py", "import asyncio\n"),
        ("async/v3/primitives/other.py", "import of_another_board\n"),
        ("async/v3/primitives/tests/test.py", ""),
        ("async/v3/threadsafe/message.py", "import asyncio, sys\n"),
    ] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn read(folder: &tempfile::TempDir) -> Result<Sources> {
    Sources::read(&folder.path().join("iot"), &folder.path().join("async"), "ours")
}

fn names(sources: &Sources) -> Vec<&str> {
    sources.files.iter().map(|file| file.name.as_str()).collect()
}

#[test]
fn modules_of_both_clones_go_with_our_configuration_and_the_program_comes_last() {
    let sources = read(&clones()).unwrap();
    assert_eq!(
        names(&sources),
        [
            "primitives/__init__.py",
            "primitives/delay_ms.py",
            "primitives/message.py",
            "primitives/other.py",
            "pb_link/__init__.py",
            "pb_link/app_base.py",
            "pb_link/config.py",
            "pb_link/link.py",
            "pb_link/pb_client.py",
        ]
    );
    let config = sources.files.iter().find(|file| file.name == CONFIG).unwrap();
    assert_eq!(config.bytes, b"ours");
    assert_eq!(sources.client_id.as_deref(), Some("7"));
    assert_eq!(sources.notes, [""; 0]);
    // Of what pb_link imports, not of the user's program nor of what lies beside it.
    let needs: Vec<_> = sources.needs.iter().map(|need| need.module.as_str()).collect();
    assert_eq!(needs, ["asyncio", "gc", "machine", "ujson"]);
    assert_eq!(sources.needs[2].by, "pb_link/link.py");
}

#[test]
fn folders_may_be_named_themselves() {
    let clones = clones();
    let at = |name: &str| clones.path().join(name);
    for (source, primitives) in
        [("iot/pb_link", "async/v3/primitives"), ("iot", "async/v3"), ("iot", "async")]
    {
        Sources::read(&at(source), &at(primitives), "").unwrap();
    }
    // Exchanged, missing, and the wrong one of two.
    for (source, primitives, word) in [
        ("async", "async", "--source"),
        ("iot", "iot", "--primitives"),
        ("nowhere", "async", "--source"),
        ("iot", "async/v3/threadsafe", "--primitives"),
    ] {
        let error = Sources::read(&at(source), &at(primitives), "").unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        assert!(error.remedy().contains(word), "{error}");
    }
}

#[test]
fn a_module_that_has_moved_is_found_where_it_is_now() {
    let clones = clones();
    let primitives = clones.path().join("async/v3/primitives");
    std::fs::remove_file(primitives.join("message.py")).unwrap();
    let sources = read(&clones).unwrap();
    let message = sources.files.iter().find(|file| file.name == MESSAGE).unwrap();
    assert_eq!(message.bytes, b"import asyncio, sys\n");
    assert!(sources.notes[0].contains("threadsafe/message.py"), "{:?}", sources.notes);
    assert!(sources.needs.iter().any(|need| need.module == "sys"));

    std::fs::remove_dir_all(primitives.join("../threadsafe")).unwrap();
    let error = read(&clones).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(
        error.cause(),
        "pb_link/app_base.py imports primitives.message, and there is no primitives/message.py"
    );
}

#[test]
fn a_configuration_that_would_override_ours_stays_off_the_board() {
    let clones = clones();
    std::fs::write(clones.path().join("iot/pb_link/my_config.py"), "config = 'mine'").unwrap();
    let sources = read(&clones).unwrap();
    assert!(!names(&sources).contains(&OTHER_CONFIG));
    assert!(sources.notes[0].contains("my_config.py"), "{:?}", sources.notes);
}

#[test]
fn what_no_board_takes_is_refused() {
    let clones = clones();
    let pb_link = clones.path().join("iot/pb_link");
    let refused = |name: &str, bytes: &[u8], word: &str| {
        std::fs::write(pb_link.join(name), bytes).unwrap();
        let error = read(&clones).unwrap_err();
        std::fs::remove_file(pb_link.join(name)).unwrap();
        assert_eq!(error.kind(), Kind::Image);
        assert!(error.cause().contains(word), "{error}");
    };
    refused("it's.py", b"", "it's.py has a name");
    refused("large.py", &vec![b'#'; 300_000], "too many for a board");
    for n in 0..MOST {
        std::fs::write(pb_link.join(format!("m{n}.py")), "").unwrap();
    }
    let error = read(&clones).unwrap_err();
    assert!(error.cause().contains("at most 200"), "{error}");
}

#[test]
fn a_program_that_is_no_text_has_no_id() {
    let clones = clones();
    std::fs::write(clones.path().join("iot/pb_link/pb_client.py"), b"\xff\xfe'").unwrap();
    assert_eq!(read(&clones).unwrap().client_id, None);
}
