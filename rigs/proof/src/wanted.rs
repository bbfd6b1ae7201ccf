//! The figures that are wanted, beside those that were reached.

use std::fmt::Write as _;

use Figure::{Number, Over, Ratio, Text};
use Limit::{AtLeast, AtMost};

/// A figure that is wanted.
#[derive(Debug)]
pub struct Wanted {
    /// The work, in words.
    pub work: &'static str,
    /// The wanted figure.
    pub limit: Limit,
    /// The unit of both, as it stands behind a number.
    pub unit: &'static str,
    /// The place of what was reached.
    pub figure: Figure,
    /// The explanation, by measurements, while it is not reached. Empty if it is.
    pub because: &'static str,
}

/// A wanted figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// This, or more.
    AtLeast(f64),
    /// This, or less.
    AtMost(f64),
}

/// A place in the records, as `proof`; and of a table the beginning of its heading, a row, and a column.
#[derive(Debug, Clone, Copy)]
pub enum Figure {
    /// The number of a cell.
    Number(&'static str, &'static str, &'static str, &'static str),
    /// The ratio in a cell's brackets.
    Ratio(&'static str, &'static str, &'static str, &'static str),
    /// The number of a cell over that of another row.
    Over(&'static str, &'static str, [&'static str; 2], &'static str),
    /// The number before some words, in the first line that begins with others.
    Text(&'static str, &'static str, &'static str),
}

impl Figure {
    /// Returns the proof in whose record it stands.
    pub const fn proof(self) -> &'static str {
        match self {
            Number(proof, ..) | Ratio(proof, ..) | Over(proof, ..) | Text(proof, ..) => proof,
        }
    }

    /// Returns the figure; `None`: it is not in this record.
    pub fn read(self, output: &str) -> Option<f64> {
        match self {
            Number(_, table, row, column) => number(cell(output, table, row, column)?),
            Ratio(_, table, row, column) => {
                number(cell(output, table, row, column)?.split_once('(')?.1)
            }
            Over(_, table, [row, other], column) => {
                let of = |row| number(cell(output, table, row, column)?);
                Some(of(row)? / of(other)?)
            }
            Text(_, line, behind) => {
                let line = output.lines().find(|text| text.starts_with(line))?;
                number(line.split_once(behind)?.0.trim_end().rsplit(' ').next()?)
            }
        }
    }
}

impl Wanted {
    /// Returns true if this figure is what is wanted.
    pub fn is_reached(&self, figure: f64) -> bool {
        match self.limit {
            AtLeast(least) => figure >= least,
            AtMost(most) => figure <= most,
        }
    }
}

/// Returns the table, with what was reached by the records that `output` returns for the names of proofs.
pub fn table(output: impl Fn(&str) -> Option<String>) -> String {
    let mut rows = String::from("| work | wanted | reached | |\n|---|---|---|---|\n");
    for wanted in &WANTED {
        let Wanted { work, limit, unit, figure, because } = wanted;
        let (sign, limit) = match limit {
            AtLeast(least) => ("≥", least),
            AtMost(most) => ("≤", most),
        };
        let (reached, words) = match output(figure.proof()).and_then(|output| figure.read(&output))
        {
            None => ("not measured".to_owned(), ""),
            Some(reached) if wanted.is_reached(reached) => (shown(reached) + unit, "yes"),
            Some(reached) => (format!("**{}{unit}**", shown(reached)), *because),
        };
        let _ = writeln!(rows, "| {work} | {sign} {limit}{unit} | {reached} | {words} |");
    }
    rows
}

/// Returns a number as it is read easily: three digits at least.
fn shown(number: f64) -> String {
    match number {
        n if n >= 100.0 => format!("{n:.0}"),
        n if n >= 10.0 => format!("{n:.1}"),
        n => format!("{n:.2}"),
    }
}

/// Returns the cell of a table whose heading begins so.
fn cell<'a>(output: &'a str, table: &str, row: &str, column: &str) -> Option<&'a str> {
    let cells = |line: &'a str| line.split('|').map(str::trim).collect::<Vec<_>>();
    let mut lines = output
        .lines()
        .skip_while(|line| !line.trim_start_matches(['#', ' ']).starts_with(table))
        .skip(1)
        .filter(|line| !line.is_empty());
    let head = cells(lines.next()?);
    let at = head.iter().position(|name| *name == column)?;
    let found = lines
        .take_while(|line| line.starts_with('|'))
        .map(cells)
        .find(|cells| cells.get(1) == Some(&row))?;
    found.get(at).copied()
}

