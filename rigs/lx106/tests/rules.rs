//! Tests of what the chip does not do: each is a fault, and never passed over. What it does is compared with QEMU, by
//! `rigs/qemu/tests/vectors.rs`.

use std::collections::HashMap;

use pblink_lx106::Fault;
use pblink_lx106::core::{Core, Step};
use pblink_lx106::elf::{Elf, Segment};
use pblink_lx106::esp8266::Esp8266;
use pblink_lx106::memory::{Access, Kind, Memory};

/// Where code is: IRAM.
const CODE: u32 = 0x4010_0000;
const FLASH: u32 = 0x4020_0000;
const DATA: u32 = 0x3ffe_8000;

/// Returns the bytes of an instruction of 24 bits by its fields, as the manual has them (chapter 7.3).
fn rrr(op2: u8, op1: u8, r: u8, s: u8, t: u8, op0: u8) -> [u8; 3] {
    [t << 4 | op0, r << 4 | s, op2 << 4 | op1]
}

/// Returns a core at these bytes.
fn core(code: &[u8]) -> Core {
    let mut memory = Memory::default();
    memory.add(DATA, 0x100, Kind::Data);
    memory.add(CODE, 0x100, Kind::Code);
    memory.add(FLASH, 0x100, Kind::Flash);
    assert!(memory.load(CODE, code));
    Core::new(memory, CODE)
}

#[test]
fn instructions_that_the_core_does_not_have_are_faults_and_change_nothing() {
    for (name, bytes) in [
        ("entry a1, 32", [0x36, 0x41, 0]),
        ("call4", [0x15, 0, 0]),
        ("callx8 a2", rrr(0, 0, 0, 2, 14, 0)),
        ("retw", rrr(0, 0, 0, 0, 9, 0)),
        ("movsp a2, a3", rrr(0, 0, 1, 3, 2, 0)),
        ("syscall", rrr(0, 0, 5, 0, 0, 0)),
        ("break 1, 1", rrr(0, 0, 4, 1, 1, 0)),
        ("loop a2", [0x76, 0x82, 0]),
        ("sext a2, a3, 7", rrr(2, 3, 2, 3, 0, 0)),
        ("clamps a2, a3, 7", rrr(3, 3, 2, 3, 0, 0)),
        ("min a2, a3, a4", rrr(4, 3, 2, 3, 4, 0)),
        ("maxu a2, a3, a4", rrr(7, 3, 2, 3, 4, 0)),
        ("quou a2, a3, a4", rrr(12, 2, 2, 3, 4, 0)),
        ("rems a2, a3, a4", rrr(15, 2, 2, 3, 4, 0)),
        ("muluh a2, a3, a4", rrr(10, 2, 2, 3, 4, 0)),
        ("rur a2", rrr(14, 3, 2, 0, 0, 0)),
        ("lsi f0, a2", [0x03, 0x02, 0]),
        ("mula.aa.ll a2, a3", rrr(7, 8, 0, 2, 3, 4)),
        ("s32c1i a2, a3, 0", rrr(0, 0, 14, 3, 2, 2)),
        ("l32ai a2, a3, 0", rrr(0, 0, 11, 3, 2, 2)),
        ("retw.n", [0x1d, 0xf0, 0]),
        ("break.n", [0x2d, 0xf0, 0]),
    ] {
        let mut core = core(&bytes);
        core.a = [DATA; 16];
        let before = (core.a, core.pc, core.ps, core.ccount);
        assert_eq!(core.step(&mut ()), Err(Fault::Instruction { pc: CODE, bytes }), "{name}");
        assert_eq!((core.a, core.pc, core.ps, core.ccount), before, "{name}");
    }
    // Zeros are where no code is: whoever runs the core decides.
    assert_eq!(core(&[0; 3]).step(&mut ()), Ok(Step::Ill));
}

