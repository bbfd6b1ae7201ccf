//! WiFi.

use embassy_futures::select::{Either, select};
use embassy_net::{ConfigV4, DhcpConfig, Stack};
use embassy_time::{Duration, Timer, with_timeout};
use esp_radio::wifi::sta::StationConfig;
use esp_radio::wifi::{
    AuthenticationMethodConfig, Config, PowerSaveMode, WifiController, WifiError,
};
use pblink_coprocessor_program::Event;

use super::flash::Memory;
use super::{Shared, console};
use crate::remembered::Network;

/// An order of the program.
pub(super) enum Order {
    /// Join this network, and remember it.
    Join(Network),
    /// Join the remembered network.
    JoinRemembered,
    /// Leave it, to begin from the start with the next order.
    Leave,
}

/// The longest wait for an address. Without one the network is of no use: it is joined anew. Slow DHCP servers take a while.
const ADDRESS: Duration = Duration::from_secs(60);

/// The pause before the next attempt.
const AGAIN: Duration = Duration::from_secs(1);

/// Follows the orders for ever.
#[embassy_executor::task]
pub(super) async fn run(
    shared: &'static Shared,
    stack: Stack<'static>,
    mut controller: WifiController<'static>,
    mut memory: Memory,
) {
    // An order of the program would wait for the radio to wake up, up to a tenth of a second each time.
    if let Err(error) = controller.set_power_saving(PowerSaveMode::None) {
        console::print(format_args!("wifi: the radio keeps sleeping: {error:?}"));
    }
    let mut order = shared.wifi.wait().await;
    loop {
        let network = match order {
            Order::Join(network) => {
                memory.remember(&network);
                Some(network)
            }
            Order::JoinRemembered => memory.network(),
            Order::Leave => None,
        };
        let next = select(shared.wifi.wait(), stay(shared, stack, &mut controller, network)).await;
        order = match next {
            Either::First(order) => order,
            // It has nothing to join.
            Either::Second(()) => shared.wifi.wait().await,
        };
        shared.associated.set(false);
        // Also ends an attempt. That there was nothing to end is no error.
        match controller.disconnect_async().await {
            Ok(_) | Err(WifiError::NotConnected) => {}
            Err(error) => console::print(format_args!("wifi: not left: {error:?}")),
        }
    }
}

/// Joins a network whenever it is there, and reports when it has an address and when no longer. Returns if there is no network
/// to join.
async fn stay(
    shared: &Shared,
    stack: Stack<'static>,
    controller: &mut WifiController<'static>,
    network: Option<Network>,
) {
    let Some(config) = network.as_ref().and_then(station) else { return };
    if let Err(error) = controller.set_config(&config) {
        return console::print(format_args!(
            "wifi: the radio does not take the network: {error:?}"
        ));
    }
    loop {
        // Without a network there is no address of an earlier one, and the next question for one begins anew.
        let mut dhcp = DhcpConfig::default();
        dhcp.hostname = shared.host_name.borrow().as_str().try_into().ok();
        stack.set_config_v4(ConfigV4::Dhcp(dhcp));
        match controller.connect_async().await {
            Ok(_) => {
                shared.associated.set(true);
                use_network(shared, stack, controller).await;
                shared.associated.set(false);
                // If it is not over: an address that did not come, or has run out.
                let _ = controller.disconnect_async().await;
            }
            Err(error) => console::print(format_args!("wifi: {error:?}")),
        }
        shared.report(Event::Wifi(false));
        Timer::after(AGAIN).await;
    }
}

/// Waits for an address, reports it, and returns when it has come to an end, or the network has.
async fn use_network(shared: &Shared, stack: Stack<'static>, controller: &WifiController<'static>) {
    let over = controller.wait_for_disconnect_async();
    match select(over, with_timeout(ADDRESS, stack.wait_config_up())).await {
        Either::First(_) => {}
        Either::Second(Err(_)) => console::print(format_args!("wifi: no address")),
        Either::Second(Ok(())) => {
            shared.report(Event::Wifi(true));
            select(controller.wait_for_disconnect_async(), stack.wait_config_down()).await;
        }
    }
}

/// Returns what the radio is told. A network with a password is only joined if it is protected by WPA2 or better: others may
/// have the same name.
fn station(network: &Network) -> Option<Config> {
    let authentication = match &*network.password {
        "" => AuthenticationMethodConfig::Open,
        password => AuthenticationMethodConfig::Wpa2Personal(password.try_into().ok()?),
    };
    let ssid = network.ssid.as_str().try_into().ok()?;
    let station = StationConfig::default().with_ssid(ssid).with_authentication(authentication);
    Some(Config::Station(station))
}
