//! An ESP8266 in its ROM loader.
