//! The page of `pblink serve` in a browser, with boards that are simulated through the real server.
//!
//! It leaves pictures in `target/web/`.

mod browser;
mod picture;
mod rig;
mod words;

use std::collections::BTreeSet;
use std::path::PathBuf;

use browser::{Browser, ENTER, SHIFT, TAB};
use rig::{Rig, Simulated, other_address};
use serde_json::Value;

/// A phone and a desktop.
const SIZES: [(&str, u32, u32); 2] = [("phone", 390, 844), ("desktop", 1280, 800)];

/// A line that would do something if it were markup.
const MARKUP: &str = "<img src=x onerror=\"window.ran=1\"><script>window.ran=1</script>";

/// Ids may have these signs, too.
const ODD: &str = "<b onclick=alert(1)>&amp;\"'";

/// Roles of what a user can act on.
const ROLES: [&str; 9] = [
    "link",
    "button",
    "textbox",
    "searchbox",
    "combobox",
    "region",
    "listbox",
    "menulistpopup",
    "ComboBoxSelect",
];

/// Waits for a link of this state in the table.
fn wait_for_state(page: &Browser, id: &str, state: &str) {
    let id = serde_json::to_string(id).unwrap();
    page.wait(&format!(
        "const row = [...document.querySelectorAll('.links tbody tr')].find((row) => row.querySelector('.id').textContent === {id});\
         return row?.dataset.state === '{state}'"
    ));
}

/// Checks that all that can be acted on has a role and a name, and is reached by Tab, in the order of the page.
fn all_controls_are_reached(page: &Browser, least: usize) {
    let controls = page.controls();
    assert!(controls.len() >= least, "{}", controls.len());
    for control in &controls {
        let (role, name) = page.role_and_name(control);
        assert!(ROLES.contains(&&*role), "{role:?} {name:?}");
        assert!(!name.trim().is_empty(), "a {role} has no name");
    }
    page.run("document.querySelector('a').focus()");
    // Only who uses the keyboard sees where the focus is.
    page.press(&[TAB]);
    page.press(&[SHIFT, TAB]);
    for (n, control) in controls.iter().enumerate() {
        if n > 0 {
            page.press(&[TAB]);
        }
        let (expected, found) = (page.role_and_name(control), page.role_and_name(&page.focused()));
        assert!(page.same(control, &page.focused()), "{n}: {found:?} instead of {expected:?}");
        let outline = page.run(
            "const one = document.activeElement; one.scrollIntoView({ block: 'nearest' });\
             return getComputedStyle(one).outlineStyle",
        );
        assert_eq!(outline, "solid", "{expected:?} does not show that it has the focus");
    }
}

/// Checks that the page is not wider than the window.
fn nothing_is_too_wide(page: &Browser) {
    let wide = page.run(
        "const width = document.documentElement.clientWidth;\
         if (document.documentElement.scrollWidth <= width) return null;\
         return [...document.querySelectorAll('main *')].filter((one) => one.getBoundingClientRect().right > width + 1)\
           .map((one) => `${one.tagName}.${one.className}`).join(' ')",
    );
    assert_eq!(wide, Value::Null);
}

/// Checks that nothing ran, nothing was refused by the policy, and nothing was asked of others. `lost`: failed requests to
/// the server itself are right.
fn nothing_went_wrong(page: &Browser, origin: &str, lost: bool) {
    assert_eq!(page.run("return window.ran ?? null"), Value::Null);
    for entry in page.log("browser") {
        let text = entry["message"].as_str().unwrap();
        let failed = entry["source"] == "network" && text.contains(origin);
        assert!(lost && failed, "{entry}");
    }
    let mut asked = BTreeSet::new();
    for entry in page.log("performance") {
        let message: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
        if message["message"]["method"] == "Network.requestWillBeSent" {
            asked.insert(
                message["message"]["params"]["request"]["url"].as_str().unwrap().to_owned(),
            );
        }
    }
    let own = |url: &String| url.starts_with(&format!("{origin}/"));
    assert!(asked.iter().any(own), "{asked:?}");
    // The browser has pages of its own, such as that of a new tab.
    let inside = |url: &String| ["data:", "chrome:"].iter().any(|kind| url.starts_with(kind));
    let others: Vec<_> = asked.iter().filter(|url| !own(url) && !inside(url)).collect();
    assert!(others.is_empty(), "{others:?}");
}

/// Returns the folder for pictures.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../web")
}

