//! The picture of the page in the README: `just page`.

use std::path::Path;

use super::browser::Browser;
use super::rig::{Rig, Simulated};
use super::wait_for_state;

/// Readings of a board, one for each line.
fn reading(n: u32) -> String {
    let t = 21.0 + f64::from(n % 17) / 10.0;
    format!("{{\"t\": {t:.1}, \"rh\": {}}}", 44 + n % 5)
}

#[test]
#[ignore = "makes docs/page.png: `just page`"]
fn the_picture_of_the_readme() {
    let rig = Rig::start("127.0.0.1", "echo");
    let page = Browser::start(1180, 900).expect("Chromium is there");
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
    page.picture(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/page.png"));
}
