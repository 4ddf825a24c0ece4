//! Checksums and resumed uploads on third-party servers.

use std::sync::Arc;
use std::time::Duration;

use pos3_core::{Budget, Content, Journal, Key, MemoryJournal, MemoryStore, PutOptions, RemoteStore, RemoteStoreExt};

use super::quirks::{MOTO, RADOSGW, SEAWEEDFS, Server};
use super::site;

const SIZE: usize = 40 << 20;
const PARTS: u64 = 5;

fn bytes() -> Vec<u8> {
    (0..SIZE).map(|n| ((n ^ (n >> 9)) & 0xff) as u8).collect()
}

/// Returns what the first and the second put of each size proved: what a server does is known after the second.
async fn proven(server: &'static Server) -> Option<[bool; 4]> {
    let subject = site::other(server);
    if subject.skips("checksums") {
        return None;
    }
    let mut proven = [false; 4];
    for (index, size) in [SIZE, SIZE, 1000, 1000].into_iter().enumerate() {
        let content = Content::from(bytes()[..size].to_vec());
        let key = subject.key(&format!("k{index}"));
        proven[index] = subject.store.put(&key, content, PutOptions::default()).await.unwrap().verified;
        assert!(subject.store.read(&key).await.unwrap() == bytes()[..size], "{}", server.name);
    }
    Some(proven)
}

#[tokio::test]
async fn what_arrived_is_proven_by_crc64_nvme_or_by_md5() {
    for (server, expected) in [
        (&SEAWEEDFS, [true; 4]),
        // It repeats the algorithm, and then ignores it. Only the second object shows that this is not an accident.
        (&MOTO, [false, false, true, true]),
        (&RADOSGW, [true; 4]),
    ] {
        if let Some(proven) = proven(server).await {
            assert_eq!(proven, expected, "{}", server.name);
        }
    }
}

#[tokio::test]
async fn an_upload_that_was_stopped_is_gone_on_with() {
    for server in [&SEAWEEDFS, &MOTO, &RADOSGW] {
        let subject = site::other(server);
        if subject.skips("an upload that was stopped") {
            continue;
        }
        let source = Arc::new(MemoryStore::new());
        let entry = source.write(&Key::from("source"), bytes().into()).await.unwrap();
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
        let key = subject.key("large");
        let put = async |store: &dyn RemoteStore| {
            let budget = Budget::new(1, 64 << 20);
            let _callers = budget.slot().await;
            let options = PutOptions::default().with_budget(budget).with_journal(Some(journal.clone()));
            store.put(&key, Content::stored(source.clone(), entry.clone()), options).await
        };
        let stopped = async {
            while subject.store.usage().get("UploadPart") < 3 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            put = put(&*subject.store) => panic!("{}: {put:?}", server.name),
            () = stopped => {}
        }
        let again = site::other(server);
        put(&*again.store).await.unwrap();
        let sent = again.store.usage().get("UploadPart");
        assert!((PARTS - 3..=PARTS - 2).contains(&sent), "{}: {sent} parts were sent", server.name);
        assert!(subject.store.read(&key).await.unwrap() == bytes(), "{}", server.name);
        assert_eq!(subject.store.unfinished(key.as_str()).await.unwrap(), [], "{}", server.name);
        assert_eq!(journal.all().await, []);
    }
}
