//! Draws the picture of the README: the screen of `pblink monitor` beside a running `pblink demo`, as SVG.
//!
//!     cargo run -p pblink --example screen > docs/screen.svg
//!
//! Nothing in it is made up: it waits until there was an outage and one link is down, and draws what the
//! monitor shows then.

use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pblink_cli::monitor::{Model, Now, view};
use pblink_serve::control::{Client, Update};
use pblink_server::{LinkState, LinkStatus};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout};

const SIZE: (u16, u16) = (96, 12);
/// Pixels of one character.
const CELL: (f64, f64) = (8.0, 17.0);
/// An outage comes every few seconds.
const LIMIT: Duration = Duration::from_secs(120);

/// A demo that ends with this program.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo).args(["build", "--quiet", "-p", "pblink"]).status()?;
    if !built.success() {
        return Err("pblink could not be built".into());
    }
    // Examples lie in a folder beside the programs.
    let program = std::env::current_exe()?.with_file_name("../pblink");
    let demo = Command::new(program)
        .args(["demo", "--for", "3min", "--json"])
        .stdout(Stdio::null())
        .spawn()?;
    let _demo = Demo(demo);
    let began = Instant::now();
    let client = loop {
        match Client::connect("http://127.0.0.1:8124").await {
            Ok(client) => break client,
            Err(_) if began.elapsed() < LIMIT => {
                tokio::time::sleep(Duration::from_millis(50)).await
            }
            Err(error) => return Err(error.reason().into()),
        }
    };
    let mut model = Model::new(true, Vec::new());
    timeout(LIMIT, interesting(client.follow(), &mut model, began)).await?;
    let mut terminal = Terminal::new(TestBackend::new(SIZE.0, SIZE.1))?;
    model.resize(SIZE.1);
    terminal.draw(|frame| view::draw(frame, &model))?;
    print!("{}", svg(terminal.backend().buffer()));
    Ok(())
}

/// Follows the demo until there is something to see.
async fn interesting(mut updates: Receiver<Update>, model: &mut Model, began: Instant) {
    while let Some(update) = updates.recv().await {
        let wall_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64);
        model.tick(Now { mono_ms: began.elapsed().as_millis() as u64, wall_ms });
        let one_is_down = match &update {
            Update::Links(links) => {
                let down = |link: &&LinkStatus| matches!(link.state, LinkState::Down { .. });
                links.iter().filter(down).count() == 1
            }
            _ => false,
        };
        model.apply(update);
        if one_is_down
            && !model.outage_rows().is_empty()
            && began.elapsed() > Duration::from_secs(20)
        {
            return;
        }
    }
}

/// The colour on a dark screen.
fn hex(colour: Color, reset: &'static str) -> &'static str {
    match colour {
        Color::Black => "#1e2127",
        Color::Red | Color::LightRed => "#e06c75",
        Color::Green | Color::LightGreen => "#98c379",
        Color::Yellow | Color::LightYellow => "#e5c07b",
        Color::Blue | Color::LightBlue => "#61afef",
        Color::Magenta | Color::LightMagenta => "#c678dd",
        Color::Cyan | Color::LightCyan => "#56b6c2",
        Color::DarkGray => "#7f848e",
        Color::Gray | Color::White => "#dcdfe4",
        _ => reset,
    }
}

fn colours(cell: &Cell) -> (&'static str, &'static str) {
    let (front, back) = (hex(cell.fg, "#dcdfe4"), hex(cell.bg, "#282c34"));
    if cell.modifier.contains(Modifier::REVERSED) { (back, front) } else { (front, back) }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn svg(buffer: &Buffer) -> String {
    let (width, height) = (f64::from(SIZE.0) * CELL.0 + 24.0, f64::from(SIZE.1) * CELL.1 + 24.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n\
         <title>pblink monitor</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#282c34\"/>\n\
         <g font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"13\">\n"
    );
    for y in 0..SIZE.1 {
        let mut x = 0;
        while x < SIZE.0 {
            // One piece for all that looks the same.
            let first = &buffer[(x, y)];
            let (front, back) = colours(first);
            let bold = first.modifier.contains(Modifier::BOLD);
            let dim = first.modifier.contains(Modifier::DIM);
            let mut text = String::new();
            let start = x;
            while x < SIZE.0 {
                let cell = &buffer[(x, y)];
                if colours(cell) != (front, back) || cell.modifier != first.modifier {
                    break;
                }
                text.push_str(cell.symbol());
                x += 1;
            }
            let (left, top) = (12.0 + f64::from(start) * CELL.0, 12.0 + f64::from(y) * CELL.1);
            let long = f64::from(x - start) * CELL.0;
            // Writing to a string cannot fail.
            if back != "#282c34" {
                let _ = writeln!(
                    out,
                    "<rect x=\"{left}\" y=\"{top}\" width=\"{long}\" height=\"{}\" fill=\"{back}\"/>",
                    CELL.1
                );
            }
            let weight = if bold { " font-weight=\"bold\"" } else { "" };
            let opacity = if dim { " opacity=\"0.6\"" } else { "" };
            // Word by word, so that neither blanks nor the font of whoever looks shift the columns.
            let mut column = start;
            for word in text.split(' ') {
                let long = word.chars().count() as u16;
                if long > 0 {
                    let _ = writeln!(
                        out,
                        "<text x=\"{}\" y=\"{}\" textLength=\"{}\" lengthAdjust=\"spacingAndGlyphs\" \
                         fill=\"{front}\"{weight}{opacity}>{}</text>",
                        12.0 + f64::from(column) * CELL.0,
                        top + 13.0,
                        f64::from(long) * CELL.0,
                        escaped(word)
                    );
                }
                column += long + 1;
            }
        }
    }
    out + "</g>\n</svg>\n"
}
