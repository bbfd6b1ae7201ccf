//! The same questions to the host, the lx106, RV32 and the Cortex-M4: four back ends of the compiler, the same
//! answers. The lx106 is asked twice: in QEMU, and in our interpreter, which runs the chip's program elsewhere.

use std::path::Path;

use pblink_emulated_board::frame::{self, from_board, to_board};
use pblink_emulated_board::questions::{answer, ask};
use pblink_emulation::chip::{Chip, Core};
use pblink_emulation::image::{self, CoprocessorKind};
use pblink_lx106::elf::Elf;
use pblink_lx106::simulator::Simulator;

/// An image for the lx106 that answers, in our interpreter.
struct Interpreter(Simulator);

impl Interpreter {
    fn start(image: &Path) -> Self {
        let elf = std::fs::read(image).expect("the image");
        let mut chip = Self(Simulator::new(&Elf::read(&elf).expect("an image for Xtensa")));
        assert_eq!(chip.frame().0, from_board::BOOT);
        chip.emit(to_board::SYN, &[&[0]]);
        chip
    }

    fn emit(&mut self, kind: u8, parts: &[&[u8]]) {
        let content = parts.concat();
        self.0.input.extend(frame::header(kind, content.len()));
        self.0.input.extend(content);
    }

    /// Returns the next frame. It reads as it likes: there is no UART in between.
    fn frame(&mut self) -> (u8, Vec<u8>) {
        let mut found = None;
        let run = self.0.run(|output| {
            while found.is_none()
                && let Some((kind, content, len)) = frame::first(output).expect("in step")
            {
                if kind != from_board::MORE {
                    found = Some((kind, content.to_vec()));
                }
                output.drain(..len);
            }
            found.is_some()
        });
        run.unwrap_or_else(|fault| panic!("{fault}"));
        found.expect("it has run until there was one")
    }
}

/// Boards that answer, at the same time.
struct Oracle {
    chips: Vec<(Core, Chip)>,
    interpreter: Interpreter,
    asked: usize,
}

impl Oracle {
    async fn start() -> Option<Self> {
        let images = image::vectors(CoprocessorKind::Esp8266)?;
        let other = image::vectors(CoprocessorKind::Esp32c3)?;
        let boards = [
            (Core::Lx106, &images.coprocessor),
            (Core::Rv32, &other.coprocessor),
            (Core::CortexM4, &images.stm32),
        ];
        let mut chips = Vec::new();
        for (core, image) in boards {
            let mut chip = Chip::start(core, image).await.expect("the emulator");
            assert_eq!(chip.frame().await.expect("it runs").kind, from_board::BOOT);
            if core != Core::CortexM4 {
                chip.emit(to_board::SYN, &[&[0]]);
            }
            chips.push((core, chip));
        }
        let interpreter = Interpreter::start(&images.coprocessor);
        Some(Self { chips, interpreter, asked: 0 })
    }

    /// Asks all, and compares. Returns the answer.
    async fn ask(&mut self, question: u8, input: &[u8]) -> String {
        for (_, chip) in &mut self.chips {
            chip.emit(to_board::CASE, &[&[question], input]);
        }
        let expected = answer(question, input);
        self.interpreter.emit(to_board::CASE, &[&[question], input]);
        let (kind, content) = self.interpreter.frame();
        assert_eq!(
            (kind, String::from_utf8_lossy(&content)),
            (from_board::ANSWER, String::from_utf8_lossy(&expected)),
            "the interpreter was asked {:?} {:?}",
            char::from(question),
            String::from_utf8_lossy(input)
        );
        for (core, chip) in &mut self.chips {
            let frame = chip.frame().await.expect("it runs");
            assert_eq!(
                (frame.kind, String::from_utf8_lossy(&frame.content)),
                (from_board::ANSWER, String::from_utf8_lossy(&expected)),
                "{core:?} was asked {:?} {:?}",
                char::from(question),
                String::from_utf8_lossy(input)
            );
        }
        self.asked += 1;
        String::from_utf8_lossy(&expected).into_owned()
    }
}

/// splitmix64
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Bytes that are often the ones that matter.
    fn bytes(&mut self, max: u64) -> Vec<u8> {
        let len = self.next() % (max + 1);
        let likely = b"0123456789abcdef\n\n\"[],\\\xc3\xa9 ";
        (0..len)
            .map(|_| match self.next() {
                n if n % 4 == 0 => (n >> 8) as u8,
                n => likely[(n >> 8) as usize % likely.len()],
            })
            .collect()
    }
}

/// Returns what the published code sent, from the recordings in `protocol/tests/vectors`.
fn recorded(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../protocol/tests/vectors");
    let text = std::fs::read_to_string(folder.join(name)).expect("a recording");
    let hex = |entry: &str| {
        let start = entry.find("\"hex\": \"")? + 8;
        let hex = &entry[start..start + entry[start..].find('"')?];
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        Some((0..hex.len()).step_by(2).map(byte).collect())
    };
    let found: Vec<Vec<u8>> = text.lines().filter_map(hex).collect();
    assert!(found.len() > 40, "{name} has only {} entries", found.len());
    found
}

