//! Interrupted uploads are resumed: which parts are sent again, and which must not be.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pos3_core::{
    Budget, Content, Entry, ErrorKind, Expect, Journal, Key, MemoryJournal, MemoryStore, PutOptions, RemoteStore,
    RemoteStoreExt, Result, Stored, Unfinished,
};
use pos3_local::LocalStore;
use pos3_s3::{Checksums, S3Config, S3Store};
use pos3_tests::server::{self, Answer, Fault, ListingFault, Operation, S3Server};

use super::{BUCKET, config, random_bytes, store_with};

/// Six parts, the last one short.
const SIZE: usize = (40 << 20) + 1000;
const PARTS: usize = 6;

/// A journal in which only the first note of an upload survives, as after a kill.
#[derive(Debug, Default)]
struct FirstNoteOnly(MemoryJournal);

#[async_trait]
impl Journal for FirstNoteOnly {
    async fn load(&self, key: &Key) -> Option<Unfinished> {
        self.0.load(key).await
    }

    async fn save(&self, key: &Key, unfinished: &Unfinished) {
        if self.0.load(key).await.is_none() {
            self.0.save(key, unfinished).await;
        }
    }

    async fn remove(&self, key: &Key) {
        self.0.remove(key).await;
    }

    async fn all(&self) -> Vec<(Key, Unfinished)> {
        self.0.all().await
    }
}

/// A source, a server, and what is between two runs.
struct Stage {
    server: S3Server,
    source: Arc<MemoryStore>,
    entry: Entry,
    bytes: Vec<u8>,
    journal: Arc<dyn Journal>,
}

impl Stage {
    async fn new(journal: impl Journal) -> Self {
        let server = S3Server::builder().bucket(BUCKET).page_size(2).start().unwrap();
        let source = Arc::new(MemoryStore::new());
        let bytes = random_bytes(1, SIZE);
        let entry = source.write(&Key::from("source"), bytes.clone().into()).await.unwrap();
        Self { server, source, entry, bytes, journal: Arc::new(journal) }
    }

    async fn put(&self, store: &S3Store) -> Result<Stored> {
        // One part at a time, so that it is known which are there.
        let budget = Budget::new(1, 64 << 20);
        let _callers = budget.slot().await;
        let options = PutOptions::default().with_budget(budget).with_journal(Some(self.journal.clone()));
        let content = Content::stored(self.source.clone(), self.entry.clone());
        store.put(&Key::from("large"), content, options).await
    }

