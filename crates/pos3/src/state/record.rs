//! The encoding of rows and notes. Each has its own checksum of key and value, so that a damaged record is treated as
//! missing and never reports files as equal.

use std::collections::BTreeMap;

use pos3_core::{Checksum, Digest, Fingerprint, Key, Row, Side, StartedWrite, Unfinished};
use pos3_local::Mounted;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::disks::Disks;
use super::pair::{Direction, Place};
use crate::hidden::{MountPoints, Recorded, Standing};

/// The length of the checksum before a value, in bytes.
const CHECKSUM: usize = 4;

/// A row without its key, in the order of the pair: left, right, digest.
type Sides = (Fingerprint, Fingerprint, Option<Digest>);

/// The number of started writes that are kept of one key. More than one is kept only if answers were lost.
const STARTED: usize = 4;

/// A started write without its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Started {
    is_left_written: bool,
    read: Fingerprint,
    size: u64,
    digest: Option<Digest>,
    checksum: Option<Checksum>,
}

impl Started {
    /// Returns the record of a write of a sync with this direction.
    pub(super) fn of(write: StartedWrite, direction: Direction) -> (Key, Self) {
        let StartedWrite { key, written, read, size, digest, checksum } = write;
        let is_left_written = direction.place(written) == Place::Left;
        (key, Self { is_left_written, read, size, digest, checksum })
    }

    /// Returns the write as a sync with this direction sees it.
    pub(super) fn at(self, key: Key, direction: Direction) -> StartedWrite {
        let Self { is_left_written, read, size, digest, checksum } = self;
        let is_source = is_left_written == (direction.place(Side::Source) == Place::Left);
        let written = if is_source { Side::Source } else { Side::Target };
        StartedWrite { key, written, read, size, digest, checksum }
    }
}

/// Encodes the last started writes of a key, of which this one is the latest.
pub(super) fn started(key: &[u8], mut earlier: Vec<Started>, latest: &Started) -> Option<Vec<u8>> {
    earlier.retain(|one| one != latest);
    earlier.push(latest.clone());
    earlier.drain(..earlier.len().saturating_sub(STARTED));
    sealed(key, &earlier)
}

/// Decodes the started writes of a key; returns `None` if they are damaged.
pub(super) fn read_started(key: &[u8], value: &[u8]) -> Option<Vec<Started>> {
    unsealed(key, value)
}

/// Encodes a row of a sync with this direction.
pub(super) fn row(row: &Row, direction: Direction) -> Option<Vec<u8>> {
    let (left, right) = match direction {
        Direction::LeftToRight => (&row.source, &row.target),
        Direction::RightToLeft => (&row.target, &row.source),
    };
    sealed(row.key.as_str().as_bytes(), &(left, right, &row.digest))
}

/// Decodes a row; returns `None` if it is damaged.
pub(super) fn read_row(key: &[u8], value: &[u8], direction: Direction) -> Option<Row> {
    let (left, right, digest): Sides = unsealed(key, value)?;
    let row = Row { key: read_key(key)?, source: left, target: right, digest };
    match direction {
        Direction::LeftToRight => Some(row),
        Direction::RightToLeft => Some(row.reversed()),
    }
}

/// Encodes a note.
pub(super) fn note(key: &Key, unfinished: &Unfinished) -> Option<Vec<u8>> {
    sealed(key.as_str().as_bytes(), unfinished)
}

/// Decodes a note; returns `None` if it is damaged.
pub(super) fn read_note(key: &[u8], value: &[u8]) -> Option<(Key, Unfinished)> {
    Some((read_key(key)?, unsealed(key, value)?))
}

/// Encodes the mount points of a place for two fields of the header. The second one has what is mounted there; an earlier
/// version reads only the first.
pub(super) fn mount_points(fields: [&[u8]; 2], points: &MountPoints) -> [Option<Vec<u8>>; 2] {
    let standings: BTreeMap<_, _> = points.iter().map(|(point, recorded)| (point, recorded.standing)).collect();
    let mounted: BTreeMap<_, _> =
        points.iter().filter_map(|(point, recorded)| Some((point, recorded.mounted?))).collect();
    [sealed(fields[0], &standings), sealed(fields[1], &mounted)]
}