/// Returns the number at the beginning of a text.
fn number(text: &str) -> Option<f64> {
    text.split([' ', ')']).next()?.trim_end_matches(',').parse().ok()
}

const SINGLE: &str = "single:";
const ONE: &str = "flood: 1 client,";
const FLOOD: &str = "flood: 100 clients,";
const THOUSAND: &str = "flood: 1000 clients,";

/// All of them.
pub const WANTED: [Wanted; 36] = [
    Wanted {
        work: "Write to acknowledgement (p50), one client, log in memory",
        limit: AtMost(1.3),
        unit: " × raw",
        figure: Ratio("bench", SINGLE, "memory", "p50 us"),
        because: "The log commits in a thread of its own: one change of threads more than `raw`. One there and back takes 42 us on this machine when the cores have slept (4.5 on one core), and half of that is what is missing. `library`, without a log, has 1.07 × raw.",
    },
    Wanted {
        work: "The same, log on disk",
        limit: AtMost(2.0),
        unit: " × fdatasync",
        figure: Number("bench", SINGLE, "disk", "p50 by fdatasync"),
        because: "The way through two sockets (`raw`: 55 us) and the change of threads (20) come to `fdatasync`; then a commit of SQLite takes 40 us more than its own `fsync` (4 writes and 6 locks; measured from Python, too). Of a slower disk nothing of that is seen.",
    },
    Wanted {
        work: "Log in memory beside Mosquitto with QoS 1",
        limit: AtMost(1.0),
        unit: " × Mosquitto",
        figure: Over("bench", SINGLE, ["memory", "mosquitto"], "p50 us"),
        because: "Mosquitto keeps nothing here, and acknowledges in the thread that has read. `library`, which does so, takes as long as Mosquitto; a log that is somebody else's memory takes the change of threads.",
    },
    Wanted {
        work: "Log in memory beside Mosquitto with QoS 2",
        limit: AtMost(1.0),
        unit: " × Mosquitto",
        figure: Over("bench", SINGLE, ["memory", "mosquitto-qos2"], "p50 us"),
        because: "",
    },
    Wanted {
        work: "Log on disk beside JetStream",
        limit: AtMost(1.0),
        unit: " × JetStream",
        figure: Over("bench", SINGLE, ["disk", "jetstream"], "p50 us"),
        because: "",
    },
    Wanted {
        work: "Lines a second, 1 client with 64 in flight each, log in memory",
        limit: AtLeast(0.7),
        unit: " × raw",
        figure: Ratio("clients", ONE, "memory", "lines per s"),
        because: "The change of threads of the first row: 64 lines wait for one acknowledgement, 70 us with `raw` and some 40 more here.",
    },
    Wanted {
        work: "Lines a second, 100 clients with 64 in flight each, log in memory",
        limit: AtLeast(0.7),
        unit: " × raw",
        figure: Ratio("bench", FLOOD, "memory", "lines per s"),
        because: "1,800 instructions a line, `raw` 440, `library` 966 (callgrind). The way into the log is 800 of them: memory for a text of its own 370, the commit 240, copies 130, the window that is kept with it 80.",
    },
    Wanted {
        work: "Lines a second, 1,000 clients with 64 in flight each, log in memory",
        limit: AtLeast(0.7),
        unit: " × raw",
        figure: Ratio("clients", THOUSAND, "memory", "lines per s"),
        because: "As with 100.",
    },
    Wanted {
        work: "The same, 1 client, beside Mosquitto",
        limit: AtLeast(10.0),
        unit: " × Mosquitto",
        figure: Over("clients", ONE, ["memory", "mosquitto"], "lines per s"),
        because: "`raw`, which does nothing but acknowledge, has 11 ×: one client with 64 lines waits for the way there and back.",
    },
    Wanted {
        work: "The same, 100 clients, beside Mosquitto",
        limit: AtLeast(10.0),
        unit: " × Mosquitto",
        figure: Over("bench", FLOOD, ["memory", "mosquitto"], "lines per s"),
        because: "",
    },
    Wanted {
        work: "The same, 1,000 clients, beside Mosquitto",
        limit: AtLeast(10.0),
        unit: " × Mosquitto",
        figure: Over("clients", THOUSAND, ["memory", "mosquitto"], "lines per s"),
        because: "",
    },
    Wanted {
        work: "Lines a second, 1 client, log on disk",
        limit: AtLeast(1.0),
        unit: " × JetStream",
        figure: Over("clients", ONE, ["disk", "jetstream"], "lines per s"),
        because: "",
    },
    Wanted {
        work: "Lines a second, 100 clients, log on disk",
        limit: AtLeast(1.0),
        unit: " × JetStream",
        figure: Over("bench", FLOOD, ["disk", "jetstream"], "lines per s"),
        because: "",
    },
    Wanted {
        work: "Lines a second, 1,000 clients, log on disk",
        limit: AtLeast(1.0),
        unit: " × JetStream",
        figure: Over("clients", THOUSAND, ["disk", "jetstream"], "lines per s"),
        because: "",
    },
    Wanted {
        work: "Lines a second to 100 clients",
        limit: AtLeast(0.5),
        unit: " × raw",
        figure: Ratio("bench", "down:", "library", "lines per s"),
        because: "3,260 instructions a line, `raw` 62: that one writes ready-made blocks, while a task of the application writes each line here, and is woken when it is acknowledged ([rigs/bench/README.md](../rigs/bench/README.md#figures) has the parts).",
    },
    Wanted {
        work: "The same beside Mosquitto",
        limit: AtLeast(1.0),
        unit: " × Mosquitto",
        figure: Over("bench", "down:", ["library", "mosquitto"], "lines per s"),
        because: "",
    },
    Wanted {
        work: "The same beside JetStream",
        limit: AtLeast(1.0),
        unit: " × JetStream",
        figure: Over("bench", "down:", ["library", "jetstream"], "lines per s"),
        because: "",
    },
    Wanted {
        work: "Processor time of 1,000 idle clients",
        limit: AtMost(1.0),
        unit: " × Mosquitto",
        figure: Over("idle", "idle: 1000 ", ["memory", "mosquitto"], "server cpu share"),
        because: "A sign of life of a client and the server's own take 15 us, 3 of them 9,800 instructions of ours, the rest the kernel's for one `recv`, one `send` and their wake-ups; Mosquitto's answer to a ping goes out in the thread that polls all sockets, 13 us.",
    },
    Wanted {
        work: "Memory of each of 1,000 idle clients",
        limit: AtMost(1.0),
        unit: " × Mosquitto",
        figure: Over("idle", "idle: 1000 ", ["memory", "mosquitto"], "bytes each"),
        because: "8.9 KB by the allocator's count (DHAT): 6.4 are the session, with room for 64 lines each way, so that a line needs no more memory; 1.5 its task, 0.4 the runtime's. `raw` has a buffer of 8 KB instead. When a client leaves, 0.9 are kept.",
    },
    Wanted {
        work: "Processor time of 10,000 idle clients",
        limit: AtMost(1.0),
        unit: " × Mosquitto",
        figure: Over("idle", "idle: 10000 ", ["memory", "mosquitto"], "server cpu share"),
        because: "As with 1,000.",
    },
    Wanted {
        work: "Memory of each of 10,000 idle clients",
        limit: AtMost(1.0),
        unit: " × Mosquitto",
        figure: Over("idle", "idle: 10000 ", ["memory", "mosquitto"], "bytes each"),
        because: "As with 1,000.",
    },
    Wanted {
        work: "Processor time of 19,500 idle clients",
        limit: AtMost(1.0),
        unit: " × Mosquitto",
        figure: Over("idle", "idle: 19500 ", ["memory", "mosquitto"], "server cpu share"),
        because: "As with 1,000.",
    },
    Wanted {
        work: "Memory of each of 19,500 idle clients",
        limit: AtMost(1.0),
        unit: " × Mosquitto",
        figure: Over("idle", "idle: 19500 ", ["memory", "mosquitto"], "bytes each"),
        because: "As with 1,000.",
    },
    Wanted {
        work: "Lines for a second of the server's processor time, 100 clients, log in memory, beside Mosquitto",
        limit: AtLeast(1.0),
        unit: " × Mosquitto",
        figure: Over("bench", FLOOD, ["memory", "mosquitto"], "lines per cpu s"),
        because: "",
    },
    Wanted {
        work: "The same on disk, beside JetStream",
        limit: AtLeast(1.0),
        unit: " × JetStream",
        figure: Over("bench", FLOOD, ["disk", "jetstream"], "lines per cpu s"),
        because: "",
    },
    Wanted {
        work: "The same in memory, beside raw",
        limit: AtLeast(1.0),
        unit: " × raw",
        figure: Ratio("bench", FLOOD, "memory", "lines per cpu s"),
        because: "As lines a second: 1,800 instructions a line, and `raw` 440. A server that keeps lines cannot cost less than one that does not.",
    },
    Wanted {
        work: "Lines for a second of the clients' processor time, 100 clients, log in memory, beside Mosquitto",
        limit: AtLeast(1.0),
        unit: " × Mosquitto",
        figure: Over("bench", FLOOD, ["memory", "mosquitto"], "lines per load cpu s"),
        because: "",
    },
    Wanted {
        work: "The same on disk, beside JetStream",
        limit: AtLeast(1.0),
        unit: " × JetStream",
        figure: Over("bench", FLOOD, ["disk", "jetstream"], "lines per load cpu s"),
        because: "",
    },
    Wanted {
        work: "The same in memory, beside raw",
        limit: AtLeast(1.0),
        unit: " × raw",
        figure: Ratio("bench", FLOOD, "memory", "lines per load cpu s"),
        because: "The same program with as many calls as beside `raw`, some 55 lines for each `recv` and `send` (strace). The difference is chance: with 1 and 1,000 clients it is 1.21 and 1.00.",
    },
    Wanted {
        work: "A server that is killed and started again under 1,000 clients: the last one's next acknowledgement",
        limit: AtMost(1000.0),
        unit: " ms",
        figure: Number("outages", "restart:", "pblink serve, disk", "restart max ms"),
        because: "",
    },
    Wanted {
        work: "A cable that is pulled is seen, with a time-out of 2 s",
        limit: AtMost(2000.0),
        unit: " ms",
        figure: Number("outages", "outage:", "disk", "seen p50 ms"),
        because: "The clock of timers has ticks of 1 ms, and none goes off early.",
    },
    Wanted {
        work: "Back again: from a new connection to an acknowledgement, the last client",
        limit: AtMost(1000.0),
        unit: " ms",
        figure: Number("outages", "outage:", "disk", "back max ms"),
        because: "",
    },
    Wanted {
        work: "Wires at 100 kHz: goodput of long lines",
        limit: AtLeast(70.0),
        unit: " % of the bus",
        figure: Text("wires", "lines of 1024 bytes", "% of a bus"),
        because: "",
    },
    Wanted {
        work: "The same at the clock that the ESP8266 makes",
        limit: AtLeast(70.0),
        unit: " % of the bus",
        figure: Text("wires", "lines of 1024 bytes", "% at the clock"),
        because: "",
    },
    Wanted {
        work: "A line from the server to the STM32 (p50)",
        limit: AtMost(10.0),
        unit: " ms",
        figure: Text("wires", "a line from the server", "ms (p50)"),
        because: "",
    },
    Wanted {
        work: "A line from the STM32 to the server (p50)",
        limit: AtMost(10.0),
        unit: " ms",
        figure: Text("wires", "a line from the STM32", "ms (p50)"),
        because: "",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
#### single: one client
| server | p50 us | lines per s |
|---|---|---|
| raw | 59 | 16252 |
| memory | 74 (1.26 × raw) | 13379 (0.81 × raw) |

#### flood: 100 clients, 64 lines in flight each
| server | lines per s |
|---|---|
| memory | 2910421 (0.48 × raw) |
lines of 20 bytes, both ways: 4175 bytes/s, 38 % of a bus
";

    #[test]
    fn figures_are_found_where_they_stand_and_nowhere_else() {
        let at = |figure: Figure| figure.read(OUTPUT);
        assert_eq!(at(Number("", "single:", "raw", "p50 us")), Some(59.0));
        assert_eq!(at(Ratio("", "single:", "memory", "p50 us")), Some(1.26));
        assert_eq!(at(Ratio("", "flood", "memory", "lines per s")), Some(0.48));
        assert_eq!(at(Over("", "single:", ["memory", "raw"], "p50 us")), Some(74.0 / 59.0));
        assert_eq!(at(Text("", "lines of 20 bytes", "bytes/s")), Some(4175.0));
        assert_eq!(at(Text("", "lines of 20 bytes", "% of a bus")), Some(38.0));
        // Another row, column, table or line; a cell without a ratio.
        assert_eq!(at(Number("", "single:", "disk", "p50 us")), None);
        assert_eq!(at(Number("", "flood", "raw", "lines per s")), None);
        assert_eq!(at(Number("", "single:", "raw", "p99 us")), None);
        assert_eq!(at(Number("", "steady", "raw", "p50 us")), None);
        assert_eq!(at(Ratio("", "single:", "raw", "p50 us")), None);
        assert_eq!(at(Text("", "lines of 198", "bytes/s")), None);
    }

    #[test]
    fn a_shortfall_stands_out_with_its_reason() {
        let wanted = &WANTED[0];
        let AtMost(most) = wanted.limit else { panic!("{wanted:?}") };
        assert!(wanted.is_reached(most) && !wanted.is_reached(most + 0.01));
        assert!(table(|_| None).contains("| not measured |"));
    }
}
