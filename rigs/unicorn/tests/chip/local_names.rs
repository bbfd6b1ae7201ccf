//! A server whose name ends in `.local`: the chip asks its network by multicast DNS.

use unicorn_bench::bench::Bench;
use unicorn_bench::neighbours::Question;

use crate::board::{PASSWORD, bench, esp, network, some, with_server};
use crate::network::lines_pass;

const ADDRESS: [u8; 4] = [192, 168, 0, 42];
const LABELS: &[u8] = b"\x06server\x05local\x00";

/// A board whose server is `server.local`, with these neighbours.
fn board(answers: impl FnMut(&Question) -> Vec<(u64, Vec<u8>)> + 'static) -> Bench {
    let mut bench = bench("echo", &with_server("server.local"));
    esp(&mut bench).neighbours.say(answers);
    bench
}

fn after(ms: u64, question: &Question) -> (u64, Vec<u8>) {
    (ms * 1000, question.answer(ADDRESS))
}

/// Times of the questions, in ms from the first.
fn asked(bench: &mut Bench) -> Vec<u64> {
    let heard = &esp(bench).neighbours.heard;
    assert!(heard.iter().all(|question| question.labels == LABELS));
    heard.iter().map(|question| (question.at - heard[0].at) / 1000).collect()
}

#[test]
fn an_answer_is_used_whenever_it_comes() {
    for delay in some([20, 1, 900, 4_100, 3_900, 5_500], 3) {
        let mut bench = board(move |question| vec![after(delay, question)]);
        lines_pass(&mut bench, 60_000);
        // Those to the other questions change nothing, and open nothing. The last one comes within 6 s.
        bench.run_ms(8_000);
        lines_pass(&mut bench, 5_000);
        let esp = esp(&mut bench);
        assert_eq!(esp.chip.tcp.connections().len(), 1, "{delay} ms: {}", esp.chip.console());
        assert_eq!(esp.chip.tcp.lookups, 0, "no name server is asked");
        assert_eq!(esp.traffic.resets, 1);
        if delay < 1_000 {
            assert_eq!(asked(&mut bench), [0]);
        }
    }
}

#[test]
fn without_an_answer_it_is_asked_more_and_more_rarely() {
    let mut bench = board(|_| Vec::new());
    // Not so long that it joins its network anew, where it begins from the start.
    bench.run_ms(58_000);
    let asked = asked(&mut bench);
    assert!((6..=11).contains(&asked.len()), "{asked:?}");
    // Between two attempts it does not ask: a question comes at its time, or with the next attempt.
    let wanted = [1_000, 2_000, 4_000].into_iter().chain(std::iter::repeat(8_000));
    for (two, wanted) in asked.windows(2).zip(wanted) {
        let pause = two[1] - two[0];
        assert!((wanted - 50..wanted + 4_100).contains(&pause), "{asked:?}");
    }
    // The server is switched on.
    esp(&mut bench).neighbours.say(|question| vec![after(20, question)]);
    lines_pass(&mut bench, 15_000);
    let esp = esp(&mut bench);
    assert_eq!(esp.traffic.resets, 1, "{}", esp.chip.console());
}

#[test]
fn nonsense_and_the_answers_of_others_are_passed_over() {
    let mut n = 0;
    let mut bench = board(move |question| {
        n += 1;
        let good = question.answer(ADDRESS);
        let other = Question { labels: b"\x05other\x05local\x00".to_vec(), ..question.clone() };
        let wrong = Question { id: question.id.wrapping_add(1), ..question.clone() };
        let mut circle = good.clone();
        let name = circle.len() - 16;
        circle[name + 1] = name as u8;
        let mut messages: Vec<Vec<u8>> = (0..good.len()).map(|len| good[..len].to_vec()).collect();
        messages.retain(|message| !message.is_empty());
        messages.extend([vec![0xff; 1472], vec![0xc0; 500], circle]);
        messages.extend([other.answer([10, 0, 0, 1]), wrong.answer([10, 0, 0, 2])]);
        messages.push(question.answer([224, 0, 0, 251]));
        let mut messages: Vec<_> =
            messages.into_iter().zip(1..).map(|(m, at)| (at * 1000, m)).collect();
        if n == 3 {
            messages.push(after(200, question));
        }
        messages
    });
    lines_pass(&mut bench, 60_000);
    assert_eq!(asked(&mut bench).len(), 3);
    let esp = esp(&mut bench);
    assert_eq!(esp.traffic.resets, 1, "{}", esp.chip.console());
    println!("stack: {} bytes", esp.chip.stack_used());
}

/// The server gets another address.
#[test]
fn each_connection_asks_anew() {
    let mut bench = board(|question| vec![after(5, question), after(6, question)]);
    lines_pass(&mut bench, 60_000);
    for n in 2..5 {
        let world = bench.world();
        world.esp_chip.as_mut().expect("it is there").close(&mut world.server);
        lines_pass(&mut bench, 10_000);
        assert_eq!(esp(&mut bench).neighbours.heard.len(), n);
    }
}

#[test]
fn another_network_is_asked_at_once() {
    let mut bench = board(|_| Vec::new());
    bench.run_ms(40_000);
    esp(&mut bench).chip.lose_network();
    bench.run_ms(2_000);
    let before = esp(&mut bench).neighbours.heard.len();
    esp(&mut bench).neighbours.say(|question| vec![after(20, question)]);
    esp(&mut bench).chip.wifi.points.push(network("home", PASSWORD));
    lines_pass(&mut bench, 60_000);
    assert_eq!(esp(&mut bench).neighbours.heard.len(), before + 1);
}
