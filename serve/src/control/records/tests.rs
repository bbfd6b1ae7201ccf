//! Sequences of events, and the records that they make.

use pblink_server::{Cause, Layer, Report};

use super::*;

const SECOND: u64 = 1000;
const WIFI: LinkState = LinkState::Down { layer: Layer::Wifi, cause: Cause::Silent };

fn apply(records: &mut Records, at_ms: u64, kind: EventKind) {
    records.apply(&Event { seq: 0, at_ms, kind });
}

fn began(records: &mut Records, at_ms: u64, id: &str) {
    let kind = EventKind::OutageBegan { id: id.into(), cause: Cause::Silent, layer: Layer::Wifi };
    apply(records, at_ms, kind);
}

fn ended(records: &mut Records, at_ms: u64, id: &str, lasted_ms: u64) {
    let (id, peer) = (id.into(), String::new());
    apply(records, at_ms, EventKind::OutageEnded { id, peer, lasted_ms, connects: 2 });
}

fn connected(records: &mut Records, at_ms: u64, id: &str) {
    apply(records, at_ms, EventKind::Connected { id: id.into(), peer: String::new() });
}

fn reported(records: &mut Records, at_ms: u64, id: &str, connects: u32, number: u32) {
    let report = Report { connects, number, mem_free: 1 };
    apply(records, at_ms, EventKind::Report { id: id.into(), report });
}

fn status(id: &str, state: LinkState, since_ms: u64) -> LinkStatus {
    let json = serde_json::json!({
        "id": id, "state": "up", "since_ms": since_ms, "connects": 0, "outages": 0, "lines_in": 0,
        "lines_out": 0, "retransmissions": 0, "duplicates": 0, "invalid_lines": 0, "unread": 0,
        "unacked": 0,
    });
    LinkStatus { state, ..serde_json::from_value(json).unwrap() }
}

fn all(records: &Records) -> Vec<Outage> {
    records.outages(Filter::default())
}

fn ends(records: &Records) -> Vec<(u64, End)> {
    all(records).iter().map(|outage| (outage.began_ms, outage.end)).collect()
}

#[test]
fn an_outage_begins_and_ends() {
    let mut records = Records::default();
    connected(&mut records, 0, "1");
    began(&mut records, 5_000, "1");
    began(&mut records, 6_000, "2");
    let first = Outage {
        number: 1,
        client: "1".into(),
        began_ms: 5_000,
        end: End::Open,
        layer: Some(Layer::Wifi),
        cause: Some(Cause::Silent),
        finding: None,
    };
    assert_eq!(all(&records)[0], first);
    ended(&mut records, 7_500, "1", 2_500);
    assert_eq!(ends(&records), [(5_000, End::Reconnected(2_500)), (6_000, End::Open)]);
    let ended = all(&records)[0].clone();
    assert_eq!((ended.ended_ms(), ended.lasted_ms()), (Some(7_500), Some(2_500)));
    assert_eq!(records.outage_count(), 2);
}

#[test]
fn an_end_without_a_begin_is_an_outage_of_unknown_cause() {
    let mut records = Records::default();
    ended(&mut records, 9_000, "1", 4_000);
    let outage = &all(&records)[0];
    assert_eq!((outage.began_ms, outage.cause, outage.layer), (5_000, None, None));
}

#[test]
fn a_client_that_a_forgetful_server_meets_for_the_first_time_has_come_back() {
    let mut records = Records::default();
    began(&mut records, 5_000, "1");
    connected(&mut records, 8_000, "1");
    assert_eq!(ends(&records), [(5_000, End::Reconnected(3_000))]);
    connected(&mut records, 9_000, "1");
    assert_eq!(ends(&records), [(5_000, End::Reconnected(3_000))]);
}

