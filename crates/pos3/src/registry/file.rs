//! Opens local paths.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use pos3_core::RemoteStore;
use pos3_local::{LocalOptions, LocalStore, MissingRoot, Symlinks};

use super::{Provider, Role};
use crate::error::Error;
use crate::local_path::resolve;
use crate::location::Location;

/// Opens local directories. Listing a source that does not exist is an error; the first write creates a target.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileProvider {
    of_source: Symlinks,
    of_target: Symlinks,
}

impl FileProvider {
    /// Sets how symbolic links in a source are treated. In a target they are never followed: pos3 does not write or
    /// delete through a link, so a plan that listed the files behind one could not be executed.
    #[must_use]
    pub fn with_symlinks(mut self, symlinks: Symlinks) -> Self {
        self.of_source = symlinks;
        self
    }

    /// Sets how symbolic links are treated on both sides. This is for comparisons, which write nothing.
    #[must_use]
    pub fn with_symlinks_of_both(self, symlinks: Symlinks) -> Self {
        Self { of_source: symlinks, of_target: symlinks }
    }
}

#[async_trait]
impl Provider for FileProvider {
    async fn open(&self, location: &Location, role: Role) -> Result<Arc<dyn RemoteStore>, Error> {
        let path = path_of(location)?;
        let (missing_root, symlinks) = match role {
            Role::Source => (MissingRoot::Error, self.of_source),
            Role::Target => (MissingRoot::Empty, self.of_target),
        };
        let options = LocalOptions::default().with_symlinks(symlinks).with_missing_root(missing_root);
        let store = LocalStore::with_options(path, options)
            .map_err(|source| Error::Store { location: location.to_string(), source })?;
        Ok(Arc::new(store))
    }

    fn place(&self, location: &Location) -> Result<String, Error> {
        let path = path_of(location)?;
        let mut place = format!("file://{}", resolve(path).display());
        if !place.ends_with('/') {
            place.push('/');
        }
        Ok(place)
    }
}

fn path_of(location: &Location) -> Result<&Path, Error> {
    location.path().ok_or_else(|| Error::WrongKind { location: location.to_string() })
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;
    use crate::registry::Registry;

    fn location(path: &Path) -> Location {
        Location::Local(path.to_owned())
    }

    #[test]
    fn a_place_has_its_links_resolved_as_far_as_it_exists() {
        let root = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(root.path()).unwrap();
        fs::create_dir(base.join("real")).unwrap();
        std::os::unix::fs::symlink(base.join("real"), base.join("link")).unwrap();
        for (path, expected) in [
            ("real", "real/"),
            ("link", "real/"),
            ("link/new/x", "real/new/x/"),
            ("a/b", "a/b/"),
            ("none/../real", "real/"),
            ("no/../ne/x", "ne/x/"),
        ] {
            let place = FileProvider::default().place(&location(&base.join(path))).unwrap();
            assert_eq!(place, format!("file://{}/{expected}", base.display()), "{path}");
        }
        assert_eq!(FileProvider::default().place(&location(Path::new("/"))).unwrap(), "file:///");
    }

    #[tokio::test]
    async fn files_and_missing_sources_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "x").unwrap();
        let missing = root.path().join("missing");
        let open = async |path: &Path, role| Registry::default().open(&location(path), role).await?.directory();
        assert!(matches!(open(&file, Role::Source).await, Err(Error::SourceIsFile { .. })));
        assert!(matches!(open(&file, Role::Target).await, Err(Error::TargetIsFile { .. })));
        assert!(matches!(open(&missing, Role::Source).await, Err(Error::SourceMissing { .. })));
        assert!(open(&missing, Role::Target).await.is_ok());
        assert!(!missing.exists(), "opening makes nothing");
    }
}
