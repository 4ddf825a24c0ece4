//! One sync from end to end: list, plan, execute, report.

mod expiry;

use std::time::{Duration, Instant, SystemTime};

use futures::stream;
use tokio_util::sync::CancellationToken;

use crate::diff::ListingFailed;
use crate::error::ErrorKind;
use crate::event::Event;
use crate::execute::{Executor, GRACE, LastLook, Sequence};
use crate::explain::{Explanation, explain};
use crate::key::Key;
use crate::listing::Order;
use crate::manifest::Recorder;
use crate::options::{Deletion, SyncOptions};
use crate::plan::{Plan, PlanError, Planner};
use crate::report::{Refusal, Report, Stop};
use crate::side::Side;
use crate::store::Usage;
use crate::tree::Tree;

use expiry::give_up_expired;

/// A sync of one tree into another.
///
/// ```
/// # use std::sync::Arc;
/// # use pos3_core::{Key, MemoryStore, RemoteStoreExt, SyncJob, SyncOptions, Tree};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (source, target) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
/// source.write(&Key::from("a.txt"), "hello".into()).await?;
///
/// let job = SyncJob::new(Tree::new(source), Tree::new(target.clone()), SyncOptions::default());
/// let report = job.run().await.into_result()?;
///
/// assert_eq!(report.copied, 1);
/// assert_eq!(target.read(&Key::from("a.txt")).await?, "hello");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct SyncJob {
    source: Tree,
    target: Tree,
    options: SyncOptions,
    cancel: CancellationToken,
    keep: CancellationToken,
    last_look: LastLook,
    grace: Duration,
    sequence: Sequence,
}

impl SyncJob {
    /// Returns a sync that makes `target` like `source`.
    pub fn new(source: Tree, target: Tree, options: SyncOptions) -> Self {
        Self {
            source,
            target,
            options,
            cancel: CancellationToken::new(),
            keep: CancellationToken::new(),
            last_look: LastLook::default(),
            grace: GRACE,
            sequence: Sequence::ByKey,
        }
    }

    /// Stops the sync when `cancel` is cancelled. The sync then starts no new action, gives copies and deletes in flight
    /// ten seconds to finish, and sends no further request to delete anything. [`Report::withheld`] also counts the
    /// deletes that have no result then.
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Sets how long copies and deletes in flight may take to finish after a cancellation, instead of ten seconds.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Copies small files before large ones, and among files of one class those first that the target does not have. This
    /// applies to a plan that is complete before it is executed. If the time is short, more files are copied then.
    #[must_use]
    pub fn small_first(mut self) -> Self {
        self.sequence = Sequence::SmallFirst;
        self
    }

    /// Stops all further deletes when `keep` is cancelled. The sync withholds the remaining deletes and the copies that
    /// need a path that only such a delete would free. All other copies continue.
    #[must_use]
    pub fn with_keep(mut self, keep: CancellationToken) -> Self {
        self.keep = keep;
        self
    }

    /// Makes this check right before the first delete, after all copies have succeeded.
    #[must_use]
    pub fn with_last_look(mut self, look: LastLook) -> Self {
        self.last_look = look;
        self
    }

    /// Makes a plan without changing anything. [`Plan::warnings`] has problems that did not stop the planning.
    ///
    /// # Errors
    ///
    /// Fails if a listing or a temporary file fails, if a guard refuses the plan, or if the sync is cancelled.
    pub async fn plan(&self) -> Result<Plan, Stop> {
        self.plan_recording(None).await
    }

