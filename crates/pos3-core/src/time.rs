//! Encodes times of any date.
//!
//! The encoding of `serde` fails for times before 1970. Programs can give a file any time, and one such file would end
//! every run that plans a copy of it. This encoding is the same for later times, so it also reads what `serde` wrote.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time as whole seconds since 1970, rounded down, and the nanoseconds after them.
#[derive(Serialize, Deserialize)]
#[serde(rename = "SystemTime")]
struct Stamp {
    secs_since_epoch: Seconds,
    nanos_since_epoch: u32,
}

/// Seconds, which are negative before 1970. Binary formats contain them as an unsigned number with the same bits, because
/// `serde` writes an unsigned number.
struct Seconds(i64);

/// Serializes a time. For use with `serde(with = "…")`.
pub(crate) fn serialize<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(Stamp::of).serialize(serializer)
}

/// Deserializes a time. For use with `serde(with = "…")`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
    let stamp = Option::<Stamp>::deserialize(deserializer)?;
    let time = stamp.map(|stamp| stamp.time().ok_or_else(|| D::Error::custom("a time that is out of range")));
    time.transpose()
}

impl Stamp {
    fn of(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Self {
                secs_since_epoch: Seconds(i64::try_from(since.as_secs()).unwrap_or(i64::MAX)),
                nanos_since_epoch: since.subsec_nanos(),
            },
            Err(before) => {
                let before = before.duration();
                let (seconds, nanos) = (i128::from(before.as_secs()), before.subsec_nanos());
                let seconds = -seconds - i128::from(nanos > 0);
                Self {
                    secs_since_epoch: Seconds(i64::try_from(seconds).unwrap_or(i64::MIN)),
                    nanos_since_epoch: if nanos > 0 { 1_000_000_000 - nanos } else { 0 },
                }
            }
        }
    }

    fn time(self) -> Option<SystemTime> {
        let Self { secs_since_epoch: Seconds(seconds), nanos_since_epoch: nanos } = self;
        let distance = Duration::from_secs(seconds.unsigned_abs());
        let second = if seconds < 0 { UNIX_EPOCH.checked_sub(distance)? } else { UNIX_EPOCH.checked_add(distance)? };
        second.checked_add(Duration::from_nanos(nanos.into())).filter(|_| nanos < 1_000_000_000)
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_i64(self.0)
        } else {
            serializer.serialize_u64(self.0.cast_unsigned())
        }
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            i64::deserialize(deserializer).map(Self)
        } else {
            u64::deserialize(deserializer).map(|seconds| Self(seconds.cast_signed()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use serde::de::DeserializeOwned;

    use super::*;
    use crate::entry::Entry;
    use crate::journal::Unfinished;
    use crate::spill::Spill;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Record {
        #[serde(with = "super")]
        time: Option<SystemTime>,
    }

    /// A record with the encoding of `serde`.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct OldRecord {
        time: Option<SystemTime>,
    }

    /// Returns times of all kinds, as distances from 1970, before or after.
    fn times() -> Vec<SystemTime> {
        let distances = [
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_nanos(999_999_999),
            Duration::from_secs(1),
            Duration::new(1, 1),
            Duration::new(2_147_483_648, 0),
            Duration::new(2_177_452_800, 123_456_789),
            Duration::new(62_135_596_800, 999_999_999),
            Duration::from_secs(i64::MAX.unsigned_abs()),
        ];
        let both = distances.iter().flat_map(|distance| {
            [UNIX_EPOCH.checked_sub(*distance), UNIX_EPOCH.checked_add(*distance)].into_iter().flatten()
        });
        both.collect()
    }

    fn returns<T: Serialize + DeserializeOwned + PartialEq + Debug>(record: &T) {
        let text = serde_json::to_string(record).unwrap();
        assert_eq!(serde_json::from_str::<T>(&text).unwrap(), *record, "{text}");
        let bytes = postcard::to_allocvec(record).unwrap();
        assert_eq!(postcard::from_bytes::<T>(&bytes).unwrap(), *record, "{text}");
        let mut spill = Spill::with_limit(0);
        spill.push(record).unwrap();
        let stored: Vec<T> = spill.iter().map(Result::unwrap).collect();
        assert!(matches!(&stored[..], [stored] if stored == record), "{stored:?}");
    }

    #[test]
    fn a_time_of_any_date_is_the_same_after_it_was_encoded() {
        for time in times().into_iter().map(Some).chain([None]) {
            returns(&Record { time });
            returns(&Entry { modified: time, ..Entry::file("k", 1) });
            returns(&Unfinished { id: "id".into(), since: time, state: vec![1] });
        }
    }

    #[test]
    fn times_since_1970_are_encoded_as_by_earlier_versions() {
        for time in times().into_iter().filter(|time| *time >= UNIX_EPOCH).map(Some).chain([None]) {
            let (new, old) = (Record { time }, OldRecord { time });
            assert_eq!(postcard::to_allocvec(&new).unwrap(), postcard::to_allocvec(&old).unwrap());
            assert_eq!(serde_json::to_string(&new).unwrap(), serde_json::to_string(&old).unwrap());
        }
    }

    #[test]
    fn a_time_that_does_not_exist_is_an_error() {
        for nanos in ["1000000000", "4294967295"] {
            let text = format!(r#"{{"time":{{"secs_since_epoch":1,"nanos_since_epoch":{nanos}}}}}"#);
            assert!(serde_json::from_str::<Record>(&text).is_err(), "{text}");
        }
    }
}
