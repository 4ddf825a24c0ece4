//! Collects the ignore files of both sides of a transfer.
//!
//! A key is left alone on both sides if the rules of either side ignore it. So a pattern that is added on one side deletes
//! nothing on the other. Without all rules nothing is transferred, because an unread rule may protect any file.

use futures::TryStreamExt;
use pos3_core::{
    Agreement, Digester, Entries, Entry, Filter, FilterError, GetOptions, IgnoreSet, Key, Kind, ListOptions,
    StoreError, Tree, collect_exactly,
};

use crate::error::{Error, IgnoreFileError};
use crate::registry::local_store;

/// The largest size of an ignore file in bytes.
const LARGEST: u64 = 1 << 20;

/// The names of the ignore files that a transfer reads, and patterns that apply to both sides.
#[derive(Clone, Debug, Default)]
pub(crate) struct IgnoreFiles {
    names: Vec<String>,
    base: IgnoreSet,
}

/// A transfer with the ignore rules of both sides.
#[derive(Debug)]
pub(crate) struct Ruled {
    pub(crate) source: Tree,
    pub(crate) target: Tree,
    pub(crate) filter: Filter,
}

/// One ignore file, before it is read.
struct Candidate {
    directory: String,
    /// The position of its name in the names that are looked for.
    rank: usize,
    entry: Entry,
}

/// Checks a name of ignore files.
///
/// # Errors
///
/// Returns why no file can have this name.
pub fn check_ignore_file_name(name: &str) -> Result<(), &'static str> {
    match name {
        "" | "." | ".." => Err("it is not the name of a file"),
        name if name.contains('/') => Err(
            "it must be a name without '/', which is looked for in every directory; use --exclude-from for one file",
        ),
        name if name.contains('\0') => Err("it has a NUL character"),
        _ => Ok(()),
    }
}

impl IgnoreFiles {
    /// Looks for files with these names. In one directory, a later name decides first.
    pub(crate) fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { names: names.into_iter().map(Into::into).collect(), base: IgnoreSet::new() }
    }

    /// Sets the patterns that apply to both sides. Every ignore file decides before them.
    pub(crate) fn with_base(mut self, base: IgnoreSet) -> Self {
        self.base = base;
        self
    }

    /// Returns the trees of a transfer with a filter that also has the rules of both sides. The listing of a tree that is
    /// not local is read here, and replayed to the transfer.
    ///
    /// An ignore file that only the target has is excluded, so that it is not deleted: it protects files of the target.
    pub(crate) async fn rule(&self, source: &Tree, target: &Tree, filter: &Filter) -> Result<Ruled, Error> {
        let [source, target] =
            [source, target].map(|tree| if is_directory(tree) { tree.clone() } else { tree.recorded() });
        // The files of the source can include again what the other patterns ignore, so the target has only its files.
        let of_target = Self { names: self.names.clone(), base: IgnoreSet::new() };
        // Local files first: a remote file that is equal to a local one need not be fetched.
        let (source_set, target_set) = if is_directory(&source) {
            let source_set = self.of(&source, filter, &IgnoreSet::new()).await?;
            let target_set = of_target.of(&target, filter, &source_set).await?;
            (source_set, target_set)
        } else {
            let target_set = of_target.of(&target, filter, &IgnoreSet::new()).await?;
            (self.of(&source, filter, &target_set).await?, target_set)
        };
        let kept = only_in(&target_set, &source_set).map_err(|error| unusable(&target.to_string(), error))?;
        let builder = Filter::builder().filter(filter).map(|builder| builder.ignore_set(source_set.clone()));
        // Equal rules need not be applied twice.
        let others = Some(target_set).filter(|set| *set != source_set).unwrap_or_default();
        let filter = builder.and_then(|builder| builder.ignore_set(others).ignore_set(kept).build());
        Ok(Ruled { filter: filter.map_err(|error| unusable(&source.to_string(), error))?, source, target })
    }

    /// Returns the rules of one tree. Directories that they or the filter exclude are not read. `known` has the rules of
    /// the other side: the text of an equal file is taken from there.
    pub(crate) async fn of(&self, tree: &Tree, filter: &Filter, known: &IgnoreSet) -> Result<IgnoreSet, Error> {
        if tree.is_object() {
            return Ok(self.base.clone());
        }
        if is_directory(tree) { self.walked(tree, filter).await } else { self.listed(tree, filter, known).await }
    }

    /// Reads the ignore files of a local tree, level by level, before it enters a directory.
    async fn walked(&self, tree: &Tree, filter: &Filter) -> Result<IgnoreSet, Error> {
        let mut set = self.base.clone();
        let mut directories = vec![String::new()];
        while let Some(directory) = directories.pop() {
            let shallow = ListOptions::default().with_shallow(true);
            let listed = tree.store().list(tree.key(&Key::from(&*directory)).as_str(), shallow);
            let entries: Vec<Entry> = listed.try_collect().await.map_err(|error| failed(tree, error))?;
            let below: Vec<_> =
                entries.into_iter().filter_map(|entry| Some((tree.relative(&entry.key)?, entry))).collect();
            let mut found: Vec<_> = below.iter().filter_map(|(key, entry)| self.candidate(key, entry)).collect();
            found.sort_by_key(|candidate| candidate.rank);
            for candidate in found {
                set = self.with(set, tree, &candidate, &IgnoreSet::new()).await?;
            }
            let names = below.iter().filter(|(_, entry)| matches!(entry.kind, Kind::Directory | Kind::Marker));
            let names = names.map(|(key, _)| key.as_str()).filter(|name| !name.is_empty() && *name != directory);
            directories.extend(names.filter(|name| !filter.prunes(name) && !set.ignores(name)).map(str::to_owned));
        }
        Ok(set)
    }

    /// Finds the ignore files in the whole listing of a tree, and reads them from the highest to the deepest.
    async fn listed(&self, tree: &Tree, filter: &Filter, known: &IgnoreSet) -> Result<IgnoreSet, Error> {
        let mut entries = Entries::open(tree, ListOptions::default());
        let mut found = Vec::new();
        while let Some((key, entry)) = entries.next().await.map_err(|error| failed(tree, error))? {
            found.extend(self.candidate(&key, &entry));
        }
        found.sort_by_cached_key(|found| (found.directory.matches('/').count(), found.directory.clone(), found.rank));
        let mut set = self.base.clone();
        for candidate in found {
            let directory = &candidate.directory;
            let is_read = directory.is_empty() || !(filter.prunes(directory) || set.ignores(directory));
            if is_read {
                set = self.with(set, tree, &candidate, known).await?;
            }
        }
        Ok(set)
    }

    fn candidate(&self, key: &Key, entry: &Entry) -> Option<Candidate> {
        let (directory, name) = key.as_str().split_at(key.as_str().rfind('/').map_or(0, |end| end + 1));
        let rank = self.names.iter().position(|looked_for| looked_for == name)?;
        Some(Candidate { directory: directory.to_owned(), rank, entry: entry.clone() })
    }

    async fn with(
        &self,
        set: IgnoreSet,
        tree: &Tree,
        candidate: &Candidate,
        known: &IgnoreSet,
    ) -> Result<IgnoreSet, Error> {
        let Candidate { directory, rank, entry } = candidate;
        let name = format!("{directory}{}", self.names[*rank]);
        let shown = tree.locate(&Key::from(&*name));
        let unusable = |reason| Error::IgnoreFile { file: shown.clone(), source: Box::new(reason) };
        let text = read(tree, entry, text_of(known, &name)).await.map_err(unusable)?;
        set.file(directory, name, text).map_err(|error| unusable(IgnoreFileError::Line(error)))
    }
}

