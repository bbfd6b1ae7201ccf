//! The station: `include/user_interface.h` of ESP8266_NONOS_SDK 3.x, and what the air makes of it.

use super::{Done, Esp8266, Function, MHZ, SDK_MEMORY, Work};
use crate::Fault;

pub(super) const FUNCTIONS: [(&str, Function); 12] = [
    ("wifi_set_opmode_current", |chip| {
        chip.wifi.is_station = chip.argument(0) & 0xff == 1;
        Ok(Done::Value(1))
    }),
    ("wifi_set_sleep_type", |_| Ok(Done::Value(1))),
    ("wifi_set_event_handler_cb", |chip| {
        chip.wifi.handler = Some(chip.argument(0));
        Ok(Done::Nothing)
    }),
    ("wifi_station_get_config_default", |chip| {
        let station = chip.wifi.remembered.clone().unwrap_or_default();
        let at = chip.argument(0);
        chip.core.memory.load(at, &station.bytes());
        Ok(Done::Value(1))
    }),
    ("wifi_station_set_config", |chip| {
        let station = station(chip)?;
        chip.wifi.current = station.clone();
        if chip.wifi.remembered.as_ref() == Some(&station) {
            return Ok(Done::Value(1));
        }
        chip.wifi.remembered = Some(station);
        chip.wifi.writes += 1;
        // The result is in place when it returns.
        chip.core.a[2] = 1;
        Ok(Done::Writing(chip.wifi.write * MHZ))
    }),
    ("wifi_station_set_config_current", |chip| {
        chip.wifi.current = station(chip)?;
        Ok(Done::Value(1))
    }),
    ("wifi_station_connect", connect),
    ("wifi_station_disconnect", disconnect),
    ("wifi_station_get_auto_connect", |chip| Ok(Done::Value(chip.wifi.auto_connect.into()))),
    ("wifi_station_set_auto_connect", |chip| {
        chip.wifi.auto_connect = chip.argument(0) & 0xff != 0;
        Ok(Done::Writing(chip.wifi.write * MHZ))
    }),
    ("wifi_station_set_reconnect_policy", |chip| {
        chip.wifi.reconnects = chip.argument(0) & 0xff != 0;
        Ok(Done::Value(1))
    }),
    ("wifi_station_set_hostname", set_host_name),
];

/// `EVENT_STAMODE_…`
const CONNECTED: u32 = 0;
const DISCONNECTED: u32 = 1;
const GOT_IP: u32 = 3;
const DHCP_TIMEOUT: u32 = 4;

/// `System_Event_t`.
const EVENT: u32 = SDK_MEMORY + 0x40;

/// A network that can be heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessPoint {
    /// Its name.
    pub ssid: String,
    /// Its password; empty for an open one. Others have WPA2.
    pub password: String,
}

/// `struct station_config`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Station {
    /// The name of the network.
    pub ssid: String,
    /// Its password.
    pub password: String,
    /// `threshold.authmode`.
    authmode: u32,
    /// `open_and_wep_mode_disable`.
    no_open: bool,
}

/// Size of it, and places in it.
const STATION: usize = 116;
const AUTHMODE: usize = 108;
const NO_OPEN: usize = 112;
/// `AUTH_WPA_PSK`, `AUTH_WPA2_PSK`
const WPA2: u32 = 3;

impl Station {
    /// A network as a firmware has stored it that knows nothing of thresholds.
    pub fn new(ssid: &str, password: &str) -> Self {
        Self { ssid: ssid.into(), password: password.into(), ..Self::default() }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; STATION];
        bytes[..self.ssid.len()].copy_from_slice(self.ssid.as_bytes());
        bytes[32..32 + self.password.len()].copy_from_slice(self.password.as_bytes());
        bytes[AUTHMODE] = self.authmode as u8;
        bytes[NO_OPEN] = self.no_open.into();
        bytes
    }

    /// Returns true if it may join this network.
    fn takes(&self, point: &AccessPoint) -> bool {
        let authmode = if point.password.is_empty() { 0 } else { WPA2 };
        self.ssid == point.ssid
            && authmode >= self.authmode
            && (authmode > 0 || !self.no_open)
            // An open network takes anyone, with or without a password.
            && (authmode == 0 || self.password == point.password)
    }
}

/// Reads the structure that the program hands over.
fn station(chip: &Esp8266) -> Result<Station, Fault> {
    let bytes = chip.core.memory.bytes(chip.argument(0), STATION as u32);
    let bytes = bytes.ok_or_else(|| chip.fault("no station_config is there"))?;
    let text = |bytes: &[u8]| {
        let len = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..len]).into_owned()
    };
    if bytes[97] != 0 {
        return Err(chip.fault("a station_config with a BSSID"));
    }
    Ok(Station {
        ssid: text(&bytes[..32]),
        password: text(&bytes[32..96]),
        authmode: u32::from(bytes[AUTHMODE]),
        no_open: bytes[NO_OPEN] != 0,
    })
}

/// Copies the name, if it is not longer than 32 bytes and the chip is a station already.
fn set_host_name(chip: &mut Esp8266) -> Result<Done, Fault> {
    let name = chip.core.memory.text(chip.argument(0));
    let name = name.map(|text| String::from_utf8_lossy(text).into_owned());
    let name = name.ok_or_else(|| chip.fault("no host name is there"))?;
    if name.len() > 32 || !chip.wifi.is_station {
        return Ok(Done::Value(0));
    }
    chip.wifi.host_name = Some(name);
    Ok(Done::Value(1))
}

