//! Weaves mutants into a file, each behind its switch.
//!
//! `a + b` becomes `(if on(7) { a - b } else { a + b })`, a body begins with `if on(8) { return true; }`, and the arm of a match gets a guard.
//! Within an expression that is a branch of another's, mutants of its parts stand in the branch that is as it was: one runs at a time.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Range;

use proc_macro2::LineColumn;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::list::{Genre, Mutant, Place};

/// A file with mutants.
#[derive(Debug)]
pub struct Woven {
    /// Its text.
    pub text: String,
    /// The parts of the text that belong to one mutant, or to all of one expression; the shortest come first.
    pub parts: Vec<Part>,
    /// The mutants that are in it.
    pub mutants: Vec<u32>,
    /// Those in a `const fn`: their values may be computed by the compiler, where no switch is asked.
    pub constant: Vec<u32>,
}

/// A part of a woven file.
#[derive(Debug)]
pub struct Part {
    /// Its bytes.
    pub bytes: Range<usize>,
    /// Its mutants.
    pub mutants: Vec<u32>,
    /// It is a guard that takes an arm out.
    pub is_arm: bool,
}

/// An expression or place that gets switches.
#[derive(Debug)]
struct Wrap {
    at: Range<usize>,
    /// Of two around the same text, the lower one is outside.
    rank: u8,
    open: &'static str,
    /// The switches, with their mutants.
    switches: Vec<(u32, String)>,
    /// Before the text itself, and behind it.
    around: [&'static str; 2],
    is_arm: bool,
}

/// Returns the path of the switch, with a mutant's number.
fn on(number: u32) -> String {
    format!("::pblink_mutant_switch::on({number})")
}

/// Weaves as many of these mutants into a file as go behind a switch.
///
/// # Errors
/// If the file is not Rust.
pub fn weave(text: &str, mutants: &[(u32, &Mutant)]) -> syn::Result<Woven> {
    let mut found = Found::default();
    found.visit_file(&syn::parse_file(text)?);
    for function in std::mem::take(&mut found.constant_places) {
        found.constant.push(function.start.byte(text)..function.end.byte(text));
    }
    let mut wraps: HashMap<(usize, usize, u8), Wrap> = HashMap::new();
    let mut woven =
        Woven { text: String::new(), parts: Vec::new(), mutants: Vec::new(), constant: Vec::new() };
    // Of the two of a guard, the true one comes first: `(true || !false && (guard))`.
    let mut ordered = mutants.to_vec();
    ordered.sort_by_key(|(_, mutant)| {
        mutant.genre == Genre::MatchArmGuard && mutant.replacement != "true"
    });
    for (number, mutant) in ordered {
        let Some((wrap, switch)) = found.wrap(text, number, mutant) else { continue };
        let key = (wrap.at.start, wrap.at.end, wrap.rank);
        wraps.entry(key).or_insert(wrap).switches.push((number, switch));
        woven.mutants.push(number);
        let at = mutant.span.start.byte(text);
        if found.constant.iter().any(|function| function.contains(&at)) {
            woven.constant.push(number);
        }
    }
    let mut wraps: Vec<Wrap> = wraps.into_values().collect();
    // From the outside to the inside, and what is around nothing first.
    wraps.sort_by_key(|wrap| (wrap.at.start, !wrap.at.is_empty(), Reverse(wrap.at.end), wrap.rank));
    woven.write(text, &wraps);
    woven.parts.sort_by_key(|part| part.bytes.len());
    Ok(woven)
}

impl Woven {
    fn write(&mut self, text: &str, wraps: &[Wrap]) {
        // Wraps that are open, with the place where they begin.
        let mut open: Vec<(&Wrap, usize)> = Vec::new();
        let mut done = 0;
        for wrap in wraps {
            self.close(text, &mut open, &mut done, wrap.at.start);
            self.text += &text[done..wrap.at.start];
            done = wrap.at.start;
            let began = self.text.len();
            self.text += wrap.open;
            for (number, switch) in &wrap.switches {
                let from = self.text.len();
                self.text += switch;
                self.part(from, vec![*number], wrap.is_arm);
            }
            self.text += wrap.around[0];
            if wrap.at.is_empty() {
                self.text += wrap.around[1];
            } else {
                open.push((wrap, began));
            }
        }
        self.close(text, &mut open, &mut done, text.len());
        self.text += &text[done..];
    }

