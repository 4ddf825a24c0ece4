//! Decides how many requests may be in flight: more while the throughput grows, half as many when the server reports an
//! overload.
//!
//! This is a state machine without a clock of its own. It counts in *rounds* of as many responses as requests may be in
//! flight, so a round takes about one round trip. Growth changes the limit at most once per round.

use tokio::time::Instant;

/// The limit at the start.
const START: usize = 16;

/// The minimum number of responses in a round. The throughput of fewer is mostly noise.
const SMALLEST_ROUND: usize = 4;

/// The number of transferred bytes that is counted as one more request.
const BYTES_PER_REQUEST: f64 = 65_536.0;

/// The limit doubles only if the throughput has become this many times as high since it last doubled.
const FASTER_DOUBLED: f64 = 1.25;

/// The number of rounds without higher throughput that end the doubling. In the first rounds after a change, the added
/// requests also make their connections.
const PATIENCE: u32 = 3;

/// A higher limit must make the throughput this many times as high. Otherwise, the limit returns to its previous value.
const FASTER: f64 = 1.06;

/// The number of rounds after which a higher limit is tried again.
const HOLD: u32 = 16;

/// The limit of one server, and the observations that it depends on.
#[derive(Debug)]
pub(super) struct Growth {
    limit: usize,
    most: usize,
    phase: Phase,
    round: Round,
    /// The time when the limit was last halved.
    halved: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Neither overload nor saturation has been observed. `rate` is the highest throughput so far, at the limit `from`;
    /// the last `unchanged` rounds were not much faster.
    Doubling { from: usize, rate: f64, unchanged: u32 },
    /// The limit grows by one per round. `rate` is the throughput at the limit `from`, once it has been measured.
    Adding { from: usize, rate: Option<f64> },
    /// More requests were not faster. The limit stays for this many rounds.
    Holding { rounds: u32 },
}

/// The responses of one round.
#[derive(Debug)]
struct Round {
    begun: Instant,
    responses: usize,
    /// The number of responses whose request had to wait for a slot.
    waited: usize,
    work: f64,
}

impl Round {
    fn new(begun: Instant) -> Self {
        Self { begun, responses: 0, waited: 0, work: 0.0 }
    }

    /// Returns the throughput, or `None` if most requests did not have to wait. The limit had no effect then.
    fn rate(&self, now: Instant) -> Option<f64> {
        let seconds = now.saturating_duration_since(self.begun).as_secs_f64().max(1e-6);
        (2 * self.waited >= self.responses).then_some(self.work / seconds)
    }
}

impl Growth {
    pub(super) fn new(most: usize, now: Instant) -> Self {
        let limit = START.min(most);
        let phase = Phase::Doubling { from: limit, rate: 0.0, unchanged: 0 };
        Self { limit, most, phase, round: Round::new(now), halved: None }
    }

    /// Returns how many requests may be in flight.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Starts a new round, because a request begins after a time without any. That time says nothing about the server.
    pub(super) fn resume(&mut self, now: Instant) {
        self.round = Round::new(now);
    }

    /// Records a complete response: the number of bytes that were sent and received, and whether the request had to
    /// wait for a slot.
    pub(super) fn responded(&mut self, bytes: u64, waited: bool, now: Instant) {
        self.round.responses += 1;
        self.round.waited += usize::from(waited);
        self.round.work += 1.0 + bytes as f64 / BYTES_PER_REQUEST;
        if self.round.responses >= self.limit.max(SMALLEST_ROUND) {
            let rate = self.round.rate(now);
            self.round = Round::new(now);
            if let Some(rate) = rate {
                self.limit = self.next(rate).min(self.most);
            }
        }
    }

    /// Returns the limit after a round with this throughput.
    fn next(&mut self, rate: f64) -> usize {
        match self.phase {
            Phase::Doubling { rate: before, .. } if rate >= before * FASTER_DOUBLED => {
                self.phase = Phase::Doubling { from: self.limit, rate, unchanged: 0 };
                2 * self.limit
            }
            Phase::Doubling { from, rate, unchanged } if unchanged + 1 < PATIENCE => {
                self.phase = Phase::Doubling { from, rate, unchanged: unchanged + 1 };
                self.limit
            }
            Phase::Doubling { from, rate: before, .. } => {
                self.phase = Phase::Holding { rounds: HOLD };
                if rate < before * FASTER { from } else { self.limit }
            }
            Phase::Adding { from, rate: Some(_) } if self.limit < from + (from / 4).max(1) => self.limit + 1,
            Phase::Adding { from, rate: Some(before) } if rate < before * FASTER => {
                self.phase = Phase::Holding { rounds: HOLD };
                from
            }
            Phase::Adding { .. } => {
                self.phase = Phase::Adding { from: self.limit, rate: Some(rate) };
                self.limit + 1
            }
            Phase::Holding { rounds: 1 } => {
                self.phase = Phase::Adding { from: self.limit, rate: None };
                self.limit
            }
            Phase::Holding { rounds } => {
                self.phase = Phase::Holding { rounds: rounds - 1 };
                self.limit
            }
        }
    }

