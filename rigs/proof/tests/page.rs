//! The page is what the records say, and its commands are there.

use pblink_proof::proofs::{PROOFS, Part, Proof};
use pblink_proof::record::{self, Record};
use pblink_proof::wanted::WANTED;
use pblink_proof::{page, root};

#[test]
fn the_page_is_the_one_that_the_records_make() {
    let there = std::fs::read_to_string(page::path(&root())).expect("docs/PROOF.md");
    assert!(there == page::page(&root()).unwrap(), "cargo run -p pblink-proof writes it anew");
}

#[test]
fn each_record_is_one_of_a_proof_that_is_there_and_holds() {
    // There is no folder before the first one.
    for entry in std::fs::read_dir(root().join("docs/proof")).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(PROOFS.iter().any(|proof| proof.name == name), "{name} is a proof no more");
        let record = Record::read(&root(), name).unwrap().expect("a record");
        assert!(record.success, "{name}");
        assert!(!record.output.is_empty(), "{name} says nothing");
    }
}

#[test]
fn each_wanted_figure_is_in_its_record_and_each_shortfall_has_a_reason() {
    for wanted in &WANTED {
        let name = wanted.figure.proof();
        assert!(PROOFS.iter().any(|proof| proof.name == name), "{wanted:?}");
        let Some(record) = Record::read(&root(), name).unwrap() else { continue };
        let reached = wanted.figure.read(&record.output);
        let reached = reached.unwrap_or_else(|| panic!("{wanted:?} is not in the record"));
        assert!(wanted.is_reached(reached) || !wanted.because.is_empty(), "{wanted:?}: {reached}");
    }
}

#[test]
fn what_is_run_is_there() {
    let root = root();
    for proof in &PROOFS {
        let words: Vec<_> = proof.command.split_ascii_whitespace().collect();
        for pair in words.windows(2) {
            let wanted = match pair {
                ["--manifest-path", manifest] => root.join(manifest),
                _ => continue,
            };
            assert!(wanted.is_file(), "{}: {}", proof.name, wanted.display());
        }
        if let Some(script) = words.first().filter(|word| word.starts_with("rigs/")) {
            assert!(root.join(script).is_file(), "{}: {script}", proof.name);
        }
    }
}

#[test]
fn a_run_is_kept_with_its_lines_and_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let proof = |command| Proof {
        name: "try",
        part: Part::Speed,
        title: "",
        shows: "",
        planted: "",
        command,
        keep: &["kept"],
        markdown: false,
        resumes: false,
    };
    let good = proof("echo 'kept: 1  '; echo other; echo 'kept: 2' >&2");
    let run = Record::run(folder.path(), &good).unwrap();
    assert_eq!((&*run.output, run.success), ("kept: 1\nkept: 2\n", true));
    run.write(folder.path(), "try").unwrap();
    let again = Record::read(folder.path(), "try").unwrap().unwrap();
    assert_eq!((again.output, again.date), (run.output, run.date));
    assert!(Record::read(folder.path(), "other").unwrap().is_none());
    let table = Proof { markdown: true, ..proof("echo '| kept |'; echo '| kept, so far |' >&2") };
    assert_eq!(Record::run(folder.path(), &table).unwrap().output, "| kept |\n");
    let bad = Record::run(folder.path(), &proof("echo kept; false; echo kept")).unwrap();
    assert_eq!((&*bad.output, bad.success), ("kept\n", false));
    assert!(record::path(folder.path(), "try").is_file());
}
