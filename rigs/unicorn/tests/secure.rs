//! The secure link in the exact release images: what a handshake takes, and what outlives resets of either chip.

use pblink_image::keys::{Keys, SIZE};
use pblink_protocol::app::happening::{Happening, RestartCause};
use pblink_stm32::settings::{LogLevel, Settings};
use unicorn_bench::bench::Bench;
use unicorn_bench::board::{ALL, BLACK_PILL, Board, PYBOARD};
use unicorn_bench::rom::Left;
use unicorn_bench::session::{Notes, Pair, Session};
use unicorn_bench::world::World;

fn settings(log: LogLevel) -> Settings {
    let mut settings = Settings::built_in();
    settings.config.id = heapless::String::try_from("bench").expect("short");
    settings.config.report_s = 0;
    settings.log = log;
    settings
}

fn bench(board: &'static Board, name: &str) -> Bench {
    Bench::with_keys(board, name, &settings(LogLevel::Link), Pair::of("bench", true))
}

fn notes(world: &World) -> &Notes {
    &world.server.session.as_ref().expect("it is secure").notes
}

fn session(world: &mut World) -> &mut Session {
    world.server.session.as_mut().expect("it is secure")
}

fn undone(world: &World) -> usize {
    world.server.session.as_ref().expect("it is secure").undone()
}

fn texts(world: &World) -> Vec<&str> {
    notes(world).got.iter().map(|(.., text)| &**text).collect()
}

/// Budgets at one cycle an instruction: a handshake takes 250 ms at most, and 120 ms in one piece; 8 KB of stack.
#[test]
fn a_handshake_is_within_its_budgets_on_every_board() {
    for board in ALL {
        for name in ["demo", "echo"] {
            let mut bench = bench(board, name);
            bench.until("it links", 20_000, |world| notes(world).ups == 1);
            bench.world().server.write("hello");
            bench.until("a line there", 20_000, |world| undone(world) == 0);
            let stack = bench.stack_used();
            let world = bench.world();
            let resets = world.esp.traffic.resets;
            assert_eq!((world.chip.watchdog_resets, world.chip.own_resets), (0, 0));
            assert_eq!((world.chip.i2c.misuse, world.chip.unclocked), (0, 0));
            // The first one is of the start.
            assert_eq!(resets, 1, "{}", world.console());
            let pieces: Vec<f64> = world.busy.iter().map(|(_, us)| *us as f64 / 1000.0).collect();
            let [start, curve @ ..] = &pieces[..] else { panic!("no arithmetic: {pieces:?}") };
            let (sum, most) =
                (curve.iter().sum::<f64>(), curve.iter().copied().fold(0.0, f64::max));
            println!(
                "{name} ({}): start {start:.1} ms, handshake {sum:.1} ms in pieces of {curve:.1?} ms, stack {stack} bytes",
                board.map.board
            );
            assert_eq!(curve.len(), 2, "{pieces:?}");
            assert!(sum <= 250.0 && most <= 120.0, "{pieces:?}");
            assert!(stack <= 8192, "{stack} bytes of stack");
        }
    }
}

/// Contents of the sector of the keys: the newest generation, confirmed or not, and the one to fall back to.
fn records(world: &World) -> (u32, bool, Option<u32>) {
    let keys = Keys::read(&world.chip.flash.sector);
    let record = keys.record().expect("there is one");
    (record.generation(), record.confirmed(), keys.fallback().map(|old| old.generation()))
}

