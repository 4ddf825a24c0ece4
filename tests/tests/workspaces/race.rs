//! Two workspaces of one location that are used at random. The test knows which version somebody has destroyed knowingly:
//! every other one must still exist at the end.

mod player;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pos3::WorkspaceReport;
use pos3_core::{Event, Observer};
use pos3_tests::server::ConditionalWrites;

use super::{BUCKET, PREFIX, World, files, pairs, set_aside};
use player::{Dice, Player};

/// What goes wrong beside the race.
#[derive(Clone, Copy, PartialEq)]
enum Mishap {
    None,
    /// The first workspace loses its records or its directory now and then.
    Losses,
}

/// Whether both workspaces may push at the same time.
#[derive(Clone, Copy, PartialEq)]
enum Pushes {
    Together,
    InTurn,
}

struct Race {
    world: World,
    players: [Player; 2],
    dice: Dice,
    pushes: Pushes,
    /// The contents that were at the location after some push or pull.
    stored: BTreeSet<String>,
}

impl Race {
    fn new(seed: u64, pushes: Pushes) -> Self {
        let world = World::with(&[("base", "base"), ("d/base", "d base")]);
        let players = ["one", "two"].map(|name| Player::new(name, world.path(name)));
        Self { world, players, dice: Dice::new(seed), pushes, stored: BTreeSet::new() }
    }

    async fn run(mut self, rounds: u32, mishap: Mishap) {
        for round in 0..rounds {
            let seen = self.world.objects();
            for player in &mut self.players {
                player.work(&mut self.dice, round);
            }
            if mishap == Mishap::Losses && self.dice.below(8) == 0 {
                let player = &mut self.players[0];
                if self.dice.below(2) == 0 { player.lose_records(&self.stored) } else { player.lose_disk(&self.stored) }
            }
            match self.dice.below(6) {
                0 => self.pull(0).await,
                1 => self.pull(1).await,
                2 => self.push(0).await,
                3 => self.push(1).await,
                4 => self.push_and_pull().await,
                _ => self.push_both().await,
            }
            self.check_after(round, &seen.into_values().collect());
        }
        self.settle().await;
        self.check_end();
    }

    async fn pull(&mut self, index: usize) {
        let workspace = self.players[index].workspace(&self.world);
        let report = Box::pin(workspace.pull()).await.unwrap();
        assert!(report.success, "{report:?}");
        self.pulled(index);
    }

    fn pulled(&mut self, index: usize) {
        self.players[index].has_pulled();
        self.players[index].synced(&self.world.objects());
    }

    async fn push(&mut self, index: usize) {
        let expected = self.players[index].expected_conflicts(&self.world.objects());
        let copies = self.players[index].copies();
        let Some(workspace) = self.players[index].workspace_to_push(&self.world) else { return };
        let report = Box::pin(workspace.push()).await.unwrap();
        assert!(report.success, "{report:?}");
        let told: BTreeSet<String> = report.conflicts.iter().map(|conflict| conflict.path.clone()).collect();
        assert_eq!(told, expected, "{report:?}");
        self.pushed(index, &report, &copies);
    }

    async fn push_and_pull(&mut self) {
        let before = self.world.objects();
        let copies = self.players[0].copies();
        let Some(one) = self.players[0].workspace_to_push(&self.world) else { return };
        let two = self.players[1].workspace(&self.world);
        let (pushed, pulled) = tokio::join!(Box::pin(one.push()), Box::pin(two.pull()));
        let (pushed, pulled) = (pushed.unwrap(), pulled.unwrap());
        assert!(pushed.success, "{pushed:?}");
        assert!(pulled.success, "{pulled:?}");
        // The pull may have been the faster one.
        self.players[1].synced(&before);
        self.pushed(0, &pushed, &copies);
        self.pulled(1);
    }

    async fn push_both(&mut self) {
        if self.pushes == Pushes::InTurn {
            self.push(1).await;
            return self.push(0).await;
        }
        let before = self.world.objects();
        let copies = [self.players[0].copies(), self.players[1].copies()];
        let both = [0, 1].map(|index| self.players[index].workspace_to_push(&self.world));
        let [Some(one), Some(two)] = both else { return };
        let (first, second) = tokio::join!(Box::pin(one.push()), Box::pin(two.push()));
        for (index, report) in [first, second].into_iter().enumerate() {
            let report = report.unwrap();
            // The other version of a conflict may change again right when it is fetched. That is a failure of one file.
            assert!(report.success || report.failed > 0, "{report:?}");
            self.players[index].synced(&before);
            self.pushed(index, &report, &copies[index]);
        }
    }

