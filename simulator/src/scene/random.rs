//! Scenes by chance: surroundings and faults that follow from a seed.

use fastrand::Rng;
use pblink_protocol::time::{Duration, Instant};

use super::exception::Exception;
use super::fault::{Kind, SceneFault, When};
use super::file::FAULTS;
use super::link::Link;
use super::{PATIENCE, Scene};
use crate::fault::Wire;
use crate::pair::PairOptions;
use crate::program::ProgramOptions;
use crate::world::WorldOptions;

/// The shortest time of a random scene.
pub const LEAST: Duration = Duration::from_secs(60);
/// The longest time of a random scene.
pub const MOST: Duration = Duration::from_secs(3600);

/// All that decides a random scene.
#[derive(Debug, Clone, Copy)]
pub struct Chances {
    /// The seed: of the faults, and of all that is left to chance in the run.
    pub seed: u32,
    /// The time for which programs write: from [`LEAST`] to [`MOST`].
    pub length: Duration,
    /// The language of boards and server.
    pub link: Link,
}

/// The first fault comes when boards are up.
const FIRST: Duration = Duration::from_secs(4);

/// Kinds of faults that come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    /// Network and server: nothing may be lost.
    Network,
    /// The same, and programs of both chips.
    Chips,
    /// The same, and wires.
    Wires,
    /// The same, and bits on the bus.
    Bits,
    /// Network, server, programs, and power.
    Power,
}

impl Family {
    fn by_chance(rng: &mut Rng) -> Self {
        match rng.u8(0..10) {
            0..4 => Self::Network,
            4..7 => Self::Chips,
            7 => Self::Wires,
            8 => Self::Bits,
            _ => Self::Power,
        }
    }

    /// Returns its kinds; those that stand twice come twice as often.
    fn kinds(self, kills: bool) -> Vec<Kind> {
        use Kind::*;
        let mut kinds = vec![WifiOutage, WifiForgets, TcpCut, TcpCut, TcpHalfOpen, TcpSlow];
        kinds.extend([ServerRestart, ServerStall, ServerDoesNotRead]);
        if kills {
            kinds.extend([ServerKill, ServerKill]);
        }
        if self != Self::Network {
            kinds.extend([Esp8266Crash, Esp8266Crash, Esp8266Hang, Esp8266Restart, Stm32Restart]);
        }
        kinds.extend(match self {
            Self::Network | Self::Chips => &[][..],
            Self::Wires => {
                &[WireStuck, WireStuck, WireStuck, I2cNak, I2cDeaf, I2cMasterError, I2cSlaveError]
            }
            Self::Bits => &[I2cGarbleHeader, I2cGarblePayload, I2cGarblePayload, I2cNak],
            Self::Power => &[PowerCycle, PowerCycle],
        });
        kinds
    }

    /// Returns the exceptions of the link that its faults can cause.
    fn allows(self, link: Link) -> &'static [Exception] {
        match (self, link) {
            (Self::Power, Link::Secure | Link::SecureReal) => &[Exception::Stm32LosesPower],
            (_, Link::Secure | Link::SecureReal) | (Self::Network, _) => &[],
            (Self::Bits, _) => &[
                Exception::Esp8266Restarts,
                Exception::Stm32LosesPower,
                Exception::BitInvertedOnI2c,
            ],
            _ => &[Exception::Esp8266Restarts, Exception::Stm32LosesPower],
        }
    }

    /// Returns the time within which lines pass again. A garbled configuration is noticed after five minutes.
    const fn back(self) -> Duration {
        match self {
            Self::Network | Self::Chips | Self::Power => PATIENCE.times(2),
            Self::Wires | Self::Bits => Duration::from_secs(600),
        }
    }
}

fn one<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(0..of.len())]
}

fn millis(rng: &mut Rng, of: &[u64]) -> Duration {
    Duration::from_millis(one(rng, of))
}

