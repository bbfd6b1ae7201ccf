//! The ESP8266: its images, and its ROM loader over a serial port.

mod image;
mod layout;

pub use image::{
    FlashFrequency, FlashMode, FlashParameters, FlashSize, Image, MAGIC, parameters, patch,
};
pub use layout::{SystemSectors, regions};