/// Takes pictures, light and dark.
fn pictures(page: &Browser, name: &str) {
    page.run("document.activeElement.blur(); scrollTo(0, 0)");
    for scheme in ["dark", "light"] {
        page.scheme(scheme);
        page.picture(&folder().join(format!("{name}-{scheme}.png")));
    }
}

/// Waits until the page has exactly these lines of the link that it shows.
fn wait_for_lines(page: &Browser, id: &str) {
    // A line that comes between the two looks is there at the next one.
    page.wait(&format!(
        "let there = [];\
         for (let after = 0, head = 1; after < head; ) {{\
           const answer = await fetch(`/api/v1/lines?limit=1000&client={id}&after=${{after}}`).catch(() => null);\
           if (!answer?.ok) return false;\
           const page = await answer.json();\
           there = [...there, ...page.lines.map((line) => line.offset)];\
           ({{ after, head }} = page);\
         }}\
         const shown = [...document.querySelectorAll('.lines li')].reverse().filter((li) => li.dataset.offset);\
         return there.length > 0 && shown.map((li) => li.dataset.offset).join() === there.slice(-500).join()"
    ));
}

#[test]
fn links_their_outages_and_their_lines_are_shown_at_each_size() {
    for (name, width, height) in SIZES {
        let Some(page) = Browser::start(width, height) else { return };
        let rig = Rig::start("127.0.0.1", "echo");
        let attic = Simulated::start(&rig.boards, "attic", &["--report", "1"]);
        let _kitchen = Simulated::start(&rig.boards, "kitchen", &["--report", "1"]);
        let mut shed = rig.board("shed");
        let mut odd = rig.board(ODD);
        page.open(&rig.url);
        for id in ["attic", "kitchen", "shed", ODD] {
            wait_for_state(&page, id, "up");
        }
        page.wait("return document.getElementById('connection-words').textContent === 'live'");
        // One goes, and comes back.
        drop(attic);
        wait_for_state(&page, "attic", "down");
        let _attic = Simulated::start(&rig.boards, "attic", &["--report", "1"]);
        wait_for_state(&page, "attic", "up");
        let bar = ".timeline:has(a[href='#/link/attic']) .bar-button";
        page.wait(&format!("return document.querySelectorAll(\"{bar} rect.down\").length === 1"));
        let said = page.role_and_name(&page.find(bar)).1;
        assert!(
            said.starts_with("attic, last 24 hours: 1 outage, ")
                && said.contains(" down, longest "),
            "{said}"
        );
        // Its list opens by the keyboard.
        page.keys(bar, ENTER);
        let list = "table[aria-label='Outages of attic, last 24 hours']";
        let row = page.wait(&format!(
            "const list = document.querySelector(\"{list}\");\
             return list.checkVisibility() && list.querySelector('tbody').innerText"
        ));
        assert!(row.as_str().unwrap().contains("likely "), "{row}");
        page.click("[data-span=week]");
        page.wait(&format!("return document.querySelector(\"{bar}\").ariaLabel.startsWith('attic, last 7 days: 1 outage')"));
        page.click("[data-span=day]");

        // Words of a board are text.
        shed.say(MARKUP);
        odd.say("\u{202e}turned round\u{7}");
        let text = serde_json::to_string(MARKUP).unwrap();
        page.wait(&format!("return [...document.querySelectorAll('.links .line')].some((one) => one.textContent === {text})"));
        page.wait("return [...document.querySelectorAll('.links .line')].some((one) => one.textContent === '\u{fffd}turned round\u{fffd}')");
        nothing_is_too_wide(&page);
        all_controls_are_reached(&page, 15);
        pictures(&page, &format!("{name}-links"));

        // Filter and order.
        page.keys("#filter", "ATT");
        page.wait("return document.querySelectorAll('.links tbody tr').length === 1");
        page.run("document.getElementById('filter').value = ''");
        page.keys("#filter", "x");
        page.run("const one = document.getElementById('filter'); one.value = ''; one.dispatchEvent(new Event('input'))");
        page.click("#state option[value=down]");
        page.wait("return document.querySelector('.part .none').textContent === 'No link passes the filter.'");
        page.click("#state option[value=all]");
        if name == "phone" {
            page.click("#order option[value=in]");
        } else {
            page.click("th[data-order=in] button");
        }
        page.wait(
            "const rows = [...document.querySelectorAll('.links tbody tr [data-title=in]')];\
             return rows.length === 4 && rows.every((row, n) => n === 0 || Number(rows[n - 1].textContent) >= Number(row.textContent))",
        );

        // One link.
        page.click(".links a[href='#/link/shed']");
        page.wait(&format!(
            "return document.querySelector('.lines li .text')?.textContent === {text}"
        ));
        assert_eq!(page.run("return document.querySelectorAll('main img, main script').length"), 0);
        assert_eq!(page.run("return document.title"), "shed · pblink");
        page.click(".tools > button");
        shed.say("held");
        page.wait("return document.querySelector('.tools > button[aria-pressed=true]')?.textContent === 'Resume (1 new)'");
        assert_eq!(page.run("return document.querySelectorAll('.lines li').length"), 1);
        page.click(".tools > button[aria-pressed=true]");
        wait_for_lines(&page, "shed");
        page.run(&format!(
            "location.hash = '#/link/' + encodeURIComponent({})",
            serde_json::to_string(ODD).unwrap()
        ));
        page.wait(&format!(
            "return document.querySelector('#view h1').textContent === {}",
            serde_json::to_string(ODD).unwrap()
        ));
        page.wait("return document.querySelector('.lines .text')?.textContent === '\u{fffd}turned round\u{fffd}'");
        nothing_is_too_wide(&page);
        nothing_went_wrong(&page, &rig.url, false);

        page.run("location.hash = '#/link/kitchen'");
        page.wait("return [...document.querySelectorAll('.chart')].every((one) => one.querySelector('.curve'))");
        page.wait("return document.querySelectorAll('.lines li').length > 3");
        for path in ["outages", "reports", "lines"] {
            let kinds = page.wait(&format!(
                "const links = [...document.querySelectorAll(\"a[href*='/{path}?']\")];\
                 const answers = await Promise.all(links.map((link) => fetch(link.href)));\
                 return answers.map((answer) => answer.status + ' ' + answer.headers.get('content-type'))"
            ));
            let expected = ["200 text/csv; charset=utf-8; header=present", "200 application/json"];
            assert_eq!(kinds, serde_json::json!(expected), "{path}");
        }
        nothing_is_too_wide(&page);
        all_controls_are_reached(&page, 14);
        // The way round the header leads to no other page.
        page.run("document.querySelector('.skip').focus()");
        page.press(&[ENTER]);
        assert_eq!(page.run("return document.activeElement.id"), "main");
        assert_eq!(page.run("return document.title"), "kitchen · pblink");
        pictures(&page, &format!("{name}-link"));
        nothing_went_wrong(&page, &rig.url, false);
    }
}

