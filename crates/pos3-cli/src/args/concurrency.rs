//! How much may be done at once, for every command that moves or compares content.

use clap::Args;
use pos3::Budget;

/// How much may be done at once.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ConcurrencyArgs {
    /// How many requests may be in flight
    #[arg(short = 'j', long, value_name = "N", default_value_t = Budget::CONCURRENCY as u64,
          value_parser = clap::value_parser!(u64).range(1..=10_000))]
    concurrency: u64,
}

impl ConcurrencyArgs {
    /// Returns the number of requests.
    pub(crate) fn requests(self) -> usize {
        usize::try_from(self.concurrency).unwrap_or(Budget::CONCURRENCY)
    }

    /// Returns the budget of a run.
    pub(crate) fn budget(self) -> Budget {
        Budget::new(self.requests(), Budget::BYTES)
    }
}
