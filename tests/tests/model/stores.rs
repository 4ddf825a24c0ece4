//! The stores of the model, with the entries and the faults that only each of them can have.

use std::fs;
use std::os::unix::fs::symlink;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use pos3_core::conformance::{Consequence, Participant, Subject, Trouble};
use pos3_core::{Key, MemoryStore};
use pos3_local::{LocalOptions, LocalStore, MissingRoot};
use pos3_s3::{ConditionalWrites, Credentials, S3Client, S3Config};
use pos3_tests::server::{Answer, Fault, Operation, S3Server};

use super::custom_store::HashStore;

const BUCKET: &str = "data";

/// Keys on a page: few, so that small trees have several pages.
const PAGE: usize = 4;

/// Attempts of one request: the fewest with which one failure can be overcome.
const ATTEMPTS: u32 = 2;

pub(super) fn memory() -> Participant {
    Participant::new(Subject::new(Arc::new(MemoryStore::new())))
}

/// The backend of the example, which lists in no order and gives no digests.
pub(super) fn custom() -> Participant {
    Participant::new(Subject::new(Arc::new(HashStore::default())))
}

pub(super) fn local() -> Participant {
    let directory = tempfile::tempdir().unwrap();
    let options = LocalOptions::default().with_missing_root(MissingRoot::Empty);
    let store = LocalStore::with_options(directory.path(), options).unwrap();
    let root = directory.path().to_owned();
    let link = move |key: &Key| {
        let path = root.join(key.as_str());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink("nowhere", path).is_ok()
    };
    Participant::new(Subject::new(Arc::new(store)).keeping(directory)).with_links(link)
}

/// Returns what makes stores on one server of their own.
pub(super) fn s3() -> impl Fn() -> Participant {
    let server = Rc::new(S3Server::builder().bucket(BUCKET).page_size(PAGE).start().unwrap());
    move || with_troubles(Participant::new(Subject::new(Arc::new(store(&server)))), &server)
}

/// Returns what makes pairs that are one store, so that the server copies by itself.
pub(super) fn s3_twice() -> impl Fn() -> (Participant, Participant) {
    let server = Rc::new(S3Server::builder().bucket(BUCKET).page_size(PAGE).start().unwrap());
    move || {
        let store = Arc::new(store(&server));
        let participant = || Participant::new(Subject::new(store.clone()));
        (participant(), with_troubles(participant(), &server))
    }
}

/// Returns a store with a client of its own: its connections belong to the test's runtime.
fn store(server: &S3Server) -> pos3_s3::S3Store {
    let config = S3Config::new()
        .with_endpoint(server.endpoint())
        .with_credentials(Credentials::fixed(server.access_key(), server.secret_key(), None))
        .with_conditional_writes(ConditionalWrites::On)
        .with_attempts(ATTEMPTS)
        .with_longest_pause(Duration::from_millis(2));
    S3Client::new(config).unwrap().bucket(BUCKET).unwrap()
}

/// Adds the faults of a server. A retry overcomes a fault that happens once, and none that lasts.
fn with_troubles(participant: Participant, server: &Rc<S3Server>) -> Participant {
    let late = || Answer::ErrorInOk { code: "InternalError" };
    // The listing may only look up the objects of a delete, which are then looked up one by one. The result of a clean
    // run is compared with the model in any case.
    let listings = [Answer::access_denied(), Answer::internal_error(), Answer::Reset, Answer::CutBody { after: 300 }];
    let listings = listings.map(|answer| (Operation::ListObjectsV2, answer, usize::MAX, Consequence::Either));
    let lasting = [
        (Operation::GetObject, Answer::access_denied()),
        (Operation::GetObject, Answer::CutBody { after: 0 }),
        (Operation::PutObject, Answer::access_denied()),
        (Operation::PutObject, Answer::Error { status: StatusCode::INSUFFICIENT_STORAGE, code: "XMinioStorageFull" }),
        (Operation::CopyObject, late()),
        (Operation::CopyObject, Answer::Reset),
        (Operation::DeleteObjects, Answer::access_denied()),
    ];
    // The request was executed, and a lookup may show that.
    let lost = [
        (Operation::PutObject, Answer::ResetAfterPerforming),
        (Operation::DeleteObjects, Answer::ResetAfterPerforming),
    ];
    let passing = [
        (Operation::ListObjectsV2, Answer::slow_down()),
        (Operation::ListObjectsV2, Answer::CutBody { after: 300 }),
        (Operation::GetObject, Answer::Reset),
        (Operation::GetObject, Answer::CutBody { after: 1 }),
        (Operation::PutObject, Answer::Reset),
        (Operation::PutObject, Answer::ResetAfterPerforming),
        (Operation::CopyObject, late()),
        (Operation::DeleteObjects, Answer::ResetAfterPerforming),
    ];
    let lasting = lasting.map(|(operation, answer)| (operation, answer, usize::MAX, Consequence::Unclean));
    let lost = lost.map(|(operation, answer)| (operation, answer, usize::MAX, Consequence::Either));
    let passing = passing.map(|(operation, answer)| (operation, answer, 1, Consequence::Either));
    listings.into_iter().chain(lasting).chain(lost).chain(passing).fold(
        participant,
        |participant, (operation, answer, times, consequence)| {
            participant.with_trouble(trouble(server, operation, answer, times, consequence))
        },
    )
}

fn trouble(
    server: &Rc<S3Server>,
    operation: Operation,
    answer: Answer,
    times: usize,
    consequence: Consequence,
) -> Trouble {
    let (beginning, ending) = (server.clone(), server.clone());
    let begin = move |nth| beginning.fault(Fault::on(operation).nth(nth).times(times).answer(answer.clone()));
    let end = move || {
        let happened = ending.faults_waiting() == 0;
        ending.clear_faults();
        happened
    };
    Trouble::new(consequence, begin, end)
}
