//! The screen without anything that is not ASCII, for terminals and fonts that have no more.

use ratatui::buffer::Buffer;

/// Replaces every symbol that is not ASCII by one that is.
pub fn reduce(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        let symbol = cell.symbol();
        if !symbol.is_ascii() {
            let plain = plain(symbol);
            cell.set_symbol(plain);
        }
    }
}

/// Returns the nearest sign. A wide one leaves its second cell blank.
fn plain(symbol: &str) -> &'static str {
    match symbol {
        "─" => "-",
        "│" => "|",
        "╭" | "╮" | "╰" | "╯" => "+",
        "·" => ".",
        "…" => "~",
        "●" => "*",
        "○" => "o",
        "✗" => "x",
        "×" => "x",
        "→" => ">",
        "←" => "<",
        "↑" | "▲" => "^",
        "↓" | "▼" => "v",
        "µ" => "u",
        "“" | "”" => "\"",
        // Bars, from low to high.
        "▁" => "_",
        "▂" => ".",
        "▃" => "-",
        "▄" => ":",
        "▅" => "=",
        "▆" => "+",
        "▇" => "%",
        "█" => "#",
        _ => "?",
    }
}