    async fn plan_recording(&self, recorder: Option<&Recorder>) -> Result<Plan, Stop> {
        let mut sorting = Sorting::new(self);
        loop {
            let planner = self.planner(sorting.order(), recorder);
            let plan = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(Stop::Cancelled),
                plan = Plan::collect(planner) => plan,
            };
            match plan {
                Ok(mut plan) => {
                    plan.warnings.append(&mut sorting.warnings);
                    return Ok(plan);
                }
                Err(error) => sorting.after(self.stop(error))?,
            }
        }
    }

    /// Explains what this sync would do with one relative key, and why, without changing anything.
    ///
    /// This takes a few requests, and reads content only if the comparison needs it. The result does not include
    /// decisions about the whole plan, such as the refusal of a guard.
    ///
    /// # Errors
    ///
    /// Fails if a side cannot be listed, with the same [`Stop`] as [`plan`](Self::plan).
    pub async fn explain(&self, key: &Key) -> Result<Explanation, Stop> {
        explain(&self.source, &self.target, &self.options, key).await.map_err(|error| self.stop(error))
    }

    /// Executes a plan that [`plan`](Self::plan) returned.
    pub async fn execute(&self, plan: Plan) -> Report {
        self.reported(Work::Perform(Box::new(plan))).await
    }

    /// Plans and executes the sync.
    ///
    /// Without deletes, copies start while the listings are read. With deletes, the whole plan is made first, so a
    /// refused plan leaves both sides untouched.
    pub async fn run(&self) -> Report {
        self.reported(Work::Run).await
    }

    /// Makes the whole plan, passes it to `see`, and executes it. Use this if you must report at the end which actions
    /// were not executed: that requires the whole plan beforehand.
    pub async fn run_seeing(&self, see: impl FnOnce(&Plan) + Send) -> Report {
        self.reported(Work::Show(Box::new(see))).await
    }

    async fn work(&self, work: Work<'_>, report: &mut Report, recorder: Option<&Recorder>) {
        match (work, self.options.deletion) {
            (Work::Perform(plan), _) => self.perform(*plan, report, recorder).await,
            (Work::Run, Deletion::Keep) => self.stream(report, recorder).await,
            (Work::Run, Deletion::Extra) => self.plan_and_perform(|_| {}, report, recorder).await,
            (Work::Show(see), _) => self.plan_and_perform(see, report, recorder).await,
        }
    }

    async fn plan_and_perform(&self, see: impl FnOnce(&Plan) + Send, report: &mut Report, recorder: Option<&Recorder>) {
        match self.plan_recording(recorder).await {
            Ok(plan) => {
                see(&plan);
                self.perform(plan, report, recorder).await;
            }
            Err(stop) => report.stopped = Some(stop),
        }
    }

    async fn perform(&self, plan: Plan, report: &mut Report, recorder: Option<&Recorder>) {
        report.tally = plan.tally;
        report.warnings.clone_from(&plan.warnings);
        report.withheld = plan.tally.withheld;
        self.executor(recorder).run_plan(plan, report).await;
    }

    async fn stream(&self, report: &mut Report, recorder: Option<&Recorder>) {
        let mut sorting = Sorting::new(self);
        let mut copied_before = 0;
        loop {
            let mut planner = self.planner(sorting.order(), recorder);
            let actions = stream::unfold((&mut planner, self), |(planner, job)| async move {
                match planner.next().await {
                    Ok(None) => None,
                    Ok(Some(action)) => Some((Ok(action), (planner, job))),
                    Err(error) => Some((Err(job.stop(error)), (planner, job))),
                }
            });
            self.executor(recorder).run(actions, report).await;
            report.tally = planner.tally();
            report.tally.unchanged = report.tally.unchanged.saturating_sub(copied_before);
            let next = report.stopped.take().map(|stop| sorting.after(stop));
            report.warnings = [planner.warnings(), &sorting.warnings].concat();
            match next {
                None => return,
                // Files that were copied before the disorder was detected are equal now, and are counted as copied; the
                // next pass compares the rest again.
                Some(Ok(())) => {
                    copied_before = report.copied;
                    report.skipped.clear();
                    report.failed.clear();
                }
                Some(Err(stop)) => {
                    report.stopped = Some(stop);
                    return;
                }
            }
        }
    }

    fn planner(&self, order: (Order, Order), recorder: Option<&Recorder>) -> Planner {
        Planner::new(&self.source, &self.target, &self.options, order).with_recorder(recorder.cloned())
    }

    fn executor(&self, recorder: Option<&Recorder>) -> Executor {
        Executor::recording(&self.source, &self.target, &self.options, self.cancel.clone(), recorder.cloned())
            .with_keep(self.keep.clone())
            .with_last_look(self.last_look.clone())
            .with_grace(self.grace)
            .in_sequence(self.sequence)
    }

    fn stop(&self, error: PlanError) -> Stop {
        match error {
            PlanError::Refused(refusal) => Stop::Refused(refusal),
            PlanError::Spill(error) => Stop::Spill(error),
            PlanError::Listing(ListingFailed { side, error }) if error.kind() == ErrorKind::Overlap => {
                Stop::Refused(Refusal::LeadsToOtherSide {
                    side,
                    key: error.key().cloned().unwrap_or_else(|| Key::from("")),
                })
            }
            PlanError::Listing(ListingFailed { side, error }) => {
                let place = match side {
                    Side::Source => self.source.to_string(),
                    Side::Target => self.target.to_string(),
                };
                Stop::Listing { side, place, error }
            }
        }
    }

    /// Runs `work` and returns its report. Also writes the keys that are now known to be equal to the manifest, aborts
    /// expired unfinished writes after a clean run, and adds the elapsed time and the requests to the report.
    async fn reported(&self, work: Work<'_>) -> Report {
        let begin = Instant::now();
        let before = self.usage();
        let mut report = Report::default();
        self.options.observer.event(&Event::Begun(&self.source, &self.target));
        match self.options.manifest.clone().map(Recorder::start) {
            None => self.work(work, &mut report, None).await,
            Some((recorder, recording)) => {
                self.work(work, &mut report, Some(&recorder)).await;
                drop(recorder);
                let written = recording.finish().await;
                report.warnings.extend(written.err().map(|error| format!("{error}; the next run compares more")));
            }
        }
        if let Some(journal) = self.options.journal.as_deref().filter(|_| report.is_clean()) {
            give_up_expired(journal, &**self.target.store(), SystemTime::now()).await;
        }
        report.usage = self.usage().since(&before);
        report.elapsed = begin.elapsed();
        report
    }

    /// Returns the requests that all stores of this sync have sent so far. A store that is on both sides is counted
    /// once.
    pub fn usage(&self) -> Usage {
        let trees = [&self.source, &self.target].into_iter().chain(&self.options.backup);
        let mut counted: Vec<*const ()> = Vec::new();
        let mut usage = Usage::default();
        for store in trees.map(Tree::store) {
            let address = std::sync::Arc::as_ptr(store).cast();
            if !counted.contains(&address) {
                counted.push(address);
                usage = usage.plus(&store.usage());
            }
        }
        usage
    }
}

