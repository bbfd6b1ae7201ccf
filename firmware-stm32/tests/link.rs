//! Handle and runner on the host, without keys.

mod common;

use common::with_link;
use embassy_time::Timer;
use pblink_protocol::MAX_TEXT;
use pblink_stm32::{Delivery, Line, Status, WriteError};

#[test]
fn lines_come_back_in_order() {
    with_link(async |link, _| {
        assert_eq!(link.status(), Status::NoEsp);
        link.start().await;
        let mut line = Line::new();
        for n in 0..30 {
            let text = format!("{n} {}", "z".repeat(n * 34));
            assert_eq!(link.write(&text, Delivery::ORDERED).await, Ok(()));
            link.readline(&mut line).await;
            assert_eq!(line.as_str(), text);
        }
        assert!(link.status().is_up());
        link.flush().await;
        assert!(!link.try_readline(&mut line));
        assert_eq!(link.counters().resets, 0);
        assert!(link.counters().exchanges > 60);
    });
}

#[test]
fn what_cannot_be_a_line_is_refused_and_a_full_queue_waits() {
    with_link(async |link, sim| {
        let long = "x".repeat(MAX_TEXT + 1);
        assert_eq!(link.write(&long, Delivery::ORDERED).await, Err(WriteError::TooLong));
        assert!(matches!(link.write("", Delivery::ORDERED).await, Err(WriteError::Text(_))));
        assert!(matches!(link.write("a\nb", Delivery::ORDERED).await, Err(WriteError::Text(_))));
        assert_eq!(link.write("ends with one\n", Delivery::ORDERED).await, Ok(()));
        let text = &long[1..];
        let mut taken = 0;
        while link.try_write(text, Delivery::ORDERED).is_ok() {
            taken += 1;
        }
        assert_eq!(link.try_write(text, Delivery::ORDERED), Err(WriteError::Full));
        assert_eq!(taken, 1);
        // The same, waiting: it continues when the ESP8266 has taken some.
        assert_eq!(link.write(text, Delivery::ORDERED).await, Ok(()));
        let mut line = Line::new();
        for expected in ["ends with one", text, text] {
            link.readline(&mut line).await;
            assert_eq!(line, expected);
        }
        assert_eq!(sim.borrow().got.len(), 3);
    });
}

#[test]
fn several_tasks_share_a_link() {
    with_link(async |link, _| {
        let reader = async || {
            let (mut line, mut got) = (Line::new(), 0);
            while got < 10 {
                link.readline(&mut line).await;
                got += 1;
            }
        };
        let writer = async |name: &str| {
            for n in 0..10 {
                assert_eq!(link.write(&format!("{name} {n}"), Delivery::UNORDERED).await, Ok(()));
            }
        };
        let readers = embassy_futures::join::join(reader(), reader());
        let writers = embassy_futures::join::join(writer("a"), writer("b"));
        embassy_futures::join::join(readers, writers).await;
    });
}

#[test]
fn closing_keeps_lines_and_rebooting_sends_them() {
    with_link(async |link, sim| {
        link.start().await;
        while !link.status().is_up() {
            Timer::after_millis(10).await;
        }
        link.close();
        assert_eq!(link.status(), Status::Closed);
        assert_eq!(link.write("kept", Delivery::ORDERED).await, Ok(()));
        Timer::after_secs(20).await;
        assert!(sim.borrow().got.is_empty() && sim.borrow().syn, "syn makes the ESP8266 wait");
        link.reboot();
        assert_eq!(link.status(), Status::NoEsp);
        let mut line = Line::new();
        link.readline(&mut line).await;
        assert_eq!((line.as_str(), link.counters().resets), ("kept", 1));
        assert_eq!(
            sim.borrow().hooks,
            ["server true", "server false", "reset Requested", "server true"]
        );
    });
}

#[test]
fn without_an_esp_the_runner_resets_it_again_and_feeds_the_watchdog() {
    with_link(async |link, sim| {
        sim.borrow_mut().absent = true;
        let (fed, bus) = (sim.borrow().fed, sim.borrow().bus_resets);
        // After 10, 20 and 40 s.
        Timer::after_secs(75).await;
        assert_eq!(link.status(), Status::NoEsp);
        assert_eq!(link.counters().resets, 3);
        assert!(sim.borrow().hooks.iter().all(|h| h == "reset Exchange(NoBoot)"));
        assert!(sim.borrow().bus_resets - bus >= 3, "the peripheral first");
        // At least once a second.
        assert!(sim.borrow().fed - fed >= 75);
        sim.borrow_mut().absent = false;
        link.start().await;
        assert_eq!(link.write("there", Delivery::ORDERED).await, Ok(()));
        let mut line = Line::new();
        link.readline(&mut line).await;
        assert_eq!(line, "there");
    });
}
