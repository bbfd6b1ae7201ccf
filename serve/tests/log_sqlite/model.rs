//! The engine on disk beside the one in memory: the same commits, the same contents.

use pblink_serve::log::{Engine, Loaded, Memory, Reader, Retention, Sqlite};

use super::commits::{CLIENTS, Writer};

fn sorted(mut loaded: Loaded) -> Loaded {
    loaded.name = Default::default();
    loaded.keys.sort_by(|a, b| (&a.client, &a.key).cmp(&(&b.client, &b.key)));
    loaded
}

fn assert_same(disk: &mut Sqlite, memory: &mut Memory, context: &str) {
    let (a, b) = (sorted(disk.load().unwrap()), sorted(memory.load().unwrap()));
    assert_eq!(format!("{a:?}"), format!("{b:?}"), "{context}");
}

fn assert_same_pages(disk: &dyn Reader, memory: &dyn Reader, writer: &mut Writer, context: &str) {
    let random = &mut writer.random;
    for _ in 0..10 {
        let after = random.u64(..writer.next + 3);
        let (limit, scan) = (random.usize(..40), random.usize(..200));
        let client = random.bool().then(|| CLIENTS[random.usize(..CLIENTS.len())]);
        assert_eq!(
            disk.lines(after, limit, scan, client).unwrap(),
            memory.lines(after, limit, scan, client).unwrap(),
            "{context}: {limit} of {scan} after {after} of {client:?}"
        );
        let (after, limit) = (random.u64(..writer.next_event + 3), random.usize(..50));
        assert_eq!(
            disk.events(after, limit).unwrap(),
            memory.events(after, limit).unwrap(),
            "{context}: {limit} events after {after}"
        );
    }
    assert_eq!(
        disk.lines(0, usize::MAX, usize::MAX, None).unwrap(),
        memory.lines(0, usize::MAX, usize::MAX, None).unwrap(),
        "{context}"
    );
}

#[test]
fn both_engines_hold_the_same_after_the_same_commits() {
    for seed in 0..8 {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = Sqlite::open(folder.path()).unwrap();
        let mut memory = Memory::new("m");
        let mut writer = Writer::new(seed);
        for step in 0..60 {
            let context = format!("seed {seed}, step {step}");
            let commit = writer.commit();
            disk.commit(&commit).unwrap();
            memory.commit(&commit).unwrap();
            match writer.random.u8(..12) {
                0 => {
                    let all = writer.random.u8(..4) == 0;
                    let retention = Retention {
                        before_ms: writer.now.saturating_sub(writer.random.u64(..20_000)),
                        max_bytes: if all { 0 } else { writer.random.u64(..100_000) },
                    };
                    let limit = if all { u64::MAX } else { writer.random.u64(..writer.next) };
                    let first = memory.retain(retention, limit).unwrap();
                    assert_eq!(disk.retain(retention, limit).unwrap(), first, "{context}");
                }
                1 => {
                    let client = writer.client();
                    disk.purge(client).unwrap();
                    memory.purge(client).unwrap();
                    writer.rows.remove(client);
                }
                2 => {
                    // As the server does after an error: nobody knows whether it was stored.
                    disk.reopen().unwrap();
                    disk.commit(&commit).unwrap();
                    memory.commit(&commit).unwrap();
                }
                3 => {
                    drop(disk);
                    disk = Sqlite::open(folder.path()).unwrap();
                    assert!(!disk.is_restored(), "{context}");
                }
                _ => {}
            }
            assert_same(&mut disk, &mut memory, &context);
            assert_same_pages(&*disk.reader(), &*memory.reader(), &mut writer, &context);
        }
        assert_eq!(disk.load().unwrap().name.generation, 1);
    }
}
