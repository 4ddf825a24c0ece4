use std::fs;

use pos3_core::{Guards, RemoteStoreExt};

use super::*;
use crate::registry::MemoryProvider;

fn registry(memory: &MemoryProvider) -> Registry {
    Registry::default().with("memory", memory.clone())
}

async fn run(registry: &Registry, from: &str, to: &str, options: SyncOptions) -> Result<Report, Error> {
    sync(registry, &from.parse()?, &to.parse()?, options).await
}

fn mirror() -> SyncOptions {
    SyncOptions::default().with_deletion(Deletion::Extra)
}

#[tokio::test]
async fn a_directory_goes_to_a_prefix_and_comes_back() {
    let root = tempfile::tempdir().unwrap();
    let (here, there) = (root.path().join("here"), root.path().join("there"));
    fs::create_dir_all(here.join("d")).unwrap();
    fs::write(here.join("d/x"), "hello").unwrap();
    let registry = Registry::default();

    let up = run(&registry, here.to_str().unwrap(), "memory://m/data", SyncOptions::default()).await.unwrap();
    let down = run(&registry, "memory://m/data/", there.to_str().unwrap(), SyncOptions::default()).await.unwrap();

    assert_eq!((up.copied, down.copied), (1, 1));
    assert_eq!(fs::read_to_string(there.join("d/x")).unwrap(), "hello");
}

#[tokio::test]
async fn overlapping_places_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let base = root.path().to_str().unwrap();
    fs::create_dir(root.path().join("d")).unwrap();
    let registry = Registry::default();
    let cases = [
        (base.to_owned(), base.to_owned()),
        (base.to_owned(), format!("{base}/d/../d/new")),
        (format!("{base}/d"), base.to_owned()),
        (format!("file://{base}"), format!("{base}/")),
        ("memory://m".into(), "memory://m/a".into()),
        ("memory://m/a/".into(), "memory://m/a".into()),
        ("memory://m/a/b".into(), "memory://m/a".into()),
    ];
    for (from, to) in cases {
        let error = run(&registry, &from, &to, SyncOptions::default()).await.unwrap_err();
        assert!(matches!(&error, Error::Overlap { .. }), "{from} {to}: {error}");
    }
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "nothing was made");
    let empty = || SyncOptions::default().with_guards(Guards::default().with_allow_empty(true));
    assert!(run(&registry, "memory://m/a", "memory://m/ab", empty()).await.unwrap().is_clean());
    assert!(run(&registry, "memory://m/a", "memory://n/a", empty()).await.unwrap().is_clean());
}

#[tokio::test]
async fn a_prefix_never_means_its_neighbour() {
    let memory = MemoryProvider::default();
    memory.store("m").write(&Key::from("data_backup/x"), "keep".into()).await.unwrap();
    memory.store("m").write(&Key::from("data/old"), "go".into()).await.unwrap();
    memory.store("s").write(&Key::from("new"), "new".into()).await.unwrap();

    let report = run(&registry(&memory), "memory://s", "memory://m/data", mirror()).await.unwrap();

    assert_eq!((report.copied, report.deleted), (1, 1));
    let left = memory.store("m").list_all("").await.unwrap();
    let left: Vec<&str> = left.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(left, ["data/new", "data_backup/x"]);
}

#[tokio::test]
async fn a_source_that_is_one_object_deletes_nothing() {
    let memory = MemoryProvider::default();
    memory.store("s").write(&Key::from("data"), "one object".into()).await.unwrap();
    memory.store("t").write(&Key::from("keep"), "keep".into()).await.unwrap();
    let registry = registry(&memory);
    let all = mirror().with_guards(Guards::default().with_allow_empty(true));

    for options in [SyncOptions::default(), mirror(), all] {
        let error = run(&registry, "memory://s/data", "memory://t", options.clone()).await.unwrap_err();
        assert!(matches!(&error, Error::SourceIsFile { .. }), "{error}");
        let (from, to) = ("memory://s/data".parse().unwrap(), "memory://t".parse().unwrap());
        let planned = PreparedSync::open(&registry, &from, &to, options).await.unwrap().plan().await;
        assert!(matches!(planned, Err(Error::SourceIsFile { .. })));
    }
    assert_eq!(memory.store("t").read(&Key::from("keep")).await.unwrap(), "keep");
}

#[tokio::test]
async fn a_prefix_without_a_key_is_no_source_unless_that_is_allowed() {
    let memory = MemoryProvider::default();
    for key in ["marked/", "hidden/x.tmp", "only"] {
        memory.store("s").write(&Key::from(key), "".into()).await.unwrap();
    }
    let registry = registry(&memory);
    let filter = pos3_core::Filter::builder().exclude("*.tmp").unwrap().build().unwrap();
    let open = async |from: &str| {
        let options = SyncOptions::default().with_filter(filter.clone());
        PreparedSync::open(&registry, &from.parse().unwrap(), &"memory://t".parse().unwrap(), options).await.unwrap()
    };
    for from in ["memory://s/marked", "memory://s/hidden", "memory://empty"] {
        assert_eq!(open(from).await.run().await.unwrap().copied, 0, "{from}");
    }
    for from in ["memory://s/mark", "memory://s/none/"] {
        let error = open(from).await.run().await.unwrap_err();
        assert!(matches!(&error, Error::NoSource { location } if location == from), "{from}: {error}");
        assert!(open(from).await.explain(&Key::from("x")).await.is_err(), "{from}");
        assert_eq!(open(from).await.with_missing_source(true).run().await.unwrap().copied, 0, "{from}");
    }
    let error = open("memory://s/*.bin").await.with_missing_source(true).run().await.unwrap_err();
    assert!(matches!(error, Error::NoSource { .. }), "{error}");
}

#[tokio::test]
async fn an_old_plan_with_deletes_is_refused_where_the_source_has_no_file_that_counts() {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (root.path().join("from"), root.path().join("to"));
    fs::create_dir(&from).unwrap();
    fs::create_dir(&to).unwrap();
    fs::write(from.join("kept"), "kept").unwrap();
    fs::write(from.join("left.tmp"), "excluded").unwrap();
    for name in ["kept", "surplus"] {
        fs::write(to.join(name), "kept").unwrap();
    }
    let filter = pos3_core::Filter::builder().exclude("*.tmp").unwrap().build().unwrap();
    let options = mirror().with_filter(filter).with_preconditions(Preconditions::Strict);
    let (source, target) = (from.to_str().unwrap().parse().unwrap(), to.to_str().unwrap().parse().unwrap());
    let sync = PreparedSync::open(&Registry::default(), &source, &target, options).await.unwrap();
    let plan = sync.plan().await.unwrap().unwrap();
    assert_eq!(plan.counts().deletes, 1);

    fs::remove_file(from.join("kept")).unwrap();
    let error = sync.execute(plan).await.unwrap_err();
    assert!(matches!(error, Error::NoSourceFile { .. }), "{error}");
    assert!(to.join("surplus").exists());
}
