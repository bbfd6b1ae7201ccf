//! The exact release images on the bench. Build them first: `firmware-stm32/build.sh`.

use unicorn_bench::bench::Bench;

#[test]
fn the_demo_starts_without_settings() {
    let mut bench = Bench::new("demo", None);
    bench.until("the server has the first line", 20_000, |w| !w.server.ledger.got.is_empty());
    let world = bench.world();
    assert_eq!(world.server.id, "1");
    assert_eq!(world.server.ledger.got, ["[42, 1, 99]"]);
    println!("{}", world.console());
}
