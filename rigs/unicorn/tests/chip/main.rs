//! Both boards' machine code, pin by pin, in lock step: the STM32's release image and the ESP8266's program as it is
//! linked for the chip. Build them first: `firmware-stm32/build.sh` and `firmware-esp8266/build.sh sdk`.

mod board;
// The longest first: tests start in the order of their names, and the last one has no company.
mod exchanges;
mod faults;
mod local_names;
mod network;
mod published;
mod secure;
mod speed;