#[test]
fn a_loss_of_events_leaves_no_outage_open_unless_the_link_is_seen_to_be_down() {
    let mut records = Records::default();
    for id in ["still", "again", "back", "late"] {
        began(&mut records, 10 * SECOND, id);
    }
    records.lose();
    assert!(all(&records).iter().all(|outage| outage.end == End::Unseen));

    let now = 30 * SECOND;
    let links = [
        status("still", WIFI, 20 * SECOND + 7),
        status("again", WIFI, 3 * SECOND),
        status("back", LinkState::Up, 9 * SECOND),
        status("new", WIFI, 5 * SECOND),
        status("never", LinkState::Waiting, now),
    ];
    records.see(now, &links);
    let state = |records: &Records, id: &str| -> Vec<(u64, End)> {
        let filter = Filter { client: Some(id), ..Filter::default() };
        records.outages(filter).iter().map(|o| (o.began_ms / SECOND, o.end)).collect()
    };
    assert_eq!(state(&records, "still"), [(10, End::Open)]);
    assert_eq!(state(&records, "again"), [(10, End::Unseen), (27, End::Open)]);
    assert_eq!(state(&records, "back"), [(10, End::Unseen)]);
    assert_eq!(state(&records, "new"), [(25, End::Open)]);
    assert_eq!(state(&records, "never"), []);

    // What is still on its way from before the look is known already, or is what was missing.
    began(&mut records, 27 * SECOND + 2, "again");
    ended(&mut records, 21 * SECOND, "back", 11 * SECOND);
    ended(&mut records, 31 * SECOND, "late", 2 * SECOND);
    assert_eq!(state(&records, "again"), [(10, End::Unseen), (27, End::Open)]);
    assert_eq!(state(&records, "back"), [(10, End::Reconnected(11 * SECOND))]);
    assert_eq!(state(&records, "late"), [(10, End::Unseen), (29, End::Reconnected(2 * SECOND))]);
}

#[test]
fn events_from_before_a_look_are_not_about_what_it_has_seen() {
    let mut records = Records::default();
    records.lose();
    records.see(30 * SECOND, &[status("1", WIFI, 3 * SECOND)]);
    // These were on their way: an outage before the one that was seen, which begins only then.
    connected(&mut records, 15 * SECOND, "1");
    began(&mut records, 20 * SECOND, "1");
    ended(&mut records, 25 * SECOND, "1", 5 * SECOND);
    began(&mut records, 27 * SECOND + 3, "1");
    let seen = (27 * SECOND, End::Open);
    assert_eq!(ends(&records), [seen, (20 * SECOND, End::Reconnected(5 * SECOND))]);
    ended(&mut records, 31 * SECOND, "1", 4 * SECOND);
    assert_eq!(ends(&records)[0], (27 * SECOND, End::Reconnected(4 * SECOND)));
}

#[test]
fn a_clock_that_is_set_leaves_no_outage_open() {
    for set_to in [1_000, 90_000] {
        let mut records = Records::default();
        began(&mut records, 50_000, "1");
        ended(&mut records, set_to, "1", 700);
        began(&mut records, set_to + 5_000, "1");
        connected(&mut records, set_to - 500, "1");
        assert_eq!(
            ends(&records),
            [(50_000, End::Reconnected(700)), (set_to + 5_000, End::Reconnected(0))]
        );
    }
}

fn was_down(records: &mut Records, began_ms: u64, lasted_ms: u64, stopped: bool) {
    let kind = EventKind::ServerWasDown { began_ms, lasted_ms, stopped };
    apply(records, began_ms + lasted_ms, kind);
}

#[test]
fn the_end_of_a_server_is_an_outage_of_each_link_that_was_up() {
    let mut records = Records::default();
    connected(&mut records, 1_000, "up");
    connected(&mut records, 1_000, "down");
    began(&mut records, 2_000, "down");
    // One whose begin is not kept any more.
    reported(&mut records, 3_000, "old", 1, 7);
    was_down(&mut records, 10_000, 5_000, false);
    let died = |client: &str| {
        let outage = all(&records).into_iter().find(|outage| outage.client == client).unwrap();
        (outage.began_ms, outage.end, outage.layer, outage.cause)
    };
    let open = (10_000, End::Open, Some(Layer::Server), Some(Cause::ServerDied));
    assert_eq!((died("up"), died("old")), (open, open));
    assert_eq!(died("down"), (2_000, End::Open, Some(Layer::Wifi), Some(Cause::Silent)));
    assert_eq!(records.open("up").map(|outage| outage.began_ms), Some(10_000));
    for id in ["up", "down", "old"] {
        connected(&mut records, 16_000, id);
    }
    let end = |ms| End::Reconnected(ms);
    assert_eq!(ends(&records), [(2_000, end(14_000)), (10_000, end(6_000)), (10_000, end(6_000))]);
    assert_eq!(records.open("up"), None);
    // A stop has said so for each link, and nothing is to be added.
    for id in ["up", "down", "old"] {
        began(&mut records, 20_000, id);
    }
    was_down(&mut records, 20_000, 5_000, true);
    assert_eq!(records.outage_count(), 6);
}

