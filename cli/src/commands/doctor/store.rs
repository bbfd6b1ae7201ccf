//! Checks of the store of `[store]`.

use super::finding::{Finding, Group};
use crate::settings::Settings;

/// Looks at the stream and listens for gateways, if the log is shared.
#[cfg(feature = "nats")]
pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    let mut group = Group::new("store");
    if settings.store.url.is_empty() {
        return group.done();
    }
    if let Err(error) = look(&mut group, settings).await {
        group.error(format!("{error:#}"), "docs/SCALE.md says how several servers share a log");
    }
    group.done()
}

#[cfg(feature = "nats")]
async fn look(group: &mut Group, settings: &Settings) -> anyhow::Result<()> {
    use crate::store;

    let Some(options) = store::options(settings, None)? else { return Ok(()) };
    let there = store::connect(&options, "doctor").await?;
    let state = there.state().await.map_err(|error| store::failed(&error))?;
    let name = &options.name;
    for fault in &state.faults {
        group.error(
            format!("the stream {name} is not safe: {fault}"),
            "nats stream edit   changes it",
        );
    }
    let (present, replicas) = (state.present, state.replicas);
    match present < replicas {
        true => group.warning(
            format!("{present} of {replicas} copies of the stream {name} are there"),
            "look at the servers of NATS: with most of them away, lines wait at their boards",
        ),
        false => {
            group.ok(format!("the stream {name} is there, in {replicas} of {replicas} copies"))
        }
    }
    let gateways = there.gateways().await.map_err(|error| store::failed(&error))?;
    let leaders: Vec<_> = gateways.iter().filter(|gateway| gateway.leads).collect();
    let others = gateways.len() - leaders.len();
    match (&leaders[..], others) {
        ([], 0) => group.ok("no gateway runs"),
        ([], _) => group.warning(
            format!("no gateway leads, and {others} stand by"),
            "look at what they print: each says why it does not lead",
        ),
        ([leader], 0) => group.warning(
            format!("gateway {} leads, and none stands by to take its place", leader.name),
            "start `pblink serve` on another machine, with the same [store]",
        ),
        ([leader], _) => group.ok(format!("gateway {} leads, {others} more stand by", leader.name)),
        (several, _) => group.warning(
            format!("{} gateways say that they lead", several.len()),
            "run this again in some seconds: one of them was replaced, and does not know it yet",
        ),
    }
    for gateway in gateways.iter().filter(|gateway| gateway.other_keys) {
        group.warning(
            format!("gateway {} has other keys of boards than the one that leads", gateway.name),
            "copy the file of keys (link.keys), and link.classic, from one that is right to all machines",
        );
    }
    group.ok("whether its servers write to their disks at once cannot be seen: with sync_interval: always they do");
    Ok(())
}

/// Says that this program cannot share a log, if it is to.
#[cfg(not(feature = "nats"))]
pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    let mut group = Group::new("store");
    if !settings.store.url.is_empty() {
        group.error(
            "this pblink was built without NATS",
            "build it with the feature `nats`, or take store.url out of pblink.toml",
        );
    }
    group.done()
}
