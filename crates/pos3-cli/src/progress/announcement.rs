//! Announces that a server makes a command wait, in a log without bars.

use std::time::Duration;

use pos3::ServerPause;
use tokio::time::Instant;

/// A shorter pause is not announced.
const LONG: Duration = Duration::from_secs(4);

/// After this time without a long pause, the next one is announced.
const CALM: Duration = Duration::from_secs(60);

/// The last announced pause.
#[derive(Debug, Default)]
pub(super) struct Announcement {
    last_seen: Option<Instant>,
}

impl Announcement {
    /// Returns a line about the first of several long pauses.
    pub(super) fn look(&mut self, pause: Option<ServerPause>, now: Instant) -> Option<String> {
        let pause = pause.filter(|pause| pause.left >= LONG)?;
        let before = self.last_seen.replace(now);
        before.is_none_or(|before| now - before > CALM).then(|| pause.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_several_long_pauses_is_announced() {
        let (mut announcement, begin) = (Announcement::default(), Instant::now());
        for (second, left, is_announced) in [
            (0, None, false),
            (1, Some(3), false),
            (2, Some(20), true),
            (3, Some(19), false),
            (25, Some(20), false),
            (80, Some(20), false),
            (141, Some(20), true),
        ] {
            let pause = left.map(|left| ServerPause::new(Duration::from_secs(left), "x"));
            let line = announcement.look(pause, begin + Duration::from_secs(second));
            assert_eq!(line.is_some(), is_announced, "{second}");
        }
    }
}
