//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::servers::Contender;
use crate::workloads::Workload;

pub const USAGE: &str = "\
usage: pblink-bench [--json FILE] [--markdown] [--rounds N] [--seconds S] [--clients N] [--servers NAME,…] [workload …]
       pblink-bench curve JSON SVG [--seconds S] [--most CLIENTS]
       pblink-bench draw JSON SVG
       pblink-bench speed JSON SVG [--seconds S]
       pblink-bench draw-speed JSON SVG
       pblink-bench abuse [--seconds S] [--json FILE] [--markdown FILE] [row …]

workloads: flood single steady print paced down accept idle restart outage; without one, all of them
  --json FILE   write all figures of all rounds there
  --markdown    tables that go into a page
  --rounds N    measure this many times, all servers in turns (default 5)
  --seconds S   for so long each time (default 2)
  --clients N   instead of 100, of 10000 idle ones, and of 1000 whose server is killed
  --servers …   only these

speed measures lines a second against lines in flight and clients, and draws them; draw-speed only draws
curve measures one gateway of a store under more and more boards, writes the figures and draws them; draw only draws
abuse measures 50 well-behaved clients of `pblink serve` beside each kind of abuse: nothing slow-hello endless-line flood half-open
idle descriptors memory disk stall churn strangers streams slowloris";

/// Choice of measurements.
#[derive(Debug)]
pub struct Options {
    pub workloads: Vec<Workload>,
    pub rounds: usize,
    pub time: Duration,
    pub clients: Option<usize>,
    pub servers: Option<Vec<Contender>>,
    pub json: Option<PathBuf>,
    pub markdown: bool,
}

/// Reads the command line. The error says what is wrong with it.
pub fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options {
        workloads: Vec::new(),
        rounds: 5,
        time: Duration::from_secs(2),
        clients: None,
        servers: None,
        json: None,
        markdown: false,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--json" => options.json = Some(value()?.into()),
            "--markdown" => options.markdown = true,
            "--rounds" => options.rounds = number(arg, value()?)?.max(1.0) as usize,
            "--seconds" => options.time = Duration::from_secs_f64(number(arg, value()?)?),
            "--clients" => options.clients = Some(number(arg, value()?)?.max(1.0) as usize),
            "--servers" => {
                let names = value()?.split(',').map(contender);
                options.servers = Some(names.collect::<Result<_, _>>()?);
            }
            // `cargo bench` and habit.
            "--bench" => {}
            name => match Workload::ALL.into_iter().find(|workload| workload.name() == name) {
                Some(workload) => options.workloads.push(workload),
                None => return Err(format!("there is no workload {name:?}")),
            },
        }
    }
    if options.workloads.is_empty() {
        options.workloads = Workload::ALL.to_vec();
    }
    Ok(options)
}

fn contender(name: &str) -> Result<Contender, String> {
    let found = Contender::ALL.into_iter().find(|contender| contender.name() == name);
    found.ok_or_else(|| format!("there is no server {name:?}"))
}

pub fn number(name: &str, text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (0.01..=1e6).contains(&number) => Ok(number),
        _ => Err(format!("{name} {text:?} is not a number from 0.01 to 1000000")),
    }
}
