//! The DHCP host name of a board.

use pblink_protocol::coprocessor::{MAX_HOST_NAME, host_name};
use pblink_protocol::tcp::line::MAX_ID;
use proptest::prelude::*;

#[test]
fn it_is_made_of_the_id() {
    for (id, name) in [
        ("1", "pblink-1"),
        ("Kitchen2", "pblink-Kitchen2"),
        ("kitchen sink", "pblink-kitchen-sink"),
        ("-a--b_.c-", "pblink-a-b-c"),
        ("Küche", "pblink-K-che"),
        ("厨房", "pblink"),
        ("", "pblink"),
        ("abcdefghijklmnopqrstuvwxyz", "pblink-abcdefghijklmnopqrstuvwxy"),
        ("abcdefghijklmnopqrstuvwx yz", "pblink-abcdefghijklmnopqrstuvwx"),
        ("abcdefghijklmnopqrstuvw yz", "pblink-abcdefghijklmnopqrstuvw-y"),
    ] {
        assert_eq!(host_name(id), name, "{id:?}");
    }
}

proptest! {
    #[test]
    fn it_is_a_host_name_for_any_id(id in "\\PC{0,64}") {
        prop_assume!(id.len() <= MAX_ID);
        let name = host_name(&id);
        prop_assert!(name.len() <= MAX_HOST_NAME);
        prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
        prop_assert!(name.starts_with("pblink") && !name.ends_with('-') && !name.contains("--"));
    }
}