#[test]
fn a_line_reaches_its_board_once_there_is_a_token() {
    let Some(page) = Browser::start(390, 844) else { return };
    let rig = Rig::start("127.0.0.1", "print");
    let kitchen = Simulated::start(&rig.boards, "kitchen", &[]);
    page.open(&format!("{}/#/link/kitchen", rig.url));
    page.wait("return document.querySelector('.badge')?.dataset.state === 'up'");
    page.keys("#line", "never mind");
    page.keys("#line", ENTER);
    page.wait("return !document.getElementById('access').hidden");
    page.click("#access-cancel");
    page.wait(
        "return document.querySelector('.outcome').textContent === 'not sent: it needs the token'",
    );
    page.keys("#line", "[\"light\", \"on\"]");
    page.keys("#line", ENTER);
    page.wait("return !document.getElementById('access').hidden");
    page.keys("#access-token", "not-the-token-of-this-server");
    page.keys("#access-token", ENTER);
    page.wait("return document.getElementById('access-error').textContent === 'this is not the server\\'s token'");
    pictures(&page, "phone-token");
    page.run("document.getElementById('access-token').value = ''");
    page.keys("#access-token", &rig.token());
    page.keys("#access-token", ENTER);
    page.wait("return document.querySelector('.sent li')?.dataset.outcome === 'done'");
    assert_eq!(kitchen.read(), "[\"light\", \"on\"]");
    let said = page.run("return document.querySelector('.sent li').textContent");
    assert!(said.as_str().unwrap().contains("acknowledged by the board after "), "{said}");

    // The board is away: the line waits in the log, and is acknowledged when it is back.
    drop(kitchen);
    page.wait("return document.querySelector('.badge').dataset.state === 'down'");
    page.keys("#line", "light off");
    page.click(".send button");
    page.wait("return document.querySelector('.outcome').textContent === 'in the log, waits for the board'");
    let kitchen = Simulated::start(&rig.boards, "kitchen", &[]);
    assert_eq!(kitchen.read(), "light off");
    page.wait("return document.querySelectorAll('.sent li[data-outcome=done]').length === 2");

    // A line that is too long is refused with the reason.
    page.run("document.getElementById('line').removeAttribute('maxlength')");
    page.run("document.getElementById('line').value = 'x'.repeat(2000)");
    page.click(".send button");
    let why = page.wait("const one = document.querySelector('.sent li'); return one.dataset.outcome === 'refused' && one.textContent");
    assert!(
        why.as_str().unwrap().contains("refused: ") && why.as_str().unwrap().contains("1024"),
        "{why}"
    );
}

