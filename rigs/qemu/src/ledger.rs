//! The numbered lines that arrived: each once, and in order, or not.

use pblink_emulated_board::numbered;

/// The fate of the lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Account {
    /// The numbers of those that never arrived.
    pub lost: Vec<u32>,
    /// The numbers of those that arrived a second time, directly after the first.
    pub duplicates: Vec<u32>,
}

/// Compares what was received with the lines `0..count`.
///
/// # Panics
/// If a line arrived changed, or out of order.
pub fn account(count: u32, received: &[String]) -> Account {
    let mut account = Account::default();
    let mut next = 0;
    for text in received {
        if next > 0 && text.as_str() == numbered::line(next - 1).as_str() {
            account.duplicates.push(next - 1);
            continue;
        }
        let found = (next..count).find(|&n| text.as_str() == numbered::line(n).as_str());
        let number =
            found.unwrap_or_else(|| panic!("garbled or out of order, {next} was due: {text}"));
        account.lost.extend(next..number);
        next = number + 1;
    }
    account.lost.extend(next..count);
    account
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(numbers: &[u32]) -> Vec<String> {
        numbers.iter().map(|&number| numbered::line(number).as_str().to_owned()).collect()
    }

    #[test]
    fn all_lines_once() {
        assert_eq!(account(5, &lines(&[0, 1, 2, 3, 4])), Account::default());
    }

    #[test]
    fn losses_and_duplicates_are_reported() {
        let expected = Account { lost: vec![0, 3, 5], duplicates: vec![2, 2] };
        assert_eq!(account(6, &lines(&[1, 2, 2, 2, 4])), expected);
    }

    #[test]
    #[should_panic(expected = "out of order")]
    fn an_old_line_is_noticed() {
        account(4, &lines(&[0, 1, 2, 0, 3]));
    }

    #[test]
    fn lines_are_short_and_long_and_never_cut() {
        let len = |n| numbered::line(n).len();
        assert!((0..400).all(|n| numbered::line(n).ends_with("\"]")));
        assert_eq!((0..400).map(len).max(), Some(842));
        assert!((0..400).map(len).min() < Some(16));
    }
}
