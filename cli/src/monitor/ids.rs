//! The order of ids.

/// Returns the sort key of an id. Ids are often numbers; 10 should follow 9. Other ids come after the numbers.
pub(super) fn id_order(id: &str) -> (bool, u64, &str) {
    let number = id.parse().ok();
    (number.is_none(), number.unwrap_or(0), id)
}
