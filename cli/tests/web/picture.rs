//! The picture of the page in the README: `just page` takes it from where this test leaves it.

use super::browser::Browser;
use super::rig::{Rig, Simulated};
use super::{folder, wait_for_state};

/// Readings of a board, one for each line.
fn reading(n: u32) -> String {
    let t = 21.0 + f64::from(n % 17) / 10.0;
    format!("{{\"t\": {t:.1}, \"rh\": {}}}", 44 + n % 5)
}

#[test]
fn a_link_that_is_down_and_a_boards_readings_are_seen_at_a_glance() {
    let Some(page) = Browser::start(1180, 900) else { return };
    let rig = Rig::start("127.0.0.1", "echo");
    let _attic = Simulated::start(&rig.boards, "attic", &[]);
    let mut kitchen = rig.board("kitchen");
    page.open(&rig.url);
    let shed = Simulated::start(&rig.boards, "shed", &[]);
    wait_for_state(&page, "shed", "up");
    drop(shed);
    wait_for_state(&page, "shed", "down");
    wait_for_state(&page, "attic", "up");
    for n in 0..40 {
        kitchen.say(&reading(n));
    }
    page.wait(
        "return [...document.querySelectorAll('.links tbody tr')].some((row) => row.textContent.includes('\"rh\"'))",
    );
    page.run("document.activeElement.blur(); scrollTo(0, 0)");
    page.scheme("light");
    page.picture(&folder().join("readme.png"));
}
