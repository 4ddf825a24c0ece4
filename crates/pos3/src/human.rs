//! Sizes, rates, counts and times as text for users.
//!
//! ```
//! use std::time::Duration;
//! use pos3::human;
//!
//! assert_eq!(human::bytes(1536), "1.5 KiB");
//! assert_eq!(human::counted(10_000, "file"), "10,000 files");
//! assert_eq!(human::time(Duration::from_secs(125)), "2 min 05 s");
//! ```

use std::time::Duration;

use indicatif::HumanCount;

const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Returns a number of bytes with a unit: `512 B`, `1.5 KiB`.
pub fn bytes(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // A value that would be rounded to 1024.0 has the next unit.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Returns bytes per second, or nothing if the duration is zero.
pub fn rate(moved: u64, elapsed: Duration) -> Option<String> {
    let seconds = elapsed.as_secs_f64();
    (seconds > 0.0).then(|| format!("{}/s", bytes((moved as f64 / seconds) as u64)))
}

/// Returns a count with separators: `10,000`.
pub fn count(count: u64) -> String {
    HumanCount(count).to_string()
}

/// Returns a count with its noun: `1 file`, `2 files`.
pub fn counted(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", count(number), if number == 1 { "" } else { "s" })
}

/// Returns a duration: `40 ms`, `1.4 s`, `75 s`, `2 h 05 min`.
pub fn time(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    match seconds {
        0 => format!("{} ms", elapsed.as_millis()),
        1..10 => format!("{:.1} s", elapsed.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        120..7200 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        for (number, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1_048_575, "1.0 MiB"),
            (1 << 30, "1.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(number), expected, "{number}");
        }
        for (number, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), expected);
        }
        for (seconds, expected) in
            [(0.044, "44 ms"), (1.44, "1.4 s"), (75.0, "75 s"), (125.0, "2 min 05 s"), (7500.0, "2 h 05 min")]
        {
            assert_eq!(time(Duration::from_secs_f64(seconds)), expected);
        }
    }
}
