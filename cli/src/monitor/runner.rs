//! The loop between terminal, clock, updates and model.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures::StreamExt;
use pblink_serve::control::Update;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::passing::{self, Lines, Seen};
use super::terminal::Screen;
use super::{Action, Export, ExtraKey, Key, Model, Now, Tone, view};
use crate::output::times::Zone;
use crate::signals::{self, Signals};

/// Pause between two frames when only data change: ten a second look alive and cost nothing.
const DATA_FRAME: Duration = Duration::from_millis(100);
/// Pause between two frames when keys are pressed.
const KEY_FRAME: Duration = Duration::from_millis(15);
/// Without any change: the ages grow.
const AGE_FRAME: Duration = Duration::from_secs(1);

/// Options of the monitor: its look, and the keys that it hands back.
#[derive(Default)]
pub struct Options {
    /// The lines of links, if they are to be had.
    pub lines: Option<Arc<dyn Lines>>,
    /// True to use colours.
    pub colour: bool,
    /// True to show ASCII only.
    pub ascii: bool,
    /// The zone of the times.
    pub zone: Zone,
    /// Question before `q` ends it; `None`: `q` ends it at once.
    pub ending: Option<String>,
    /// Keys that the monitor hands back.
    pub extra: Vec<ExtraKey>,
    /// Channel to which it hands them. When this is full or closed, the key has no effect.
    pub pressed: Option<mpsc::Sender<Extra>>,
}

/// An extra key was pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extra {
    /// The key.
    pub key: char,
    /// The link that the user points at, if any.
    pub link: Option<String>,
}

/// Reason why the monitor ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The user pressed `q` or ctrl-C.
    Quit,
    /// A signal asked the process to end, or the terminal was closed.
    Signal,
    /// The updates ended.
    Updates,
}

/// Shows the updates on the terminal until the user quits, a signal comes or the updates end.
///
/// The terminal is given back in every case: on return, on an error, on a panic, and when the
/// future is dropped.
pub async fn run(mut updates: mpsc::Receiver<Update>, options: Options) -> io::Result<End> {
    let mut model = Model::new(options.colour, options.extra)
        .with_zone(options.zone)
        .with_ascii(options.ascii)
        .with_lines(options.lines.is_some())
        .with_refusal(options.lines.as_ref().and_then(|lines| lines.refusal()))
        .with_ending(options.ending);
    let mut watcher: Option<Watcher> = None;
    let (sent, mut outcomes) = mpsc::channel(8);
    let started = Instant::now();
    // Before the terminal is taken: a signal in between must not leave it in raw mode.
    // In raw mode ctrl-C is a key, but `kill` and a closing terminal window are not.
    let mut signals = Signals::listen()?;
    let mut resumed = signals::resumed()?;
    let mut screen = Screen::take(options.colour)?;
    let mut keys = EventStream::new();
    let mut drawn_at = started;
    let mut draw_at = started;
    loop {
        let wanted = model.wants_lines_of();
        if watcher.as_ref().map(|watcher| &*watcher.client) != wanted {
            let lines = options.lines.as_ref();
            watcher = lines.zip(wanted).map(|(lines, client)| Watcher::start(lines, client));
        }
        tokio::select! {
            Some(seen) = Watcher::next(&mut watcher) => {
                model.see(seen);
                draw_at = draw_at.min(drawn_at + DATA_FRAME);
            }
            Some((text, tone)) = outcomes.recv() => {
                model.tell(text, tone);
                draw_at = draw_at.min(drawn_at + KEY_FRAME);
            }
            _ = signals.next() => return Ok(End::Signal),
            Some(()) = resumed.recv() => {
                if screen.retake().is_err() {
                    return Ok(End::Signal);
                }
                draw_at = Instant::now();
            }
            () = tokio::time::sleep_until(draw_at) => {
                if !screen.is_taken() {
                    return Err(io::Error::other("the monitor ended because a part of it failed"));
                }
                model.tick(now(started));
                let drawn = screen.terminal.draw(|frame| {
                    model.resize(frame.area().height);
                    view::draw(frame, &model);
                });
                if drawn.is_err() || screen.is_gone() {
                    return Ok(End::Signal);
                }
                drawn_at = Instant::now();
                draw_at = drawn_at + AGE_FRAME;
            }
            update = updates.recv() => {
                let Some(update) = update else { return Ok(End::Updates) };
                model.tick(now(started));
                model.apply(update);
                draw_at = draw_at.min(drawn_at + DATA_FRAME);
            }
            event = keys.next() => {
                let Some(Ok(event)) = event else { return Ok(End::Signal) };
                draw_at = draw_at.min(drawn_at + KEY_FRAME);
                let event = match event {
                    Event::Key(event) => event,
                    Event::Resize(..) => {
                        screen.clear()?;
                        continue;
                    }
                    _ => continue,
                };
                let Some(key) = translate(event) else { continue };
                match model.key(key) {
                    Action::None => {}
                    Action::Quit => return Ok(End::Quit),
                    Action::Export(export) => match write(&export) {
                        Ok(name) => {
                            let rows = export.rows;
                            let rows = if rows == 1 { "1 row".into() } else { format!("{rows} rows") };
                            model.tell(format!("wrote {name} ({rows})"), Tone::Good);
                        }
                        Err(error) => {
                            let name = format!("{}.{}", export.stem, export.ending);
                            model.tell(format!("cannot write {name}: {error}"), Tone::Bad);
                        }
                    },
                    Action::Send { client, text } => {
                        if let Some(lines) = options.lines.clone() {
                            tokio::spawn(send(lines, client, text, sent.clone()));
                        }
                    }
                    Action::Redraw => {
                        screen.clear()?;
                        draw_at = Instant::now();
                    }
                    Action::Extra(key) => {
                        if let Some(pressed) = &options.pressed {
                            let _ = pressed.try_send(Extra { key, link: model.selected_id() });
                        }
                    }
                }
            }
        }
    }
}

