//! Changes the text of `pblink.toml`: comments and layout stay.

use toml_edit::{DocumentMut, Item, TableLike};

use super::problem::BYTE_ORDER_MARK;
use super::{Entry, Settings, Value};

/// The commented file that `config init` starts from.
pub(super) const TEMPLATE: &str = pblink_templates::PBLINK_TOML;

/// Returns the template with the values of `settings` in it.
pub(crate) fn filled_template(settings: &Settings) -> String {
    super::KEYS.iter().fold(TEMPLATE.to_owned(), |text, entry| {
        with_value(&text, entry, &entry.get(settings)).expect("the template is valid TOML")
    })
}

/// Returns `text` with another value for one key. Comments and layout stay; a key or section that
/// is not there yet is added.
///
/// # Errors
/// When `text` is not TOML, or what stands for a section is not one.
pub(crate) fn with_value(text: &str, entry: &Entry, value: &Value) -> Result<String, String> {
    with_value_at(text, entry.path, value)
}

/// As [`with_value`], for a key with the number of the list's section that it stands in, as in `board[1].log`.
///
/// # Errors
/// Also when there is no such section.
pub(crate) fn with_value_at(text: &str, path: &str, value: &Value) -> Result<String, String> {
    edited(text, |document| {
        let (table, name) = section_of(document, path, Missing::Added)?;
        let mut new = value.to_toml();
        match table.get_mut(name) {
            Some(Item::Value(old)) => {
                *new.decor_mut() = old.decor().clone();
                *old = new;
            }
            _ => {
                table.insert(name, Item::Value(new));
            }
        }
        Ok(())
    })
}

/// Changes a document; byte order mark and line ends stay.
fn edited(
    text: &str,
    change: impl FnOnce(&mut DocumentMut) -> Result<(), String>,
) -> Result<String, String> {
    let (mark, text) = match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(text) => ("\u{feff}", text),
        None => ("", text),
    };
    let mut document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| {
        // Without the excerpt that `Display` adds: it could show a password.
        e.message().to_owned()
    })?;
    change(&mut document)?;
    let new = document.to_string();
    // toml_edit ends every line with \n; an editor of Windows would see every line changed.
    let windows =
        text.contains("\r\n") && text.matches('\n').count() == text.matches("\r\n").count();
    Ok(format!("{mark}{}", if windows { new.replace('\n', "\r\n") } else { new }))
}

/// Treatment of sections that are not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Added,
    Wrong,
}

