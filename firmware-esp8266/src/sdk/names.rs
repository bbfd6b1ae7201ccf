//! Datagrams of multicast DNS.

use core::ffi::c_void;

use pblink_coprocessor_program::Event;
use pblink_protocol::mdns::{GROUP, PORT};

use super::{Task, raw, report};

static SOCKET: Task<raw::Connection> = Task::new(raw::Connection::UNUSED);
static UDP: Task<raw::Udp> = Task::new(raw::Udp::UNUSED);

/// Sends bytes to the group. What does not go out is lost, as datagrams are.
pub(super) fn ask(bytes: *const u8, len: usize) {
    // SAFETY: the structures are ours and stay: once the SDK has them, it has them for good. It copies the bytes.
    unsafe {
        let (socket, udp) = (SOCKET.get(), UDP.get());
        if (*socket).proto.is_null() {
            (*socket).kind = raw::UDP;
            (*socket).proto = udp.cast();
            // Not the group's port: answers come to the asker alone, and the chip need not join the group.
            (*udp).local_port = raw::espconn_port() as _;
            if raw::espconn_create(socket) != raw::OK {
                // Without memory for it now; the next question tries again.
                (*socket).proto = core::ptr::null_mut();
                return;
            }
            raw::espconn_regist_recvcb(socket, on_answer);
        }
        // Whenever a datagram comes, the SDK writes here who sent it.
        (*udp).remote_ip = GROUP;
        (*udp).remote_port = i32::from(PORT);
        raw::espconn_sendto(socket, bytes, len as u16);
    }
}

extern "C" fn on_answer(_: *mut c_void, bytes: *const u8, length: u16) {
    // SAFETY: the SDK gives this many valid bytes until this returns.
    let bytes = unsafe { core::slice::from_raw_parts(bytes, usize::from(length)) };
    // While the program is in use it is lost: the program asks again.
    report(Event::Answer(bytes));
}
