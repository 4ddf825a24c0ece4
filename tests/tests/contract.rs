//! The conformance suite on every store of the project.

use std::sync::Arc;

use pos3_core::conformance::Subject;
use pos3_local::{LocalOptions, LocalStore, MissingRoot};

pos3_core::conformance!(local, async || {
    let directory = tempfile::tempdir().unwrap();
    let options = LocalOptions::default().with_missing_root(MissingRoot::Empty);
    let store = LocalStore::with_options(directory.path(), options).unwrap();
    Subject::new(Arc::new(store)).keeping(directory)
});
