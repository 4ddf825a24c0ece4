//! Keys are listed in the order of their bytes, whatever their names.

use std::collections::BTreeSet;
use std::fs;

use pos3_core::{Key, ListOptions};
use proptest::prelude::*;

use crate::World;

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "a",
            "a-",
            "a.",
            "a0",
            "a b",
            "A",
            "b",
            "é",
            "e\u{301}",
            "日本",
            "🦀",
            "-",
            "~",
            "line\nbreak",
            "back\\slash",
            "\u{1}",
            "a!",
            "a\u{7f}",
        ])
        .prop_map(str::to_owned),
        "[a-c./!\u{e9}]{1,3}".prop_map(|name| name.replace('/', "0").replace('.', "-")),
    ]
}

fn path() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(name(), 1..5)
}

/// Makes what fits and returns the keys that must be listed, sorted.
fn plant(world: &World, paths: &[Vec<String>]) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for (index, path) in paths.iter().enumerate() {
        let directory = world.path(&path[..path.len() - 1].join("/"));
        let made = if index % 5 == 0 {
            fs::create_dir_all(world.path(&path.join("/"))).map(|()| "/")
        } else {
            fs::create_dir_all(directory).and_then(|()| fs::write(world.path(&path.join("/")), "x")).map(|()| "")
        };
        let whole = if made.is_ok() { path.len() } else { 0 };
        for depth in 1..=path.len() {
            let key = path[..depth].join("/");
            let found = fs::symlink_metadata(world.path(&key));
            if let Ok(found) = found {
                keys.insert(if found.is_dir() { format!("{key}/") } else { key });
            }
        }
        assert!(whole == 0 || keys.contains(&format!("{}{}", path.join("/"), made.unwrap())));
    }
    keys
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn listing_is_the_sorted_keys_for_every_prefix_and_start(
        paths in prop::collection::vec(path(), 1..40), pick in any::<prop::sample::Index>(), cut in 0usize..20,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let world = World::new();
        let keys = plant(&world, &paths);
        let listed = runtime.block_on(world.keys("", ListOptions::default()));
        prop_assert_eq!(&listed, &keys.iter().cloned().collect::<Vec<_>>());

        let picked = keys.iter().nth(pick.index(keys.len())).unwrap();
        let options = ListOptions::default().with_start_after(Key::from(picked.as_str()));
        let after: Vec<_> = keys.iter().filter(|key| *key > picked).cloned().collect();
        prop_assert_eq!(runtime.block_on(world.keys("", options)), after);

        let prefix: String = picked.chars().take(cut).collect();
        let under: Vec<_> = keys.iter().filter(|key| key.starts_with(&prefix) && (!prefix.ends_with('/') || **key != prefix)).cloned().collect();
        let mut listed = runtime.block_on(world.keys(&prefix, ListOptions::default()));
        // The directory that the prefix names exactly is an entry only while it is empty.
        if prefix.ends_with('/') && listed.first() == Some(&prefix) {
            prop_assert!(under.is_empty());
            listed.remove(0);
        }
        prop_assert_eq!(listed, under);
    }
}
