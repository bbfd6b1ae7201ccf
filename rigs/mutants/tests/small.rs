//! The whole way with a crate whose tests have a hole.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use pblink_mutants::build::Tree;
use pblink_mutants::judge::{Verdict, Verdicts};
use pblink_mutants::list::{Function, Genre, Mutant, Place, Span};

const CODE: &str = "\
pub const TWO: u8 = 1 + 1;
pub const fn doubled(a: u8) -> u8 { a * TWO }
pub const FOUR: u8 = doubled(2);
pub fn is_small(a: u8) -> bool { a < 8 }
pub fn is_large(a: u8) -> bool { a > 8 }
pub fn last(bytes: &[u8]) -> Option<Strange> { bytes.last().map(|b| Strange(*b)) }
pub fn odd(mut a: u8) -> u8 { let mut n = 0; while a != 0 { a = a - 1; n ^= 1; } n }
pub struct Strange(pub u8);
";

/// The body of `last`.
const LAST: &str = "bytes.last().map(|b| Strange(*b))";

const TESTS: &str = "\
use small::*;
#[test] fn constants() { assert_eq!((TWO, FOUR), (2, 4)); }
// Nobody looks at 8.
#[test] fn small() { assert!(is_small(1) && !is_small(9)); }
#[test] fn large() { assert!(is_large(9) && !is_large(8)); }
#[test] fn an_odd_number() { assert_eq!(odd(3), 1); }
";

/// Returns the mutant that changes what stands `n`th in the code.
fn mutant(out: &str, n: usize, genre: Genre, replacement: &str, function: Option<&str>) -> Mutant {
    let at = CODE.match_indices(out).nth(n).unwrap().0;
    let place = |byte: usize| Place {
        line: CODE[..byte].matches('\n').count() + 1,
        column: byte - CODE[..byte].rfind('\n').map_or(0, |end| end + 1) + 1,
    };
    Mutant {
        name: format!("{out} {n} {replacement}"),
        file: "small/src/lib.rs".into(),
        function: function.map(|name| Function { function_name: name.into() }),
        genre,
        replacement: replacement.into(),
        span: Span { start: place(at), end: place(at + out.len()) },
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn each_mutant_is_noticed_that_a_test_can_notice_and_no_other() {
    let (root, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let manifest =
        "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n";
    let workspace = "[workspace]\nresolver = \"3\"\nmembers = [\"small\"]\nexclude = [\"rigs/mutants/switch\"]\n";
    write(&root.path().join("Cargo.toml"), workspace);
    write(&root.path().join("small/Cargo.toml"), manifest);
    write(&root.path().join("small/src/lib.rs"), CODE);
    write(&root.path().join("small/tests/all.rs"), TESTS);
    let switch = Path::new(env!("CARGO_MANIFEST_DIR")).join("switch");
    for file in ["Cargo.toml", "src/lib.rs"] {
        let text = fs::read_to_string(switch.join(file)).unwrap();
        write(&root.path().join("rigs/mutants/switch").join(file), &text);
    }
    assert!(
        Command::new("git").args(["init", "-q"]).current_dir(&root).status().unwrap().success()
    );

    use Verdict::{Caught, DoesNotCompile, Late, Missed};
    let binary = Genre::BinaryOperator;
    let expected = [
        // A constant, and a function that only the compiler computes.
        (mutant("+", 0, binary, "-", None), Caught),
        (mutant("*", 0, binary, "+", Some("doubled")), Missed),
        (mutant("*", 0, binary, "/", Some("doubled")), Caught),
        (mutant("a < 8", 0, Genre::FnValue, "true", Some("is_small")), Caught),
        (mutant("<", 0, binary, "<=", Some("is_small")), Missed),
        (mutant("> 8", 0, binary, ">= 8", Some("is_large")), Caught),
        // Nothing reaches it.
        (mutant(LAST, 0, Genre::FnValue, "None", Some("last")), Missed),
        (mutant(LAST, 0, Genre::FnValue, "Some(7)", Some("last")), DoesNotCompile),
        // `while a == 0`, and never less.
        (mutant("!=", 0, binary, "==", Some("odd")), Caught),
        (mutant("-", 5, binary, "/", Some("odd")), Late),
    ];
    let mutants: Vec<Mutant> = expected.iter().map(|(mutant, _)| mutant.clone()).collect();
    let tree = Tree::copy(root.path(), folder.path(), "small", &mutants, "small").unwrap();
    let mut verdicts = Verdicts::open(&folder.path().join("outcomes"), |_| true).unwrap();
    let built = tree.weave(&mutants).unwrap();
    let reached = folder.path().join("reached");
    verdicts.judge_all(&tree, &built, &mutants, &reached).unwrap();
    let found: Vec<_> = verdicts.of(&mutants).iter().map(|o| (&*o.name, o.verdict)).collect();
    let wanted: Vec<_> = expected.iter().map(|(mutant, end)| (&*mutant.name, *end)).collect();
    assert_eq!(found, wanted);
    // Another run has nothing left to do.
    let again = Verdicts::open(&folder.path().join("outcomes"), |_| true).unwrap();
    assert!(mutants.iter().all(|mutant| again.has(mutant)));
}
