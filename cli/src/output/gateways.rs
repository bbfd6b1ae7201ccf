//! Servers that share a log, in words.

use pblink_serve::control::GatewayInfo;

use super::events::clean;

/// Time without a word after which a gateway that stands by counts as gone. It says so every two seconds.
const SILENT_MS: u64 = 10_000;

/// Returns which one leads and how many others stand by, and whether all is well: one could take its place at once.
/// `None`: the log is the server's own.
pub fn words(gateways: &[GatewayInfo]) -> Option<(String, bool)> {
    let leader = gateways.iter().find(|gateway| gateway.leads)?;
    let others = || gateways.iter().filter(|gateway| !gateway.leads);
    let silent = others().filter(|gateway| gateway.heard_ms > SILENT_MS).count();
    let there = others().count() - silent;
    let verb = if there == 1 { "stands" } else { "stand" };
    let mut text = format!("{} leads, {there} {verb} by", clean(&leader.name));
    if silent > 0 {
        text += &format!(", {silent} silent");
    }
    let differ = others().any(|gateway| gateway.other_keys);
    if differ {
        text += ", keys differ";
    }
    Some((text, silent == 0 && there > 0 && !differ))
}