async fn read(tree: &Tree, entry: &Entry, known: Option<&str>) -> Result<String, IgnoreFileError> {
    match &entry.kind {
        Kind::File => {}
        Kind::Protected(why) => return Err(IgnoreFileError::NotAFile(why.clone())),
        Kind::Directory | Kind::Marker => return Ok(String::new()),
    }
    if entry.size > LARGEST {
        return Err(IgnoreFileError::TooLarge);
    }
    if let Some(known) = known.filter(|known| is_content(known, entry)) {
        return Ok(known.to_owned());
    }
    // A local file may be written at any time, and its current content is as good as the listed one.
    let fingerprint = entry.fingerprint.clone().filter(|_| !is_directory(tree));
    let options = GetOptions::default().with_if_match(fingerprint);
    let download = tree.store().get(&entry.key, options).await.map_err(IgnoreFileError::Read)?;
    if download.entry.size > LARGEST {
        return Err(IgnoreFileError::TooLarge);
    }
    let bytes = collect_exactly(download.body, download.entry.size).await.map_err(IgnoreFileError::Read)?;
    String::from_utf8(bytes.into()).map_err(|_| IgnoreFileError::NotUtf8)
}

/// Returns true if a tree is a local directory, of which a level can be listed without a request.
fn is_directory(tree: &Tree) -> bool {
    local_store(&**tree.store()).is_some()
}

fn is_content(text: &str, entry: &Entry) -> bool {
    let digest = entry.digest.filter(|_| entry.size == text.len() as u64);
    let Some(mut digester) = digest.and_then(|digest| Digester::new(digest, entry.size)) else { return false };
    digester.update(text.as_bytes());
    digester.finish() == Agreement::Same
}

fn text_of<'a>(set: &'a IgnoreSet, name: &str) -> Option<&'a str> {
    set.texts().find(|text| text.directory.is_some() && text.name == name).map(|text| text.text.as_str())
}

/// Returns the rules that ignore the files of one set that another set does not have.
fn only_in(set: &IgnoreSet, other: &IgnoreSet) -> Result<IgnoreSet, FilterError> {
    let alone = set.texts().filter(|text| text_of(other, &text.name).is_none());
    let files = alone.filter_map(|text| Some((text.directory.as_deref()?, &*text.name)));
    files.into_iter().try_fold(IgnoreSet::new(), |kept, (directory, name)| {
        kept.file(directory, format!("{name}, which only the target has"), escaped(&name[directory.len()..]))
    })
}

/// Returns the line that matches exactly this name in its own directory.
fn escaped(name: &str) -> String {
    name.chars().fold("/".to_owned(), |line, character| match character {
        '\\' | '*' | '?' | '[' | ' ' => line + "\\" + character.encode_utf8(&mut [0; 4]),
        character => line + character.encode_utf8(&mut [0; 4]),
    })
}

fn failed(tree: &Tree, source: StoreError) -> Error {
    Error::Store { location: tree.to_string(), source }
}

fn unusable(file: &str, error: FilterError) -> Error {
    Error::IgnoreFile { file: file.to_owned(), source: Box::new(IgnoreFileError::Line(error)) }
}

#[cfg(test)]
mod tests;
