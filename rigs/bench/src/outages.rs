//! Workloads in which connections end: the server is killed and started again, or clients fall silent.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use crate::figures::Figure;
use crate::load::client::text;
use crate::load::{Load, Shape};
use crate::servers::{Contender, Server, log};

/// Lines of each client: one before the server is killed, and one after.
const LINES: u8 = 2;

/// Time in which a server has printed all that it has, and has written down how far it is: that waits a second for other lines.
const REST: Duration = Duration::from_secs(2);

/// Kills the server and starts it again. Times are from before the kill to the acknowledgement of each client's next line.
pub fn restart(mut server: Server, shape: Shape, time: Duration) -> io::Result<Vec<Figure>> {
    let contender = server.contender;
    let prints = matches!(contender, Contender::Serve | Contender::ServeDisk);
    let mut printed = Vec::new();
    if prints {
        printed.push(server.processes[0].collect());
    }
    let mut load = Load::start(shape, &server.addresses, None)?;
    std::thread::sleep(if prints { REST } else { time / 4 });
    load.mark()?;
    server.restart()?;
    if prints {
        printed.push(server.processes[0].collect());
    }
    let times = load.times()?;
    drop(load);
    let mut figures = spread(["restart_p50_ms", "restart_max_ms"], &times);
    let folder = server.processes[0].take_folder();
    if prints {
        // It prints what is left before it ends.
        server.processes[0].terminate()?;
        let mut texts = Vec::new();
        for printed in printed {
            let wrong = |_| io::Error::other("nobody has read what the server printed");
            let printed = printed.join().map_err(wrong)??;
            texts.extend(
                printed.lines().filter_map(|line| Some(line[line.find('[')?..].to_owned())),
            );
        }
        figures.extend(account(shape.clients, &texts));
    }
    server.finish()?;
    if let (Contender::Disk, Some(folder)) = (contender, &folder) {
        figures.extend(account(shape.clients, &log::texts(folder.path())?));
    }
    Ok(figures)
}

/// Lets clients fall silent. Times are those until the server closes their connections, and until they have a line acknowledged over
/// new ones.
pub fn outage(server: Server, shape: Shape, time: Duration) -> io::Result<Vec<Figure>> {
    let mut load = Load::start(shape, &server.addresses, None)?;
    // To keep alive for a while.
    std::thread::sleep(time / 4);
    load.mark()?;
    let mut figures = spread(["seen_p50_ms", "seen_max_ms"], &load.times()?);
    figures.extend(spread(["back_p50_ms", "back_max_ms"], &load.times()?));
    drop(load);
    server.finish()?;
    Ok(figures)
}

fn spread(names: [&'static str; 2], sorted: &[f64]) -> Vec<Figure> {
    let at = |n: usize| sorted.get(n).copied().unwrap_or(f64::NAN);
    let values = [at(sorted.len() / 2), at(sorted.len().saturating_sub(1))];
    names.into_iter().zip(values).collect()
}

/// Returns the number of acknowledged lines that are not among `texts`, and of those that are there once more than they should.
fn account(clients: usize, texts: &[String]) -> [Figure; 2] {
    let mut found: HashMap<&str, usize> = HashMap::new();
    for text in texts {
        *found.entry(text).or_default() += 1;
    }
    let sent = (0..clients).flat_map(|n| (0..LINES).map(move |number| text(n, number)));
    let lost = sent.filter(|text| !found.contains_key(&**text)).count();
    let twice: usize = found.values().map(|times| times - 1).sum();
    [("lost", lost as f64), ("twice", twice as f64)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_lost_or_there_twice_are_counted() {
        let mut texts: Vec<_> = (0..3).flat_map(|n| [text(n, 0), text(n, 1)]).collect();
        assert_eq!(account(3, &texts), [("lost", 0.0), ("twice", 0.0)]);
        texts[1] = texts[0].clone();
        texts.push(texts[0].clone());
        assert_eq!(account(3, &texts), [("lost", 1.0), ("twice", 2.0)]);
    }

    #[test]
    fn the_median_and_the_longest_are_shown() {
        let figures = spread(["half", "all"], &[1.0, 2.0, 9.0]);
        assert_eq!(figures, [("half", 2.0), ("all", 9.0)]);
    }
}
