//! Running a model, and what came of it.

use std::collections::BTreeMap;
use std::fmt;

use stateright::{Checker, Expectation, HasDiscoveries, Model};

/// The outcome of a model.
#[derive(Debug)]
pub struct Report {
    name: String,
    /// States that are different.
    pub states: usize,
    /// The most steps of a run.
    pub depth: usize,
    /// All states were seen: none was left out for their number.
    pub whole: bool,
    /// Promises that must hold and do not, with the shortest way there.
    pub broken: BTreeMap<&'static str, String>,
    /// Happenings that some run should have, and none has.
    pub missing: Vec<&'static str>,
}

impl Report {
    /// Returns true if this is broken, and nothing else.
    pub fn has_only(&self, broken: &[&str]) -> bool {
        self.broken.len() == broken.len()
            && broken.iter().all(|name| self.broken.contains_key(name))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, states, depth, whole, .. } = self;
        let all = if *whole { "all" } else { "the first" };
        write!(f, "{name}: {all} {states} states, {depth} steps at most")?;
        for (what, way) in &self.broken {
            write!(f, "\n  broken: {what}\n    {way}")?;
        }
        self.missing.iter().try_for_each(|what| write!(f, "\n  never: {what}"))
    }
}

/// Goes through all states of a model, or about this many.
pub fn check<M>(name: &str, model: M, limit: usize) -> Report
where
    M: Model + Send + Sync + 'static,
    M::State: std::hash::Hash + fmt::Debug + Clone + PartialEq + Send + Sync + 'static,
    M::Action: fmt::Debug + Clone + PartialEq + Send + Sync,
{
    run(name, model, limit, HasDiscoveries::All)
}

/// The same, until something is broken.
pub fn find<M>(name: &str, model: M, limit: usize) -> Report
where
    M: Model + Send + Sync + 'static,
    M::State: std::hash::Hash + fmt::Debug + Clone + PartialEq + Send + Sync + 'static,
    M::Action: fmt::Debug + Clone + PartialEq + Send + Sync,
{
    run(name, model, limit, HasDiscoveries::AnyFailures)
}

fn run<M>(name: &str, model: M, limit: usize, until: HasDiscoveries) -> Report
where
    M: Model + Send + Sync + 'static,
    M::State: std::hash::Hash + fmt::Debug + Clone + PartialEq + Send + Sync + 'static,
    M::Action: fmt::Debug + Clone + PartialEq + Send + Sync,
{
    let expectations: BTreeMap<_, _> = (model.properties().into_iter())
        .map(|property| (property.name, matches!(property.expectation, Expectation::Sometimes)))
        .collect();
    let checker = model.checker();
    let checker = checker.target_state_count(limit).finish_when(until).spawn_bfs().join();
    let found = checker.discoveries();
    let wanted = |name: &&'static str| expectations[name];
    Report {
        name: name.to_owned(),
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        whole: checker.state_count() < limit,
        missing: expectations
            .keys()
            .copied()
            .filter(|name| wanted(name) && !found.contains_key(name))
            .collect(),
        broken: (found.into_iter())
            .filter(|(name, _)| !wanted(name))
            .map(|(name, path)| (name, format!("{:?}", path.into_actions())))
            .collect(),
    }
}
