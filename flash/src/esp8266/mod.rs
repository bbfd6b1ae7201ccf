//! The ESP8266: its images, and its ROM loader over a serial port.