#[test]
fn a_server_that_was_down_is_to_blame_whatever_the_board_did_meanwhile() {
    let mut records = Records::default();
    reported(&mut records, 1_000, "1", 3, 8);
    was_down(&mut records, 2_000, 500, false);
    connected(&mut records, 3_000, "1");
    reported(&mut records, 4_000, "1", 1, 0);
    let outage = all(&records).pop().unwrap();
    assert_eq!(outage.finding, Some(Finding::Esp8266Restarted));
    assert_eq!(outage.blamed(), Some(Layer::Server));
}

#[test]
fn a_client_that_is_forgotten_leaves_nothing_and_takes_no_room() {
    let mut records = Records::default();
    records.expect(["1"]);
    for id in ["1", "2"] {
        reported(&mut records, 1_000, id, 3, 8);
        began(&mut records, 2_000, id);
        ended(&mut records, 3_000, id, 1_000);
        records.forget(id);
    }
    records.forget("3");
    was_down(&mut records, 4_000, 1, false);
    assert_eq!((all(&records), records.reports(Filter::default())), (vec![], vec![]));
    assert_eq!((records.used_by_expected, records.used_by_others), Default::default());
}

#[test]
fn two_begins_in_a_row_are_two_outages() {
    let mut records = Records::default();
    began(&mut records, 5_000, "1");
    began(&mut records, 50_000, "1");
    assert_eq!(ends(&records), [(5_000, End::Unseen), (50_000, End::Open)]);
}

#[test]
fn the_first_report_after_an_outage_shows_what_was_down() {
    let found = |reports: [(u32, u32); 2], outages: u64| {
        let mut records = Records::default();
        let [before, after] = reports;
        reported(&mut records, 1_000, "1", before.0, before.1);
        for n in 1..=outages {
            began(&mut records, n * 10_000, "1");
            ended(&mut records, n * 10_000 + 4_000, "1", 4_000);
        }
        reported(&mut records, 90_000, "1", after.0, after.1);
        let last = all(&records).pop().unwrap();
        (last.finding, last.blamed())
    };
    let (restarted, kept) = (Finding::Esp8266Restarted, Finding::Esp8266KeptRunning);
    assert_eq!(found([(3, 8), (1, 0)], 1), (Some(restarted), Some(Layer::Coprocessor)));
    assert_eq!(found([(3, 8), (4, 9)], 1), (Some(kept), Some(Layer::Wifi)));
    // It is unknown in which of the two it booted.
    assert_eq!(found([(3, 8), (1, 0)], 2), (None, Some(Layer::Wifi)));
    // Made before the outage: it waited in the board.
    assert_eq!(found([(3, 8), (3, 9)], 1), (None, Some(Layer::Wifi)));

    let mut records = Records::default();
    reported(&mut records, 1_000, "1", 3, 8);
    began(&mut records, 2_000, "1");
    ended(&mut records, 6_000, "1", 4_000);
    reported(&mut records, 7_000, "1", 3, 9);
    reported(&mut records, 9_000, "1", 4, 10);
    assert_eq!(all(&records)[0].finding, Some(kept), "the second report was made after it");

    let mut records = Records::default();
    reported(&mut records, 1_000, "1", 3, 8);
    records.lose();
    began(&mut records, 2_000, "1");
    ended(&mut records, 6_000, "1", 4_000);
    reported(&mut records, 9_000, "1", 1, 0);
    assert_eq!(all(&records)[0].finding, None, "an outage may have been lost");
}

#[test]
fn boots_are_counted_and_samples_kept_in_order() {
    let mut records = Records::default();
    for (i, number) in [7, 8, 0, 1, 0].into_iter().enumerate() {
        reported(&mut records, i as u64, "1", 1, number);
    }
    let reports = records.reports(Filter::default());
    assert_eq!((reports[0].boots, reports[0].samples.len()), (2, 5));
    assert!(reports[0].samples.is_sorted_by_key(|sample| sample.at_ms));
}

