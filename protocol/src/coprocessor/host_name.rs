//! The name with which an ESP8266 asks a DHCP server for an address, so that a router's list of devices shows which
//! board is which.

use heapless::String;

/// The longest DHCP host name in bytes: all that Espressif's SDK takes.
pub const MAX_HOST_NAME: usize = 32;

/// Returns the DHCP host name of the board with this id: `pblink-` and the id, cut to [`MAX_HOST_NAME`] bytes.
///
/// A host name has letters of ASCII, digits and single hyphens, none at its end (RFC 1123). Whatever else stands in
/// the id becomes one hyphen, so that two ids can have the same host name. An id of nothing else gives `pblink`.
pub fn host_name(id: &str) -> String<MAX_HOST_NAME> {
    let mut name = String::new();
    let mut gap = true;
    // The rest is cut off.
    let _ = name.push_str("pblink");
    for c in id.chars() {
        if !c.is_ascii_alphanumeric() {
            gap = true;
            continue;
        }
        let room = MAX_HOST_NAME - name.len();
        if room < 1 + usize::from(gap) {
            break;
        }
        if core::mem::take(&mut gap) {
            let _ = name.push('-');
        }
        let _ = name.push(c);
    }
    name
}