/// Makes a scene by chance.
pub(super) fn scene(name: &str, chances: &Chances) -> Scene {
    let Chances { seed, link, .. } = *chances;
    let length = chances.length.clamp(LEAST, MOST);
    // The world draws from the seed itself.
    let mut rng = Rng::with_seed(u64::from(seed) ^ 0x5CEA_E5CE_AE5C_EAE5);
    let family = Family::by_chance(&mut rng);
    let options = options(&mut rng, seed, link);
    let kinds = family.kinds(options.server_commits.is_some());
    let faults = faults(&mut rng, &kinds, options.boards, length, family.back());
    let mut scene = Scene {
        name: name.to_owned(),
        protects: format!("All lines of seed {seed} ({link}, {length}) arrive as they must."),
        options,
        seeds: 1,
        length,
        faults,
        allows: family.allows(link).to_vec(),
        back: family.back(),
        arrive: family.back(),
        resets: None,
        connects: None,
        outages: None,
        undisturbed: Vec::new(),
    };
    scene.forbid_the_impossible();
    scene
}

/// Draws the surroundings.
fn options(rng: &mut Rng, seed: u32, link: Link) -> WorldOptions {
    let usual = WorldOptions::default();
    // A good disk, a busy one, and one that is nearly as slow as the time-out. On one that always takes longer, lines that wait for
    // each other pass at one in such a time, and no patience is enough for what a board has in its queue.
    let commits = [None, Some(5), Some(300), Some(1500)];
    let commits = if link == Link::Classic { &commits[..] } else { &commits[1..] };
    WorldOptions {
        seed: seed.into(),
        boards: one(rng, &[1, 1, 2, 3]),
        pair: PairOptions {
            join: millis(rng, &[500, 1500, 5000]),
            program: ProgramOptions {
                every: millis(rng, &[100, 300, 700, 2000]),
                padding: one(rng, &[0, 0, 60, 500]),
                ..usual.pair.program
            },
            ..usual.pair
        },
        server_writes: Some(millis(rng, &[400, 900, 3000])),
        server_commits: one(rng, commits).map(Duration::from_millis),
        keys: link.cryptography(),
        latency: millis(rng, &[5, 20, 20, 150]),
        loss_percent: one(rng, &[0, 0, 1, 5]),
        report_s: one(rng, &[0, 10]),
        ..usual
    }
}

/// Draws the faults: a few in quick succession, and then none for a while, sometimes for as long as lines may take to pass again.
fn faults(
    rng: &mut Rng,
    kinds: &[Kind],
    boards: usize,
    length: Duration,
    back: Duration,
) -> Vec<SceneFault> {
    let end = Instant::ZERO + length;
    let (mut faults, mut at) = (Vec::new(), Instant::ZERO + FIRST);
    while faults.len() < FAULTS {
        for _ in 0..rng.u32(1..10) {
            at += match rng.u8(0..3) {
                0 => Duration::from_micros(rng.u64(0..50_000)),
                1 => Duration::from_micros(rng.u64(0..1_500_000)),
                _ => Duration::from_micros(rng.u64(0..10_000_000)),
            };
            if at >= end || faults.len() == FAULTS {
                return faults;
            }
            let kind = one(rng, kinds);
            faults.push(fault(rng, kind, at, boards));
        }
        // So pauses of either kind take about the same time in all.
        at += match rng.u64(0..back.as_millis()) {
            0..30_000 => back + Duration::from_micros(rng.u64(20_000_000..40_000_000)),
            _ => Duration::from_micros(rng.u64(3_000_000..30_000_000)),
        };
    }
    faults
}

fn fault(rng: &mut Rng, kind: Kind, at: Instant, boards: usize) -> SceneFault {
    let most = match kind {
        Kind::ServerKill | Kind::ServerRestart => 4_000,
        Kind::TcpSlow => 4_000,
        Kind::WireStuck => 20_000,
        _ => 9_000,
    };
    let length = match kind.has_length() {
        true => Duration::from_millis(rng.u64(1..most)),
        false => Duration::ZERO,
    };
    let (wire, high) = match kind {
        Kind::WireStuck => (one(rng, &[Wire::Syn, Wire::Ack, Wire::Reset]), rng.bool()),
        _ => (Wire::Syn, false),
    };
    let board = if kind.has_board() { rng.usize(0..boards) } else { 0 };
    SceneFault { when: When::At(at), board, kind, length, wire, high }
}