    /// Notes a push. Each copy that it has made must be in its report.
    fn pushed(&mut self, index: usize, report: &WorkspaceReport, copies_before: &BTreeSet<String>) {
        let made: BTreeSet<String> = self.players[index].copies().difference(copies_before).cloned().collect();
        let told: BTreeSet<String> = report.conflicts.iter().map(|conflict| conflict.copy.clone()).collect();
        assert!(made.is_subset(&told), "{made:?} {told:?}");
        if report.success {
            self.players[index].has_pushed();
        }
        self.players[index].synced(&self.world.objects());
    }

    /// Checks that nothing that was stored has vanished from the location, except for what somebody has destroyed.
    fn check_after(&mut self, round: u32, seen: &BTreeSet<String>) {
        let objects: BTreeSet<String> = self.world.objects().into_values().collect();
        self.stored.extend(seen.iter().chain(&objects).cloned());
        for content in seen.difference(&objects) {
            let is_known = self.players.iter().any(|player| player.destroyed.contains(content));
            assert!(is_known, "round {round}: '{content}' was stored, and is lost");
        }
    }

    /// Lets both workspaces store and fetch until nothing changes any more.
    async fn settle(&mut self) {
        for _ in 0..3 {
            for index in [0, 1] {
                self.players[index].ensure_directory();
                self.push(index).await;
                self.pull(index).await;
            }
        }
    }

    fn check_end(&self) {
        let objects = self.world.objects();
        for player in &self.players {
            assert_eq!(files(&player.directory), objects, "{} and the location differ", player.name);
        }
        let mut exists: BTreeMap<String, &str> = BTreeMap::new();
        exists.extend(objects.into_values().map(|content| (content, "stored")));
        for player in &self.players {
            exists.extend(set_aside(&player.directory).into_iter().map(|content| (content, "set aside")));
        }
        let destroyed: BTreeSet<&String> = self.players.iter().flat_map(|player| &player.destroyed).collect();
        let written: Vec<&String> = self.players.iter().flat_map(|player| &player.written).collect();
        for content in &written {
            assert!(exists.contains_key(*content) || destroyed.contains(content), "'{content}' is lost");
        }
        assert!(written.len() > 100, "{} versions are no race", written.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_race_of_two_workspaces_loses_no_version_reports_every_conflict_and_converges() {
    Race::new(11, Pushes::Together).run(200, Mishap::None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_race_loses_no_version_if_one_workspace_loses_its_records_or_its_disk() {
    Race::new(12, Pushes::Together).run(200, Mishap::Losses).await;
}

/// Another workspace that deletes an object right after it was listed.
struct Deleter(Arc<World>, AtomicBool);

impl Observer for Deleter {
    fn event(&self, event: &Event<'_>) {
        if matches!(event, Event::Started(_)) && !self.1.swap(true, Ordering::Relaxed) {
            self.0.server.remove(BUCKET, &format!("{PREFIX}a"));
        }
    }
}

#[tokio::test]
async fn what_another_workspace_changes_meanwhile_is_decided_again() {
    let world = Arc::new(World::with(&[("a", "1"), ("b", "1")]));
    let builder = world.builder(world.path("one"));
    assert!(world.workspace("one").pull().await.unwrap().success);
    let one = builder.observer(Deleter(world.clone(), AtomicBool::new(false))).open().unwrap();
    fs::write(one.path().join("a"), "2").unwrap();
    let report = one.push().await.unwrap();
    assert!(report.success && report.errors.is_empty(), "{report:?}");
    assert_eq!(world.objects(), pairs(&[("a", "2"), ("b", "1")]), "the change wins");

    // The same for an object that a pull fetches: it is gone, and so is the file.
    world.put("a", "3");
    let builder = world.builder(world.path("one"));
    let one = builder.observer(Deleter(world.clone(), AtomicBool::new(false))).open().unwrap();
    let report = one.pull().await.unwrap();
    assert!(report.success && report.errors.is_empty(), "{report:?}");
    assert_eq!(files(one.path()), pairs(&[("b", "1")]));
}

/// Without conditions, two writes at the same moment cannot be told apart by any client. So the pushes take turns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_race_loses_no_version_on_a_server_without_conditional_writes() {
    for (seed, writes) in [(13, ConditionalWrites::Ignored), (14, ConditionalWrites::Refused)] {
        let race = Race::new(seed, Pushes::InTurn);
        race.world.server.configure(|settings| settings.conditional_writes = writes);
        race.run(100, Mishap::None).await;
    }
}