    /// Stops a put while it sends its fourth part.
    async fn stop_at_the_fourth_part(&self, config: S3Config) {
        self.server.reset_requests();
        let hang = Answer::Delay(Duration::from_secs(600));
        self.server.fault(Fault::on(Operation::UploadPart).nth(4).answer(hang));
        let store = store_with(config);
        let stopped = async {
            while self.server.requests().of(Operation::UploadPart) < 4 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::select! {
            put = self.put(&store) => panic!("{put:?}"),
            () = stopped => {}
        }
        self.server.clear_faults();
        self.server.reset_requests();
    }

    fn sent(&self) -> usize {
        self.server.requests().of(Operation::UploadPart)
    }

    fn store(&self) -> S3Store {
        store_with(config(&self.server))
    }

    async fn check_done(&self) {
        assert!(self.server.object(BUCKET, "large").unwrap().bytes == self.bytes, "the content differs");
        assert_eq!(self.server.open_uploads(BUCKET), [""; 0]);
        assert_eq!(self.journal.all().await, []);
    }
}

#[tokio::test]
async fn a_finished_part_is_not_sent_again() {
    // With all notes, and with those that a kill left.
    for stage in [Stage::new(MemoryJournal::default()).await, Stage::new(FirstNoteOnly::default()).await] {
        for checksums in [Checksums::Auto, Checksums::Md5, Checksums::Off] {
            let config = || config(&stage.server).with_checksums(checksums);
            stage.stop_at_the_fourth_part(config()).await;
            while stage.journal.all().await.is_empty() {
                tokio::task::yield_now().await;
            }
            assert_eq!(stage.server.open_uploads(BUCKET), ["large"]);
            let content = stage.put(&store_with(config())).await.unwrap();
            assert_eq!((content.entry.size, stage.sent()), (SIZE as u64, PARTS - 3), "{checksums:?}");
            assert_eq!(stage.server.requests().of(Operation::CreateMultipartUpload), 0);
            let summed = stage.server.object(BUCKET, "large").unwrap().checksums.len();
            assert_eq!(summed, usize::from(checksums == Checksums::Auto), "{checksums:?}");
            stage.check_done().await;
            stage.server.remove(BUCKET, "large");
        }
    }
}

#[tokio::test]
async fn a_part_that_is_not_what_the_source_has_is_sent_again() {
    let stage = Stage::new(FirstNoteOnly::default()).await;
    stage.server.fault(Fault::on(Operation::UploadPart).nth(2).answer(Answer::FlipSentByte { at: 12 }));
    let off = || config(&stage.server).with_checksums(Checksums::Off);
    stage.stop_at_the_fourth_part(off()).await;
    stage.put(&store_with(off())).await.unwrap();
    assert_eq!(stage.sent(), PARTS - 2);
    stage.check_done().await;
}

#[tokio::test]
async fn what_passes_keeps_the_upload_and_what_does_not_gives_it_up() {
    for (answer, keeps) in [(Answer::slow_down(), true), (Answer::Reset, true), (Answer::access_denied(), false)] {
        let stage = Stage::new(MemoryJournal::default()).await;
        stage.server.fault(Fault::on(Operation::UploadPart).nth(4).always().answer(answer.clone()));
        stage.put(&store_with(config(&stage.server).with_attempts(2))).await.unwrap_err();
        assert_eq!(stage.journal.all().await.len(), usize::from(keeps), "{answer:?}");
        assert_eq!(stage.server.open_uploads(BUCKET).len(), usize::from(keeps), "{answer:?}");
        stage.server.clear_faults();
        stage.server.reset_requests();
        stage.put(&stage.store()).await.unwrap();
        assert_eq!(stage.sent(), if keeps { PARTS - 3 } else { PARTS }, "{answer:?}");
        stage.check_done().await;
    }
}

#[tokio::test]
async fn another_source_is_another_upload() {
    let mut stage = Stage::new(MemoryJournal::default()).await;
    stage.stop_at_the_fourth_part(config(&stage.server)).await;
    stage.bytes = random_bytes(2, SIZE);
    stage.entry = stage.source.write(&Key::from("source"), stage.bytes.clone().into()).await.unwrap();
    stage.put(&stage.store()).await.unwrap();
    assert_eq!(stage.sent(), PARTS);
    stage.check_done().await;
}

#[tokio::test]
async fn an_upload_that_is_gone_or_cannot_be_listed_is_begun_anew() {
    for gone in [true, false] {
        let stage = Stage::new(MemoryJournal::default()).await;
        stage.stop_at_the_fourth_part(config(&stage.server)).await;
        if gone {
            let uploads = stage.store().unfinished("").await.unwrap();
            stage.store().abandon(&uploads).await.pop().unwrap().unwrap();
        } else {
            let refusal = Answer::Error { status: http::StatusCode::NOT_IMPLEMENTED, code: "NotImplemented" };
            stage.server.fault(Fault::on(Operation::ListParts).answer(refusal));
        }
        stage.put(&stage.store()).await.unwrap();
        assert_eq!(stage.sent(), PARTS);
        stage.check_done().await;
    }
}

#[tokio::test]
async fn a_server_that_ignores_checksums_has_its_uploads_gone_on_with() {
    let stage = Stage::new(MemoryJournal::default()).await;
    stage.server.configure(|settings| settings.checksums = server::Checksums::Ignored);
    stage.stop_at_the_fourth_part(config(&stage.server)).await;
    stage.put(&stage.store()).await.unwrap();
    assert_eq!(stage.sent(), PARTS - 3);
    stage.check_done().await;
}

#[tokio::test]
async fn a_list_of_parts_that_breaks_loses_nothing() {
    let stage = Stage::new(MemoryJournal::default()).await;
    stage.stop_at_the_fourth_part(config(&stage.server)).await;
    stage.server.fault(Fault::on(Operation::ListParts).nth(2).times(2).answer(Answer::CutBody { after: 200 }));
    let error = stage.put(&store_with(config(&stage.server).with_attempts(2))).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    assert_eq!((stage.journal.all().await.len(), stage.server.open_uploads(BUCKET).len()), (1, 1));
    stage.put(&stage.store()).await.unwrap();
    assert_eq!(stage.sent(), PARTS - 3);
    stage.check_done().await;
}

#[tokio::test]
async fn a_file_that_is_rewritten_while_it_is_sent_never_becomes_an_object() {
    let server = S3Server::builder().bucket(BUCKET).start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    std::fs::write(&path, random_bytes(3, SIZE)).unwrap();
    let local = Arc::new(LocalStore::new(directory.path()).unwrap());
    let entry = local.head(&Key::from("f")).await.unwrap();
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
    let budget = Budget::new(1, 64 << 20);
    let _callers = budget.slot().await;
    let options =
        PutOptions::default().with_budget(budget).with_journal(Some(journal.clone())).with_expect(Expect::Absent);
    server.fault(Fault::on(Operation::UploadPart).nth(3).answer(Answer::Delay(Duration::from_millis(300))));
    let store = store_with(config(&server));
    let rewrite = async {
        while server.requests().of(Operation::UploadPart) < 3 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        std::fs::write(&path, random_bytes(4, SIZE)).unwrap();
    };
    let key = Key::from("f");
    let (put, ()) = tokio::join!(store.put(&key, Content::stored(local, entry), options), rewrite);
    let error = put.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Precondition, pos3_core::Operation::Read), "{error}");
    assert_eq!((server.keys(BUCKET), server.open_uploads(BUCKET)), (vec![], vec![]));
    assert_eq!(journal.all().await, []);
}

#[tokio::test]
async fn a_list_of_parts_that_never_ends_or_is_of_another_upload_is_not_believed() {
    for fault in [ListingFault::SamePage, ListingFault::EmptyPages, ListingFault::OtherBucket("another")] {
        let stage = Stage::new(MemoryJournal::default()).await;
        stage.stop_at_the_fourth_part(config(&stage.server)).await;
        stage.server.configure(|settings| settings.listing_faults = [(Operation::ListParts, fault)].into());
        stage.put(&stage.store()).await.unwrap();
        assert!(stage.server.requests().of(Operation::ListParts) <= 3, "{fault:?}");
        assert_eq!(stage.sent(), PARTS, "{fault:?}: everything is sent again");
        stage.check_done().await;
    }
}
