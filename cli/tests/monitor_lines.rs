//! The lines of a link as they pass, and lines to it.

use std::sync::{Arc, Mutex};

use crate::monitor_fixture::{NASTY, info, link, press, screen, text};
use futures::FutureExt;
use futures::future::BoxFuture;
use pblink_cli::monitor::{Action, Lines, Model, Now, Passage, Passed, watch};
use pblink_serve::control::Update;
use pblink_server::LinkState;
use tokio::sync::mpsc;

/// 2026-03-01 12:00:00 UTC.
const NOON: u64 = 1_772_366_400_000;

fn model() -> Model {
    let mut model = Model::new(true, vec![]).with_lines(true);
    model.tick(Now { mono_ms: 1_000_000, wall_ms: NOON });
    model.apply(Update::Server(info(1)));
    model.apply(Update::Links(["1", "2"].map(|id| link(id, LinkState::Up)).into()));
    model
}

fn shown(model: &Model) -> String {
    text(&screen(model, (80, 24)))
}

fn passed(text: impl Into<String>) -> Passed {
    Passed { at_ms: NOON, text: text.into() }
}

#[test]
fn the_page_of_a_link_shows_its_lines_as_they_pass() {
    let mut model = model();
    assert_eq!(model.wants_lines_of(), None, "nobody looks");
    press(&mut model, "\n");
    assert_eq!(model.wants_lines_of(), Some("1"));
    model.see(("1".into(), Ok(vec![passed("temperature 21.5"), passed(NASTY)])));
    model.see(("2".into(), Ok(vec![passed("of another link")])));
    for size in [(120, 40), (80, 24), (60, 20)] {
        let name = format!("page_with_lines_{}x{}", size.0, size.1);
        insta::assert_snapshot!(name, text(&screen(&model, size)));
    }
    press(&mut model, "l");
    model.see(("1".into(), Ok((0..10_000).map(|n| passed(format!("line {n}"))).collect())));
    let screen = shown(&model);
    assert!(screen.contains("line 9999\n") && screen.contains("line 9985\n"), "{screen}");
    assert!(!screen.contains("Log ─"), "lines only: {screen}");
    assert_eq!(model.watched().unwrap().lines.len(), 500, "not all that ever passed");
    model.see(("1".into(), Err("the store is\x1b[2J gone".into())));
    assert!(shown(&model).contains("cannot be read: the store is�[2J gone"), "{}", shown(&model));
    press(&mut model, "\x1bj\n");
    assert_eq!(model.wants_lines_of(), Some("2"));
    assert!(shown(&model).contains("No line has passed yet"), "not those of the other link");
}

#[test]
fn a_line_is_sent_after_a_question() {
    let mut model = model();
    press(&mut model, "jmlamp on");
    assert!(shown(&model).contains("line to 2: lamp on"), "{}", shown(&model));
    assert_eq!(press(&mut model, "\n"), Action::None);
    assert!(shown(&model).contains("Send “lamp on” to 2?"), "{}", shown(&model));
    assert_eq!(press(&mut model, "n"), Action::None, "no");
    assert_eq!(press(&mut model, "m\n"), Action::None, "nothing is no line");
    assert_eq!(press(&mut model, "y"), Action::None);
    assert_eq!(press(&mut model, "mx\x1by"), Action::None, "Esc leaves it");
    let send = Action::Send { client: "2".into(), text: "q".into() };
    assert_eq!(press(&mut model, "mq\ny"), send);
    let mut without = Model::new(true, vec![]);
    without.apply(Update::Links(vec![link("1", LinkState::Up)]));
    press(&mut without, "m");
    assert_eq!(without.writing(), None, "there is no way to send");
}

#[test]
fn whoever_may_not_send_is_told_why() {
    let mut model = model().with_refusal(Some("a token is needed".to_owned()));
    press(&mut model, "m");
    assert_eq!(model.writing(), None);
    assert!(shown(&model).contains("a token is needed"), "{}", shown(&model));
    press(&mut model, "\n");
    assert_eq!(model.wants_lines_of(), Some("1"), "reading is free");
}

/// Pages that a test has laid out, and the places that were asked for.
struct Pages {
    pages: Mutex<Vec<Result<Passage, String>>>,
    asked: Mutex<Vec<Option<u64>>>,
}

impl Lines for Pages {
    fn next(&self, client: String, after: Option<u64>) -> BoxFuture<'_, Result<Passage, String>> {
        assert_eq!(client, "1");
        self.asked.lock().unwrap().push(after);
        match self.pages.lock().unwrap().pop() {
            Some(page) => std::future::ready(page).boxed(),
            None => std::future::pending().boxed(),
        }
    }

    fn send(&self, _: String, _: String) -> BoxFuture<'_, Result<bool, String>> {
        std::future::ready(Ok(true)).boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_watcher_goes_on_where_it_was_and_after_an_error() {
    let page = |after, text: &str| Ok(Passage { after, lines: vec![passed(text)] });
    let pages = vec![
        page(9, "b"),
        Err("gone".into()),
        Ok(Passage { after: 7, lines: vec![] }),
        page(5, "a"),
    ];
    let pages = Arc::new(Pages { pages: Mutex::new(pages), asked: Mutex::default() });
    let (to, mut seen) = mpsc::channel(1);
    let watching = tokio::spawn(watch(pages.clone(), "1".into(), to));
    let mut next = async || seen.recv().await.unwrap().1;
    assert_eq!(next().await, Ok(vec![passed("a")]));
    assert_eq!(next().await, Err("gone".into()), "a page without lines is no news");
    assert_eq!(next().await, Ok(vec![passed("b")]));
    assert_eq!(pages.asked.lock().unwrap()[..4], [None, Some(5), Some(7), Some(7)]);
    drop(seen);
    watching.await.unwrap();
}
