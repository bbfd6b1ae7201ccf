#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pblink_fuzz::session::run(data));
