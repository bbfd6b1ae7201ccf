//! Tasks, timers, interrupts, the console: `include/user_interface.h`, `osapi.h`, `ets_sys.h` of ESP8266_NONOS_SDK 3.x.

use std::collections::{HashMap, VecDeque};

use super::{Done, Esp8266, Function, MHZ, SDK_MEMORY, Work};
use crate::Fault;

/// The only call that an interrupt may make.
pub(super) const POST: &str = "system_os_post";

/// `struct rst_info`.
pub(super) const RESET_INFO: u32 = SDK_MEMORY;

pub(super) const FUNCTIONS: [(&str, Function); 15] = [
    (POST, post),
    ("system_os_task", task),
    ("system_get_time", |chip| Ok(Done::Value((chip.cycles / MHZ) as u32))),
    ("system_get_free_heap_size", |chip| Ok(Done::Value(chip.heap))),
    ("system_get_rst_info", |_| Ok(Done::Value(RESET_INFO))),
    ("system_restart", restart),
    ("system_soft_wdt_restart", |_| Ok(Done::Nothing)),
    ("system_init_done_cb", |chip| {
        chip.sdk.ready = Some(chip.argument(0));
        Ok(Done::Nothing)
    }),
    ("system_partition_table_regist", partitions),
    ("ets_timer_setfn", |chip| {
        let [timer, function, argument] = [0, 1, 2].map(|n| chip.argument(n));
        chip.sdk.timers.insert(timer, Timer { function, argument, period: None });
        Ok(Done::Nothing)
    }),
    ("ets_timer_arm_new", arm),
    ("ets_timer_disarm", |chip| {
        let timer = chip.argument(0);
        chip.forget(|work| *work == Work::Timer(timer));
        Ok(Done::Nothing)
    }),
    ("ets_isr_attach", |chip| {
        let [number, handler, argument] = [0, 1, 2].map(|n| chip.argument(n));
        if number != GPIO_INTERRUPT {
            return Err(chip.fault(format!("interrupt {number} is not modelled")));
        }
        chip.sdk.attached = Some((handler, argument));
        Ok(Done::Nothing)
    }),
    ("ets_isr_unmask", |chip| {
        if chip.argument(0) & 1 << GPIO_INTERRUPT != 0 {
            chip.sdk.isr = chip.sdk.attached;
        }
        Ok(Done::Nothing)
    }),
    ("os_printf_plus", print),
];

/// `ETS_GPIO_INUM`
const GPIO_INTERRUPT: u32 = 4;

/// Bytes that the UART holds.
const FIFO: u64 = 126;

