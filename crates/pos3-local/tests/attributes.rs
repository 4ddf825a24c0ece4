//! Attributes that prevent a change although the permissions allow it.

use std::fs::{self, File};
use std::path::Path;

use pos3_core::{DeleteKey, ErrorKind, Key, RemoteStore, RemoteStoreExt};
use pos3_local::{APPEND_ONLY, IMMUTABLE, LocalStore};
use rustix::fs::{IFlags, ioctl_setflags};

/// A path with an attribute, until it is dropped.
struct Flagged(File);

impl Flagged {
    /// Returns `None` if the file system has no attributes, or if only another user may set them.
    fn set(path: &Path, attribute: IFlags) -> Option<Self> {
        let file = File::open(path).unwrap();
        ioctl_setflags(&file, attribute).ok().map(|()| Self(file))
    }
}

impl Drop for Flagged {
    fn drop(&mut self) {
        ioctl_setflags(&self.0, IFlags::empty()).unwrap();
    }
}

#[tokio::test]
async fn an_attribute_that_prevents_a_change_is_named() {
    for (flagged, attribute, key, code) in [
        ("d", IFlags::APPEND, "d/new", APPEND_ONLY),
        ("d", IFlags::APPEND, "d/f", APPEND_ONLY),
        ("d", IFlags::IMMUTABLE, "d/new", IMMUTABLE),
        ("d", IFlags::IMMUTABLE, "d/e/new", IMMUTABLE),
        ("d/f", IFlags::IMMUTABLE, "d/f", IMMUTABLE),
        ("d/f", IFlags::APPEND, "d/f", APPEND_ONLY),
    ] {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("d")).unwrap();
        fs::write(root.path().join("d/f"), "old").unwrap();
        let Some(_flagged) = Flagged::set(&root.path().join(flagged), attribute) else { return };
        let store = LocalStore::new(root.path()).unwrap();
        let put = store.write(&Key::from(key), "content".into()).await.unwrap_err();
        let mut errors = vec![put];
        if key == "d/f" {
            errors.extend(store.delete(&[DeleteKey::new(Key::from(key))]).await.into_iter().map(Result::unwrap_err));
        }
        for error in errors {
            assert_eq!((error.kind(), error.code()), (ErrorKind::Denied, Some(code)), "{flagged} {key}: {error:?}");
            let path = root.path().join(flagged);
            assert!(error.to_string().contains(&format!("'{}' is ", path.display())), "{flagged} {key}: {error}");
        }
        assert_eq!(fs::read(root.path().join("d/f")).unwrap(), b"old");
    }
}
