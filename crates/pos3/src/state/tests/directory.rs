//! The directory of the databases, and what other users can put there.

use super::*;

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_an_error_that_names_it() {
    let world = World::new();
    fs::write(world.root.path().join("state"), "a file").unwrap();
    let error = world.try_open("a", "b").await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot use '{}'", world.directory.path().display()));
}

#[tokio::test]
async fn looking_for_a_memory_makes_none() {
    let world = World::new();
    let (from, to) = (world.location("a"), world.location("b"));
    let look =
        async || State::open_existing(&world.directory, &Registry::default(), &from, &to, Wait::Fail).await.unwrap();
    assert!(look().await.is_none());
    assert!(!world.directory.path().exists());
    drop(world.open("b", "a").await);
    assert!(look().await.is_some());
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_their_owners_alone_also_in_a_directory_that_is_open_to_others() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    fs::create_dir_all(world.directory.path()).unwrap();
    fs::set_permissions(world.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let state = world.open("a", "b").await;
    set(&state, ["a".to_owned()]).await;
    let files: Vec<_> = fs::read_dir(world.directory.path()).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{file:?}");
    }
}

/// Creates something at a path.
type Plant<'a> = &'a dyn Fn(&std::path::Path);

/// Creates something at the paths of both files of the pair.
fn plant(world: &World, plant: impl Fn(&std::path::Path)) {
    let names: Vec<_> = fs::read_dir(world.directory.path()).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    for name in names {
        fs::remove_file(&name).unwrap();
        plant(&name);
    }
}

#[tokio::test]
async fn what_others_plant_in_the_state_directory_is_left_as_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let victim = world.root.path().join("victim");
    let plants: &[(&str, Plant<'_>)] = &[
        ("a symbolic link", &|name| std::os::unix::fs::symlink(&victim, name).unwrap()),
        ("a second hard link", &|name| fs::hard_link(&victim, name).unwrap()),
        // `mkfifo` is called directly: a child process would inherit the locks of other tests for a moment.
        #[cfg(target_os = "linux")]
        ("not a regular file", &|name| {
            rustix::fs::mkfifoat(rustix::fs::CWD, name, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
        }),
        ("other users can write to it", &|name| {
            fs::write(name, "precious").unwrap();
            fs::set_permissions(name, fs::Permissions::from_mode(0o666)).unwrap();
        }),
        ("cannot use", &|name| fs::create_dir(name).unwrap()),
    ];
    for (what, planting) in plants {
        drop(world.open("a", "b").await);
        fs::write(&victim, "precious").unwrap();
        plant(&world, planting);
        let error = world.try_open("a", "b").await.unwrap_err();
        assert!(pos3_core::one_line(&error).contains(what), "{what}: {error}");
        assert!(matches!(error, Error::State(StateError::Unsafe { .. } | StateError::Io { .. })), "{what}: {error:?}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious", "{what}");
        fs::remove_dir_all(world.directory.path()).unwrap();
    }
}

#[tokio::test]
async fn a_state_directory_that_others_can_write_to_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    for (mode, is_used) in [(0o777, false), (0o770, false), (0o1777, true), (0o755, true), (0o700, true)] {
        let world = World::new();
        fs::create_dir_all(world.directory.path()).unwrap();
        fs::set_permissions(world.directory.path(), fs::Permissions::from_mode(mode)).unwrap();
        let opened = world.try_open("a", "b").await;
        assert_eq!(opened.is_ok(), is_used, "{mode:o}: {opened:?}");
        assert_eq!(fs::read_dir(world.directory.path()).unwrap().count(), if is_used { 2 } else { 0 });
    }
}
