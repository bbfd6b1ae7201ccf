//! The SDK's functions and types that the firmware uses: ESP8266_NONOS_SDK 3.x. All of them are here,
//! each under the header that declares it, and in `sdk-symbols.txt`, against which `build.sh sdk` links.

use core::ffi::{c_char, c_int, c_void};

// ---- include/ets_sys.h, os_type.h ----

/// `ETSEvent`
#[repr(C)]
pub(super) struct Event {
    pub(super) signal: u32,
    pub(super) parameter: u32,
}

/// `ETSTimer`
#[repr(C)]
pub(super) struct Timer {
    next: *mut Timer,
    expire: u32,
    period: u32,
    function: Option<extern "C" fn(*mut c_void)>,
    argument: *mut c_void,
}

impl Timer {
    pub(super) const UNUSED: Self = Self {
        next: core::ptr::null_mut(),
        expire: 0,
        period: 0,
        function: None,
        argument: core::ptr::null_mut(),
    };
}

/// `ETS_GPIO_INUM`
pub(super) const GPIO_INTERRUPT: c_int = 4;

unsafe extern "C" {
    pub(super) fn ets_isr_attach(
        number: c_int,
        handler: unsafe extern "C" fn(*mut c_void),
        argument: *mut c_void,
    );
    pub(super) fn ets_isr_unmask(mask: u32);
}

// ---- include/osapi.h ----

unsafe extern "C" {
    pub(super) fn ets_delay_us(micros: u32);
    pub(super) fn ets_timer_arm_new(timer: *mut Timer, time: u32, repeat: bool, millis: bool);
    pub(super) fn ets_timer_disarm(timer: *mut Timer);
    pub(super) fn ets_timer_setfn(
        timer: *mut Timer,
        function: extern "C" fn(*mut c_void),
        argument: *mut c_void,
    );
    pub(super) fn os_printf_plus(format: *const c_char, ...) -> c_int;
}

// ---- include/user_interface.h ----

/// `struct rst_info`
#[repr(C)]
pub(super) struct ResetInfo {
    /// 0 power, 1 watchdog, 2 exception, 3 software watchdog, 4 restart, 5 deep sleep, 6 reset pin.
    pub(super) reason: u32,
    pub(super) cause: u32,
    pub(super) epc1: u32,
    epc2: u32,
    epc3: u32,
    pub(super) address: u32,
    depc: u32,
}

/// `struct station_config`
#[repr(C)]
pub(super) struct Station {
    pub(super) ssid: [u8; 32],
    pub(super) password: [u8; 64],
    channel: u8,
    bssid_set: u8,
    bssid: [u8; 6],
    /// `wifi_fast_scan_threshold_t`
    pub(super) threshold: Threshold,
    /// An access point without protection, or with WEP, is passed over.
    pub(super) open_and_wep_mode_disable: bool,
    all_channel_scan: bool,
}

#[repr(C)]
pub(super) struct Threshold {
    rssi: i8,
    /// The weakest protection that is accepted.
    pub(super) authmode: c_int,
}

/// `AUTH_WPA_PSK`
pub(super) const WPA_PSK: c_int = 2;

impl Station {
    pub(super) const EMPTY: Self = Self {
        ssid: [0; 32],
        password: [0; 64],
        channel: 0,
        bssid_set: 0,
        bssid: [0; 6],
        threshold: Threshold { rssi: 0, authmode: 0 },
        open_and_wep_mode_disable: false,
        all_channel_scan: false,
    };
}

/// `partition_item_t`
#[repr(C)]
pub(super) struct Partition {
    pub(super) kind: c_int,
    pub(super) address: u32,
    pub(super) size: u32,
}

/// `System_Event_t`, of which only the kind is used.
#[repr(C)]
pub(super) struct SystemEvent {
    pub(super) event: u32,
}

/// `EVENT_STAMODE_CONNECTED`
pub(super) const CONNECTED: u32 = 0;
/// `EVENT_STAMODE_DISCONNECTED`
pub(super) const DISCONNECTED: u32 = 1;
/// `EVENT_STAMODE_GOT_IP`
pub(super) const GOT_IP: u32 = 3;
/// `EVENT_STAMODE_DHCP_TIMEOUT`
pub(super) const DHCP_TIMEOUT: u32 = 4;
/// `STATION_MODE`
pub(super) const STATION_MODE: u8 = 1;
/// `NONE_SLEEP_T`
pub(super) const NO_SLEEP: c_int = 0;
/// `FLASH_SIZE_8M_MAP_512_512`
pub(super) const FLASH_1_MB: u32 = 2;

