//! The page: all proofs, with what they have said last.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use crate::proofs::{PROOFS, Part, Proof};
use crate::record::Record;
use crate::wanted;

const HEAD: &str = "\
# Proof

<!-- Written by `cargo run -p pblink-proof`: change rigs/proof/src/proofs.rs, or run a proof anew. -->

All that was done to break pblink, its speed, and the command for each figure. `just proof NAME` runs one anew, keeps what it says, and writes this page; the machine, its load
before the run and the commit stand beside each. Short forms of the first part, the table of abuse excepted, run in every test run, where they find planted faults, too.

[HARDWARE.md](HARDWARE.md) lists what cannot be shown without hardware, and [PROTOCOL.md](PROTOCOL.md) what the link does not promise.
";

const WANTED: &str = "
## Wanted and reached

The figures that were wanted before anything was measured, beside those of the records below. What is not reached is in bold, with the reason that a measurement has
given. `raw` and the others are explained with the [tables of speed](#beside-what-one-would-use-instead).

";

/// Returns the file of the page.
pub fn path(root: &Path) -> PathBuf {
    root.join("docs/PROOF.md")
}

/// Returns the page for the records that are there.
///
/// # Errors
/// If one cannot be read.
pub fn page(root: &Path) -> io::Result<String> {
    let mut records = HashMap::new();
    for proof in &PROOFS {
        if let Some(record) = Record::read(root, proof.name)? {
            records.insert(proof.name, record);
        }
    }
    let mut page = HEAD.to_owned() + WANTED;
    page += &wanted::table(|name| Some(records.get(name)?.output.clone()));
    for (part, title) in [(Part::Correctness, "Correctness"), (Part::Speed, "Speed")] {
        let _ = write!(page, "\n## {title}\n");
        for proof in PROOFS.iter().filter(|proof| proof.part == part) {
            page += &section(proof, records.get(proof.name));
        }
    }
    Ok(page)
}

fn section(proof: &Proof, record: Option<&Record>) -> String {
    let Proof { name, title, shows, planted, command, .. } = proof;
    let mut text = format!("\n### {title}\n\n{shows}\n\nPlanted faults: {planted}\n\n");
    let _ = write!(text, "```sh\n{command}\n```\n\n");
    let Some(record) = record else {
        let _ = writeln!(text, "Not run yet (`just proof {name}`).");
        return text;
    };
    let Record { date, commit, processor, processors, load_before, seconds, .. } = record;
    let time = match proof.resumes {
        true => "in several sittings".to_owned(),
        false => format!("{seconds:.0} s"),
    };
    let _ = writeln!(
        text,
        "{date}, {time} at commit {commit}, {processors} × {processor}, load {load_before:.1} before:\n"
    );
    if !record.success {
        let _ = writeln!(text, "**It has failed.**\n");
    }
    match proof.markdown {
        true => text += &spaced(&record.output),
        false => {
            let _ = writeln!(text, "```text\n{}\n```", record.output.trim_end());
        }
    }
    text
}

/// Puts an empty line between a table and what is before and behind it: what was kept has none.
fn spaced(lines: &str) -> String {
    let mut text = String::new();
    let mut in_table = None;
    for line in lines.lines().filter(|line| !line.is_empty()) {
        let table = line.starts_with('|');
        if in_table.is_some_and(|before| before != table || !table) {
            text.push('\n');
        }
        in_table = Some(table);
        text += line;
        text.push('\n');
    }
    text
}