#[derive(Debug, Clone, Copy)]
pub(super) struct Timer {
    function: u32,
    argument: u32,
    period: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Task {
    function: u32,
    queue: u32,
    length: usize,
    events: VecDeque<(u32, u32)>,
}

/// State of the SDK's own parts.
#[derive(Default)]
pub(crate) struct Sdk {
    pub(super) ready: Option<u32>,
    pub(super) tasks: HashMap<u8, Task>,
    pub(super) timers: HashMap<u32, Timer>,
    pub(super) attached: Option<(u32, u32)>,
    pub(super) isr: Option<(u32, u32)>,
    /// Everything that was printed.
    pub(super) console: Vec<u8>,
    /// The UART has sent all of it then.
    pub(super) console_until: u64,
}

fn task(chip: &mut Esp8266) -> Result<Done, Fault> {
    let [function, priority, queue, length] = [0, 1, 2, 3].map(|n| chip.argument(n));
    let (priority, length) = (priority as u8, (length & 0xff) as usize);
    if priority > 2 || chip.core.memory.bytes(queue, 8 * length as u32).is_none() {
        return Err(chip.fault("a task of another priority, or without a queue"));
    }
    chip.sdk.tasks.insert(priority, Task { function, queue, length, events: VecDeque::new() });
    Ok(Done::Value(1))
}

fn post(chip: &mut Esp8266) -> Result<Done, Fault> {
    let [priority, signal, parameter] = [0, 1, 2].map(|n| chip.argument(n));
    let Some(task) = chip.sdk.tasks.get_mut(&(priority as u8)) else {
        return Err(
            chip.fault(format!("posts to a task of priority {priority}, which is not there"))
        );
    };
    if task.events.len() >= task.length {
        return Ok(Done::Value(0));
    }
    task.events.push_back((signal, parameter));
    chip.later(5 * MHZ, Work::Task(priority as u8));
    Ok(Done::Value(1))
}

fn arm(chip: &mut Esp8266) -> Result<Done, Fault> {
    let [timer, time, repeats, millis] = [0, 1, 2, 3].map(|n| chip.argument(n));
    let cycles = u64::from(time) * MHZ * if millis & 0xff != 0 { 1000 } else { 1 };
    let Some(known) = chip.sdk.timers.get_mut(&timer) else {
        return Err(chip.fault("arms a timer without a function"));
    };
    known.period = (repeats & 0xff != 0).then_some(cycles);
    chip.forget(|work| *work == Work::Timer(timer));
    chip.later(cycles, Work::Timer(timer));
    Ok(Done::Nothing)
}

/// Restarts by itself, after what the caller still does.
fn restart(chip: &mut Esp8266) -> Result<Done, Fault> {
    Err(chip.fault(format!("restarts; console: {}", chip.console())))
}

/// Looks at the partition table as SDK 3.x does before it starts.
fn partitions(chip: &mut Esp8266) -> Result<Done, Fault> {
    let [table, count] = [0, 1].map(|n| chip.argument(n));
    let Some(bytes) = chip.core.memory.bytes(table, 12 * count) else {
        return Err(chip.fault("no partition table is there"));
    };
    let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|n| bytes[at + n]));
    let mut end = 0;
    for at in (0..bytes.len()).step_by(12) {
        let (start, size) = (word(at + 4), word(at + 8));
        if start < end || start + size > 0x10_0000 || size == 0 {
            return Ok(Done::Value(0));
        }
        end = start + size;
    }
    Ok(Done::Value(1))
}

/// `os_printf`, with the `%s` that the program uses. It returns when the UART has taken all: one that is full
/// takes a byte each time it has sent one.
fn print(chip: &mut Esp8266) -> Result<Done, Fault> {
    let [format, text] = [0, 1].map(|n| chip.argument(n));
    let missing = |chip: &Esp8266| chip.fault("prints what is not there");
    let format = chip.core.memory.text(format).ok_or_else(|| missing(chip))?;
    let mut printed = format.to_vec();
    if let Some(at) = printed.windows(2).position(|two| two == b"%s") {
        let text = chip.core.memory.text(text).ok_or_else(|| missing(chip))?;
        printed.splice(at..at + 2, text.iter().copied());
    }
    if printed.contains(&b'%') && format.contains(&b'%') && printed.len() < format.len() {
        return Err(chip.fault("a format that is not modelled"));
    }
    let byte = u64::from(chip.pins.uart_divisor.unwrap_or(80_000_000 / 115_200)) * 10;
    let mut now = chip.cycles;
    for _ in &printed {
        chip.sdk.console_until = chip.sdk.console_until.max(now) + byte;
        now += MHZ * 3 / 2;
        now = now.max(chip.sdk.console_until.saturating_sub(FIFO * byte));
    }
    chip.sdk.console.extend_from_slice(&printed);
    Ok(Done::Busy(now - chip.cycles))
}

impl Esp8266 {
    pub(super) fn run_task(&mut self, priority: u8) -> Result<(), Fault> {
        let Some(task) = self.sdk.tasks.get_mut(&priority) else { return Ok(()) };
        let Some((signal, parameter)) = task.events.pop_front() else { return Ok(()) };
        let (function, queue) = (task.function, task.queue);
        let event = [signal.to_le_bytes(), parameter.to_le_bytes()].concat();
        self.core.memory.load(queue, &event);
        self.call(function, &[queue]);
        Ok(())
    }

    pub(super) fn run_timer(&mut self, at: u32) -> Result<(), Fault> {
        let Some(&timer) = self.sdk.timers.get(&at) else { return Ok(()) };
        if let Some(period) = timer.period {
            self.later(period, Work::Timer(at));
        }
        self.call(timer.function, &[timer.argument]);
        Ok(())
    }
}