#[test]
fn after_the_server_was_killed_the_page_goes_on_and_no_line_is_missing_or_there_twice() {
    let Some(page) = Browser::start(1280, 800) else { return };
    let mut rig = Rig::start("127.0.0.1", "print");
    let kitchen = Simulated::start(&rig.boards, "kitchen", &["--every", "20ms"]);
    page.open(&format!("{}/#/link/kitchen", rig.url));
    page.wait("return document.querySelectorAll('.lines li').length > 20");
    for _ in 0..3 {
        rig.kill();
        page.wait("return document.getElementById('connection').dataset.state === 'lost' && document.getElementById('connection-time').textContent");
        let before = page.run("return Math.max(...[...document.querySelectorAll('.lines li')].map((one) => Number(one.dataset.offset)))");
        rig.restart();
        page.wait("return document.getElementById('connection').dataset.state === 'live'");
        page.wait(&format!("return [...document.querySelectorAll('.lines li')].some((one) => Number(one.dataset.offset) > {before} + 5)"));
    }
    pictures(&page, "desktop-killed");
    drop(kitchen);
    wait_for_lines(&page, "kitchen");
    assert_eq!(page.run("return document.querySelectorAll('.lines .note').length"), 0);
    // It is the server that was away, and the timeline says so.
    page.wait("return document.querySelectorAll('.bar-button rect.away').length === 3");
    let listed = page.run(
        "return [...document.querySelectorAll('.outages tbody td:last-child')].map((one) => one.textContent)",
    );
    let listed = listed.as_array().unwrap();
    let killed = "no server: server was killed or lost its power";
    assert!(
        listed.len() >= 3 && listed.iter().filter(|one| **one == killed).count() == 3,
        "{listed:?}"
    );
    nothing_went_wrong(&page, &rig.url, true);

    // Another log: its lines begin anew, with a word.
    rig.kill();
    rig.forget();
    rig.restart();
    let words = page.wait("return document.querySelector('.lines .note')?.textContent");
    assert_eq!(words, "The server has another log now: its lines begin anew.");
    assert_eq!(page.run("return document.querySelectorAll('.lines li').length"), 1);
    let _kitchen = Simulated::start(&rig.boards, "kitchen", &["--every", "20ms"]);
    page.wait("return document.querySelectorAll('.lines li').length > 5");
    page.wait("return [...document.querySelectorAll('.lines li')].some((one) => one.dataset.offset === '1')");
}

#[test]
fn from_another_machine_the_token_is_asked_for_and_again_when_its_session_has_ended() {
    let Some(ip) = other_address() else {
        // A machine without a network has no others.
        return;
    };
    let Some(page) = Browser::start(390, 844) else { return };
    let mut rig = Rig::start(&ip, "print");
    let _kitchen = Simulated::start(&rig.boards, "kitchen", &[]);
    page.open(&rig.url);
    let log_in = |token: &str| {
        page.wait("return !document.getElementById('access').hidden");
        page.keys("#access-token", token);
        page.click("#access-form button");
    };
    let why = page.wait("return document.getElementById('access-why').textContent");
    assert!(why.as_str().unwrap().contains("token"), "{why}");
    assert_eq!(page.run("return document.activeElement.id"), "access-token");
    all_controls_are_reached(&page, 5);
    assert_eq!(page.run("return document.querySelectorAll('.links tbody tr').length"), 0);
    log_in(&rig.token());
    wait_for_state(&page, "kitchen", "up");
    page.wait("return document.getElementById('access').hidden");
    nothing_is_too_wide(&page);
    // Sessions end with the server.
    rig.kill();
    rig.restart();
    log_in(&rig.token());
    wait_for_state(&page, "kitchen", "up");
    page.click("#log-out");
    page.wait("return document.getElementById('connection').dataset.state === 'token'");
    assert!(!rig.token().is_empty());
    nothing_went_wrong(&page, &rig.url, true);
}
