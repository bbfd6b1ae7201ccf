//! The release images for each kind of board on its chip. Build them first: `firmware-stm32/build.sh release all`.
//! Faults, masters of all speeds and thousands of exchanges are in the other tests, on the Pyboard: drivers and
//! peripherals are the same.

use pblink_stm32::settings::{LogLevel, Settings};
use unicorn_bench::bench::{Bench, image};
use unicorn_bench::board::{ALL, BLACK_PILL, Board, NUCLEO_F446, PYBOARD};
use unicorn_bench::clock::Frequencies;
use unicorn_bench::cpu::Cpu;
use unicorn_bench::lines::echo;
use unicorn_bench::rom::{Left, ROM};

fn settings() -> Settings {
    let mut settings = Settings::built_in();
    settings.config.id = heapless::String::try_from("bench").expect("short");
    settings.config.report_s = 0;
    settings.log = LogLevel::Link;
    settings
}

/// Returns lines of all lengths; each names its number.
fn line(n: usize) -> String {
    let length = [1024, 1, 199, 200, 201, 7, 401, 90][n % 8];
    let text = format!("{n} {}", "äöü€ß0123456789".repeat(100));
    let end = (0..=length.max(n.to_string().len())).rev().find(|end| text.is_char_boundary(*end));
    text[..end.expect("0 is a boundary")].to_owned()
}

/// Checks what holds for every board that runs.
fn healthy(board: &Board, bench: &mut Bench) {
    let world = bench.world();
    let chip = &world.chip;
    let kind = board.map.board;
    assert!(chip.is_wired(), "{kind}: bus and console are on their pins");
    // APB1 of 42 MHz makes the bus, timers of 84 MHz the time.
    let wanted = Frequencies { core: 84_000, apb1: 42_000, timers: 84_000, pll48: Some(48_000) };
    assert_eq!(chip.clock.frequencies(), wanted, "{kind}");
    let console = chip.console_speed() as f64 / 115_200.0;
    assert!((0.99..1.01).contains(&console), "{kind}: {console}");
    assert_eq!((chip.i2c.misuse, chip.unclocked), (0, 0), "{kind}");
    assert_eq!((chip.watchdog_resets, chip.own_resets), (0, 0), "{kind}");
    assert!(chip.feedings() > 0, "{kind}");
}

#[test]
fn lines_pass_both_ways_on_every_board() {
    for board in ALL {
        let mut bench = Bench::on(board, "echo", Some(&settings()));
        let lines = echo(&mut bench, line, |_, sent| sent >= 200);
        healthy(board, &mut bench);
        let (stack, world) = (bench.stack_used(), bench.world());
        assert_eq!(world.server.id, "bench", "the settings are in the last sector");
        assert_eq!(world.esp.traffic.resets, 1, "{}", world.console());
        assert_eq!(world.esp.traffic.naks, 0, "the slave is armed before `syn` rises");
        println!(
            "{}: {lines} lines returned in {} exchanges, stack {stack} bytes",
            board.map.board, world.esp.traffic.exchanges
        );
    }
}

/// An ESP8266 that hangs is reset by the wire of each board, and the lines go on.
#[test]
fn the_demo_recovers_on_every_board() {
    for board in [&BLACK_PILL, &NUCLEO_F446] {
        let mut bench = Bench::on(board, "demo", None);
        bench.until("the server has two lines", 60_000, |w| w.server.ledger.got.len() >= 2);
        assert!(bench.world().console().contains("no settings are written"));
        // It hangs within an exchange: only the reset wire brings it back.
        bench.world().esp.faults.hang_after = Some(5);
        let before = bench.world().server.ledger.got.len();
        bench.until("lines come again", 30_000, |w| w.server.ledger.got.len() >= before + 2);
        let world = bench.world();
        assert!(world.esp.traffic.resets >= 2, "by the wire: {}", world.console());
        healthy(board, &mut bench);
    }
}

/// The Black Pill is flashed over USB as the Pyboard is: the boot loader in ROM jumps into the program, at 60 MHz from a
/// crystal of 25 MHz.
#[test]
fn the_boot_loader_starts_a_black_pill() {
    for (masked, times) in [(true, &[0, 1_000][..]), (false, &[20, 100, 500, 5_000, 1_600_000])] {
        for &usb_after in times {
            let left = Left { masked, usb_after };
            let mut bench = Bench::on(&BLACK_PILL, "echo", Some(&settings()));
            bench.start_from_rom(left);
            let chip = &bench.world().chip;
            assert!(chip.system.vector_table() == ROM && chip.usb_lives(), "as it leaves the chip");
            bench.world().server.write("hello");
            bench.until(&format!("it links, {left:?}"), 20_000, |w| {
                w.server.ledger.acked == 1 && !w.server.ledger.got.is_empty()
            });
            healthy(&BLACK_PILL, &mut bench);
            assert!(!bench.world().chip.usb_lives(), "{left:?}: USB is switched off");
        }
    }
}

/// The program of a Pyboard looks for its settings where the smaller chip has no flash, which is a fault of the bus:
/// `pblink flash` refuses it.
#[test]
#[should_panic(expected = "READ_UNMAPPED")]
fn a_program_for_another_board_does_not_run() {
    Cpu::new(&BLACK_PILL, &image(&PYBOARD, "echo"), &[], &[]).run(3_000_000);
}
