//! Marks of unsaved output on a file system that is not mounted.

use super::Cloud;
use super::mounts::shell;

#[test]
fn the_mark_of_an_output_on_a_disk_stays_while_the_disk_is_not_mounted() {
    const HERE: &str = "cache/_/data/v";
    const LINK: &str = "mkdir -p cache/_/data disk/out; ln -s ../../../volume/out cache/_/data/v";
    let commands = [
        "pos3 upload s3://data/v",
        "pos3 upload s3://data",
        "pos3 download s3://data/v",
        "pos3 run --upload o=s3://data/v -- true",
        "pos3 run --sync o=s3://data/v -- true",
        "pos3 run --download o=s3://data/v -- true",
    ];
    // The output is the disk, lies on it, is reached through a link, or has the disk inside.
    for (at, prepare, file) in [
        (HERE, "true", "r"),
        ("cache/_/data", "mkdir -p disk/v cache/_/data/v", "r"),
        ("volume", LINK, "r"),
        ("cache/_/data/v/inside", "true", "inside/r"),
    ] {
        // An upload of the directory above a link fails, because it does not upload what the link leads to.
        let commands = commands.iter().filter(|command| prepare != LINK || !command.ends_with("s3://data"));
        for command in commands {
            let cloud = Cloud::new(&[]).with_objects(&[("v/seed", "1")]);
            let script = format!(
                "mkdir -p disk {at}; mount -t tmpfs tmpfs disk; {prepare}; mount --bind disk {at}; \
                 pos3 run -q --upload o=s3://data/v --interval none -- sh -c 'echo ours > $POS3_PATH_O/{file}; exit 3' \
                 || test $? = 3; umount {at}; {command} >&2 || echo failed >&2; \
                 echo others > o; pos3 upload s3://data/v/{file} --local o -q; mount --bind disk {at}; \
                 cat {HERE}/{file}; pos3 download s3://data/v -q || cat {HERE}/{file}; \
                 pos3 upload s3://data/v -q; ls cache/.pos3-unsaved"
            );
            let Some(ended) = shell(&cloud, &script) else { return };
            assert_eq!((ended.code, ended.out.as_str()), (Some(0), "ours\nours\n"), "{at} {command} {ended:?}");
            let named = ended.err.matches("does not lead to the file system or directory with the unsaved output");
            assert!(named.count() == 1 || prepare == LINK, "{at} {command} {ended:?}");
        }
    }
}

#[test]
fn the_mark_of_an_output_stays_if_its_disk_is_unmounted_before_the_end() {
    const HERE: &str = "cache/_/data/v";
    let cloud = Cloud::new(&[]);
    let script = format!(
        "mkdir -p disk {HERE}; mount -t tmpfs tmpfs disk; mount --bind disk {HERE}; \
         pos3 run --upload o=s3://data/v --interval none -- \
         sh -c 'echo ours > $POS3_PATH_O/r; umount -l $POS3_PATH_O' || true; \
         echo others > o; pos3 upload s3://data/v/r --local o -q; mount --bind disk {HERE}; \
         cat {HERE}/r; pos3 download s3://data/v -q || cat {HERE}/r"
    );
    let Some(ended) = shell(&cloud, &script) else { return };
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "ours\nours\n"), "{ended:?}");
}
