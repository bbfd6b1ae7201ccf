//! The shape of a file: sections, sections in sections, and lists of sections, as the paths
//! of its keys say; and a walk through a document that finds each key with its place, and what is unknown.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The shape of a file, made from the paths of its keys: `server.port`, `mqtt.tls.ca`, and
/// `consumer[].name` for a key of `[[consumer]]`.
#[derive(Debug, Default)]
pub(super) struct Shape(BTreeMap<&'static str, Node>);

/// Sections of which there may also be several: `[board]`, or `[[board]]` for each of them.
pub(super) const REPEATED: [&str; 1] = ["board"];

#[derive(Debug)]
enum Node {
    /// The key of this number.
    Key(usize),
    Section(Shape),
    /// `[[name]]`
    List(Shape),
    /// `[name]` or `[[name]]`
    Repeated(Shape),
}

/// Something that stands where a key allows it.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// One more section of a list: `[[name]]`.
    Element {
        /// Its path, such as `consumer[1]`.
        path: String,
        /// Offset at which the element begins.
        span: Range<usize>,
    },
    /// A key with its value.
    Key {
        /// The number of the key.
        key: usize,
        /// The number of each list's element that it stands in, from the outermost.
        at: Vec<usize>,
        /// Its path, such as `consumer[1].name`.
        path: String,
        /// Place of its name.
        name: Range<usize>,
        /// Its value.
        value: &'a Spanned<DeValue<'a>>,
    },
}

/// Something that stands where no key allows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misplaced {
    /// Its path without the numbers of elements, as users write it.
    pub(super) path: String,
    /// Place of its name.
    pub(super) span: Range<usize>,
    pub(super) kind: Mistake,
}

/// The ways in which something can be misplaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mistake {
    UnknownKey,
    UnknownSection,
    /// A value, or `[[name]]`, where `[name]` belongs.
    NotASection,
    /// A value, or `[name]`, where `[[name]]` belongs.
    NotAList,
}

impl Shape {
    /// Returns the shape of a file with these keys.
    pub(super) fn of(paths: impl Iterator<Item = &'static str>) -> Self {
        let mut root = Self::default();
        for (key, path) in paths.enumerate() {
            let mut shape = &mut root;
            let (sections, name) = path.rsplit_once('.').unwrap_or(("", path));
            for section in sections.split('.').filter(|section| !section.is_empty()) {
                let (name, list) = match section.strip_suffix("[]") {
                    Some(name) => (name, true),
                    None => (section, false),
                };
                let node = shape.0.entry(name).or_insert_with(|| match list {
                    true => Node::List(Self::default()),
                    false if REPEATED.contains(&name) => Node::Repeated(Self::default()),
                    false => Node::Section(Self::default()),
                });
                shape = match node {
                    Node::Section(inner) | Node::List(inner) | Node::Repeated(inner) => inner,
                    Node::Key(_) => unreachable!("{path}: a key cannot hold keys"),
                };
            }
            shape.0.insert(name, Node::Key(key));
        }
        root
    }

    /// Walks through a document. Goes no deeper than the shape itself: what is unknown is not entered.
    pub(super) fn walk<'a>(&self, document: &'a DeTable<'a>) -> (Vec<Found<'a>>, Vec<Misplaced>) {
        let mut walk = Walk { found: Vec::new(), misplaced: Vec::new(), at: Vec::new() };
        walk.table(self, document, "", "");
        (walk.found, walk.misplaced)
    }
}

struct Walk<'a> {
    found: Vec<Found<'a>>,
    misplaced: Vec<Misplaced>,
    at: Vec<usize>,
}