#[test]
fn special_registers_that_the_core_does_not_have_are_faults() {
    // LBEG, ACCLO, WINDOWBASE, CPENABLE, MISC0.
    for register in [0, 16, 72, 224, 244] {
        let (high, low) = (register >> 4, register & 15);
        for (name, bytes) in [
            ("rsr", rrr(0, 3, high, low, 2, 0)),
            ("wsr", rrr(1, 3, high, low, 2, 0)),
            ("xsr", rrr(6, 1, high, low, 2, 0)),
        ] {
            let mut core = core(&bytes);
            let fault = Fault::Register { pc: CODE, register };
            assert_eq!(core.step(&mut ()), Err(fault), "{name} {register}");
            assert_eq!(core.pc, CODE);
        }
    }
    // SAR is one that it has.
    assert_eq!(core(&rrr(0, 3, 0, 3, 2, 0)).step(&mut ()), Ok(Step::Next));
}

/// Encodings of all kinds: whatever it makes of one, it does not panic.
#[test]
fn any_bytes_are_an_instruction_or_a_fault() {
    let (mut known, mut unknown) = (0, 0);
    let mut core = core(&[0; 3]);
    for word in (0..1 << 24).step_by(61) {
        let [low, middle, high, _] = u32::to_le_bytes(word);
        assert!(core.memory.load(CODE, &[low, middle, high]));
        (core.pc, core.a) = (CODE, [DATA; 16]);
        match core.step(&mut ()) {
            Ok(_) | Err(Fault::Access { .. }) => known += 1,
            Err(Fault::Instruction { pc, bytes }) => {
                assert_eq!((pc, bytes), (CODE, [low, middle, high]));
                unknown += 1;
            }
            Err(fault) => assert!(matches!(fault, Fault::Register { .. }), "{fault}"),
        }
    }
    assert!(known > 10_000 && unknown > 10_000, "{known} {unknown}");
}

/// Returns how an access goes: `l8ui`, `l16ui`, `l32i`, `s8i`, `s16i`, `s32i` of a2 at a3.
fn access(kind: u8, address: u32, prepare: impl Fn(&mut Memory)) -> Result<Step, Fault> {
    let mut core = core(&rrr(0, 0, kind, 3, 2, 2));
    core.a[3] = address;
    prepare(&mut core.memory);
    core.step(&mut ())
}

#[test]
fn memories_allow_what_the_chip_s_do() {
    let why = |done: Result<Step, Fault>| match done {
        Ok(_) => "",
        Err(Fault::Access { why, pc, .. }) => {
            assert_eq!(pc, CODE);
            why
        }
        Err(fault) => panic!("{fault}"),
    };
    let [l8, l16, l32, s8, s16, s32] = [0, 1, 2, 4, 5, 6];
    let words = "code memory has words only";
    for (kind, address, wanted) in [
        (l8, DATA + 1, ""),
        (s16, DATA + 2, ""),
        (l32, DATA + 4, ""),
        (l16, DATA + 1, "it is not aligned"),
        (l32, DATA + 2, "it is not aligned"),
        (s32, DATA + 1, "it is not aligned"),
        (l32, FLASH + 4, ""),
        (l8, FLASH, words),
        (l16, FLASH + 2, words),
        (s32, FLASH, "it is read-only"),
        (l32, CODE + 4, ""),
        (s32, CODE + 4, ""),
        (s8, CODE + 4, words),
        (l8, 0x6000_0304, "registers are words"),
        (l32, 0x6000_0304, "nothing is there"),
        (s32, 0x2000_0000, "nothing is there"),
    ] {
        assert_eq!(why(access(kind, address, |_| {})), wanted, "{kind} at {address:#x}");
    }
    // While it is erased or written there is no flash, neither to read nor to fetch from.
    assert_eq!(why(access(l32, FLASH, |memory| memory.flash_on(false))), "the flash is off");
    for (pc, wanted) in
        [(FLASH, "the flash is off"), (DATA, "no code can be there"), (4, "no memory is there")]
    {
        let mut core = core(&[]);
        core.pc = pc;
        core.memory.flash_on(false);
        let Err(Fault::Access { access: Access::Fetch, why, .. }) = core.step(&mut ()) else {
            panic!("{pc:#x} is fetched from");
        };
        assert_eq!(why, wanted);
    }
}

