//! Start and end: where the SDK enters the program, and where a panic leaves it.

use core::ffi::CStr;
use core::panic::PanicInfo;

use super::{
    CHIP, Chip, PRIORITY, PROGRAM, QUEUE, TIMER, on_timer, on_wifi, pblink_on_edge, pins, post,
    print, raw, task,
};
use pblink_coprocessor_program::i2c::Master;

/// Places of the program and the SDK's own data in the flash. For 1 MB: larger chips have it too.
static PARTITIONS: [raw::Partition; 5] = [
    // The two files of the program: customer's kinds, from 100.
    raw::Partition { kind: 101, address: 0, size: 0x1_0000 },
    raw::Partition { kind: 102, address: 0x1_0000, size: 0x6_0000 },
    // RF_CAL, PHY_DATA, SYSTEM_PARAMETER
    raw::Partition { kind: 4, address: 0xf_b000, size: 0x1000 },
    raw::Partition { kind: 5, address: 0xf_c000, size: 0x1000 },
    raw::Partition { kind: 6, address: 0xf_d000, size: 0x3000 },
];

/// The SDK calls this before it sets itself up.
#[unsafe(no_mangle)]
extern "C" fn user_pre_init() {
    // SAFETY: the table is constant.
    unsafe {
        let (table, length) = (PARTITIONS.as_ptr(), PARTITIONS.len() as u32);
        if !raw::system_partition_table_regist(table, length, raw::FLASH_1_MB) {
            stop(c"pblink: the flash has less than 1 MB");
        }
    }
}

/// The SDK calls this when it is half set up.
#[unsafe(no_mangle)]
extern "C" fn user_init() {
    pins::set_up();
    // SAFETY: plain calls.
    unsafe {
        raw::wifi_set_opmode_current(raw::STATION_MODE);
        if raw::wifi_station_get_auto_connect() != 0 {
            raw::wifi_station_set_auto_connect(0);
        }
        raw::wifi_station_set_reconnect_policy(true);
        raw::system_init_done_cb(ready);
    }
}

/// The SDK is set up.
extern "C" fn ready() {
    pins::set_console_speed();
    print(format_args!("\npblink-esp8266 {}", env!("CARGO_PKG_VERSION")));
    // SAFETY: the SDK gives a valid pointer. Nothing uses the program or the chip before this.
    unsafe {
        let reset = &*raw::system_get_rst_info();
        print(format_args!(
            "reset: cause {}, exception {} at {:#x}, address {:#x}",
            reset.reason, reset.cause, reset.epc1, reset.address
        ));
        (*CHIP.get()).write(Chip { bus: Master::new(pins::Bus) });
        (*PROGRAM.get()).start(pins::syn());
        // The SDK starts with it on; a program that hangs for 3 s is restarted by it.
        raw::system_soft_wdt_restart();
        raw::wifi_set_sleep_type(raw::NO_SLEEP);
        raw::wifi_set_event_handler_cb(on_wifi);
        raw::ets_timer_setfn(TIMER.get(), on_timer, core::ptr::null_mut());
        raw::system_os_task(task, PRIORITY, QUEUE.get().cast(), 4);
        raw::ets_isr_attach(raw::GPIO_INTERRUPT, pblink_on_edge, core::ptr::null_mut());
        raw::ets_isr_unmask(1 << raw::GPIO_INTERRUPT);
    }
    post();
}

/// A panic, which the compiler makes a call of `abort` (`assembly.S`): messages would take kilobytes
/// of the heap. `from` is behind that call, and `addr2line` knows in which function.
#[unsafe(no_mangle)]
extern "C" fn pblink_aborted(from: u32) -> ! {
    print(format_args!("pblink: panic before {from:#x}"));
    stop(c"pblink: restarting")
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    stop(c"pblink: panic")
}

/// Reports the reason, and restarts.
fn stop(why: &CStr) -> ! {
    // SAFETY: plain calls.
    unsafe {
        raw::os_printf_plus(c"%s\n".as_ptr(), why.as_ptr());
        raw::system_restart();
    }
    // It restarts when this returns to the SDK; if it cannot, the watchdog does.
    loop {
        core::hint::spin_loop();
    }
}
