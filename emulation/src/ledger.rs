//! Numbered lines, and whether each arrived once and in order.

/// The line with this number. Every seventh is longer than one payload of the I2C exchange, so that it
/// has to be split.
pub fn line(direction: &str, number: usize) -> String {
    let padding = if number % 7 == 3 { 150 + 97 * (number % 8) } else { number % 23 };
    format!("[\"{direction}\", {number}, \"{}\"]", "é·x".repeat(padding / 5))
}

/// What came of a direction's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// Lines that never arrived.
    pub lost: usize,
    /// Lines that arrived a second time, directly after the first.
    pub doubled: usize,
}

/// Compares what was received with the lines `0..count` of `direction`.
///
/// # Panics
/// If a line arrived changed, or out of order.
pub fn account(direction: &str, count: usize, received: &[String]) -> Account {
    let mut account = Account::default();
    let mut next = 0;
    for text in received {
        if next > 0 && *text == line(direction, next - 1) {
            account.doubled += 1;
            continue;
        }
        let found = (next..count).find(|&number| *text == line(direction, number));
        let number = found.unwrap_or_else(|| {
            panic!("{direction}: garbled or out of order, {next} was expected: {text}")
        });
        account.lost += number - next;
        next = number + 1;
    }
    account.lost += count - next;
    account
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(numbers: &[usize]) -> Vec<String> {
        numbers.iter().map(|&number| line("up", number)).collect()
    }

    #[test]
    fn all_lines_once() {
        assert_eq!(account("up", 5, &lines(&[0, 1, 2, 3, 4])), Account::default());
    }

    #[test]
    fn losses_and_doubles_are_counted() {
        let expected = Account { lost: 3, doubled: 2 };
        assert_eq!(account("up", 6, &lines(&[1, 2, 2, 2, 4])), expected);
    }

    #[test]
    #[should_panic(expected = "out of order")]
    fn an_old_line_is_noticed() {
        account("up", 4, &lines(&[0, 1, 2, 0, 3]));
    }
}