#[test]
fn a_reader_asks_for_what_changed() {
    let mut records = Records::default();
    began(&mut records, 1_000, "1");
    began(&mut records, 2_000, "2");
    reported(&mut records, 3_000, "3", 1, 0);
    let after = records.revision();
    let later = Filter { after, ..Filter::default() };
    assert_eq!((records.outages(later).len(), records.reports(later).len()), (0, 0));
    ended(&mut records, 4_000, "1", 3_000);
    reported(&mut records, 5_000, "3", 1, 1);
    let changed = records.outages(later);
    assert_eq!(changed.len(), 1);
    assert_eq!((changed[0].number, changed[0].end), (1, End::Reconnected(3_000)));
    let new = records.reports(later);
    assert_eq!((new.len(), new[0].samples.len(), new[0].samples[0].report.number), (1, 1, 1));
}

#[test]
fn since_leaves_out_what_was_over_by_then() {
    let mut records = Records::default();
    began(&mut records, 1_000, "open");
    began(&mut records, 1_000, "over");
    ended(&mut records, 3_000, "over", 2_000);
    began(&mut records, 1_000, "reaches in");
    ended(&mut records, 9_000, "reaches in", 8_000);
    reported(&mut records, 1_000, "over", 1, 0);
    reported(&mut records, 5_000, "over", 1, 1);
    let since = Filter { since_ms: 5_000, ..Filter::default() };
    let clients: Vec<_> = records.outages(since).into_iter().map(|o| o.client).collect();
    assert_eq!(clients, ["open", "reaches in"]);
    assert_eq!(records.reports(since)[0].samples[0].at_ms, 5_000);
    let client = Filter { client: Some("over"), ..Filter::default() };
    assert_eq!((records.outages(client).len(), records.reports(client).len()), (1, 1));
    let nobody = Filter { client: Some("nobody"), ..Filter::default() };
    assert_eq!((records.outages(nobody).len(), records.reports(nobody).len()), (0, 0));
}

#[test]
fn the_time_down_never_falls() {
    let mut records = Records::default();
    let down =
        |records: &mut Records, state, since_ms| records.down_ms(&status("1", state, since_ms));
    assert_eq!(down(&mut records, WIFI, 300), 300, "before the event has come");
    began(&mut records, 10_000, "1");
    assert_eq!(down(&mut records, WIFI, 2_000), 2_000);
    // Up again, and the event is on its way.
    assert_eq!(down(&mut records, LinkState::Up, 5), 2_000);
    ended(&mut records, 12_001, "1", 2_001);
    assert_eq!(down(&mut records, LinkState::Up, 900), 2_001);
    assert_eq!(down(&mut records, WIFI, 1_000), 3_001);
}

fn small() -> Records {
    Records::with_room(Room { links: 100, outages: 400, samples: 400 })
}

/// Counts the outages of one client.
fn count(records: &Records, id: &str) -> usize {
    records.outages(Filter { client: Some(id), ..Filter::default() }).len()
}

#[test]
fn one_link_has_a_bound_of_its_own() {
    let mut records = Records::default();
    for n in 0..1_000 {
        ended(&mut records, n * 10_000, "flaps", 1);
        reported(&mut records, n * 10_000, "flaps", 1, n as u32);
    }
    assert_eq!(count(&records, "flaps"), 200);
    assert_eq!(records.reports(Filter::default())[0].samples.len(), 240);
    assert_eq!(records.outage_count(), 1_000);
    assert_eq!(records.down_ms(&status("flaps", LinkState::Up, 0)), 1_000);
}

#[test]
fn links_that_flap_push_out_their_own_records_first() {
    let mut records = small();
    ended(&mut records, 1, "quiet", 1);
    ended(&mut records, 2, "quiet", 1);
    for n in 0..10_000_u64 {
        let id = format!("flaps {}", n % 10);
        ended(&mut records, 10_000 + n, &id, 1);
        reported(&mut records, 10_000 + n, &id, 1, n as u32);
        let all = records.outages(Filter::default()).len();
        assert!(all <= 400, "{all}");
    }
    assert_eq!(count(&records, "quiet"), 2);
    let samples: usize = records.reports(Filter::default()).iter().map(|r| r.samples.len()).sum();
    assert!((300..=400).contains(&samples), "{samples}");
    check_use(&records);
}