impl<'a> Walk<'a> {
    /// Walks a table. `path` has the numbers of elements, `plain` is the same without.
    fn table(&mut self, shape: &Shape, table: &'a DeTable<'a>, path: &str, plain: &str) {
        let join = |path: &str, name: &str| match path {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        for (name, value) in table {
            let path = join(path, name.get_ref());
            let plain = join(plain, name.get_ref());
            let mut wrong = |kind| {
                let span = name.span();
                self.misplaced.push(Misplaced { path: plain.clone(), span, kind });
            };
            match (shape.0.get(name.get_ref().as_ref()), value.get_ref()) {
                (Some(Node::Key(key)), _) => self.found.push(Found::Key {
                    key: *key,
                    at: self.at.clone(),
                    path,
                    name: name.span(),
                    value,
                }),
                (Some(Node::Section(inner) | Node::Repeated(inner)), DeValue::Table(table)) => {
                    self.table(inner, table, &path, &plain);
                }
                (Some(Node::List(inner) | Node::Repeated(inner)), DeValue::Array(list))
                    if list.iter().all(|element| element.get_ref().is_table()) =>
                {
                    for (n, element) in list.iter().enumerate() {
                        let DeValue::Table(table) = element.get_ref() else { continue };
                        let path = format!("{path}[{n}]");
                        self.found
                            .push(Found::Element { path: path.clone(), span: element.span() });
                        self.at.push(n);
                        self.table(inner, table, &path, &plain);
                        self.at.pop();
                    }
                }
                (Some(Node::Section(_) | Node::Repeated(_)), _) => wrong(Mistake::NotASection),
                (Some(Node::List(_)), _) => wrong(Mistake::NotAList),
                (None, DeValue::Table(_)) => wrong(Mistake::UnknownSection),
                (None, DeValue::Array(list))
                    if list.iter().next().is_some_and(|element| element.get_ref().is_table()) =>
                {
                    wrong(Mistake::UnknownSection);
                }
                (None, _) => wrong(Mistake::UnknownKey),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATHS: [&str; 6] = [
        "server.port",
        "consumer[].name",
        "consumer[].filter[].client",
        "mqtt.url",
        "mqtt.tls.ca",
        "board.id",
    ];

    /// Returns every key that is found, as `number path=value`, and everything that is misplaced.
    fn walk(text: &str) -> (Vec<String>, Vec<(Mistake, String)>) {
        let document = DeTable::parse(text).unwrap();
        let (found, misplaced) = Shape::of(PATHS.into_iter()).walk(document.get_ref());
        let mut all: Vec<_> = (found.iter())
            .map(|found| match found {
                Found::Element { path, span } => (span.start, format!("+ {path}")),
                Found::Key { key, at, path, name, value } => {
                    let value = &text[value.span()];
                    assert!(text[name.clone()].ends_with(path.rsplit('.').next().unwrap()));
                    (name.start, format!("{key} {at:?} {path}={value}"))
                }
            })
            .collect();
        all.sort();
        let misplaced = misplaced.into_iter().map(|wrong| (wrong.kind, wrong.path)).collect();
        (all.into_iter().map(|(_, line)| line).collect(), misplaced)
    }

    #[test]
    fn sections_nest_and_lists_of_sections_count_their_elements() {
        let text = "\
            [server]\nport = 1\n\
            [[consumer]]\nname = \"a\"\n\
            [[consumer.filter]]\nclient = \"x\"\n[[consumer.filter]]\nclient = \"y\"\n\
            [[consumer]]\n\
            [[consumer]]\nname = \"c\"\n\
            [mqtt]\nurl = \"u\"\n[mqtt.tls]\nca = \"f\"\n";
        let (found, misplaced) = walk(text);
        assert_eq!(misplaced, []);
        insta::assert_snapshot!(found.join("\n"), @r#"
        0 [] server.port=1
        + consumer[0]
        1 [0] consumer[0].name="a"
        + consumer[0].filter[0]
        2 [0, 0] consumer[0].filter[0].client="x"
        + consumer[0].filter[1]
        2 [0, 1] consumer[0].filter[1].client="y"
        + consumer[1]
        + consumer[2]
        1 [2] consumer[2].name="c"
        3 [] mqtt.url="u"
        4 [] mqtt.tls.ca="f"
        "#);
    }

    #[test]
    fn inline_and_dotted_forms_are_the_same() {
        let (found, misplaced) =
            walk("consumer = [{ name = \"a\" }]\nmqtt = { tls.ca = \"f\" }\nserver.port = 2\n");
        assert_eq!(misplaced, []);
        let expected = [
            "+ consumer[0]",
            "1 [0] consumer[0].name=\"a\"",
            "4 [] mqtt.tls.ca=\"f\"",
            "0 [] server.port=2",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_section_that_may_be_repeated_has_both_forms() {
        let (found, misplaced) = walk("[board]\nid = \"a\"\n");
        assert_eq!((found, misplaced), (vec!["5 [] board.id=\"a\"".to_owned()], vec![]));
        let (found, misplaced) = walk("[[board]]\nid = \"a\"\n[[board]]\nid = \"b\"\nx = 1\n");
        let expected =
            ["+ board[0]", "5 [0] board[0].id=\"a\"", "+ board[1]", "5 [1] board[1].id=\"b\""];
        assert_eq!(found, expected);
        assert_eq!(misplaced, [(Mistake::UnknownKey, "board.x".to_owned())]);
        for text in ["board = 1", "board = [1, {}]"] {
            assert_eq!(walk(text).1, [(Mistake::NotASection, "board".to_owned())], "{text}");
        }
    }

    #[test]
    fn what_stands_in_the_wrong_place_is_named_at_any_depth() {
        let (_, misplaced) = walk(
            "x = 1\n[[consumer]]\nnmae = 1\n[consumer.filtr]\n[[server]]\n[mqtt]\ntls = 5\n[colour.deep]\na = 1\n",
        );
        let expected = [
            (Mistake::UnknownSection, "colour"),
            (Mistake::UnknownSection, "consumer.filtr"),
            (Mistake::UnknownKey, "consumer.nmae"),
            (Mistake::NotASection, "mqtt.tls"),
            (Mistake::NotASection, "server"),
            (Mistake::UnknownKey, "x"),
        ];
        let mut got: Vec<_> = misplaced.iter().map(|(kind, path)| (*kind, path.as_str())).collect();
        got.sort_by_key(|(_, path)| *path);
        assert_eq!(got, expected);
        for text in ["consumer = 1", "[consumer]\nname = \"a\"", "consumer = [1, {}]"] {
            assert_eq!(walk(text).1, [(Mistake::NotAList, "consumer".to_owned())], "{text}");
        }
    }
}
