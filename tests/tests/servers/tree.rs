//! A directory of real files is uploaded to each server and downloaded again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use pos3_core::conformance::Subject;
use pos3_core::{Deletion, Report, SyncJob, SyncOptions, Tree};
use pos3_local::{LocalOptions, LocalStore, MissingRoot};

use super::{quirks, site};

/// Large enough to be sent in parts.
const LARGE: usize = (17 << 20) + 3;

/// Keys on a page, as S3 and those who follow it have it.
const PAGE: u64 = 1000;

/// Every file by its path, with its content.
type Files = BTreeMap<String, Vec<u8>>;

/// Returns files of all kinds: empty ones, one sent in parts, odd names, names whose order depends on how directories
/// are sorted, and more than one page of them.
fn files() -> Files {
    let odd =
        ["empty", "so/a/b", "so/a b", "so/a-b", "so/a0", "caf\u{e9}/cafe\u{301}", "a+b", "a%20b", "x#1?y", "日本/語"];
    let odd = odd.map(|name| (name.to_owned(), if name == "empty" { Vec::new() } else { name.as_bytes().to_vec() }));
    let small = (0..1100_usize).map(|n| (format!("d{}/e{}/f{n:04}", n % 7, n % 3), vec![(n % 251) as u8; n % 97]));
    let large = (0..LARGE).map(|n| ((n ^ (n >> 9)) & 0xff) as u8).collect();
    odd.into_iter().chain(small).chain([("large".to_owned(), large)]).collect()
}

pub(super) fn write(root: &Path, files: &Files) {
    for (name, content) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

pub(super) fn read(root: &Path) -> Files {
    let mut files = Files::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    files
}

pub(super) fn local(root: &Path) -> Tree {
    let options = LocalOptions::default().with_missing_root(MissingRoot::Empty);
    Tree::new(Arc::new(LocalStore::with_options(root, options).unwrap()))
}

pub(super) fn remote(subject: &Subject) -> Tree {
    Tree::new(subject.store.clone()).at(subject.prefix.clone())
}

async fn sync(source: Tree, target: Tree) -> Report {
    let options = SyncOptions::default().with_deletion(Deletion::Extra);
    SyncJob::new(source, target, options).run().await.into_result().unwrap()
}

/// How often a listing is read when nothing changed.
#[derive(Clone, Copy)]
enum Listed {
    /// It is in order.
    Once,
    /// It turns out to be out of order somewhere, is read again and sorted.
    UntilDisorderAndAgain,
}

impl Listed {
    fn allows(self, requests: u64, pages: u64) -> bool {
        match self {
            Self::Once => requests == pages,
            Self::UntilDisorderAndAgain => (pages + 1..=2 * pages).contains(&requests),
        }
    }
}

/// Up, down into an empty directory: the same bytes. Again, both ways: nothing is copied, nothing but LIST is sent, one
/// for each page. A file removed here is removed there, and only that.
async fn round_trip(subject: Subject, page: u64, listed: Listed) {
    if subject.skips("the round trip of a tree") {
        return;
    }
    let (up, down) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut files = files();
    let count = files.len() as u64;
    write(up.path(), &files);

    assert_eq!(sync(local(up.path()), remote(&subject)).await.copied, count);
    assert_eq!(sync(remote(&subject), local(down.path())).await.copied, count);
    assert!(read(down.path()) == files, "what came back differs");

    for again in [sync(local(up.path()), remote(&subject)).await, sync(remote(&subject), local(down.path())).await] {
        assert_eq!((again.copied, again.deleted, again.tally.unchanged), (0, 0, count));
        let lists = again.usage.get("ListObjectsV2");
        assert_eq!(again.usage.total(), lists, "{}", again.usage);
        assert!(listed.allows(lists, count.div_ceil(page)), "{}", again.usage);
    }

    files.remove("so/a b");
    fs::remove_file(up.path().join("so/a b")).unwrap();
    assert_eq!(sync(local(up.path()), remote(&subject)).await.deleted, 1);
    assert_eq!(sync(remote(&subject), local(down.path())).await.deleted, 1);
    assert!(read(down.path()) == files, "what came back differs after a delete");
}

macro_rules! round_trips {
    ($($name:ident($($argument:expr),*);)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                round_trip($($argument),*).await;
            }
        )*
    };
}

round_trips! {
    own(site::own(), site::OWN_PAGE, Listed::Once);
    own_by_host(site::own_by_host(), site::OWN_PAGE, Listed::Once);
    own_out_of_order(site::own_out_of_order(), site::OWN_PAGE, Listed::UntilDisorderAndAgain);
    seaweedfs(site::other(&quirks::SEAWEEDFS), PAGE, Listed::UntilDisorderAndAgain);
    seaweedfs_by_host(site::other_by_host(&quirks::SEAWEEDFS), PAGE, Listed::UntilDisorderAndAgain);
    moto(site::other(&quirks::MOTO), PAGE, Listed::Once);
    radosgw(site::other(&quirks::RADOSGW), PAGE, Listed::Once);
    radosgw_by_host(site::other_by_host(&quirks::RADOSGW), PAGE, Listed::Once);
}
