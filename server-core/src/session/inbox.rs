//! The lines that have arrived and that the application has not accepted yet.
//!
//! A line *waits* until it is taken. It may be taken for good, *lent* (it waits again, at its old place,
//! if it is given back) or taken with all the others as a *batch*.

use std::collections::VecDeque;
use std::sync::Arc;

use super::texts::{Lines, Tag};
use crate::buffers::KEEP;

/// Bytes that a line counts for beside its text: about the memory that is needed to remember it.
const LINE: usize = 32;

/// They count for this at most, if they are few.
const SMALL: usize = 4096;

/// A queue of lines, each with its receipt `R`. Those that were never lent are in one text: no allocation for
/// each line, and no second look at whether it is UTF-8.
#[derive(Debug)]
pub(crate) struct Inbox<R> {
    /// The texts of `heads`, one behind the other, from `from` on.
    texts: String,
    from: usize,
    heads: VecDeque<Head<R>>,
    /// Lines that are, or were, lent: older than all in `texts`, in order.
    lent: VecDeque<Lent<R>>,
    next_loan: u64,
    /// Bytes of the texts in `lent`.
    lent_bytes: usize,
    /// The numbers of lines of `lent` and of `heads` that are out as a batch, if there is one.
    batch: Option<(usize, usize)>,
}

#[derive(Debug)]
struct Head<R> {
    receipt: R,
    /// Lines are bounded far below 4 GiB by the builder.
    len: u32,
    tag: Tag,
}

#[derive(Debug)]
struct Lent<R> {
    loan: Loan,
    receipt: R,
    text: Arc<str>,
    tag: Tag,
    /// It is with the application; otherwise it was given back, and waits.
    out: bool,
}

/// Names a line that was lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Loan(u64);

/// A line that was taken for good.
#[derive(Debug)]
pub(crate) struct Taken<R> {
    pub(crate) receipt: R,
    pub(crate) report: bool,
}

impl<R> Default for Inbox<R> {
    fn default() -> Self {
        Self {
            texts: String::new(),
            from: 0,
            heads: VecDeque::new(),
            lent: VecDeque::new(),
            next_loan: 0,
            lent_bytes: 0,
            batch: None,
        }
    }
}

impl<R> Inbox<R> {
    /// Returns the number of lines that are not accepted.
    pub(crate) fn len(&self) -> usize {
        self.lent.len() + self.heads.len()
    }

    /// Returns the bytes that they count for.
    pub(crate) fn cost(&self) -> usize {
        self.bytes() + self.len() * LINE
    }

    /// Returns true if they are few or short: a client that waits for each of its lines has no more.
    pub(crate) fn is_small(&self) -> bool {
        self.cost() <= SMALL
    }

    /// Returns the bytes of their texts.
    pub(crate) fn bytes(&self) -> usize {
        self.texts.len() - self.from + self.lent_bytes
    }

    /// Returns the bytes that a line with this text counts for.
    pub(crate) const fn cost_of(text: &str) -> usize {
        text.len() + LINE
    }

    /// Returns true if a line can be taken.
    pub(crate) fn is_waiting(&self) -> bool {
        self.batch.is_none() && (!self.heads.is_empty() || self.lent.iter().any(|lent| !lent.out))
    }

    /// Returns the receipts of all lines that are not accepted, the oldest first.
    pub(crate) fn receipts(&self) -> impl Iterator<Item = &R> {
        let lent = self.lent.iter().map(|lent| &lent.receipt);
        lent.chain(self.heads.iter().map(|head| &head.receipt))
    }

    /// Returns the receipt of a line that is lent.
    pub(crate) fn receipt(&self, loan: Loan) -> Option<&R> {
        self.find(loan).map(|at| &self.lent[at].receipt)
    }

    /// Returns true while the application has lines that it has neither accepted nor given back.
    pub(crate) fn is_out(&self) -> bool {
        self.batch.is_some() || self.lent.iter().any(|lent| lent.out)
    }

    #[inline]
    pub(crate) fn push(&mut self, text: &str, receipt: R, tag: Tag) {
        if self.texts.len() + text.len() > self.texts.capacity() {
            self.move_up();
        }
        self.texts.push_str(text);
        self.heads.push_back(Head { receipt, len: text.len() as u32, tag });
    }

    /// Moves the oldest waiting line into `line`, in place of what it held.
    #[inline]
    pub(crate) fn take_into(&mut self, line: &mut String) -> Option<Taken<R>> {
        if self.batch.is_some() {
            return None;
        }
        if !self.lent.is_empty()
            && let Some(at) = self.lent.iter().position(|lent| !lent.out)
        {
            let lent = self.remove_lent(at)?;
            line.clear();
            line.push_str(&lent.text);
            return Some(Taken { receipt: lent.receipt, report: lent.tag.report });
        }
        let head = self.heads.pop_front()?;
        line.clear();
        line.push_str(self.first_text(&head));
        self.consume(head.len as usize);
        Some(Taken { receipt: head.receipt, report: head.tag.report })
    }

