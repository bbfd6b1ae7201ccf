//! Starts of the release images without a reset: the boot loader in ROM jumps into them after
//! `pblink flash stm32 --via dfu` and `pblink config push`.

use pblink_stm32::settings::{LogLevel, Settings};
use unicorn_bench::bench::Bench;
use unicorn_bench::rom::{Left, ROM};

/// Cycles a ms.
const MS: u64 = 16_000;

fn comes_up(name: &str, left: Left) {
    let mut settings = Settings::built_in();
    settings.log = LogLevel::Link;
    let mut bench = Bench::new(name, Some(&settings));
    bench.start_from_rom(left);
    let chip = &bench.world().chip;
    assert!(chip.system.vector_table() == ROM && chip.usb_lives(), "as the boot loader leaves it");
    bench.world().server.write("hello");
    bench.until(&format!("{name} links, {left:?}"), 20_000, |w| {
        w.server.ledger.acked == 1 && !w.server.ledger.got.is_empty()
    });
    let world = bench.world();
    // It came up at once, and by itself.
    assert_eq!((world.chip.watchdog_resets, world.chip.own_resets), (0, 0), "{left:?}");
    assert_eq!(world.esp.traffic.resets, 1, "{left:?}: {}", world.console());
    assert_eq!((world.chip.i2c.misuse, world.chip.unclocked), (0, 0));
    assert!(!world.chip.usb_lives(), "{left:?}: USB is switched off");
    // DBGMCU_APB1_FZ: a core that a debugger has halted is not reset.
    assert!(world.chip.read(0xe004_2008) & 1 << 12 != 0, "the watchdog bites in a debugger");
}

#[test]
fn the_boot_loader_starts_it_with_interrupts_masked_and_usb_waiting() {
    for name in ["echo", "demo"] {
        comes_up(name, Left { masked: true, usb_after: 0 });
    }
}

/// A host keeps talking to the USB that it knows: its interrupt comes at any time.
#[test]
fn the_boot_loader_starts_it_with_interrupts_and_usb_alive() {
    // From where the vector table has been set to where all runs.
    for usb_after in [20, 50, 100, 200, 500, 1_000, 2_000, 5_000, MS, 2 * MS, 10 * MS, 100 * MS] {
        comes_up("echo", Left { masked: false, usb_after });
    }
}
