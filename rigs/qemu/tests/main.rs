//! The machine code of both boards, in one program: most of these tests wait for an emulator most of the time.
//! The bench is the longest by far, and named so that it starts first.
#![cfg(unix)]

/// Runs each story with either coprocessor, as a test of its own.
macro_rules! with_either {
    ($($story:ident,)*) => {
        mod esp8266 {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                super::$story(pblink_emulation::image::CoprocessorKind::Esp8266).await;
            })*
        }
        mod esp32c3 {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                super::$story(pblink_emulation::image::CoprocessorKind::Esp32c3).await;
            })*
        }
    };
}

mod bench;
mod boards;
mod chip;
mod secure;
mod stub;
mod vectors;
