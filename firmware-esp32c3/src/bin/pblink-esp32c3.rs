//! The program on the chip.

#![no_std]
#![no_main]
#![allow(unsafe_code, reason = "memory for the radio")]

use embassy_executor::Spawner;
use esp_hal::clock::CpuClock;

esp_bootloader_esp_idf::esp_app_desc!();

/// Memory for the radio and its threads, in bytes: what the boot loader has left, and more.
const RECLAIMED: usize = 64 * 1024;
const MORE: usize = 100 * 1024;

#[esp_rtos::main]
async fn main(spawner: Spawner) -> ! {
    let p = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
    esp_alloc::heap_allocator!(#[esp_hal::ram(reclaimed)] size: RECLAIMED);
    esp_alloc::heap_allocator!(size: MORE);
    pblink_esp32c3::chip::run(spawner, p).await
}