/// A key that comes over the link is programmed into flash, proven and confirmed, and the one before it overwritten.
#[test]
fn a_key_that_is_given_over_the_link_is_in_flash_on_every_board() {
    for board in ALL {
        let mut bench = bench(board, "echo");
        bench.until("it links", 20_000, |world| notes(world).ups == 1);
        session(bench.world()).rotate();
        bench.until("it proves it", 60_000, |world| notes(world).proven == Some(2));
        assert_eq!(records(bench.world()), (2, false, Some(1)));
        session(bench.world()).settle();
        // The last of it: first the new one is confirmed, then the old one is overwritten, word by word.
        bench.until("the old one is gone", 60_000, |world| {
            world.chip.flash.sector[..SIZE].iter().all(|&byte| byte == 0)
        });
        let world = bench.world();
        assert_eq!(records(world), (2, true, None));
        assert_eq!((world.chip.flash.misuse, notes(world).ups), (0, 1), "{}", world.console());
        assert!(world.console().contains("a new key, generation 2"), "{}", world.console());
        let stack = bench.stack_used();
        assert!(stack <= 8192, "{stack} bytes of stack");
        // It is the one that counts from now on.
        bench.lose_power(7);
        bench.until("it links again", 60_000, |world| notes(world).ups == 2);
        assert_eq!(notes(bench.world()).proven, Some(2));
    }
}

/// The supply goes at some word of the record, and the board is in again, with the key before or with the new one.
#[test]
fn a_loss_of_power_while_a_key_is_programmed_locks_nobody_out() {
    for words in [0, 1, 20, 51, 52, 53, 60] {
        let mut bench = bench(&PYBOARD, "echo");
        bench.until("it links", 20_000, |world| notes(world).ups == 1);
        bench.world().chip.flash.dies_after = Some(words);
        session(bench.world()).rotate();
        bench.until("it is told", 60_000, |world| !notes(world).keyed.is_empty());
        bench.world().chip.flash.dies_after = None;
        bench.lose_power(u64::from(words));
        bench.until("it links again", 90_000, |world| notes(world).ups == 2);
        let line = "and lines pass";
        bench.world().server.write(line);
        bench.until("a line there and back", 30_000, |world| texts(world).contains(&line));
    }
}

/// Lines for the board and back, in order and once, through everything that can be reset.
#[test]
fn resets_of_either_chip_lose_repeat_and_reorder_nothing() {
    let mut bench = bench(&PYBOARD, "echo");
    let mut written = 0;
    for round in 0..8 {
        for _ in 0..6 {
            written += 1;
            bench.world().server.write(&format!("line {written}"));
        }
        // In the middle of it.
        bench.run_ms(300 + 170 * round);
        match round % 4 {
            0 => bench.world().esp.faults.hang_after = Some(3),
            1 => bench.world().esp.faults.cut_read = Some(50),
            2 => {
                let world = bench.world();
                let now = world.now();
                world.esp.brown_out(&mut world.server, now);
            }
            // The watchdog's doing: the RAM stays.
            _ => bench.reset(),
        }
        bench.until("all there and back", 60_000, |world| {
            undone(world) == 0 && notes(world).got.len() >= written
        });
    }
    let world = bench.world();
    let expected: Vec<String> = (1..=written).map(|n| format!("line {n}")).collect();
    // A line that was read before a reset, and returned, and not accepted, comes again.
    let mut got = texts(world);
    got.dedup();
    assert_eq!(got, expected, "{}", world.console());
    assert!(world.console().contains("lines kept through the reset"), "{}", world.console());
    let epoch = notes(world).got[0].0;
    assert!(notes(world).got.iter().all(|(other, ..)| *other == epoch));
}

/// Lines that were written without a server outlive the watchdog's reset, and say how old they are.
#[test]
fn lines_outlive_a_reset_of_the_stm32_with_their_ages() {
    let mut bench =
        Bench::with_keys(&PYBOARD, "demo", &settings(LogLevel::Lines), Pair::of("bench", true));
    bench.world().esp.faults.no_server = true;
    bench.until("a line is written", 30_000, |world| world.console().contains("sent [42, 1, 99]"));
    let written = bench.world().now();
    bench.run_ms(3_000);
    bench.reset();
    bench.run_ms(2_000);
    bench.world().esp.faults.no_server = false;
    bench.until("the line is there", 90_000, |world| !notes(world).got.is_empty());
    let world = bench.world();
    assert_eq!(texts(world)[0], "[42, 1, 99]");
    assert!(world.console().contains("1 lines kept through the reset"), "{}", world.console());
    // Its clock stood still from the last second before the reset to the start.
    let (age, real) = (notes(world).ages[0], (world.now() - written) / 1000);
    assert!(age <= real && age + 1_500 >= real, "{age} of {real} ms");
}

