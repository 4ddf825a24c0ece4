//! The options for reading a directory.

/// Options of [`LocalStore`](crate::LocalStore).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalOptions {
    /// How symbolic links below the root are treated.
    pub symlinks: Symlinks,
    /// How a root that does not exist is treated.
    pub missing_root: MissingRoot,
    /// How symbolic links in the path of the root itself are treated.
    pub root_path: RootPath,
}

impl LocalOptions {
    /// Sets how symbolic links below the root are treated.
    #[must_use]
    pub fn with_symlinks(mut self, symlinks: Symlinks) -> Self {
        self.symlinks = symlinks;
        self
    }

    /// Sets how a root that does not exist is treated.
    #[must_use]
    pub fn with_missing_root(mut self, missing_root: MissingRoot) -> Self {
        self.missing_root = missing_root;
        self
    }

    /// Sets how symbolic links in the path of the root itself are treated.
    #[must_use]
    pub fn with_root_path(mut self, root_path: RootPath) -> Self {
        self.root_path = root_path;
        self
    }
}

/// How symbolic links in the path of the root itself are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RootPath {
    /// Resolves them once, when the root is first opened.
    #[default]
    Resolved,
    /// Follows none. A link that appears in the path is an error that names it. Use this for a path whose links are
    /// already resolved: if another process replaces a directory with a link, a run must not use the directory that the
    /// link leads to.
    Exact,
}

/// How symbolic links below the root are treated. Nothing is ever written or deleted through a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Symlinks {
    /// Lists links as protected and never reads them.
    #[default]
    Skip,
    /// Reads the file or directory that a link leads to, even outside the root. A link that forms a loop is protected.
    Follow,
}

/// How a root that does not exist is treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingRoot {
    /// Listing it and writing to it fail with `NotFound`. Use this for a source.
    #[default]
    Error,
    /// Treats it as an empty directory, which the first write creates. Use this for a target.
    Empty,
}