/// Steps of joining that come by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Scanned,
    Address,
    NoAddress,
    /// The program's handler, with an event.
    Event(u32),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Off,
    Joining,
    Associated,
    Up,
}

/// The station, and the networks around it. What is public is the test's to set.
pub struct Wifi {
    /// The networks that can be heard now, best first.
    pub points: Vec<AccessPoint>,
    /// Time to look for a network and join it, in µs.
    pub join: u64,
    /// Time until a DHCP server answers, in µs; `None` if none does.
    pub dhcp: Option<u64>,
    /// Time to write to the flash, in µs: a sector is erased, and nothing can be read meanwhile.
    pub write: u64,
    /// The network that the chip remembers in its flash.
    pub remembered: Option<Station>,
    /// Times that the remembered network was written.
    pub writes: u32,
    /// Name of the network that it is in, with an address.
    pub joined: Option<String>,
    /// Host names with which it has asked for an address, oldest first.
    pub asked_as: Vec<String>,
    host_name: Option<String>,
    auto_connect: bool,
    reconnects: bool,
    is_station: bool,
    handler: Option<u32>,
    current: Station,
    state: State,
}

impl Default for Wifi {
    fn default() -> Self {
        Self {
            points: Vec::new(),
            join: 1_500_000,
            dhcp: Some(500_000),
            write: 60_000,
            remembered: None,
            writes: 0,
            joined: None,
            asked_as: Vec::new(),
            host_name: None,
            auto_connect: true,
            reconnects: false,
            is_station: false,
            handler: None,
            current: Station::default(),
            state: State::Off,
        }
    }
}

/// The time after which the SDK reports that no DHCP server answers, in µs; an assumption.
const DHCP_GIVES_UP: u64 = 60_000_000;

impl Wifi {
    /// Everything but the air and the flash is as after a reset.
    pub(super) fn reset(&mut self) {
        let old = std::mem::take(self);
        *self = Self {
            points: old.points,
            join: old.join,
            dhcp: old.dhcp,
            write: old.write,
            remembered: old.remembered,
            writes: old.writes,
            asked_as: old.asked_as,
            auto_connect: old.auto_connect,
            ..Self::default()
        };
    }

    pub(super) fn is_up(&self) -> bool {
        self.state == State::Up
    }
}

fn connect(chip: &mut Esp8266) -> Result<Done, Fault> {
    if !chip.wifi.is_station {
        return Ok(Done::Value(0));
    }
    chip.forget(|work| matches!(work, Work::Wifi(Due::Scanned | Due::Address | Due::NoAddress)));
    chip.wifi.state = State::Joining;
    chip.later(chip.wifi.join * MHZ, Work::Wifi(Due::Scanned));
    Ok(Done::Value(1))
}

/// Frees the address, and forgets what DHCP was about.
fn disconnect(chip: &mut Esp8266) -> Result<Done, Fault> {
    chip.forget(|work| matches!(work, Work::Wifi(Due::Scanned | Due::Address | Due::NoAddress)));
    if matches!(chip.wifi.state, State::Associated | State::Up) {
        chip.later(1000 * MHZ, Work::Wifi(Due::Event(DISCONNECTED)));
    }
    chip.wifi.state = State::Off;
    chip.wifi.joined = None;
    Ok(Done::Value(1))
}

impl Esp8266 {
    /// The access point is not heard any more.
    pub fn lose_network(&mut self) {
        self.wifi.points.clear();
        if matches!(self.wifi.state, State::Associated | State::Up) {
            self.wifi.joined = None;
            self.event(DISCONNECTED);
            self.retry();
        }
    }

    fn event(&mut self, event: u32) {
        self.later(0, Work::Wifi(Due::Event(event)));
    }

    /// Applies the reconnect policy.
    fn retry(&mut self) {
        self.forget(|work| {
            matches!(work, Work::Wifi(Due::Scanned | Due::Address | Due::NoAddress))
        });
        self.wifi.state = State::Off;
        if self.wifi.reconnects {
            self.wifi.state = State::Joining;
            self.later((self.wifi.join + 1_000_000) * MHZ, Work::Wifi(Due::Scanned));
        }
    }

    pub(super) fn wifi_due(&mut self, due: Due) -> Result<(), Fault> {
        match due {
            Due::Scanned => {
                let current = &self.wifi.current;
                if self.wifi.points.iter().any(|point| current.takes(point)) {
                    self.wifi.state = State::Associated;
                    self.event(CONNECTED);
                    // Without a name from the program: one from the end of the station's hardware address.
                    let name = self.wifi.host_name.clone();
                    self.wifi.asked_as.push(name.unwrap_or_else(|| "ESP-0A0B0C".into()));
                    if let Some(dhcp) = self.wifi.dhcp {
                        self.later(dhcp * MHZ, Work::Wifi(Due::Address));
                    }
                    self.later(DHCP_GIVES_UP * MHZ, Work::Wifi(Due::NoAddress));
                } else {
                    self.event(DISCONNECTED);
                    self.retry();
                }
            }
            Due::Address => {
                self.forget(|work| *work == Work::Wifi(Due::NoAddress));
                self.wifi.state = State::Up;
                self.wifi.joined = Some(self.wifi.current.ssid.clone());
                self.event(GOT_IP);
            }
            Due::NoAddress => self.event(DHCP_TIMEOUT),
            Due::Event(event) => {
                if let Some(handler) = self.wifi.handler {
                    self.core.memory.load(EVENT, &event.to_le_bytes());
                    self.call(handler, &[EVENT]);
                }
            }
        }
        Ok(())
    }
}
