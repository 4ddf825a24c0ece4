//! A user of one of the workspaces of a race.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use pos3::Workspace;

use super::super::{Contents, World, files, set_aside, write};

/// Where files are created. A name is either that of files or of directories, as a disk cannot have both.
const PATHS: [&str; 7] = ["a", "b.md", "c", "d/a", "d/b.txt", "d/e/f", "g/h"];

/// A source of numbers that depends on the seed alone.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// A workspace, and what its user has done in it.
pub(super) struct Player {
    pub(super) name: &'static str,
    pub(super) directory: PathBuf,
    /// All contents that were written here.
    pub(super) written: BTreeSet<String>,
    /// The contents that the user has overwritten or deleted after they were in this directory, and those that were lost
    /// together with the disk before they were stored.
    pub(super) destroyed: BTreeSet<String>,
    /// Those since the last push, which the location does not know about.
    fresh: BTreeSet<String>,
    /// What both sides had when they were equal, path by path.
    base: Contents,
}

impl Player {
    pub(super) fn new(name: &'static str, directory: PathBuf) -> Self {
        let none = BTreeSet::new;
        Self { name, directory, written: none(), destroyed: none(), fresh: none(), base: Contents::new() }
    }

    /// Opens the workspace, as another process would.
    pub(super) fn workspace(&self, world: &World) -> Workspace {
        world.builder(&self.directory).open().unwrap()
    }

    pub(super) fn workspace_to_push(&self, world: &World) -> Option<Workspace> {
        self.directory.exists().then(|| self.workspace(world))
    }

    pub(super) fn ensure_directory(&self) {
        fs::create_dir_all(&self.directory).unwrap();
    }

    /// Creates, changes, deletes and renames some files.
    pub(super) fn work(&mut self, dice: &mut Dice, round: u32) {
        if !self.directory.exists() {
            return;
        }
        for step in 0..dice.below(4) {
            let content = format!("{} {round}.{step} {}", self.name, "x".repeat(dice.below(40)));
            let present: Vec<String> =
                files(&self.directory).into_keys().filter(|path| !path.ends_with("base")).collect();
            match (dice.below(6), present.is_empty()) {
                (0, false) => self.delete(&present[dice.below(present.len())]),
                (1, false) => {
                    let (from, to) = (dice.below(present.len()), dice.below(PATHS.len()));
                    self.rename(&present[from], PATHS[to]);
                }
                (2 | 3, false) => self.write(&present[dice.below(present.len())], content),
                _ => self.write(PATHS[dice.below(PATHS.len())], content),
            }
        }
    }

    fn write(&mut self, path: &str, content: String) {
        self.note_destroyed(path);
        write(&self.directory, path, &content);
        self.written.insert(content);
    }

    fn delete(&mut self, path: &str) {
        self.note_destroyed(path);
        fs::remove_file(self.directory.join(path)).unwrap();
    }

    fn rename(&mut self, from: &str, to: &str) {
        if from == to {
            return;
        }
        self.note_destroyed(to);
        let to = self.directory.join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::rename(self.directory.join(from), to).unwrap();
    }

    fn note_destroyed(&mut self, path: &str) {
        if let Some(content) = files(&self.directory).remove(path) {
            self.destroyed.insert(content.clone());
            self.fresh.insert(content);
        }
    }

    /// Loses `.pos3`, with all rows and what was moved aside.
    pub(super) fn lose_records(&mut self, stored: &BTreeSet<String>) {
        self.lose(set_aside(&self.directory), stored);
        let _none = fs::remove_dir_all(self.directory.join(".pos3"));
    }

    pub(super) fn lose_disk(&mut self, stored: &BTreeSet<String>) {
        self.lose(set_aside(&self.directory), stored);
        self.lose(files(&self.directory).into_values(), stored);
        let _none = fs::remove_dir_all(&self.directory);
    }

    /// Contents that are stored nowhere else are lost. But without rows, no push can destroy anything for this user any more.
    fn lose(&mut self, contents: impl IntoIterator<Item = String>, stored: &BTreeSet<String>) {
        self.base.clear();
        self.destroyed.extend(contents.into_iter().filter(|content| !stored.contains(content)));
        for content in std::mem::take(&mut self.fresh).intersection(stored) {
            self.destroyed.remove(content);
        }
    }

    pub(super) fn has_pushed(&mut self) {
        self.fresh.clear();
    }

    /// What the pull has restored is no longer destroyed.
    pub(super) fn has_pulled(&mut self) {
        for content in files(&self.directory).into_values() {
            if self.fresh.remove(&content) {
                self.destroyed.remove(&content);
            }
        }
    }

    /// Notes what both sides have now.
    pub(super) fn synced(&mut self, objects: &Contents) {
        let local = files(&self.directory);
        self.base.retain(|path, _| local.contains_key(path) || objects.contains_key(path));
        let equal = local.into_iter().filter(|(path, content)| objects.get(path) == Some(content));
        self.base.extend(equal);
    }

    /// Returns the paths that have changed on both sides.
    pub(super) fn expected_conflicts(&self, objects: &Contents) -> BTreeSet<String> {
        let differs = |(path, content): &(String, String)| {
            let (base, object) = (self.base.get(path), objects.get(path));
            object.is_some_and(|object| object != content && base != Some(object)) && base != Some(content)
        };
        files(&self.directory).into_iter().filter(differs).map(|(path, _)| path).collect()
    }

    /// Returns the conflict copies in the directory.
    pub(super) fn copies(&self) -> BTreeSet<String> {
        files(&self.directory).into_keys().filter(|path| path.contains(" (conflict ")).collect()
    }
}
