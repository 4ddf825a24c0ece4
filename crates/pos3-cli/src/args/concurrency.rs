//! The option `--concurrency`, shared by every command that transfers or compares content.

use clap::Args;
use pos3::Budget;

/// The maximum number of concurrent requests. An S3 server that is overloaded gets fewer.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ConcurrencyArgs {
    /// Send at most N requests at a time to a server
    #[arg(short = 'j', long, value_name = "N", default_value_t = Budget::CONCURRENCY as u64, value_parser = requests)]
    concurrency: u64,
}

impl Default for ConcurrencyArgs {
    fn default() -> Self {
        Self { concurrency: Budget::CONCURRENCY as u64 }
    }
}

fn requests(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| (1..=10_000).contains(number));
    number.ok_or_else(|| "give a number from 1 to 10000".to_owned())
}

impl ConcurrencyArgs {
    /// Returns the largest number of requests in flight.
    pub(crate) fn requests(self) -> usize {
        usize::try_from(self.concurrency).unwrap_or(Budget::CONCURRENCY)
    }

    /// Returns the budget of a run.
    pub(crate) fn budget(self) -> Budget {
        Budget::new(self.requests(), Budget::BYTES)
    }
}