#[test]
fn strangers_push_out_nothing_of_expected_clients() {
    let mut records = small();
    // It was not expected yet, and keeps what it has.
    ended(&mut records, 1, "board", 1);
    records.expect(["board"]);
    for n in 0..250 {
        ended(&mut records, 2 + n, "board", 1);
        reported(&mut records, 2 + n, "board", 1, n as u32);
    }
    for n in 0..5_000_u64 {
        let id = format!("stranger {}", n % 700);
        ended(&mut records, 1_000_000 + n, &id, 1);
        reported(&mut records, 1_000_000 + n, &id, 1, n as u32);
        assert!(records.links.len() <= 1 + 25, "{}", records.links.len());
    }
    assert_eq!(count(&records, "board"), 200);
    let board = Filter { client: Some("board"), ..Filter::default() };
    assert_eq!(records.reports(board)[0].samples.len(), 240);
    assert!(records.is_stranger("stranger 1") && !records.is_stranger("board"));
    check_use(&records);
}

#[test]
fn who_is_not_expected_any_more_is_a_stranger_and_keeps_what_fits() {
    let mut records = small();
    records.expect(["1", "2"]);
    for n in 0..100 {
        ended(&mut records, n, "1", 1);
        ended(&mut records, n, "2", 1);
    }
    records.expect(["2"]);
    check_use(&records);
    assert!(records.is_stranger("1") && !records.is_stranger("2"));
    assert_eq!((count(&records, "1"), count(&records, "2")), (100, 100));
    records.expect([""; 0]);
    check_use(&records);
    assert!(!records.is_stranger("1"));
}

#[test]
fn more_links_than_outages_leave_the_newest() {
    let mut records = small();
    let ids: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
    records.expect(ids.iter().cloned());
    for (n, id) in ids.iter().enumerate() {
        began(&mut records, n as u64, id);
    }
    let kept = all(&records);
    assert!((200..=300).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept.last().unwrap().client, "999");
    assert_eq!(kept[0].number + kept.len() as u64 - 1, 1_000, "without a gap");
    check_use(&records);
}

#[test]
fn a_reader_of_changes_knows_what_a_reader_of_all_knows() {
    for seed in 1..=300_u64 {
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut records = Records::with_room(Room { links: 8, outages: 40, samples: 60 });
        records.expect((0..seed % 4).map(|n| n.to_string()));
        let (mut outages, mut samples) = (HashMap::new(), HashSet::new());
        let (mut after, mut now) = (0, 1_000_000);
        for _ in 0..400 {
            now += dice.u64(..3_000);
            let id = dice.u64(..12).to_string();
            match dice.u64(..20) {
                0..5 => began(&mut records, now, &id),
                5..10 => ended(&mut records, now, &id, dice.u64(..9_000)),
                10..12 => connected(&mut records, now, &id),
                12..18 => {
                    reported(&mut records, now, &id, dice.u64(..9) as u32, dice.u64(..9) as u32);
                }
                18 => records.lose(),
                _ => records.see(now, &[status(&id, WIFI, dice.u64(..9_000))]),
            }
            check_use(&records);
            assert!(records.links.values().all(|link| {
                link.outages.iter().filter(|o| o.item.end == End::Open).count() <= 2
            }));
            if dice.u64(..4) == 0 {
                let changed = Filter { after, ..Filter::default() };
                after = records.revision();
                outages.extend(records.outages(changed).into_iter().map(|o| (o.number, o)));
                for of_one in records.reports(changed) {
                    for sample in of_one.samples {
                        let new =
                            samples.insert((of_one.client.clone(), sample.at_ms, sample.report));
                        assert!(new || sample.at_ms == now, "seed {seed}: a sample came twice");
                    }
                }
                for outage in all(&records) {
                    assert_eq!(outages.get(&outage.number), Some(&outage), "seed {seed}");
                }
                for of_one in records.reports(Filter::default()) {
                    for sample in of_one.samples {
                        let key = (of_one.client.clone(), sample.at_ms, sample.report);
                        assert!(samples.contains(&key), "seed {seed}");
                    }
                }
            }
        }
        // Each link is in a state that the next loss and look set right.
        records.lose();
        assert!(all(&records).iter().all(|outage| outage.end != End::Open), "seed {seed}");
    }
}

/// Compares the sums with what is there.
fn check_use(records: &Records) {
    let mut used = [Room::default(); 2];
    for (id, link) in &records.links {
        used[usize::from(records.expected.contains(id))] += Room::of(link);
    }
    assert_eq!([records.used_by_others, records.used_by_expected], used);
}