/// Walks to the section of a key, and returns it with the key's name in it.
fn section_of<'a, 'p>(
    document: &'a mut DocumentMut,
    path: &'p str,
    missing: Missing,
) -> Result<(&'a mut dyn TableLike, &'p str), String> {
    let (sections, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut table: &mut dyn TableLike = document.as_table_mut();
    for section in sections.split('.').filter(|section| !section.is_empty()) {
        // One of a list: `board[1]`.
        if let Some((list, n)) = section.strip_suffix(']').and_then(|name| name.split_once('[')) {
            let list = table.get_mut(list);
            let element = n.parse().ok().and_then(|n| element(list?, n));
            table = element.ok_or_else(|| format!("there is no [[{section}]]"))?;
            continue;
        }
        if missing == Missing::Wrong && !table.contains_key(section) {
            return Err(format!("there is no `{section}`"));
        }
        table = table
            .entry(section)
            .or_insert_with(toml_edit::table)
            .as_table_like_mut()
            .ok_or_else(|| format!("`{section}` must be a section"))?;
    }
    Ok((table, name))
}

/// Returns a section of a list, be it one of `[[board]]` or of `board = [{…}]`.
fn element(list: &mut Item, n: usize) -> Option<&mut dyn TableLike> {
    match list {
        Item::ArrayOfTables(list) => Some(list.get_mut(n)?),
        Item::Value(list) => Some(list.as_array_mut()?.get_mut(n)?.as_inline_table_mut()?),
        _ => None,
    }
}

/// Returns `text`, from which `settings` were read, without one key: its line, or its place in an inline table. Comments
/// above it stay. `None` if it does not give that key.
pub(crate) fn without_value_at(
    text: &str,
    settings: &Settings,
    path: &str,
) -> Option<Result<String, String>> {
    let span = settings.places.get(path)?.1.clone();
    let start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[span.end..].find('\n').map_or(text.len(), |at| span.end + at + 1);
    let before = text[start..span.start].trim_start_matches(BYTE_ORDER_MARK);
    let after = text[span.end..end].trim_start();
    // A dotted key: `server.port = 1`.
    let dotted = |c: char| c.is_alphanumeric() || "_-.\"' \t".contains(c);
    if before.chars().all(dotted) && (after.is_empty() || after.starts_with('#')) {
        let mark =
            if text[start..].starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
        return Some(Ok(format!("{}{}", &text[..start + mark], &text[end..])));
    }
    Some(edited(text, |document| {
        let (table, name) = section_of(document, path, Missing::Wrong)?;
        table.remove(name).map(drop).ok_or_else(|| format!("cannot remove `{path}`"))
    }))
}

/// Returns `text` without a key that this version does not have any more, and without the comment above it. `None` if it does
/// not stand there.
pub(crate) fn without_former(text: &str, path: &str) -> Option<Result<String, String>> {
    let mut found = true;
    let new = edited(text, |document| {
        found = section_of(document, path, Missing::Wrong)
            .is_ok_and(|(table, name)| table.remove(name).is_some());
        Ok(())
    });
    found.then_some(new)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{entry, read};
    use super::*;

    fn set(text: &str, key: &str, value: Value) -> String {
        with_value(text, entry(key).unwrap(), &value).unwrap()
    }

    #[test]
    fn only_the_value_changes() {
        let text = "# top\n\n[server]   # here\n  port=1# tight\nhost =   'a'  # why\n# end\n";
        assert_eq!(
            set(text, "server.host", "b".into()),
            "# top\n\n[server]   # here\n  port=1# tight\nhost =   \"b\"  # why\n# end\n"
        );
        assert_eq!(set(text, "server.port", Value::Integer(2)), text.replace("=1#", "=2#"));
    }

    #[test]
    fn missing_keys_and_sections_are_added() {
        assert_eq!(set("", "server.port", Value::Integer(2)), "[server]\nport = 2\n");
        assert_eq!(
            set("[server]\nport = 1\n\n[board]\nid = \"1\"\n", "server.host", "b".into()),
            "[server]\nport = 1\nhost = \"b\"\n\n[board]\nid = \"1\"\n"
        );
        assert_eq!(
            set("server = { port = 1 }\n", "server.port", Value::Integer(2)),
            "server = { port = 2 }\n"
        );
        assert_eq!(set("server.port = 1\n", "server.port", Value::Integer(2)), "server.port = 2\n");
    }

    #[test]
    fn sections_in_sections_are_written_too() {
        let ca = |text| with_value_at(text, "mqtt.tls.ca", &"b".into()).unwrap();
        assert_eq!(ca("[mqtt.tls]\nca = \"a\" # why\n"), "[mqtt.tls]\nca = \"b\" # why\n");
        assert!(ca("[mqtt]\nurl = \"u\"\n").contains("[mqtt.tls]\nca = \"b\"\n"));
        assert!(with_value_at("mqtt = 1\n", "mqtt.tls.ca", &"b".into()).is_err());
    }

    #[test]
    fn line_ends_of_windows_and_a_byte_order_mark_stay() {
        let text = "\u{feff}# a\r\n[server]\r\nport = 1\r\n# b\r\n";
        assert_eq!(set(text, "server.port", Value::Integer(2)), text.replace('1', "2"));
    }

    #[test]
    fn they_stay_too_when_a_key_of_an_inline_table_goes() {
        let text = "\u{feff}# a\r\nserver = { port = 1, host = \"a\" }\r\n# b\r\n";
        let (settings, problems) = read(Path::new("pblink.toml"), text);
        assert_eq!(problems, []);
        let new = without_value_at(text, &settings, "server.port").unwrap().unwrap();
        assert_eq!(new.replace("{  host", "{ host"), text.replace("port = 1, ", ""));
    }

    #[test]
    fn a_former_key_goes_with_its_comment_and_nothing_else_does() {
        let rest = "# top\r\n[link]\r\n# keys\r\nkeys = \"\"\r\n";
        let text = rest.replace("# keys", "# how\r\nprotocol = \"classic\"\r\n# keys");
        assert_eq!(without_former(&text, "link.protocol"), Some(Ok(rest.to_owned())));
        assert_eq!(without_former(rest, "link.protocol"), None);
        assert_eq!(without_former("", "link.protocol"), None);
        let dotted = "link.protocol = \"classic\"\nserver.port = 1\n";
        assert_eq!(without_former(dotted, "link.protocol"), Some(Ok("server.port = 1\n".into())));
        assert!(without_former("link.protocol = ", "link.protocol").unwrap().is_err());
    }

    #[test]
    fn boards_in_an_inline_list_can_be_changed_as_well_as_cut() {
        let text = "board = [{ id = \"a\", log = \"off\" }, { id = \"b\" }]\n";
        let set = |path, value: &str| with_value_at(text, path, &value.into());
        assert_eq!(set("board[0].log", "lines"), Ok(text.replace("off", "lines")));
        let added = set("board[1].log", "all").unwrap();
        assert!(added.contains("id = \"b\"") && added.contains("log = \"all\""), "{added}");
        assert_eq!(added.lines().count(), 1, "{added}");
        assert_eq!(set("board[2].log", "all"), Err("there is no [[board[2]]]".to_owned()));
    }

    #[test]
    fn the_template_filled_with_defaults_is_the_template() {
        assert_eq!(filled_template(&Settings::default()), TEMPLATE);
    }
}