/// Flags of the clock control, read and cleared once at each start.
#[test]
fn each_start_tells_its_cause_on_every_board() {
    for board in ALL {
        let mut bench = bench(board, "echo");
        let mut expected = Vec::new();
        for cause in [
            RestartCause::PowerOn,
            RestartCause::IndependentWatchdog,
            RestartCause::PowerOn,
            RestartCause::ResetPin,
        ] {
            match (cause, expected.is_empty()) {
                (_, true) => {}
                (RestartCause::IndependentWatchdog, _) => bench.reset(),
                (RestartCause::PowerOn, _) => bench.lose_power(3),
                _ => bench.start_from_rom(Left { masked: true, usb_after: 1 << 40 }),
            }
            expected.push(Happening::Restart(cause));
            bench.until("it tells", 60_000, |world| notes(world).told.len() == expected.len());
            assert_eq!(notes(bench.world()).told, expected, "{}", board.map.board);
        }
    }
}

#[test]
fn a_loss_of_power_begins_a_new_epoch_and_the_console_says_so() {
    for board in [&PYBOARD, &BLACK_PILL] {
        let mut bench = bench(board, "echo");
        let mut epochs = Vec::new();
        for seed in 2..6 {
            bench.world().server.write(&format!("power {seed}"));
            bench.until("there and back", 60_000, |world| {
                undone(world) == 0
                    && notes(world)
                        .got
                        .last()
                        .is_some_and(|(.., text)| text.ends_with(&seed.to_string()))
            });
            epochs.push(notes(bench.world()).got.last().map(|(epoch, ..)| *epoch));
            bench.lose_power(seed);
        }
        epochs.dedup();
        assert_eq!(epochs.len(), 4, "{}", board.map.board);
        let console = bench.world().console();
        assert_eq!(console.matches("a new epoch").count(), 4, "{console}");
    }
}

/// A board with keys never falls back.
#[test]
fn without_random_numbers_there_is_no_link_and_the_console_says_why() {
    let settings = settings(LogLevel::Link);
    // No seed. One chip has a source that is stuck, or has the wrong clock; the other one has none.
    for (board, faults, stuck) in [
        (&PYBOARD, 1 << 6, false),
        (&PYBOARD, 1 << 1, false),
        (&PYBOARD, 0, true),
        (&BLACK_PILL, 0, false),
    ] {
        let mut bench = Bench::with_keys(board, "echo", &settings, Pair::of("bench", false));
        let rng = &mut bench.world().chip.rng;
        (rng.faults, rng.stuck) = (faults, stuck);
        bench.run_ms(15_000);
        let world = bench.world();
        assert!(world.console().contains("no random numbers"), "{}", world.console());
        assert_eq!((notes(world).ups, world.server.id.as_str()), (0, ""));
    }
    // With a source that is in order, nothing else is needed.
    let mut bench = Bench::with_keys(&PYBOARD, "echo", &settings, Pair::of("bench", false));
    bench.until("it links", 20_000, |world| notes(world).ups == 1);
    assert!(bench.world().chip.rng.given >= 13);
}

/// Keys of another id are none; the link is the classic one, and the console says so.
#[test]
fn keys_of_another_id_make_no_secure_link() {
    let mut bench =
        Bench::with_keys(&PYBOARD, "echo", &settings(LogLevel::Link), Pair::of("other", true));
    bench.world().server = Default::default();
    bench.world().server.write("hello");
    bench.until("there and back", 20_000, |world| !world.server.ledger.got.is_empty());
    let console = bench.world().console();
    assert!(console.contains("link not secure: this board has no keys for its id"), "{console}");
}