#[tokio::test]
async fn codecs() {
    let Some(mut oracle) = Oracle::start().await else { return };
    for name in ["normal.jsonl", "reconnect_fin.jsonl", "client_reboot.jsonl"] {
        for bytes in recorded(name) {
            oracle.ask(ask::LINES, &bytes).await;
        }
    }
    for payload in recorded("i2c_link_wires.jsonl") {
        let question = match &payload[..] {
            [_, _] => ask::HEADER,
            [b'[', ..] => ask::CONFIG,
            _ => ask::LINE,
        };
        oracle.ask(question, &payload).await;
        if let Some(line) = payload.strip_suffix(b"\n") {
            oracle.ask(ask::FRAME, line).await;
        }
    }
    let config = br#"["1\n", 8123, "192.168.0.42", 2000, 10, "ss\u00e9d", "password", "cfg"]"#;
    assert!(oracle.ask(ask::CONFIG, config).await.starts_with("Config { id: \"1\""));
    assert_eq!(
        oracle.ask(ask::FRAME, b"r[3, 4294967295, 33000]").await,
        "Err(UnknownHeader(114)) Ok(Report(Report { connects: 3, number: 4294967295, \
         mem_free: 33000 })) 24 r[3, 4294967295, 33000]\\n"
    );
    let mut random = Random(1);
    for _ in 0..300 {
        let (mut config, at) = (config.to_vec(), random.next() as usize % config.len());
        config[at] = random.next() as u8;
        oracle.ask(ask::CONFIG, &config).await;
        let bytes = random.bytes(200);
        oracle.ask(ask::LINE, &bytes[..bytes.len().min(40)]).await;
        oracle.ask(ask::LINES, &bytes).await;
        let mut frame = bytes[..bytes.len().min(20)].to_vec();
        oracle.ask(ask::FRAME, &frame).await;
        if let Some(first) = frame.first_mut() {
            *first = b"[0123nudbsrk"[usize::from(*first) % 12];
        }
        oracle.ask(ask::FRAME, &frame).await;
        if let Some(second) = frame.get_mut(1) {
            *second = b'x';
        }
        frame.retain(u8::is_ascii);
        oracle.ask(ask::FRAME, &frame).await;
        oracle.ask(ask::HEADER, &random.next().to_le_bytes()).await;
        let (micros, shift) = (random.next(), random.next() % 64);
        let mut time = (micros >> shift).to_le_bytes().to_vec();
        time.push(random.next() as u8);
        oracle.ask(ask::TIME, &time).await;
    }
    println!("{} questions, the same answers", oracle.asked);
}

#[tokio::test]
async fn duplicate_window() {
    let Some(mut oracle) = Oracle::start().await else { return };
    // 0, 1, … 255, 1, … with lost ones, repeated ones, restarts.
    let mut random = Random(2);
    for _ in 0..100 {
        let (mut mid, mut messages) = (0_u8, Vec::new());
        while messages.len() < 500 {
            let text = (random.next() % 3) as u8 | (random.next() as u8 & 0xe0);
            match random.next() % 20 {
                0 => mid = 0,
                1 => mid = mid.wrapping_add(random.next() as u8 % 40),
                2 | 3 if messages.len() >= 8 => {
                    let at = messages.len() - 2 * (1 + random.next() as usize % 4);
                    messages.extend_from_within(at..at + 2);
                    continue;
                }
                _ => {}
            }
            messages.extend([mid, text]);
            mid = if mid == 255 { 1 } else { mid + 1 };
        }
        let verdicts = oracle.ask(ask::WINDOW, &messages).await;
        assert!(verdicts.contains('d') && verdicts.contains('n'), "{verdicts}");
    }
    println!("{} questions, the same answers", oracle.asked);
}

/// The first three stories; `PBLINK_STORIES=100` asks for more of them, at ten seconds each.
#[tokio::test]
async fn whole_links_with_faults() {
    let Some(mut oracle) = Oracle::start().await else { return };
    let stories = std::env::var("PBLINK_STORIES").map_or(3, |text| text.parse().expect("a number"));
    let mut all = std::collections::BTreeSet::new();
    for seed in 1..=stories {
        let input = [0x9e37_79b1_u32.wrapping_mul(seed).to_le_bytes(), 10_000_u32.to_le_bytes()];
        let text = oracle.ask(ask::WORLD, input.as_flattened()).await;
        println!("{text}");
        assert!(!text.contains("read 0 ") && !text.contains(" and 0 "), "no lines passed: {text}");
        all.insert(text);
    }
    assert_eq!(all.len(), stories as usize, "each seed is another story");
}
