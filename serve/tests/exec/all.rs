//! One program for all clients.

use pblink_serve::consumers::Exec;
use pblink_serve::log::Memory;
use tempfile::{TempDir, tempdir};

use crate::board::{Board, soon};
use crate::engine::Disk;
use crate::shop::{Pen, Shop, eventually, file, program};

/// Returns a program in Python, with `say`, `lines` and the folder `D`. `None`: there is no Python here.
fn python(folder: &TempDir, text: &str) -> Option<Exec> {
    let python = std::process::Command::new("python3").arg("--version").output();
    if !python.is_ok_and(|output| output.status.success()) {
        return None;
    }
    let head = "import json, os, signal, sys, time\n\
        def say(**what): print(json.dumps(what), flush=True)\n\
        def lines(): return map(json.loads, iter(sys.stdin.readline, ''))\n";
    std::fs::write(folder.path().join("program.py"), format!("{head}{text}")).unwrap();
    let exec = program(folder, "export D; exec python3 \"$D/program.py\"");
    Some(Exec { all: true, ..exec })
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_json_both_ways() {
    let folder = tempdir().unwrap();
    let text = "\
for l in lines():
    if l['text'] == 'all':
        assert sorted(l) == ['at_ms', 'client', 'epoch', 'offset', 'seq', 'text', 'time', 'written_ms'], l
        assert (l['offset'], l['epoch'], l['seq']) == (3, 1, 2) and l['time'].endswith('Z'), l
        assert 'PBLINK_CLIENT' not in os.environ
        for client in ['1', 'a \"b']: say(client=client, line='to ' + client)
    else: say(client=l['client'], line=l['text'].upper(), delivery='best_effort')
";
    let Some(exec) = python(&folder, text) else { return };
    let shop = Shop::open(Memory::new("test"), exec).await;
    let mut one = Pen::connect(&shop, "1").await;
    let mut two = Pen::connect(&shop, "a \"b").await;
    one.say("x \u{1f600} \"\\\t\u{7f}").await;
    assert_eq!(one.hear().await, "X \u{1f600} \"\\\t\u{7f}");
    two.say("y").await;
    assert_eq!(two.hear().await, "Y");
    one.say("all").await;
    assert_eq!(one.hear().await, "to 1");
    assert_eq!(two.hear().await, "to a \"b");
    assert_eq!(shop.status().name, "exec-all".into());
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_is_an_error_on_its_stdin_and_never_a_stop() {
    let folder = tempdir().unwrap();
    let text = "\
def more():
    for l in lines():
        if 'error' in l: return l
for l in lines():
    if 'error' in l: continue
    if l['text'] == 'errors':
        with open(os.environ['D'] + '/errors', 'w') as out:
            for bad in ['x', '{}', '{\"client\":\"1\",\"line\":\"\"}', '{\"client\":\"1\",\"line\":\"a\\\\n\"}',
                        '{\"client\":\"none\",\"line\":\"a\"}', '{\"done\":1}', '{\"client\":\"1\",\"line\":\"a\",\"more\":1}',
                        '{\"client\":\"1\",\"line\":\"%s\"}' % ('z' * 2000), 'y' * 100000]:
                print(bad, flush=True)
                print(more()['error'], file=out)
    if l['text'] == 'flood':
        for n in range(1200): say(client='silent', line=str(n))
    say(client=l['client'], line='done ' + l['text'])
";
    let Some(exec) = python(&folder, text) else { return };
    let shop = Shop::open(Disk::new(), exec).await;
    let mut silent = Board::connect(&shop.station, "silent").await;
    silent.say("00hello").await;
    let mut board = Pen::connect(&shop, "1").await;
    for text in ["errors", "flood", "after"] {
        board.say(text).await;
        assert_eq!(board.hear().await, format!("done {text}"));
    }
    let errors = file(&folder, "errors").await;
    let expected = [
        "not the JSON",
        "neither client and line",
        "empty",
        "newline",
        "no such client",
        "--exec-ack was not asked for",
        "not the JSON",
        "more than",
        "a line of more than",
    ];
    assert_eq!(errors.lines().count(), expected.len(), "{errors}");
    for (error, expected) in errors.lines().zip(expected) {
        assert!(error.contains(expected), "{error:?} is not {expected:?}");
    }
    soon(shop.station.log.wait_for(|status| status.waiting == 1000)).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_prints_only_blocks_nothing_and_one_that_reads_only_neither() {
    let folder = tempdir().unwrap();
    let text = "\
for n in range(3000): say(client='1', line='x' * 500, nonsense=n)
for l in lines():
    if 'client' in l and 'error' not in l: say(client=l['client'], line='got ' + l['text'][:5])
";
    let Some(exec) = python(&folder, text) else { return };
    let shop = Shop::open(Disk::new(), exec).await;
    let mut board = Pen::connect(&shop, "1").await;
    for n in 0..200 {
        board.say(&format!("{n:05}{}", "y".repeat(700))).await;
    }
    for n in 0..200 {
        assert_eq!(board.hear().await, format!("got {n:05}"));
    }
    shop.until(|status| status.offset == 200).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_acknowledgements_it_is_exactly_once_through_kills_and_restarts() {
    const LINES: usize = 40;
    const IDS: [&str; 3] = ["a", "b", "c"];
    let text = "\
import random
open(os.environ['D'] + '/pids', 'a').write('%d\\n' % os.getpid())
for l in lines():
    if 'error' in l: sys.exit(9)
    say(client=l['client'], line=l['text'] + ' 1')
    if random.random() < 0.03: os.kill(os.getpid(), 9)
    say(client=l['client'], line=l['text'] + ' 2')
    say(done=l['offset'])
    if random.random() < 0.02: os.kill(os.getpid(), 9)
";
    for seed in 0..3 {
        let mut random = fastrand::Rng::with_seed(seed);
        let folder = tempdir().unwrap();
        let Some(exec) = python(&folder, text) else { return };
        let exec = Exec { ack: true, ..exec };
        let disk = Disk::new();
        let mut shop = Shop::open(disk.clone(), exec.clone()).await;
        let mut boards = Vec::new();
        for id in IDS {
            boards.push(Pen::connect(&shop, id).await);
        }
        for n in 0..LINES {
            for board in &mut boards {
                board.say(&n.to_string()).await;
            }
            if random.u32(..4) == 0 {
                let pids = std::fs::read_to_string(folder.path().join("pids"));
                if let Some(pid) = pids.unwrap_or_default().lines().last() {
                    std::process::Command::new("kill").args(["-9", pid]).output().unwrap();
                }
            }
            if n == LINES / 2 {
                match random.bool() {
                    true => shop.kill().await,
                    false => shop.close().await,
                }
                shop = Shop::open(disk.clone(), exec.clone()).await;
                for (board, id) in boards.iter_mut().zip(IDS) {
                    board.reconnect(&shop, id).await;
                }
            }
        }
        for board in &mut boards {
            for n in 0..LINES {
                assert_eq!(
                    board.hear_all(2).await,
                    [format!("{n} 1"), format!("{n} 2")],
                    "seed {seed}"
                );
            }
        }
        shop.until(|status| status.offset == (IDS.len() * LINES) as u64).await;
        shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_client_waits_on_whose_line_it_ends_until_someone_skips() {
    let folder = tempdir().unwrap();
    let text = "\
for l in lines():
    if l['text'] == 'poison': sys.exit(5)
    say(client=l['client'], line='got ' + l['text'])
    say(done=l['offset'])
";
    let Some(exec) = python(&folder, text) else { return };
    let shop = Shop::open(Disk::new(), Exec { ack: true, ..exec }).await;
    let (mut bad, mut good) = (Pen::connect(&shop, "bad").await, Pen::connect(&shop, "good").await);
    bad.say("before").await;
    bad.say("poison").await;
    bad.say("behind").await;
    assert_eq!(bad.hear().await, "got before");
    let failing = shop.until(|status| !status.failing.is_empty()).await.failing[0].to_string();
    assert!(failing.starts_with("fails at 2, a line of \"bad\", since"), "{failing}");
    for n in 0..30 {
        good.say(&n.to_string()).await;
        assert_eq!(good.hear().await, format!("got {n}"));
    }
    shop.until(|status| status.offset == 1).await;
    assert_eq!(shop.station.log.skip("exec-all", None).unwrap().offset, 2);
    assert_eq!(bad.hear().await, "got behind");
    shop.until(|status| status.offset == 33 && status.failing.is_empty()).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_acknowledges_nothing_reads_a_part_of_each_clients_lines_and_nothing_is_done() {
    let folder = tempdir().unwrap();
    let text = "\
seen = 0
for l in lines():
    seen += 1
    open(os.environ['D'] + '/seen', 'w').write('%d\\n' % seen)
";
    let Some(exec) = python(&folder, text) else { return };
    let shop = Shop::open(Disk::new(), Exec { ack: true, ..exec }).await;
    let mut boards = [Pen::connect(&shop, "1").await, Pen::connect(&shop, "2").await];
    for n in 0..40 {
        boards[0].say(&n.to_string()).await;
    }
    boards[1].say("x").await;
    let path = folder.path().join("seen");
    eventually(|| std::fs::read_to_string(&path).ok().filter(|text| text == "33\n")).await;
    assert_eq!(shop.status().offset, 0);
    shop.close().await;
}