    /// Returns the first text, whose head this is.
    fn first_text(&self, head: &Head<R>) -> &str {
        &self.texts[self.from..self.from + head.len as usize]
    }

    /// Takes so many bytes of whole texts out.
    fn consume(&mut self, bytes: usize) {
        self.from += bytes;
        if self.from == self.texts.len() {
            self.texts.clear();
            self.from = 0;
        }
    }

    /// Uses the place of texts that were taken out, before more memory is asked for. No more is moved than was taken out.
    #[cold]
    fn move_up(&mut self) {
        if self.from >= self.texts.len() / 2 {
            self.texts.drain(..self.from);
            self.from = 0;
        }
    }

    fn remove_lent(&mut self, at: usize) -> Option<Lent<R>> {
        let lent = self.lent.remove(at)?;
        self.lent_bytes -= lent.text.len();
        Some(lent)
    }

    /// Lends the oldest waiting line: its loan, its text, and whether it is a report.
    pub(crate) fn lend(&mut self) -> Option<(Loan, Arc<str>, bool)> {
        if self.batch.is_some() {
            return None;
        }
        if let Some(lent) = self.lent.iter_mut().find(|lent| !lent.out) {
            lent.out = true;
            return Some((lent.loan, Arc::clone(&lent.text), lent.tag.report));
        }
        let head = self.heads.pop_front()?;
        let text: Arc<str> = self.first_text(&head).into();
        self.consume(head.len as usize);
        let loan = Loan(self.next_loan);
        self.next_loan += 1;
        self.lent_bytes += text.len();
        let Head { receipt, tag, .. } = head;
        self.lent.push_back(Lent { loan, receipt, text: Arc::clone(&text), tag, out: true });
        Some((loan, text, tag.report))
    }

    fn find(&self, loan: Loan) -> Option<usize> {
        // Loans are in order, since lines are lent in order and only ever leave.
        self.lent.binary_search_by_key(&loan, |lent| lent.loan).ok()
    }

    /// Puts a line that was lent back, in front of all that came behind it.
    pub(crate) fn give_back(&mut self, loan: Loan) {
        if let Some(at) = self.find(loan) {
            self.lent[at].out = false;
        }
    }

    /// Accepts a line that was lent. Returns its receipt.
    pub(crate) fn accept(&mut self, loan: Loan) -> Option<R> {
        let at = self.find(loan)?;
        self.remove_lent(at).map(|lent| lent.receipt)
    }

    /// Lends all waiting lines as a batch, which may be empty. `None` if the application has some already.
    pub(crate) fn lend_all(&mut self) -> Option<Lines> {
        if self.is_out() {
            return None;
        }
        let mut lines = Lines::with_room(self.len(), self.bytes());
        for lent in &self.lent {
            lines.extend(&lent.text, std::iter::once((lent.text.len() as u32, lent.tag)));
        }
        let heads = self.heads.iter().map(|head| (head.len, head.tag));
        lines.extend(&self.texts[self.from..], heads);
        self.batch = Some((self.lent.len(), self.heads.len()));
        Some(lines)
    }

    /// Accepts all lines of the batch: hands their receipts to `each`.
    pub(crate) fn accept_batch(&mut self, mut each: impl FnMut(R)) {
        let Some((lent, heads)) = self.batch.take() else { return };
        for lent in self.lent.drain(..lent) {
            self.lent_bytes -= lent.text.len();
            each(lent.receipt);
        }
        let mut bytes = 0;
        for head in self.heads.drain(..heads) {
            bytes += head.len as usize;
            each(head.receipt);
        }
        self.consume(bytes);
    }

    /// Puts all lines of the batch back: they wait again.
    pub(crate) fn give_batch_back(&mut self) {
        self.batch = None;
    }

    /// Puts all lines back whose holders will not return: they wait again.
    pub(crate) fn give_all_back(&mut self) {
        self.batch = None;
        for lent in &mut self.lent {
            lent.out = false;
        }
    }

    /// Gives back memory that an idle link does not need.
    pub(crate) fn shrink(&mut self) {
        if self.texts.capacity() > KEEP {
            self.texts.drain(..self.from);
            self.from = 0;
            self.texts.shrink_to(KEEP);
        }
        if self.heads.capacity() > KEEP / size_of::<Head<R>>() {
            self.heads.shrink_to(KEEP / size_of::<Head<R>>());
        }
        if self.lent.is_empty() {
            self.lent = VecDeque::new();
        }
    }

    /// Gives back all memory, when it is empty.
    pub(crate) fn give_memory_back(&mut self) {
        self.texts = String::new();
        self.from = 0;
        self.heads = VecDeque::new();
        self.lent = VecDeque::new();
    }

