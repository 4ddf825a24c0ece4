//! A file that is continuously rewritten during its upload.

use std::fs;
use std::io::{Seek, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{BUCKET, Cloud};

const SIZE: usize = 64 << 20;

#[test]
fn a_file_that_is_rewritten_in_a_loop_is_never_torn() {
    let cloud = Cloud::new(&[("d/quiet", "x")]);
    let path = cloud.program.path("d/busy");
    fs::write(&path, vec![0; SIZE]).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (path, stop) = (path.clone(), stop.clone());
        std::thread::spawn(move || {
            let mut file = fs::File::options().write(true).open(path).unwrap();
            let mut round = 0u8;
            while !stop.load(Ordering::Relaxed) {
                round = round.wrapping_add(1);
                file.rewind().unwrap();
                for _ in 0..SIZE >> 20 {
                    file.write_all(&vec![round; 1 << 20]).unwrap();
                }
            }
        })
    };
    let ended = cloud.run(&["sync", "d", "s3://data/d"]);
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();

    if let Some(stored) = cloud.server.object(BUCKET, "d/busy") {
        assert!(stored.bytes.iter().all(|byte| *byte == stored.bytes[0]), "the object is torn");
    }
    assert!(ended.code == Some(0) || ended.err.contains("it kept changing while it was read"), "{ended:?}");
    assert!(cloud.server.object(BUCKET, "d/quiet").is_some(), "one busy file stopped the others");

    assert_eq!(cloud.run(&["sync", "d", "s3://data/d"]).code, Some(0));
    assert!(cloud.server.object(BUCKET, "d/busy").unwrap().bytes == fs::read(path).unwrap());
    assert_eq!(cloud.server.open_uploads(BUCKET), [""; 0]);
}
