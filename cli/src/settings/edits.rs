//! Changes the text of `pblink.toml`: comments and layout stay.

use toml_edit::{DocumentMut, Item};

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
    let (mark, text) = match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(text) => ("\u{feff}", text),
        None => ("", text),
    };
    let mut document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| {
        // Without the excerpt that `Display` adds: it could show a password.
        e.message().to_owned()
    })?;
    let (sections, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut table: &mut dyn toml_edit::TableLike = document.as_table_mut();
    for section in sections.split('.').filter(|section| !section.is_empty()) {
        // One of a list: `board[1]`.
        if let Some((list, n)) = section.strip_suffix(']').and_then(|name| name.split_once('[')) {
            let list = table.get_mut(list).and_then(Item::as_array_of_tables_mut);
            let element = n.parse().ok().and_then(|n: usize| list?.get_mut(n));
            table = element.ok_or_else(|| format!("there is no [[{section}]]"))?;
            continue;
        }
        table = table
            .entry(section)
            .or_insert_with(toml_edit::table)
            .as_table_like_mut()
            .ok_or_else(|| format!("`{section}` must be a section"))?;
    }
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
    let new = document.to_string();
    // toml_edit ends every line with \n; an editor of Windows would see every line changed.
    let windows =
        text.contains("\r\n") && text.matches('\n').count() == text.matches("\r\n").count();
    Ok(format!("{mark}{}", if windows { new.replace('\n', "\r\n") } else { new }))
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
    Some(without_inline(text, path))
}

fn without_inline(text: &str, path: &str) -> Result<String, String> {
    let mut document: DocumentMut =
        text.parse().map_err(|e: toml_edit::TomlError| e.message().to_owned())?;
    let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
    let (section, n) = match section.strip_suffix(']').and_then(|list| list.split_once('[')) {
        Some((list, n)) => (list, n.parse::<usize>().ok()),
        None => (section, None),
    };
    let item = document.get_mut(section).ok_or_else(|| format!("there is no `{section}`"))?;
    let table = match n {
        Some(n) => match item {
            Item::ArrayOfTables(list) => {
                list.get_mut(n).map(|table| table as &mut dyn toml_edit::TableLike)
            }
            Item::Value(list) => list
                .as_array_mut()
                .and_then(|list| list.get_mut(n))
                .and_then(|table| table.as_inline_table_mut())
                .map(|table| table as &mut dyn toml_edit::TableLike),
            _ => None,
        },
        None => item.as_table_like_mut(),
    };
    table.and_then(|table| table.remove(name)).ok_or_else(|| format!("cannot remove `{path}`"))?;
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::entry;
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
    fn the_template_filled_with_defaults_is_the_template() {
        assert_eq!(filled_template(&Settings::default()), TEMPLATE);
    }
}