/// Runs these instructions as the program's start, with this word for `l32r a2`, which comes first. Returns its fault.
fn program(word: u32, code: &[[u8; 3]]) -> String {
    // l32r a2: the word is the one before the code.
    let mut bytes = [&word.to_le_bytes()[..], &[0x21, 0xff, 0xff]].concat();
    bytes.extend(code.iter().flatten());
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let start = CODE + 4;
    let names =
        [("user_pre_init", start), ("user_init", start), ("wifi_softap_reset", 0x4000_1234)];
    let symbols: HashMap<_, _> = names.map(|(name, at)| (name.to_owned(), at)).into();
    let segments = vec![Segment { address: CODE, bytes }];
    let mut chip = Esp8266::new(Elf { entry: start, segments, symbols });
    chip.reset(0).expect_err("it is not passed over").to_string()
}

#[test]
fn functions_and_registers_that_are_not_modelled_are_faults() {
    let (ret, jump) = (rrr(0, 0, 0, 0, 8, 0), rrr(0, 0, 0, 2, 10, 0));
    let (load, store) = (rrr(0, 0, 2, 2, 3, 2), rrr(0, 0, 6, 2, 3, 2));
    // The SDK has it, and the image knows its address; the model has it not.
    let said = program(0x4000_1234, &[jump]);
    assert!(said.contains("calls 0x40001234, which is not known"), "{said}");
    // Registers of another block, and one between those of the pins.
    for register in [0x6000_0700, 0x6000_0320, 0x3ff0_0014] {
        for (access, word) in [(load, "a load"), (store, "a store")] {
            let said = program(register, &[access, ret]);
            let wanted = format!("{word} of 4 bytes at {register:#x}");
            assert!(said.contains(&wanted) && said.contains("nothing is there"), "{said}");
        }
    }
    // mov.n a1, a2: a stack that reaches into the SDK's memory.
    let said = program(0x3fff_e000, &[[0x1d, 0x02, 0], ret]);
    assert!(said.contains("the stack is used up"), "{said}");
}

/// An interrupt may post to a task, and call nothing else of the SDK.
#[test]
fn a_call_of_the_sdk_in_an_interrupt_is_a_fault() {
    let [attach, unmask, time, pin5] = [0x4000_1000, 0x4000_1100, 0x4000_1200, 0x6000_033c];
    let (literals, mut code) = (7, Vec::new());
    let start = CODE + 4 * literals;
    // The handler is the function itself.
    let handler = time;
    // Number of the interrupt, its bit, and both edges of a pin.
    let words = [4, handler, attach, 16, unmask, pin5, 3 << 7];
    let load = |code: &mut Vec<u8>, register: u8, literal: u32| {
        let next = start + code.len() as u32 + 3;
        let offset = (CODE + 4 * literal).wrapping_sub(next & !3) >> 2;
        let [low, high, ..] = offset.to_le_bytes();
        code.extend([register << 4 | 1, low, high]);
    };
    let (ret, call) = (rrr(0, 0, 0, 0, 8, 0), rrr(0, 0, 0, 5, 12, 0));
    code.extend(ret);
    let init = start + code.len() as u32;
    // mov.n a12, a0
    code.extend([0xcd, 0x00]);
    load(&mut code, 2, 0);
    load(&mut code, 3, 1);
    load(&mut code, 4, 1);
    load(&mut code, 5, 2);
    code.extend(call);
    load(&mut code, 2, 3);
    load(&mut code, 5, 4);
    code.extend(call);
    load(&mut code, 3, 5);
    load(&mut code, 4, 6);
    code.extend(rrr(0, 0, 6, 3, 4, 2));
    // mov.n a0, a12
    code.extend([0x0d, 0x0c]);
    code.extend(ret);
    let mut bytes: Vec<u8> = words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
    bytes.extend(code);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let names = [
        ("user_pre_init", start),
        ("user_init", init),
        ("ets_isr_attach", attach),
        ("ets_isr_unmask", unmask),
        ("system_get_time", time),
    ];
    let symbols = names.map(|(name, at)| (name.to_owned(), at)).into();
    let segments = vec![Segment { address: CODE, bytes }];
    let mut chip = Esp8266::new(Elf { entry: start, segments, symbols });
    chip.reset(0).expect("it starts");
    chip.pins.touched = false;
    chip.pins.set_outside(5, false);
    let fault = chip.run(chip.cycles + 1_000).expect_err("it is not passed over").to_string();
    assert!(fault.contains("system_get_time in an interrupt"), "{fault}");
}
