//! The files that the benchmarks transfer.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// Makes `count` files of `size` bytes, no two alike, in directories of a hundred.
pub(crate) fn small_files(root: &Path, count: u64, size: usize) {
    for number in 0..count {
        let directory = root.join(format!("d{:03}", number / 100));
        if number % 100 == 0 {
            fs::create_dir_all(&directory).unwrap();
        }
        let mut content = vec![0x61; size];
        content[..8].copy_from_slice(&number.to_le_bytes());
        fs::write(directory.join(format!("file-{number:05}.bin")), content).unwrap();
    }
}

/// Makes one file of `size` bytes that no file system stores as a hole.
pub(crate) fn large_file(root: &Path, size: u64) {
    fs::create_dir_all(root).unwrap();
    let mut file = File::create(root.join("large.bin")).unwrap();
    let block: Vec<u8> = (0..1_u32 << 20).map(|n| (n ^ (n >> 8)).to_le_bytes()[0]).collect();
    for _ in 0..size >> 20 {
        file.write_all(&block).unwrap();
    }
}

/// Returns the number of files below a directory.
pub(crate) fn count(root: &Path) -> u64 {
    walk(root).count() as u64
}

/// Returns the bytes of the files below a directory.
pub(crate) fn bytes(root: &Path) -> u64 {
    walk(root).map(|file| file.metadata().unwrap().len()).sum()
}

fn walk(root: &Path) -> impl Iterator<Item = fs::DirEntry> {
    let mut open = vec![fs::read_dir(root).unwrap()];
    std::iter::from_fn(move || {
        while let Some(directory) = open.last_mut() {
            match directory.next().map(Result::unwrap) {
                None => drop(open.pop()),
                Some(entry) if entry.file_type().unwrap().is_dir() => open.push(fs::read_dir(entry.path()).unwrap()),
                Some(entry) => return Some(entry),
            }
        }
        None
    })
}
