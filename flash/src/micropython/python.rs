//! Programs in Python, as far as pblink has to understand them: what they import, and the id that they give.

/// A piece of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A name or a number.
    Name(String),
    /// A string literal.
    Text(String),
    /// Something else: a sign, or a literal that is not a plain text.
    Sign(char),
    /// The end of a line that does not go on in the next one.
    End,
}

/// A piece, and whether it begins its line without indentation.
type Placed = (Token, bool);

/// An import at the top level of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The module, with the dots in front that make it relative.
    pub module: String,
    /// The names that are taken from it; none for `import module`.
    pub names: Vec<String>,
}

/// Returns the imports of a program that are not behind a condition.
pub fn imports(program: &str) -> Vec<Import> {
    let tokens = tokens(program);
    let mut found = Vec::new();
    for line in tokens.split(|(token, _)| *token == Token::End) {
        let [(Token::Name(word), true), rest @ ..] = line else { continue };
        let rest: Vec<_> = rest.iter().map(|(token, _)| token).collect();
        match word.as_str() {
            "import" => {
                for part in rest.split(|token| **token == Token::Sign(',')) {
                    let module = dotted(part);
                    if !module.is_empty() {
                        found.push(Import { module, names: Vec::new() });
                    }
                }
            }
            "from" => {
                let is_import = |token: &&&Token| matches!(token, Token::Name(n) if n == "import");
                let Some(at) = rest.iter().position(|token| is_import(&token)) else { continue };
                let names = rest[at + 1..]
                    .split(|token| **token == Token::Sign(','))
                    .filter_map(|part| {
                        part.iter().find_map(|token| match token {
                            Token::Name(name) => Some(name.clone()),
                            _ => None,
                        })
                    })
                    .collect();
                found.push(Import { module: dotted(&rest[..at]), names });
            }
            _ => {}
        }
    }
    found
}

/// Returns the module that tokens name: `a.b`, `..a`, before an `as`.
fn dotted(tokens: &[&Token]) -> String {
    let mut module = String::new();
    for token in tokens {
        match token {
            Token::Name(name) if name == "as" => break,
            Token::Name(name) => module += name,
            Token::Sign('.') => module.push('.'),
            _ => {}
        }
    }
    module
}

/// Returns the id that a program for `pb_link` gives, without the newline at its end: the first argument of the call
/// whose second one is the list of the configuration, if it is a literal or a name for one; without such a call the
/// value of `CONN_ID`. `None` if only a run of the program would show it.
pub fn client_id(program: &str) -> Option<String> {
    let tokens = tokens(program);
    let value = |name: &str| {
        tokens.windows(4).find_map(|four| match four {
            [
                (Token::Name(n), true),
                (Token::Sign('='), _),
                (Token::Text(text), _),
                (Token::End, _),
            ] if n == name => Some(text.clone()),
            _ => None,
        })
    };
    let call = tokens.windows(6).find_map(|six| match six {
        [
            (Token::Sign('('), _),
            (first, _),
            (Token::Sign(','), _),
            (Token::Name(_), _),
            (Token::Sign('.'), _),
            (Token::Name(config), _),
        ] if config == "config" => Some(first),
        _ => None,
    });
    let id = match call {
        Some(Token::Text(text)) => Some(text.clone()),
        Some(Token::Name(name)) => value(name),
        Some(_) => None,
        None => value("CONN_ID"),
    }?;
    Some(id.strip_suffix('\n').unwrap_or(&id).to_owned())
}

fn tokens(program: &str) -> Vec<Placed> {
    let program = program.strip_prefix('\u{feff}').unwrap_or(program);
    let mut tokens: Vec<Placed> = Vec::new();
    let mut rest = program;
    let (mut start, mut depth) = (true, 0_u32);
    while let Some(c) = rest.chars().next() {
        let first = std::mem::take(&mut start);
        let mut take = |token| tokens.push((token, first));
        let behind = &rest[c.len_utf8()..];
        rest = match c {
            '\n' if depth == 0 => {
                start = true;
                take(Token::End);
                behind
            }
            '#' => behind.find('\n').map_or("", |at| &behind[at..]),
            // The line goes on.
            '\\' => behind.trim_start_matches('\r').strip_prefix('\n').unwrap_or(behind),
            c if c.is_whitespace() => behind,
            '"' | '\'' => {
                let (text, behind) = text(rest, false);
                take(Token::Text(text));
                behind
            }
            c if c.is_alphanumeric() || c == '_' => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
                let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
                let lower = word.to_ascii_lowercase();
                if behind.starts_with(['"', '\'']) && lower.chars().all(|c| "rbuf".contains(c)) {
                    let (text, behind) = text(behind, lower.contains('r'));
                    // Bytes, and what is computed, are no texts.
                    take(if lower.contains(['b', 'f']) {
                        Token::Sign('"')
                    } else {
                        Token::Text(text)
                    });
                    behind
                } else {
                    take(Token::Name(word.to_owned()));
                    behind
                }
            }
            c => {
                match c {
                    '(' | '[' | '{' => depth += 1,
                    ')' | ']' | '}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                take(Token::Sign(c));
                behind
            }
        };
    }
    tokens.push((Token::End, false));
    tokens
}

