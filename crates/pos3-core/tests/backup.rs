//! Tests of backups whose location is the source or the target under another name, or contains older backups.

use std::sync::Arc;

use pos3_core::{
    Deletion, ErrorKind, Guards, Key, MaxDelete, MemoryStore, RemoteStoreExt, Report, Stop, SyncJob, SyncOptions, Tree,
};

use crate::same_place::{Gateway, keys, store};

async fn mirror(source: Tree, target: Tree, backup: Tree) -> Report {
    let guards = Guards::default().with_max_delete(MaxDelete::Percent(100));
    let options = SyncOptions::default().with_deletion(Deletion::Extra).with_guards(guards);
    SyncJob::new(source, target, options.with_backup(backup)).run().await
}

fn gateway(store: &Arc<MemoryStore>) -> Tree {
    Tree::new(Arc::new(Gateway(store.clone())))
}

async fn read(store: &MemoryStore, key: &str) -> String {
    String::from_utf8(store.read(&Key::from(key)).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn an_older_backup_is_never_replaced() {
    let (source, target, backup) = (store(&["x"]).await, store(&[]).await, store(&[]).await);
    for content in ["first", "second one", "the third one"] {
        target.write(&Key::from("x"), content.into()).await.unwrap();
        // The gateway ignores conditions, as some servers do.
        for place in [Tree::new(backup.clone()), gateway(&backup).at("g/")] {
            target.write(&Key::from("x"), content.into()).await.unwrap();
            let _report =
                mirror(Tree::new(source.clone()), Tree::new(target.clone()), place).await.into_result().unwrap();
        }
    }
    for prefix in ["x", "g/x"] {
        let kept: Vec<String> = keys(&backup).await.into_iter().filter(|key| key.starts_with(prefix)).collect();
        assert_eq!((kept.len(), kept[0].as_str()), (3, prefix), "{kept:?}");
        let mut contents = Vec::new();
        for key in &kept {
            contents.push(read(&backup, key).await);
        }
        contents.sort();
        assert_eq!(contents, ["first", "second one", "the third one"]);
        assert!(kept[1..].iter().all(|key| key.starts_with(&format!("{prefix}.~2"))), "{kept:?}");
    }
}

#[tokio::test]
async fn a_backup_that_is_the_target_or_the_source_under_another_name_loses_nothing() {
    for (of_target, prefix) in [(true, "d/"), (true, ""), (true, "d/kept/"), (false, ""), (false, "kept/")] {
        let (from, to) = (store(&["new", "x"]).await, store(&["d/gone", "d/gone-too", "d/x"]).await);
        to.write(&Key::from("d/x"), "another".into()).await.unwrap();
        let before = (keys(&from).await, keys(&to).await);
        let backup = gateway(if of_target { &to } else { &from }).at(prefix);
        let report = mirror(gateway(&from), gateway(&to).at("d/"), backup).await;
        if (of_target, prefix) == (true, "") {
            // The backup location is above the target's prefix, so the backups are outside the target.
            assert_eq!(report.into_result().unwrap().deleted, 2);
            assert_eq!(keys(&to).await, ["d/new", "d/x", "gone", "gone-too", "x"]);
            continue;
        }
        let Some(Stop::Fatal(failure)) = &report.stopped else { panic!("{of_target} {prefix} {report:?}") };
        assert_eq!((failure.error.kind(), report.deleted), (ErrorKind::Overlap, 0));
        assert_eq!(read(&to, "d/x").await, "another", "{of_target} {prefix}");
        for (store, before) in [(&from, &before.0), (&to, &before.1)] {
            let now = keys(store).await;
            assert!(before.iter().all(|key| now.contains(key)), "{of_target} {prefix} {now:?}");
        }
    }
}

#[tokio::test]
async fn a_gateway_to_the_directory_of_the_target_is_no_backup() {
    let (from, to) = (store(&["x"]).await, store(&["gone"]).await);
    let report = mirror(Tree::new(from), Tree::new(to.clone()), gateway(&to)).await;
    assert!(matches!(&report.stopped, Some(Stop::Fatal(failure)) if failure.error.kind() == ErrorKind::Overlap));
    assert!(keys(&to).await.contains(&"gone".to_owned()));
}
