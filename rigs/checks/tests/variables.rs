//! Each variable of the environment that the command reads is in its manual.

use std::collections::BTreeSet;
use std::path::Path;

use pblink_checks::imports::Crate;
use pblink_checks::root;
use syn::visit::Visit;

/// Words in capitals in the sources that are no variables of the environment, or none that the command reads.
const OTHERS: [&str; 20] = [
    // File systems, methods and answers of HTTP and MQTT, chips.
    "CEPH",
    "CIFS",
    "SMB2",
    "DELETE",
    "POST",
    "FAIL",
    "FULL",
    "NORMAL",
    "PBLINK",
    "JSON",
    "ESP8266",
    "STM32",
    // Names of values and of sections of a page; the beginning of our own variables.
    "NAME",
    "PORT",
    "SCENE",
    "VALUE",
    "ENVIRONMENT",
    "EXAMPLES",
    "FILES",
    "PBLINK_",
];

/// Texts that look like a variable's name.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl<'a> Visit<'a> for Names {
    fn visit_lit_str(&mut self, text: &'a syn::LitStr) {
        let text = text.value();
        let looks = text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.len() > 3
            && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        if looks {
            self.0.insert(text);
        }
    }

    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        if module.ident != "tests" {
            syn::visit::visit_item_mod(self, module);
        }
    }
}

fn names(file: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let mut names = Names::default();
    names.visit_file(&syn::parse_file(&text).unwrap());
    names.0
}

#[test]
fn each_variable_that_is_read_is_in_the_manual() {
    let table = root().join("cli/src/manual/variables.rs");
    let known = names(&table);
    assert!(known.len() > 15, "{known:?}");
    let mut read = BTreeSet::new();
    for root_file in ["cli/src/lib.rs", "serve/src/lib.rs"] {
        for (_, file) in Crate::read(&root().join(root_file)).files() {
            if file != table {
                read.extend(names(file));
            }
        }
    }
    let missing: Vec<_> =
        read.difference(&known).filter(|name| !OTHERS.contains(&name.as_str())).collect();
    assert!(
        missing.is_empty(),
        "{missing:?}\nPut a variable into cli/src/manual/variables.rs, and a word that is none into OTHERS."
    );
    // The word that stands for the variables of all keys.
    let gone: Vec<_> = known.difference(&read).filter(|n| *n != "PBLINK_SECTION_KEY").collect();
    assert!(gone.is_empty(), "nothing reads {gone:?}");
    let needless: Vec<_> = OTHERS.iter().filter(|name| !read.contains(**name)).collect();
    assert!(needless.is_empty(), "not in the sources: {needless:?}");
}
