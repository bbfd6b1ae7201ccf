//! Settings of the stream, and versions of its servers, with which lines could be lost.

use async_nats::jetstream::stream::{
    Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType,
};

/// Oldest NATS server whose streams keep what they promise: older ones had faults in clusters that were repaired since.
pub(super) const OLDEST: (i64, i64) = (2, 10);

/// Returns what is not as it has to be. `servers`: of the NATS cluster, as far as they are known.
pub(super) fn faults(config: &Config, subject: &str, servers: usize) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |wrong: bool, what: String| {
        if wrong {
            faults.push(what);
        }
    };
    check(
        config.subjects != [subject],
        format!(
            "its subjects are {:?} and have to be \"{subject}\": others could write into the log",
            config.subjects
        ),
    );
    check(
        config.storage != StorageType::File,
        "it is kept in memory: make one with storage file".into(),
    );
    check(
        servers >= 3 && config.num_replicas < 3,
        format!(
            "it has {} of 3 copies on {servers} servers, so that one that dies can take it along: nats stream edit --replicas 3",
            config.num_replicas
        ),
    );
    check(
        config.retention != RetentionPolicy::Limits,
        "its retention is not \"limits\": messages go before all gateways have them".into(),
    );
    let limits = [
        (!config.max_age.is_zero(), "max-age"),
        (config.max_messages > 0, "max-msgs"),
        (config.max_messages_per_subject > 0, "max-msgs-per-subject"),
        (
            config.max_bytes > 0 && config.discard == DiscardPolicy::Old,
            "max-bytes with discard old",
        ),
    ];
    for (set, name) in limits {
        check(
            set,
            format!(
                "it has a limit ({name}) that deletes lines which nobody has had yet: nats stream edit"
            ),
        );
    }
    check(
        config.max_message_size > 0,
        "it has a limit (max-msg-size) beyond which it takes no record: nats stream edit --max-msg-size=-1".into(),
    );
    check(
        config.persist_mode == Some(PersistenceMode::Async),
        "it acknowledges before it has written (persist-mode async): make one with persist-mode default".into(),
    );
    check(
        config.mirror.is_some()
            || config.sources.as_ref().is_some_and(|sources| !sources.is_empty()),
        "it has messages of other streams (mirror, sources): make one of its own".into(),
    );
    check(
        config.subject_transform.is_some(),
        "it renames what comes (subject transform): make one without".into(),
    );
    check(
        config.allow_rollup,
        "a message can delete those before it (allow-rollup): nats stream edit --no-allow-rollup"
            .into(),
    );
    check(
        config.deny_purge,
        "it never gets shorter (deny-purge), and its disks fill up: make one without".into(),
    );
    check(config.sealed, "it is sealed: nothing can be written".into());
    check(
        config.no_ack,
        "it does not acknowledge (no-ack): nothing would be known to be stored".into(),
    );
    faults
}

/// Returns true if a version is older than the oldest that is of use. One that cannot be read is not.
pub(super) fn older(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split(['.', '-']).map(str::parse::<i64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < OLDEST,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_nats::jetstream::stream::{Source, SubjectTransform};

    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (version, is_older) in
            [("2.9.10", true), ("1.4.0", true), ("2.10.0", false), ("v2.15.1", false), ("?", false)]
        {
            assert_eq!(older(version), is_older, "{version}");
        }
    }

    #[test]
    fn settings_that_would_lose_lines_are_named() {
        let subject = "pblink.test.log";
        let good = Config { subjects: vec![subject.into()], num_replicas: 3, ..Config::default() };
        assert_eq!(faults(&good, subject, 3), [""; 0]);
        let bad = Config {
            subjects: vec![">".into()],
            num_replicas: 1,
            storage: StorageType::Memory,
            retention: RetentionPolicy::WorkQueue,
            max_age: Duration::from_secs(1),
            max_messages: 5,
            max_messages_per_subject: 1,
            max_bytes: 1,
            max_message_size: 1,
            persist_mode: Some(PersistenceMode::Async),
            mirror: Some(Source::default()),
            subject_transform: Some(SubjectTransform {
                source: ">".into(),
                destination: ">".into(),
            }),
            allow_rollup: true,
            deny_purge: true,
            sealed: true,
            no_ack: true,
            ..Config::default()
        };
        assert_eq!(faults(&bad, subject, 3).len(), 16);
        assert_eq!(faults(&bad, subject, 1).len(), 15, "one server has one copy");
    }
}
