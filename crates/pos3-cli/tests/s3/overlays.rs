//! Outputs that an overlay file system has in its lower layer, as the image of a container does. The first write copies a
//! directory or a file to the upper layer, which changes the time of its creation.

use super::Cloud;
use super::mounts::{files, shell};
use super::run::stored;
use crate::program::Ended;

/// Where the lower layer is, and the options of the overlay. If the layers are on different file systems, a file may have
/// another device and another inode after it was copied.
const OVERLAYS: [(&str, &str); 3] = [("layers/low", ""), ("low", "xino=off,"), ("low", "xino=on,")];

/// Runs a script in an overlay, whose lower layer the script `image` makes in the current directory.
fn run_in((low, options): (&str, &str), image: &str, cloud: &Cloud, script: &str) -> Option<Ended> {
    let script = format!(
        "mkdir layers; mount -t tmpfs tmpfs layers; mkdir -p {low} layers/up layers/work layers/merged; \
         (cd {low}; {image}); sleep .05; \
         mount -t overlay overlay -o userxattr,{options}lowerdir={low},upperdir=layers/up,workdir=layers/work layers/merged; \
         cd layers/merged; POS3_CACHE_ROOT=$PWD/cache; export POS3_CACHE_ROOT; {script}"
    );
    shell(cloud, &script)
}

#[test]
fn an_output_in_the_image_of_a_container_is_uploaded() {
    let image = "mkdir -p cache/_/data/v/sub; echo old > cache/_/data/v/sub/f; echo old > cache/_/data/v/g";
    for overlay in OVERLAYS {
        for way in ["--upload o=s3://data/v", "--sync o=s3://data/v", "--upload o=s3://data/v --delete-remote"] {
            let cloud = Cloud::new(&[]);
            let script = format!(
                "pos3 run {way} -- sh -c 'echo 1 > $POS3_PATH_O/sub/f; echo 1 > $POS3_PATH_O/r'; \
                 pos3 run {way} -- sh -c 'echo 2 > $POS3_PATH_O/sub/f; echo 2 > $POS3_PATH_O/r'; ls cache/.pos3-unsaved"
            );
            let Some(ended) = run_in(overlay, image, &cloud, &script) else { return };
            assert_eq!((ended.code, ended.out.as_str()), (Some(0), ""), "{overlay:?} {way} {ended:?}");
            assert_eq!(files(&cloud), ["v/g", "v/r", "v/sub/f"], "{overlay:?} {way} {ended:?}");
            assert_eq!(stored(&cloud, "v/sub/f").as_deref(), Some("2\n"), "{overlay:?} {way}");
        }
    }
}

#[test]
fn an_output_of_one_file_in_the_image_of_a_container_is_uploaded() {
    let image = "mkdir -p cache/_/data; echo old > cache/_/data/v";
    for overlay in OVERLAYS {
        for way in ["--upload-file o=s3://data/v", "--sync-file o=s3://data/v", "--upload o=s3://data/v"] {
            for write in ["echo new > $POS3_PATH_O", "echo new > t; mv t $POS3_PATH_O"] {
                let cloud = Cloud::new(&[]);
                let script = format!("pos3 run {way} -- sh -c '{write}'; ls cache/.pos3-unsaved");
                let Some(ended) = run_in(overlay, image, &cloud, &script) else { return };
                assert_eq!((ended.code, ended.out.as_str()), (Some(0), ""), "{overlay:?} {way} {write} {ended:?}");
                assert_eq!(stored(&cloud, "v").as_deref(), Some("new\n"), "{overlay:?} {way} {write}");
            }
        }
    }
}

#[test]
fn an_older_copy_above_an_output_in_the_image_of_a_container_replaces_nothing() {
    let image = "mkdir -p cache/_/data/v; echo old > cache/_/data/v/f";
    for overlay in OVERLAYS {
        for swap in ["mv cache keep; mv old cache", "rm -r cache/_/data; cp -r old/_/data cache/_"] {
            let cloud = Cloud::new(&[]);
            let script = format!(
                "cp -a cache old; pos3 run -q --upload o=s3://data/v -- sh -c 'echo new > $POS3_PATH_O/f'; \
                 pos3 run -q --upload o=s3://data/v -- sh -c '{swap}' || echo $?"
            );
            let Some(ended) = run_in(overlay, image, &cloud, &script) else { return };
            assert_eq!((ended.code, ended.out.as_str()), (Some(0), "1\n"), "{overlay:?} {swap} {ended:?}");
            assert!(ended.err.contains("another directory than at the start"), "{overlay:?} {swap} {ended:?}");
            assert_eq!(stored(&cloud, "v/f").as_deref(), Some("new\n"), "{overlay:?} {swap}");
        }
    }
}

#[test]
fn a_file_that_is_only_copied_between_the_layers_replaces_nothing() {
    let image = "mkdir -p cache/_/data/v; echo old > cache/_/data/v/f";
    for overlay in OVERLAYS {
        for touch in ["chmod 600 $f", ": >> $f", "mv $f $f.away; mv $f.away $f"] {
            let cloud = Cloud::new(&[]).with_objects(&[("v/f", "theirs")]);
            let script = format!("pos3 run -q --upload o=s3://data/v -- sh -c 'f=$POS3_PATH_O/f; {touch}' || echo $?");
            let Some(ended) = run_in(overlay, image, &cloud, &script) else { return };
            assert_eq!((ended.code, ended.out.as_str()), (Some(0), "1\n"), "{overlay:?} {touch} {ended:?}");
            assert_eq!(stored(&cloud, "v/f").as_deref(), Some("theirs"), "{overlay:?} {touch} {ended:?}");
        }
    }
}