unsafe extern "C" {
    pub(super) fn system_get_time() -> u32;
    pub(super) fn system_get_free_heap_size() -> u32;
    pub(super) fn system_get_rst_info() -> *const ResetInfo;
    pub(super) fn system_restart();
    pub(super) fn system_soft_wdt_restart();
    pub(super) fn system_init_done_cb(done: extern "C" fn());
    pub(super) fn system_os_task(
        task: extern "C" fn(*mut Event),
        priority: u8,
        queue: *mut Event,
        length: u8,
    ) -> bool;
    pub(super) fn system_os_post(priority: u8, signal: u32, parameter: u32) -> bool;
    pub(super) fn system_partition_table_regist(
        table: *const Partition,
        length: u32,
        map: u32,
    ) -> bool;
    pub(super) fn wifi_set_opmode_current(mode: u8) -> bool;
    pub(super) fn wifi_set_sleep_type(kind: c_int) -> bool;
    pub(super) fn wifi_set_event_handler_cb(handler: extern "C" fn(*const SystemEvent));
    pub(super) fn wifi_station_get_config_default(config: *mut Station) -> bool;
    pub(super) fn wifi_station_set_config(config: *const Station) -> bool;
    pub(super) fn wifi_station_set_config_current(config: *const Station) -> bool;
    pub(super) fn wifi_station_connect() -> bool;
    pub(super) fn wifi_station_disconnect() -> bool;
    pub(super) fn wifi_station_get_auto_connect() -> u8;
    pub(super) fn wifi_station_set_auto_connect(set: u8) -> bool;
    pub(super) fn wifi_station_set_reconnect_policy(set: bool) -> bool;
    pub(super) fn wifi_station_set_hostname(name: *const c_char) -> bool;
}

// ---- include/espconn.h, ip_addr.h ----

/// `esp_tcp`
#[repr(C)]
pub(super) struct Tcp {
    pub(super) remote_port: c_int,
    pub(super) local_port: c_int,
    local_ip: [u8; 4],
    pub(super) remote_ip: [u8; 4],
    connect_callback: *const c_void,
    reconnect_callback: *const c_void,
    disconnect_callback: *const c_void,
    write_finish: *const c_void,
}

/// `esp_udp`
#[repr(C)]
pub(super) struct Udp {
    pub(super) remote_port: c_int,
    pub(super) local_port: c_int,
    local_ip: [u8; 4],
    pub(super) remote_ip: [u8; 4],
}

/// `struct espconn`
#[repr(C)]
pub(super) struct Connection {
    pub(super) kind: c_int,
    state: c_int,
    /// A [`Tcp`] or a [`Udp`], as the kind says.
    pub(super) proto: *mut c_void,
    receive_callback: *const c_void,
    sent_callback: *const c_void,
    link_count: u8,
    reverse: *mut c_void,
}

impl Tcp {
    pub(super) const UNUSED: Self = Self {
        remote_port: 0,
        local_port: 0,
        local_ip: [0; 4],
        remote_ip: [0; 4],
        connect_callback: core::ptr::null(),
        reconnect_callback: core::ptr::null(),
        disconnect_callback: core::ptr::null(),
        write_finish: core::ptr::null(),
    };
}

impl Udp {
    pub(super) const UNUSED: Self =
        Self { remote_port: 0, local_port: 0, local_ip: [0; 4], remote_ip: [0; 4] };
}

impl Connection {
    pub(super) const UNUSED: Self = Self {
        kind: 0,
        state: 0,
        proto: core::ptr::null_mut(),
        receive_callback: core::ptr::null(),
        sent_callback: core::ptr::null(),
        link_count: 0,
        reverse: core::ptr::null_mut(),
    };
}

/// `ESPCONN_TCP`
pub(super) const TCP: c_int = 0x10;
/// `ESPCONN_UDP`
pub(super) const UDP: c_int = 0x20;
/// `ESPCONN_NODELAY`
pub(super) const NO_DELAY: u8 = 0x02;
/// `ESPCONN_OK`
pub(super) const OK: i8 = 0;
/// `ESPCONN_INPROGRESS`
pub(super) const IN_PROGRESS: i8 = -5;
/// `ESPCONN_ARG`: also what is no connection.
pub(super) const ARG: i8 = -12;

type Callback = extern "C" fn(*mut c_void);

unsafe extern "C" {
    pub(super) fn espconn_connect(connection: *mut Connection) -> i8;
    pub(super) fn espconn_abort(connection: *mut Connection) -> i8;
    pub(super) fn espconn_send(connection: *mut Connection, bytes: *const u8, length: u16) -> i8;
    pub(super) fn espconn_create(connection: *mut Connection) -> i8;
    pub(super) fn espconn_sendto(connection: *mut Connection, bytes: *const u8, length: u16)
    -> i16;
    pub(super) fn espconn_set_opt(connection: *mut Connection, option: u8) -> i8;
    pub(super) fn espconn_port() -> u32;
    pub(super) fn espconn_regist_connectcb(connection: *mut Connection, callback: Callback) -> i8;
    pub(super) fn espconn_regist_disconcb(connection: *mut Connection, callback: Callback) -> i8;
    pub(super) fn espconn_regist_reconcb(
        connection: *mut Connection,
        callback: extern "C" fn(*mut c_void, i8),
    ) -> i8;
    pub(super) fn espconn_regist_recvcb(
        connection: *mut Connection,
        callback: extern "C" fn(*mut c_void, *const u8, u16),
    ) -> i8;
    pub(super) fn espconn_regist_sentcb(connection: *mut Connection, callback: Callback) -> i8;
    pub(super) fn espconn_gethostbyname(
        connection: *mut Connection,
        name: *const c_char,
        address: *mut u32,
        found: extern "C" fn(*const c_char, *const u32, *mut c_void),
    ) -> i8;
}