/// Returns the text of the literal that `rest` begins with, and what follows it.
fn text(rest: &str, raw: bool) -> (String, &str) {
    let quote = &rest[..1];
    let triple = quote.repeat(3);
    let quote = if rest.starts_with(&triple) { triple.as_str() } else { quote };
    let mut rest = &rest[quote.len()..];
    let mut text = String::new();
    while let Some(c) = rest.chars().next() {
        if let Some(behind) = rest.strip_prefix(quote) {
            return (text, behind);
        }
        rest = &rest[c.len_utf8()..];
        match c {
            // Nobody has closed it.
            '\n' if quote.len() == 1 => break,
            '\\' if raw => {
                text.push(c);
                if let Some(next) = rest.chars().next() {
                    text.push(next);
                    rest = &rest[next.len_utf8()..];
                }
            }
            '\\' => rest = escape(rest, &mut text),
            c => text.push(c),
        }
    }
    (text, rest)
}

/// Reads what follows a backslash.
fn escape<'a>(rest: &'a str, text: &mut String) -> &'a str {
    let Some(c) = rest.chars().next() else { return rest };
    let behind = &rest[c.len_utf8()..];
    let digits = match c {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => {
            match c {
                'n' => text.push('\n'),
                'r' => text.push('\r'),
                't' => text.push('\t'),
                '\n' => {}
                '\\' | '\'' | '"' => text.push(c),
                other => text.extend(['\\', other]),
            }
            return behind;
        }
    };
    let code = behind.get(..digits).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    match code.and_then(char::from_u32) {
        Some(c) => {
            text.push(c);
            &behind[digits..]
        }
        None => behind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(program: &str) -> Vec<(String, String)> {
        imports(program).into_iter().map(|i| (i.module, i.names.join(" "))).collect()
    }

    #[test]
    fn imports_are_those_of_the_top_level() {
        let program = "'''\nimport not_this\n'''\nimport uasyncio as asyncio, gc\nfrom . import a, b as c\n\
                       from ..x.y import (d,\n  e)\ntry:\n    import maybe\nexcept ImportError: pass\n\
                       # import no\nimport \\\n  late # why\n";
        let found = modules(program);
        let expected = [("uasyncio", ""), ("gc", ""), (".", "a b"), ("..x.y", "d e"), ("late", "")];
        assert_eq!(found, expected.map(|(m, n)| (m.to_owned(), n.to_owned())));
    }

    #[test]
    fn an_id_is_found_where_it_is_a_literal() {
        let call = "app = App(NAME, cfg.config, cfg.hardware, True)\n";
        for (program, id) in [
            ("CONN_ID = '1\\n'\n", Some("1")),
            ("CONN_ID = \"kitchen\"  # it is there\r\n", Some("kitchen")),
            (&format!("CONN_ID = '1'\nNAME = 'attic\\n'\n{call}"), Some("attic")),
            ("a = App('caf\\xe9\\n', config.config, h, True)", Some("café")),
            ("a = App(\n    '''two''',  # id\n    cfg.config, h)", Some("two")),
            // The call decides.
            (&format!("CONN_ID = '1'\n{call}"), None),
            (&format!("NAME = name()\n{call}"), None),
            ("a = App(f'{n}', cfg.config, h)", None),
            ("a = App(b'1', cfg.config, h)", None),
            ("# CONN_ID = '1'\n", None),
            ("def f():\n    CONN_ID = '1'\n", None),
            ("CONN_ID = '1' + x\n", None),
            ("s = \"\"\"\nCONN_ID = '1'\n\"\"\"\n", None),
            ("", None),
        ] {
            assert_eq!(client_id(program).as_deref(), id, "{program}");
        }
    }

    #[test]
    fn nonsense_is_read_to_its_end() {
        for text in
            ["'", "'''", "\"\\", "\\", "'\\x", "'\\xzz'", "((((", "))\n'a", "r'\\", "é'\u{0}"]
        {
            imports(text);
            client_id(text);
        }
    }
}