    /// Bytes of memory that it keeps, apart from lent texts.
    #[cfg(test)]
    fn memory(&self) -> usize {
        self.texts.capacity()
            + self.heads.capacity() * size_of::<Head<R>>()
            + self.lent.capacity() * size_of::<Lent<R>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(report: bool) -> Tag {
        Tag { report, restarts: 0 }
    }

    fn text(n: usize) -> String {
        format!("{n} äöü €").repeat(n % 7 + 1)
    }

    fn filled(lines: usize) -> Inbox<usize> {
        let mut inbox = Inbox::default();
        for n in 0..lines {
            inbox.push(&text(n), n, tag(false));
        }
        inbox
    }

    /// Takes the oldest line, which must be this one.
    fn expect(inbox: &mut Inbox<usize>, n: usize) {
        let mut line = "before".to_owned();
        let taken = inbox.take_into(&mut line).expect("a line waits");
        assert_eq!((taken.receipt, line), (n, text(n)));
    }

    #[test]
    fn lines_come_out_as_they_went_in_while_the_queue_moves_on() {
        let mut inbox = Inbox::default();
        let mut read = 0;
        for n in 0..500 {
            inbox.push(&text(n), n, tag(false));
            if n % 3 != 0 {
                expect(&mut inbox, read);
                read += 1;
            }
        }
        assert_eq!(inbox.len(), 500 - read);
        let cost = (read..500).map(|n| Inbox::<usize>::cost_of(&text(n))).sum::<usize>();
        assert_eq!(inbox.cost(), cost);
        for n in read..500 {
            expect(&mut inbox, n);
        }
        assert_eq!((inbox.len(), inbox.cost(), inbox.is_waiting()), (0, 0, false));
        inbox.shrink();
        assert!(inbox.texts.is_empty());
        assert!(inbox.memory() <= 4 * KEEP, "{}", inbox.memory());
    }

    #[test]
    fn a_queue_that_is_never_empty_does_not_grow() {
        let mut inbox = filled(100);
        let most = 4 * (inbox.texts.len() + KEEP);
        for n in 100..20_000 {
            inbox.push(&text(n), n, tag(false));
            expect(&mut inbox, n - 100);
            assert!(inbox.texts.len() <= most, "{}", inbox.texts.len());
        }
        inbox.shrink();
        for n in 19_900..20_000 {
            expect(&mut inbox, n);
        }
    }

    #[test]
    fn an_empty_text_is_a_line_too() {
        let mut inbox = Inbox::default();
        inbox.push("", 7, tag(true));
        let mut line = "before".to_owned();
        let taken = inbox.take_into(&mut line).expect("a line waits");
        assert_eq!((line.as_str(), taken.receipt, taken.report), ("", 7, true));
        assert!(inbox.take_into(&mut line).is_none());
    }

    #[test]
    fn what_is_given_back_waits_at_its_old_place() {
        let mut inbox = filled(6);
        let loans: Vec<_> = (0..4).map(|_| inbox.lend().expect("a line waits").0).collect();
        assert_eq!((inbox.len(), inbox.is_out()), (6, true));
        // Accepted and given back in any order.
        assert_eq!(inbox.accept(loans[2]), Some(2));
        assert_eq!(inbox.accept(loans[2]), None);
        inbox.give_back(loans[3]);
        inbox.give_back(loans[1]);
        let (again, again_text, _) = inbox.lend().expect("a line waits");
        assert_eq!((again, &*again_text), (loans[1], text(1).as_str()));
        expect(&mut inbox, 3);
        expect(&mut inbox, 4);
        inbox.give_back(loans[0]);
        expect(&mut inbox, 0);
        assert_eq!(inbox.accept(again), Some(1));
        expect(&mut inbox, 5);
        assert_eq!((inbox.len(), inbox.cost(), inbox.is_out()), (0, 0, false));
    }

    #[test]
    fn a_batch_is_all_that_waits_and_what_comes_meanwhile_waits_behind_it() {
        let mut inbox = filled(5);
        let (loan, ..) = inbox.lend().expect("a line waits");
        assert!(inbox.lend_all().is_none(), "the application has a line");
        inbox.give_back(loan);
        let lines = inbox.lend_all().expect("no line is out");
        let texts: Vec<_> = lines.iter().map(|(text, ..)| text.to_owned()).collect();
        assert_eq!(texts, (0..5).map(text).collect::<Vec<_>>());
        // Nobody overtakes it.
        inbox.push(&text(5), 5, tag(false));
        assert!(!inbox.is_waiting() && inbox.lend().is_none());
        assert!(inbox.take_into(&mut String::new()).is_none());
        inbox.give_batch_back();
        assert!(inbox.lend_all().is_some());
        inbox.push(&text(6), 6, tag(false));
        let mut receipts = Vec::new();
        inbox.accept_batch(|receipt| receipts.push(receipt));
        assert_eq!(receipts, [0, 1, 2, 3, 4, 5]);
        expect(&mut inbox, 6);
        assert_eq!((inbox.len(), inbox.cost()), (0, 0));
    }
}
