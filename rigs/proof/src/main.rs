//! Runs proofs by their names, keeps what they say, and writes the page. Without a name it only writes the page.

use std::process::ExitCode;

use pblink_proof::proofs::{PROOFS, Proof};
use pblink_proof::record::Record;
use pblink_proof::{page, root};

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let mut chosen: Vec<&Proof> = Vec::new();
    for name in &names {
        match PROOFS.iter().find(|proof| proof.name == *name) {
            Some(proof) => chosen.push(proof),
            None => {
                eprintln!("there is no proof {name:?}; there are:");
                PROOFS.iter().for_each(|proof| eprintln!("  {:<10} {}", proof.name, proof.title));
                return ExitCode::from(2);
            }
        }
    }
    match run(&chosen) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns true if all of them hold.
fn run(proofs: &[&Proof]) -> std::io::Result<bool> {
    let root = root();
    let mut all = true;
    for proof in proofs {
        eprintln!("{}: {}", proof.name, proof.command);
        let record = Record::run(&root, proof)?;
        all &= record.success;
        record.write(&root, proof.name)?;
    }
    std::fs::write(page::path(&root), page::page(&root)?)?;
    eprintln!("docs/PROOF.md is written");
    Ok(all)
}