    /// Halves the limit, because the server was overloaded by a request that began at `begun`. A request that began
    /// before the limit was last halved does not halve it again.
    pub(super) fn overloaded(&mut self, begun: Instant, now: Instant) {
        if self.halved.is_some_and(|halved| begun < halved) {
            return;
        }
        self.limit = (self.limit / 2).max(1);
        self.halved = Some(now);
        self.phase = Phase::Adding { from: self.limit, rate: None };
        self.round = Round::new(now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(20);

    /// A server with a fixed round trip that executes at most `fast` requests of each round trip.
    struct World {
        growth: Growth,
        now: Instant,
        fast: f64,
    }

    impl World {
        fn new(most: usize, fast: usize) -> Self {
            let now = Instant::now();
            Self { growth: Growth::new(most, now), now, fast: fast as f64 }
        }

        /// Sends as many requests as the limit allows. Returns the limit afterwards.
        fn round(&mut self) -> usize {
            let limit = self.growth.limit();
            self.now += ROUND_TRIP.mul_f64((limit as f64 / self.fast).max(1.0));
            for _ in 0..limit.max(SMALLEST_ROUND) {
                self.growth.responded(0, true, self.now);
            }
            self.growth.limit()
        }

        fn rounds(&mut self, rounds: usize) -> Vec<usize> {
            (0..rounds).map(|_| self.round()).collect()
        }
    }

    #[test]
    fn the_limit_doubles_while_that_is_faster() {
        assert_eq!(World::new(256, 10_000).rounds(6), [32, 64, 128, 256, 256, 256]);
        assert_eq!(World::new(100, 10_000).rounds(4), [32, 64, 100, 100]);
        assert_eq!(World::new(4, 10_000).rounds(2), [4, 4]);
    }

    #[test]
    fn a_saturated_server_gets_no_more_requests() {
        let limits = World::new(256, 40).rounds(500);
        let most = limits.iter().max().unwrap();
        assert!(*most <= 128 && limits[20..].iter().all(|limit| (40..=80).contains(limit)), "{limits:?}");
    }

    #[test]
    fn one_round_trip_halves_the_limit_once() {
        let mut world = World::new(256, 10_000);
        world.rounds(4);
        let begun = world.now;
        for _ in 0..100 {
            world.now += Duration::from_millis(1);
            world.growth.overloaded(begun, world.now);
        }
        assert_eq!(world.growth.limit(), 128);
        world.growth.overloaded(world.now, world.now + ROUND_TRIP);
        assert_eq!(world.growth.limit(), 64);
        for _ in 0..20 {
            world.now += ROUND_TRIP;
            world.growth.overloaded(world.now, world.now);
        }
        assert_eq!(world.growth.limit(), 1, "never less");
    }

    #[test]
    fn after_an_overload_the_limit_grows_by_one_per_round() {
        let mut world = World::new(256, 10_000);
        world.rounds(2);
        world.now += ROUND_TRIP;
        world.growth.overloaded(world.now, world.now);
        assert_eq!(world.growth.limit(), 32);
        assert_eq!(world.rounds(5), [33, 34, 35, 36, 37]);
        assert_eq!(world.rounds(300).last(), Some(&256));
    }

    #[test]
    fn a_limit_that_has_no_effect_does_not_change() {
        let mut world = World::new(256, 10_000);
        for _ in 0..1_000 {
            world.now += ROUND_TRIP;
            world.growth.responded(0, false, world.now);
        }
        assert_eq!(world.growth.limit(), START);
    }

    #[test]
    fn bytes_are_throughput_too() {
        let mut world = World::new(256, 10_000);
        world.rounds(1);
        // Half as many responses per second, but with content.
        world.now += 4 * ROUND_TRIP;
        (0..32).for_each(|_| world.growth.responded(1 << 20, true, world.now));
        assert_eq!(world.growth.limit(), 64);
    }
}