/// A task that follows the lines of one link. It ends when this is dropped.
struct Watcher {
    client: String,
    seen: mpsc::Receiver<Seen>,
}

impl Watcher {
    fn start(lines: &Arc<dyn Lines>, client: &str) -> Self {
        let (to, seen) = mpsc::channel(8);
        tokio::spawn(passing::watch(Arc::clone(lines), client.to_owned(), to));
        Self { client: client.to_owned(), seen }
    }

    async fn next(watcher: &mut Option<Self>) -> Option<Seen> {
        match watcher {
            Some(watcher) => watcher.seen.recv().await,
            None => None,
        }
    }
}

/// Sends a line, and reports what became of it.
async fn send(
    lines: Arc<dyn Lines>,
    client: String,
    text: String,
    outcome: mpsc::Sender<(String, Tone)>,
) {
    let id = client.clone();
    let told = match lines.send(client, text).await {
        Ok(true) => (format!("{id} has acknowledged the line"), Tone::Good),
        Ok(false) => {
            (format!("the line waits for {id}, which has not acknowledged it yet"), Tone::Warning)
        }
        Err(why) => (format!("not sent to {id}: {why}"), Tone::Bad),
    };
    // An error: the screen has ended.
    let _ = outcome.send(told).await;
}

/// Writes a file into the present folder; none that is there is touched. Returns its name.
fn write(export: &Export) -> io::Result<String> {
    let mut n = 1;
    loop {
        let number = if n == 1 { String::new() } else { format!("-{n}") };
        let name = format!("{}{number}.{}", export.stem, export.ending);
        match std::fs::File::create_new(&name) {
            Ok(mut file) => return file.write_all(export.text.as_bytes()).map(|()| name),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && n < 100 => n += 1,
            Err(error) => return Err(error),
        }
    }
}

fn now(started: Instant) -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { mono_ms: started.elapsed().as_millis() as u64, wall_ms: wall.as_millis() as u64 }
}

fn translate(event: KeyEvent) -> Option<Key> {
    // Some terminals also report when a key is released.
    if event.kind == KeyEventKind::Release {
        return None;
    }
    Some(match event.code {
        KeyCode::Char(c) if event.modifiers.contains(KeyModifiers::CONTROL) => Key::Ctrl(c),
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}