/// Where a run gets its plan from.
enum Work<'a> {
    /// Make a plan; execution may start before the plan is complete.
    Run,
    /// Make the whole plan and pass it to the caller before execution.
    Show(Box<dyn FnOnce(&Plan) + Send + 'a>),
    /// Execute the given plan.
    Perform(Box<Plan>),
}

/// The listings that must be sorted: those whose stores do not list in order, and those that turned out to be
/// unordered.
struct Sorting<'a> {
    job: &'a SyncJob,
    source: Order,
    target: Order,
    warnings: Vec<String>,
}

impl<'a> Sorting<'a> {
    fn new(job: &'a SyncJob) -> Self {
        let order = |tree: &Tree| if tree.store().capabilities().ordered { Order::Trusted } else { Order::Sorted };
        Self { job, source: order(&job.source), target: order(&job.target), warnings: Vec::new() }
    }

    fn order(&self) -> (Order, Order) {
        (self.source, self.target)
    }

    /// Requests sorting for a listing that was found to be unordered, so that the caller lists again. Returns any other
    /// stop unchanged as the error.
    fn after(&mut self, stop: Stop) -> Result<(), Stop> {
        let Stop::Listing { side, place, error } = &stop else { return Err(stop) };
        let order = match side {
            Side::Source => &mut self.source,
            Side::Target => &mut self.target,
        };
        if error.kind() != ErrorKind::Disorder || *order == Order::Sorted {
            return Err(stop);
        }
        *order = Order::Sorted;
        self.job.options.observer.event(&Event::Disorder(*side, &error.cause()));
        self.warnings.push(format!("{}; the {} '{place}' was listed again and sorted", error.cause(), side.as_str()));
        Ok(())
    }
}
