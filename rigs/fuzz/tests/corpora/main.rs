//! The corpora and mutations of them, with any compiler: what must hold does, and faults that are planted are found.

use std::panic::catch_unwind;
use std::path::Path;

use base64ct::{Base64, Encoding};
use pblink_fuzz::mutate::Mutations;
use pblink_fuzz::{TARGETS, Target};

mod planted;
mod planted_classic;

/// Returns the inputs of a target.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let file = format!("{}/corpus/{target}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(Path::new(&file)).expect(&file);
    text.lines().map(|line| Base64::decode_vec(line).expect(&file)).collect()
}

/// Returns the number of inputs until one breaks a rule, of the corpus and then of mutations.
fn found_after(target: &str, mutations: usize, run: impl Fn(&[u8])) -> Option<usize> {
    let corpus = corpus(target);
    let inputs = corpus.iter().cloned().chain(Mutations::new(&corpus, 1).take(mutations));
    let run = std::panic::AssertUnwindSafe(run);
    inputs
        .enumerate()
        .find_map(|(number, input)| catch_unwind(|| run(&input)).is_err().then_some(number + 1))
}

#[test]
fn nothing_in_the_corpora_breaks_a_rule() {
    for (name, run) in TARGETS {
        let corpus = corpus(name);
        assert!(corpus.len() > 40, "{name} has only {} inputs", corpus.len());
        corpus.iter().for_each(|input| run(input));
    }
}

/// A few mutations of each, the same ones each time. `rigs/fuzz/run` makes others, and many.
#[test]
fn no_mutation_of_them_breaks_a_rule() {
    let many = |name| if name == "hello" { 20 } else { 2000 };
    for (name, run) in TARGETS {
        let run: Target = run;
        Mutations::new(&corpus(name), 2).take(many(name)).for_each(|input| run(&input));
    }
}

#[test]
fn the_corpora_are_small() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    let sizes: Vec<_> = files.map(|file| file.metadata().unwrap().len()).collect();
    assert_eq!(sizes.len(), TARGETS.len(), "one for each target");
    assert!(sizes.iter().sum::<u64>() <= 2 << 20, "{sizes:?}");
}