/// Decodes mount points. Returns `None` if their standings are missing or damaged. If only the second field is, it is
/// unknown what was mounted there.
pub(super) fn read_mount_points(fields: [&[u8]; 2], values: [Option<&[u8]>; 2]) -> Option<MountPoints> {
    let standings: BTreeMap<String, Standing> = unsealed(fields[0], values[0]?)?;
    let mounted: Option<BTreeMap<String, Mounted>> = values[1].and_then(|value| unsealed(fields[1], value));
    let mounted = mounted.unwrap_or_default();
    let recorded = |(point, standing)| {
        let mounted = mounted.get(&point).copied();
        (point, Recorded { standing, mounted })
    };
    Some(standings.into_iter().map(recorded).collect())
}

/// Encodes the disks of a pair for a field of the header.
pub(super) fn disks(field: &[u8], disks: &Disks) -> Option<Vec<u8>> {
    sealed(field, disks)
}

/// Decodes the disks of a pair; returns `None` if they are damaged.
pub(super) fn read_disks(field: &[u8], value: &[u8]) -> Option<Disks> {
    unsealed(field, value)
}

pub(super) fn read_key(key: &[u8]) -> Option<Key> {
    std::str::from_utf8(key).ok().map(Key::from)
}

fn sealed(key: &[u8], value: &impl Serialize) -> Option<Vec<u8>> {
    let value = postcard::to_extend(value, vec![0; CHECKSUM]).ok()?;
    let checksum = checksum(key, &value[CHECKSUM..]);
    let mut sealed = value;
    sealed[..CHECKSUM].copy_from_slice(&checksum);
    Some(sealed)
}

fn unsealed<T: DeserializeOwned>(key: &[u8], sealed: &[u8]) -> Option<T> {
    let (stored, value) = sealed.split_first_chunk::<CHECKSUM>()?;
    if *stored != checksum(key, value) {
        return None;
    }
    match postcard::take_from_bytes(value) {
        Ok((value, [])) => Some(value),
        _ => None,
    }
}

fn checksum(key: &[u8], value: &[u8]) -> [u8; CHECKSUM] {
    let mut checksum = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    // With the length of the key, no bytes can move between key and value without changing the checksum.
    checksum.update(&(key.len() as u64).to_le_bytes());
    checksum.update(key);
    checksum.update(value);
    let [a, b, c, d, ..] = checksum.finalize().to_le_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Row {
        Row { key: "d/a".into(), source: "here".into(), target: "there".into(), digest: Some(Digest::Md5([7; 16])) }
    }

    #[test]
    fn a_row_is_turned_when_the_sync_runs_the_other_way() {
        let stored = row(&example(), Direction::LeftToRight).unwrap();
        assert_eq!(read_row(b"d/a", &stored, Direction::LeftToRight), Some(example()));
        assert_eq!(read_row(b"d/a", &stored, Direction::RightToLeft), Some(example().reversed()));
        assert_eq!(row(&example().reversed(), Direction::RightToLeft).unwrap(), stored);
    }

    #[test]
    fn mount_points_of_an_earlier_version_are_read_without_what_was_mounted() {
        let mounted: Mounted = postcard::from_bytes(&[7, 0, 0]).unwrap();
        let recorded = Recorded { standing: Standing::Known, mounted: Some(mounted) };
        let points: MountPoints = [("m/".to_owned(), recorded)].into();
        let fields: [&[u8]; 2] = [b"points", b"mounted"];
        let written = mount_points(fields, &points);
        let earlier = sealed(fields[0], &BTreeMap::from([("m/", Standing::Known)]));
        assert_eq!(written[0], earlier, "an earlier version reads the first field");
        let read = |second| read_mount_points(fields, [written[0].as_deref(), second]);
        assert_eq!(read(written[1].as_deref()), Some(points));
        let without = [("m/".to_owned(), Recorded { mounted: None, ..recorded })].into();
        assert_eq!((read(None), read(Some(b"damaged"))), (Some(without), read(None)));
    }

    #[test]
    fn a_row_with_any_bit_flipped_is_missing() {
        let stored = row(&example(), Direction::LeftToRight).unwrap();
        for bit in 0..stored.len() * 8 {
            let mut damaged = stored.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read_row(b"d/a", &damaged, Direction::LeftToRight), None, "bit {bit}");
        }
        for length in 0..stored.len() {
            assert_eq!(read_row(b"d/a", &stored[..length], Direction::LeftToRight), None, "{length} bytes");
        }
        assert_eq!(read_row(b"d/b", &stored, Direction::LeftToRight), None, "another key's value");
        assert_eq!(read_row(b"d/\xff", &stored, Direction::LeftToRight), None, "no key");
    }
}
