//! The number of requests, and that many callers share one transfer.

use std::sync::Arc;

use futures::TryStreamExt;
use futures::future::join_all;
use pos3::{Depth, Guards, Role};
use pos3_core::conformance::FaultStore;
use pos3_core::{Digest, Manifest, MemoryManifest, Overwritable, SyncJob, SyncOptions, Tree};
use pos3_local::LocalStore;
use pos3_tests::server::{Operation, S3Server};

use super::{BUCKET, World, download, mirror_up, tree, upload, write};

const OBJECTS: usize = 300;

fn full() -> World {
    let world = World::with(&[]);
    for number in 0..OBJECTS {
        world.server.put(BUCKET, &format!("data/d{}/{number:03}", number % 7), number.to_string());
    }
    world
}

fn told(server: &S3Server) -> Vec<(Operation, usize)> {
    let counted = server.requests().iter().collect();
    server.reset_requests();
    counted
}

#[tokio::test]
async fn an_object_costs_one_get_a_thousand_deletes_one_request_and_one_level_one_listing() {
    let world = full();
    world.record_server().await;
    let data = world.session().download("s3://bucket/data/", download()).await.unwrap();
    let counted = told(&world.server);
    assert_eq!(counted, [(Operation::GetObject, OBJECTS), (Operation::ListObjectsV2, 1)]);

    let session = world.session();
    let listed = session.ls("s3://bucket/data/", Depth::Level).await.unwrap();
    assert_eq!((listed.len(), told(&world.server)), (7, vec![(Operation::ListObjectsV2, 1)]));

    // What a tick of the background costs where nothing changed.
    session.upload("s3://bucket/data/", upload().with_local(data)).await.unwrap();
    session.flush().await.unwrap();
    assert_eq!(told(&world.server), [(Operation::ListObjectsV2, 1)]);

    let few = world.path("few");
    write(&few, "d0/000", "0");
    let mirror = mirror_up()
        .with_local(few)
        .with_guards(Guards::default().with_max_delete(pos3::MaxDelete::Count(OBJECTS as u64)));
    let other = world.session();
    other.upload("s3://bucket/data/", mirror).await.unwrap();
    told(&world.server);
    other.close().await.into_result().unwrap();
    // One listing makes the plan, the other one looks at the objects right before they are deleted.
    assert_eq!(told(&world.server), [(Operation::DeleteObjects, 1), (Operation::ListObjectsV2, 2)]);
    assert_eq!(world.keys(), ["data/d0/000"]);
}

#[tokio::test]
async fn no_more_requests_are_in_flight_than_were_allowed_over_all_registrations() {
    let world = full();
    world.server.configure(|settings| settings.latency = std::time::Duration::from_millis(5));
    let session = world.builder().concurrency(4).open().unwrap();
    let places = ["s3://bucket/data/d0/", "s3://bucket/data/d1/", "s3://bucket/data/d2/", "s3://bucket/data/d3/"];
    for path in join_all(places.map(|place| session.download(place, download()))).await {
        assert!(tree(&path.unwrap()).len() > 40);
    }
    // The server counts a request until it knows that its answer is sent, which the client knows a moment before.
    let (gets, most) = (world.server.requests().of(Operation::GetObject), world.server.most_in_flight());
    assert!(gets > 160 && (2..=8).contains(&most), "{gets} requests, {most} at once");
    assert!(world.server.connections() <= 8, "{} connections", world.server.connections());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_that_ask_for_one_place_share_one_client_and_one_transfer() {
    let world = full();
    world.record_server().await;
    let session = Arc::new(world.session());
    let tasks = (0..64).map(|number| {
        let session = session.clone();
        tokio::spawn(async move {
            match number % 4 {
                0 => session.sync("s3://bucket/run", pos3::SyncBothOptions::default()).await,
                _ => session.download("s3://bucket/data/", download()).await,
            }
        })
    });
    for path in join_all(tasks).await {
        path.unwrap().unwrap();
    }
    assert_eq!(session.status().len(), 2);
    assert_eq!(world.server.requests().of(Operation::GetObject), OBJECTS);
    assert!(world.server.requests().of(Operation::ListObjectsV2) <= 2, "{}", world.server.requests());
    session.close().await.into_result().unwrap();
}

/// Whether an object was changed later than its file is decided by the digest in the row, so a transfer that asks for that
/// records one for each file.
#[tokio::test]
async fn a_small_file_is_read_once_to_send_it_and_for_the_digest_of_its_row() {
    let world = World::with(&[]);
    let files = world.path("files");
    for number in 0..OBJECTS {
        write(&files, &format!("{number:03}"), &number.to_string().repeat(1000));
    }
    let bucket = world.registry().open(&"s3://bucket/files".parse().unwrap(), Role::Target).await.unwrap();
    let bucket = bucket.directory().unwrap();
    let disk = Arc::new(FaultStore::over(LocalStore::new(&files).unwrap()));
    let manifest = Arc::new(MemoryManifest::default());
    let options =
        SyncOptions::default().with_manifest(manifest.clone()).with_overwritable(Overwritable::unless_newer());
    let report = SyncJob::new(Tree::new(disk.clone()), bucket, options).run().await.into_result().unwrap();
    assert_eq!(report.copied, OBJECTS as u64);
    assert_eq!(disk.calls(pos3_core::Operation::Read), OBJECTS as u64, "each file is read once");
    let rows: Vec<_> = manifest.rows().try_collect().await.unwrap();
    assert_eq!(rows.len(), OBJECTS);
    assert!(rows.iter().all(|row| matches!(row.digest, Some(Digest::Md5(_)))));
    assert_eq!(manifest.started().await.unwrap(), []);
}
