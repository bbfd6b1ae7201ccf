//! The corpora and mutations of them, with any compiler: what must hold does, and faults that are planted are found.

use std::panic::catch_unwind;
use std::path::Path;

use base64ct::{Base64, Encoding};
use pblink_fuzz::mutate::Mutations;
use pblink_fuzz::{TARGETS, Target};

mod planted;
mod planted_api;
mod planted_classic;
mod planted_files;

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

/// Inputs that are run of each target, beside its corpus: the same ones each time. `rigs/fuzz/run` makes others, and many.
const MUTATIONS: usize = 2000;

/// Mutations of a target each of which takes long.
const FEW: [(&str, usize); 4] = [("hello", 20), ("loader", 300), ("request", 500), ("answer", 300)];

fn target(name: &str) -> Target {
    TARGETS.into_iter().find(|(known, _)| *known == name).expect(name).1
}

fn nothing_breaks_a_rule(name: &str) {
    let corpus = corpus(name);
    assert!(corpus.len() > 40, "{name} has only {} inputs", corpus.len());
    corpus.iter().for_each(|input| target(name)(input));
}

fn no_mutation_breaks_a_rule(name: &str) {
    let many = FEW.into_iter().find(|(known, _)| *known == name).map_or(MUTATIONS, |(_, few)| few);
    Mutations::new(&corpus(name), 2).take(many).for_each(|input| target(name)(&input));
}

/// Makes two tests of each target.
macro_rules! tests {
    ($($name:ident)*) => {
        $(mod $name {
            #[test]
            fn nothing_in_its_corpus_breaks_a_rule() {
                super::nothing_breaks_a_rule(stringify!($name));
            }

            #[test]
            fn no_mutation_of_it_breaks_a_rule() {
                super::no_mutation_breaks_a_rule(stringify!($name));
            }
        })*

        #[test]
        fn each_target_has_tests() {
            assert_eq!(TARGETS.map(|(name, _)| name), [$(stringify!($name)),*]);
        }
    };
}

tests! {
    line endpoint pair wires packet frames hello sealed board server
    record session image loader dfu request settings answer
}

#[test]
fn the_corpora_are_small() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    let sizes: Vec<_> = files.map(|file| file.metadata().unwrap().len()).collect();
    assert_eq!(sizes.len(), TARGETS.len(), "one for each target");
    assert!(sizes.iter().sum::<u64>() <= 2 << 20, "{sizes:?}");
}
