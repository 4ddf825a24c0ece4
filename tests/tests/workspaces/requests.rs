//! The number of requests of a pull and a push.

use std::fs;

use pos3_tests::server::Operation;

use super::World;

const OBJECTS: usize = 120;

fn counted(world: &World) -> Vec<(Operation, usize)> {
    let counted = world.server.requests().iter().collect();
    world.server.reset_requests();
    counted
}

#[tokio::test]
async fn a_warm_pull_costs_one_listing_and_a_push_one_request_more_for_each_change() {
    const LIST: Operation = Operation::ListObjectsV2;
    let world = World::new();
    for number in 0..OBJECTS {
        world.put(&format!("d{}/{number:03}", number % 7), &number.to_string());
    }
    let one = world.workspace("one");
    assert_eq!(one.pull().await.unwrap().downloaded, OBJECTS as u64);
    assert_eq!(counted(&world), [(Operation::GetObject, OBJECTS), (LIST, 1)], "a cold pull");

    for process in [one.clone(), world.workspace("one")] {
        let report = process.pull().await.unwrap();
        assert_eq!((report.unchanged, report.requests.total()), (OBJECTS as u64, 1));
        assert_eq!(counted(&world), [(LIST, 1)], "a warm pull");
        assert!(process.push().await.unwrap().success);
        assert_eq!(counted(&world), [(LIST, 1)], "a push without changes");
    }

    fs::write(one.path().join("d0/000"), "changed").unwrap();
    fs::write(one.path().join("new"), "new").unwrap();
    assert_eq!(one.push().await.unwrap().uploaded, 2);
    assert_eq!(counted(&world), [(LIST, 1), (Operation::PutObject, 2)], "a push of two changes");
    fs::remove_file(one.path().join("new")).unwrap();
    assert_eq!(one.push().await.unwrap().deleted, 1);
    let deleting = counted(&world);
    assert!(deleting.iter().map(|(_, count)| count).sum::<usize>() <= 3, "{deleting:?}");

    world.put("d1/001", "of another writer");
    assert_eq!(one.pull().await.unwrap().downloaded, 1);
    assert_eq!(counted(&world), [(Operation::GetObject, 1), (LIST, 1)], "a pull of one change");

    world.server.configure(|settings| settings.page_size = 50);
    assert!(one.pull().await.unwrap().success);
    assert_eq!(counted(&world), [(LIST, OBJECTS.div_ceil(50))], "one listing of three pages");
}
