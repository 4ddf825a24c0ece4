//! How a directory is read: the choices a caller has.

/// Options of [`LocalStore`](crate::LocalStore).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalOptions {
    /// What symbolic links below the root are taken for.
    pub symlinks: Symlinks,
    /// What a root that does not exist is taken for.
    pub missing_root: MissingRoot,
    /// How symbolic links in the path of the root itself are treated.
    pub root_path: RootPath,
}

impl LocalOptions {
    /// Sets what symbolic links are taken for.
    #[must_use]
    pub fn with_symlinks(mut self, symlinks: Symlinks) -> Self {
        self.symlinks = symlinks;
        self
    }

    /// Sets what a missing root is taken for.
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
    /// They are resolved once, when the root is first opened.
    #[default]
    Resolved,
    /// None is followed: one that appears there is an error that names it. Right for a path whose links were resolved
    /// before, because another process that replaces a directory with a link must not lead a run elsewhere.
    Exact,
}

/// What symbolic links below the root are taken for. Nothing is ever written or deleted through one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Symlinks {
    /// Listed as protected, never read.
    #[default]
    Skip,
    /// Read as what they point to, outside the root too. One that leads in a circle is protected.
    Follow,
}

/// What a root that does not exist is taken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingRoot {
    /// A mistake: listing it and writing to it fail with `NotFound`. Right for a source.
    #[default]
    Error,
    /// An empty directory that the first write makes. Right for a target.
    Empty,
}