    /// Closes the wraps that end until there.
    fn close(
        &mut self,
        text: &str,
        open: &mut Vec<(&Wrap, usize)>,
        done: &mut usize,
        until: usize,
    ) {
        while let Some((wrap, began)) = open.pop_if(|(wrap, _)| wrap.at.end <= until) {
            self.text += &text[*done..wrap.at.end];
            *done = wrap.at.end;
            self.text += wrap.around[1];
            let mutants = wrap.switches.iter().map(|(number, _)| *number).collect();
            self.part(began, mutants, false);
        }
    }

    fn part(&mut self, from: usize, mutants: Vec<u32>, is_arm: bool) {
        self.parts.push(Part { bytes: from..self.text.len(), mutants, is_arm });
    }

    /// Returns the mutants of the shortest part around these bytes: those whose own it is if they lie within one, or all of an expression.
    pub fn around(&self, bytes: &Range<usize>) -> Option<&[u32]> {
        let within = |part: &&Part| part.bytes.start <= bytes.start && bytes.end <= part.bytes.end;
        self.parts.iter().find(within).map(|part| &part.mutants[..])
    }

    /// Returns the mutant that takes out the last arm which begins before this byte.
    pub fn arm_before(&self, byte: usize) -> Option<u32> {
        let arms = self.parts.iter().filter(|part| part.is_arm && part.bytes.start <= byte);
        arms.max_by_key(|part| part.bytes.start).map(|part| part.mutants[0])
    }
}

/// Expressions and arms of a file, by the places that cargo-mutants names.
#[derive(Debug, Default)]
struct Found {
    /// By the operator. Not those of a chain of `let`, which is no expression.
    operations: HashMap<Place, Range<Place>>,
    /// By the beginning: the end of the pattern, and the guard.
    arms: HashMap<Place, (Place, Option<Range<Place>>)>,
    /// Functions that are `const`.
    constant_places: Vec<Range<Place>>,
    /// Their bytes.
    constant: Vec<Range<usize>>,
}

const fn place(at: LineColumn) -> Place {
    Place { line: at.line, column: at.column + 1 }
}

fn range(node: &impl Spanned) -> Range<Place> {
    place(node.span().start())..place(node.span().end())
}

/// Returns true if this is a chain of `let`, or a part of one.
fn has_let(expr: &syn::Expr) -> bool {
    match expr {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(both) => {
            matches!(both.op, syn::BinOp::And(_)) && (has_let(&both.left) || has_let(&both.right))
        }
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Found {
    fn visit_expr_binary(&mut self, both: &'ast syn::ExprBinary) {
        if !has_let(&both.left) && !has_let(&both.right) {
            self.operations.insert(range(&both.op).start, range(both));
        }
        visit::visit_expr_binary(self, both);
    }

    // What the compiler computes asks no switch: lengths, arguments of types, constants.
    fn visit_expr_repeat(&mut self, repeat: &'ast syn::ExprRepeat) {
        self.visit_expr(&repeat.expr);
    }

    fn visit_type_array(&mut self, array: &'ast syn::TypeArray) {
        self.visit_type(&array.elem);
    }

    fn visit_generic_argument(&mut self, argument: &'ast syn::GenericArgument) {
        if !matches!(argument, syn::GenericArgument::Const(_)) {
            visit::visit_generic_argument(self, argument);
        }
    }

    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}

    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}

    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        if function.sig.constness.is_some() {
            self.constant_places.push(range(function));
        }
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if function.sig.constness.is_some() {
            self.constant_places.push(range(function));
        }
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_expr_unary(&mut self, one: &'ast syn::ExprUnary) {
        self.operations.insert(range(&one.op).start, range(one));
        visit::visit_expr_unary(self, one);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let guard = arm.guard.as_ref().map(|(_, guard)| range(guard));
        self.arms.insert(range(arm).start, (range(&arm.pat).end, guard));
        visit::visit_arm(self, arm);
    }
}

impl Found {
    /// Returns what a mutant's switch is put around, and the switch; `None`: it has no place for one.
    fn wrap(&self, text: &str, number: u32, mutant: &Mutant) -> Option<(Wrap, String)> {
        let on = on(number);
        let out = mutant.span.start.byte(text)..mutant.span.end.byte(text);
        let wrap = |at, rank, open, around| Wrap {
            at,
            rank,
            open,
            switches: Vec::new(),
            around,
            is_arm: mutant.genre == Genre::MatchArm,
        };
        Some(match mutant.genre {
            Genre::FnValue => {
                let switch = format!("if {on} {{ return {}; }} ", mutant.replacement);
                // Before whatever else begins there.
                (wrap(out.start..out.start, 0, "", ["", ""]), switch)
            }
            Genre::BinaryOperator | Genre::UnaryOperator => {
                // Outside of functions are constants.
                mutant.function.as_ref()?;
                let whole = self.operations.get(&mutant.span.start)?;
                let whole = whole.start.byte(text)..whole.end.byte(text);
                let (before, behind) = (&text[whole.start..out.start], &text[out.end..whole.end]);
                let changed = format!("{before}{}{behind}", mutant.replacement);
                let switch = format!("if {on} {{ {changed} }} else ");
                (wrap(whole, 2, "(", ["{ ", " })"]), switch)
            }
            Genre::MatchArmGuard if mutant.replacement == "true" => {
                (wrap(out, 1, "(", ["(", "))"]), format!("{on} || "))
            }
            Genre::MatchArmGuard => (wrap(out, 1, "(", ["(", "))"]), format!("!{on} && ")),
            Genre::MatchArm => match self.arms.get(&mutant.span.start)? {
                (_, Some(guard)) => {
                    let guard = guard.start.byte(text)..guard.end.byte(text);
                    (wrap(guard, 0, "", ["(", ")"]), format!("!{on} && "))
                }
                (end, None) => {
                    let end = end.byte(text);
                    (wrap(end..end, 0, "", ["", ""]), format!(" if !{on}"))
                }
            },
            Genre::StructField => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::Span;

    /// Returns the mutant of the `n`th time that `out` stands in the text.
    fn mutant(text: &str, genre: Genre, out: &str, n: usize, replacement: &str) -> Mutant {
        let at = text.match_indices(out).nth(n).unwrap().0;
        let place = |byte: usize| {
            let line = text[..byte].matches('\n').count() + 1;
            let start = text[..byte].rfind('\n').map_or(0, |end| end + 1);
            Place { line, column: text[start..byte].chars().count() + 1 }
        };
        Mutant {
            name: String::new(),
            file: String::new(),
            function: Some(crate::list::Function { function_name: String::new() }),
            genre,
            replacement: replacement.into(),
            span: Span { start: place(at), end: place(at + out.len()) },
        }
    }

    fn woven(text: &str, mutants: &[Mutant]) -> Woven {
        let numbered: Vec<_> = mutants.iter().enumerate().map(|(n, m)| (n as u32, m)).collect();
        let mut woven = weave(text, &numbered).unwrap();
        syn::parse_file(&woven.text).unwrap_or_else(|error| panic!("{error}: {}", woven.text));
        woven.text = woven.text.replace("::pblink_mutant_switch::", "");
        woven
    }

    #[test]
    fn operators_within_one_another_each_have_a_branch_of_their_own() {
        let text = "fn f(a: u8) -> bool { !(a * 2 + 1 > 7) }";
        let mutants = [
            mutant(text, Genre::BinaryOperator, "+", 0, "-"),
            mutant(text, Genre::BinaryOperator, "*", 0, "+"),
            mutant(text, Genre::BinaryOperator, "+", 0, "*"),
            mutant(text, Genre::UnaryOperator, "!", 0, ""),
            mutant(text, Genre::FnValue, "!(a * 2 + 1 > 7)", 0, "true"),
        ];
        let woven = woven(text, &mutants);
        assert_eq!(
            woven.text,
            "fn f(a: u8) -> bool { if on(4) { return true; } (if on(3) { (a * 2 + 1 > 7) } else { !(\
             (if on(0) { a * 2 - 1 } else if on(2) { a * 2 * 1 } else { (if on(1) { a + 2 } else { a * 2 }) + 1 }) > 7) }) }"
        );
        assert_eq!(woven.mutants, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_guard_can_be_true_or_false_and_its_arm_can_go() {
        let text = "fn f(a: u8) -> u8 { match a { é @ 1 if é > 0 => 1, 2 => 3, _ => 4 } }";
        let mutants = [
            mutant(text, Genre::MatchArmGuard, "é > 0", 0, "false"),
            mutant(text, Genre::MatchArmGuard, "é > 0", 0, "true"),
            mutant(text, Genre::BinaryOperator, ">", 1, ">="),
            mutant(text, Genre::MatchArm, "é @ 1 if é > 0 => 1,", 0, ""),
            mutant(text, Genre::MatchArm, "2 => 3,", 0, ""),
        ];
        let woven = woven(text, &mutants);
        assert_eq!(
            woven.text,
            "fn f(a: u8) -> u8 { match a { é @ 1 if !on(3) && ((on(1) || !on(0) && ((if on(2) { é >= 0 } else { é > 0 })))) => 1, \
             2 if !on(4) => 3, _ => 4 } }"
        );
    }

    #[test]
    fn what_has_no_place_for_a_switch_is_left_out() {
        let text = "const A: u8 = 1 + 2; fn f(a: Option<u8>) { if let Some(b) = a && b > 1 {} \
                    let c: [u8; 2 - 1] = [0; 3 - 2]; const D: u8 = 4 - 3; g::<{ 5 - 4 }>(); }";
        let mut outside = mutant(text, Genre::BinaryOperator, "+", 0, "-");
        outside.function = None;
        let mutants = [
            outside,
            mutant(text, Genre::BinaryOperator, "&&", 0, "||"),
            mutant(text, Genre::BinaryOperator, ">", 1, "<"),
            mutant(text, Genre::BinaryOperator, "-", 0, "+"),
            mutant(text, Genre::BinaryOperator, "-", 1, "+"),
            mutant(text, Genre::BinaryOperator, "-", 2, "+"),
            mutant(text, Genre::BinaryOperator, "-", 3, "+"),
        ];
        assert_eq!(woven(text, &mutants).mutants, [2]);
    }

    #[test]
    fn an_error_of_the_compiler_belongs_to_the_shortest_part_around_it() {
        let text = "fn f(a: u8) -> u8 { a + 1 }";
        let mutants = [
            mutant(text, Genre::BinaryOperator, "+", 0, "-"),
            mutant(text, Genre::BinaryOperator, "+", 0, "*"),
        ];
        let numbered: Vec<_> = mutants.iter().enumerate().map(|(n, m)| (n as u32, m)).collect();
        let woven = weave(text, &numbered).unwrap();
        let at = |part: &str| woven.text.find(part).map(|at| at..at + part.len()).unwrap();
        assert_eq!(woven.around(&at("a - 1")), Some(&[0][..]));
        assert_eq!(woven.around(&at("a * 1")), Some(&[1][..]));
        assert_eq!(woven.around(&at("{ a + 1 }")), Some(&[0, 1][..]));
        assert_eq!(woven.around(&at("fn f")), None);
    }
}
