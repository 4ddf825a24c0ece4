//! Credentials that expire during a run: pos3 replaces them in time, and once for all requests.

use std::time::{Duration, Instant};

use super::{Account, BUCKET};
use crate::program::Ended;

const ROLE: &str = "[profile base]\naws_access_key_id = base-key\naws_secret_access_key = base-secret\n\
                    [default]\nrole_arn = arn:aws:iam::123456789012:role/deploy\nsource_profile = base\n";

/// Returns an account with a role and many files to copy.
fn account(files: usize) -> Account {
    let names: Vec<String> = (0..files).map(|index| format!("from/{index:03}")).collect();
    let mut files: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "x")).collect();
    files.push((".aws/config", ROLE));
    Account::new(&files)
}

#[test]
fn an_assumed_role_that_ends_is_assumed_again_once_for_all_requests() {
    let account = account(60);
    account.services.next_lifetime(Duration::ZERO);
    account.services.next_lifetime(Duration::ZERO);
    let ended = Ended::from(account.command().output().unwrap());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(account.server.keys(BUCKET).len(), 62);
    // Opening, the listing, and the first of the copies: the last answer was good for all of them.
    assert_eq!(account.services.given("AssumeRole"), 3);
}

/// Three quarters of the life of credentials that are good for so short a time.
const RENEWAL: Duration = Duration::from_millis(750);

#[test]
fn a_long_run_assumes_its_role_again_and_again_and_no_oftener_than_that() {
    let account = account(400);
    for _ in 0..100 {
        account.services.next_lifetime(RENEWAL * 4 / 3);
    }
    account.server.configure(|settings| settings.latency = Duration::from_millis(300));
    let begun = Instant::now();
    let mut command = account.command();
    let ended = Ended::from(command.args(["--concurrency", "64"]).output().unwrap());
    let spans = begun.elapsed().div_duration_f64(RENEWAL) as usize;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(account.server.keys(BUCKET).len(), 402);
    assert!(account.server.most_in_flight() >= 60, "{}", account.server.most_in_flight());
    // Seven rounds of requests and the listing take two seconds at the least.
    let given = account.services.given("AssumeRole");
    assert!((3..=spans + 2).contains(&given), "{given} in {spans}");
}

#[test]
fn credentials_that_end_and_cannot_be_had_again_end_the_run_and_say_where_from() {
    let account = account(200);
    // Good for opening and the listing.
    account.services.next_lifetime(Duration::ZERO);
    account.services.next_lifetime(Duration::ZERO);
    account.services.refuse_after(2, "AccessDenied");
    let begun = Instant::now();
    let mut command = account.command();
    let ended = Ended::from(command.args(["--concurrency", "64"]).output().unwrap());
    let seconds = begun.elapsed().as_secs() as usize;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(account.server.keys(BUCKET), [""; 0]);
    let home = account.program.path(".aws");
    let told = format!(
        ": no credentials found: cannot get S3 credentials from the AWS profile 'default' ('{0}/config' \
         or '{0}/credentials'): AccessDenied: not for you\n",
        home.display()
    );
    assert!(ended.err.contains(&told), "{}", ended.err);
    assert!(!ended.err.contains("secret"), "{}", ended.err);
    // One refusal is enough for all of them; after a second the service may be asked again.
    let asked = account.services.requests().len();
    assert!((3..=3 + seconds).contains(&asked), "{asked} in {seconds} seconds");
}
