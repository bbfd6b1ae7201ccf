//! The scripts of the page one by one: its words are those of the screens, its sums those of `pblink monitor`.

use pblink_cli::output::{events, gateways, units};
use pblink_serve::control::GatewayInfo;
use pblink_server::{Cause, Layer, LinkState};
use serde_json::{Value, json};

use super::browser::Browser;
use super::rig::Rig;

/// A function that words a number.
type Format = fn(u64) -> String;

/// Numbers at which a unit changes, those beside them, and some in between.
fn numbers() -> Vec<u64> {
    let edges =
        [1, 60, 1000, 10_000, 60_000, 100_000, 1_000_000, 3_600_000, 86_400_000, 172_800_000];
    let more = [
        0,
        7,
        340,
        999,
        1_250,
        2_450,
        41_234,
        123_456,
        192_000,
        1_560_000,
        7_500_000,
        273_600_000,
        123_456_789_000,
    ];
    edges.iter().flat_map(|edge| [edge - 1, *edge, edge + 1]).chain(more).collect()
}

#[test]
fn words_and_sums_of_the_page_are_those_of_the_screens() {
    let Some(page) = Browser::start(390, 844) else { return };
    let rig = Rig::start("127.0.0.1", "print");
    page.open(&rig.url);
    units_are_the_same(&page);
    states_and_causes_are_the_same(&page);
    gateways_are_named_the_same(&page);
    sums_are_those_of_the_monitor(&page);
    streams_are_cut_into_events_wherever_they_are_split(&page);
}

fn units_are_the_same(page: &Browser) {
    let formats: [(&str, Format); 5] = [
        ("age", units::age),
        ("span", units::span),
        ("micros", units::micros),
        ("bytes", units::bytes),
        ("count", units::count),
    ];
    let numbers = numbers();
    for (name, format) in formats {
        let shown = page.wait(&format!(
            "const words = await import('/web/words.js'); return {}.map(words.{name})",
            json!(numbers)
        ));
        for (n, shown) in numbers.iter().zip(shown.as_array().unwrap()) {
            assert_eq!(*shown, format(*n), "{name} of {n}");
        }
    }
}

fn gateways_are_named_the_same(page: &Browser) {
    let gateway = |name: &str, heard_ms| GatewayInfo {
        name: name.into(),
        leads: name == "a",
        behind: 0,
        heard_ms,
        other_keys: name == "d",
    };
    let lists = [
        vec![],
        vec![gateway("a", 0)],
        vec![gateway("a", 0), gateway("b", 10_000)],
        vec![gateway("a", 0), gateway("b", 0), gateway("c", 10_001)],
        vec![gateway("a", 0), gateway("b", 10_001), gateway("c", 20_000)],
        vec![gateway("a", 0), gateway("b", 10_001), gateway("d", 0)],
    ];
    let shown = page.wait(&format!(
        "const words = await import('/web/words.js'); return {}.map(words.gateways)",
        json!(lists)
    ));
    let expected = lists.map(|list| gateways::words(&list).map(|(text, _)| text));
    assert_eq!(shown, json!(expected));
}

fn states_and_causes_are_the_same(page: &Browser) {
    let layers = [Layer::Wires, Layer::Coprocessor, Layer::Wifi, Layer::Server];
    let causes = [
        Cause::Silent,
        Cause::ClosedByPeer,
        Cause::Reset,
        Cause::SlowReader,
        Cause::LineTooLong,
        Cause::TakenOver,
        Cause::ClosedByApplication,
        Cause::NotExpected,
        Cause::KeysChanged,
        Cause::Shutdown,
        Cause::ServerDied,
    ];
    let down = layers.map(|layer| LinkState::Down { layer, cause: Cause::Silent });
    let states: Vec<_> = down.into_iter().chain([LinkState::Up, LinkState::Waiting]).collect();
    let shown = page.wait(&format!(
        "const words = await import('/web/words.js');\
         return [{}.map(words.state), {}.map(words.cause)]",
        json!(states),
        json!(causes)
    ));
    let names: Vec<_> = states.into_iter().map(events::state_name).collect();
    let sentences: Vec<_> = causes.iter().map(Cause::to_string).collect();
    assert_eq!(shown, json!([names, sentences]));
}

/// The numbers are those of the monitor's own test.
fn sums_are_those_of_the_monitor(page: &Browser) {
    let sums = page.wait(
        "const { sum, SPANS } = await import('/web/timeline.js');\
         const { percent } = await import('/web/words.js');\
         const [now, hour] = [1772366400000, 3600000];\
         const outage = (ago, end, lasted) => ({ began_ms: now - ago * hour, end, ended_ms: lasted === null ? null : now - ago * hour + lasted });\
         const outages = [outage(30, 'reconnected', hour), outage(25, 'reconnected', 2 * hour), outage(12, 'reconnected', 1000),\
           outage(6, 'unseen', null), outage(1, 'open', null)];\
         const show = (sums) => [sums.listed.length, sums.down, sums.longest, sums.availability === null ? '-' : percent(sums.availability)];\
         const day = (outages, absences, since) => sum(outages, absences, since, now, SPANS.day.ms);\
         return [show(day(outages, [], 0)), show(day([], [], now - 6 * hour)), show(day([], [], now)),\
           show(day([outage(12, 'reconnected', hour)], [], now - hour)), percent(0.99999),\
           day([], [[now - 3 * hour, now - 2 * hour]], now - hour).known === now - 3 * hour]",
    );
    let hour = 3_600_000;
    let expected = json!([
        [4, 2 * hour + 1000, hour, "91.66 %"],
        [0, 0, 0, "100.00 %"],
        [0, 0, 0, "-"],
        [1, hour, hour, "91.66 %"],
        "99.99 %",
        true
    ]);
    assert_eq!(sums, expected);
}

fn streams_are_cut_into_events_wherever_they_are_split(page: &Browser) {
    let text = "event: log\ndata: {\"head\":2}\n\nevent: line\ndata: {\"text\":\"a: b\"}\nid: 2\n\n:\nid: 7\n\n:\n\n";
    let found = page.wait(&format!(
        "const {{ events }} = await import('/web/api.js');\
         const text = {};\
         const all = [];\
         for (const size of [1, 2, 3, 7, 1000]) {{\
           const chunks = text.match(new RegExp(`[^]{{1,${{size}}}}`, 'g'));\
           const found = [];\
           for await (const {{ event, data, id }} of events(chunks)) found.push([event, data, id]);\
           all.push(found);\
         }}\
         return all",
        json!(text)
    ));
    let expected = json!([
        ["log", "{\"head\":2}", null],
        ["line", "{\"text\":\"a: b\"}", "2"],
        [null, null, "7"],
        [null, null, null]
    ]);
    assert_eq!(found, Value::Array(vec![expected; 5]));
}
