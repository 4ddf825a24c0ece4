use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use crate::program::{Ended, Program};

const EMPTY_LISTING: &str = "<ListBucketResult><Name>bucket</Name><Prefix></Prefix><KeyCount>0</KeyCount>\
                             <MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>";

/// Starts a server that lists nothing and never responds to a PUT, but reports each PUT to the test.
pub(crate) fn stuck_server() -> (String, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (put, puts) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let put = put.clone();
            thread::spawn(move || {
                let mut stream = stream.unwrap();
                if request(&mut stream).starts_with("PUT ") {
                    put.send(()).unwrap();
                    // Until the client goes away.
                    let _ = stream.read_to_end(&mut Vec::new());
                } else {
                    let length = EMPTY_LISTING.len();
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                    stream.write_all((head + EMPTY_LISTING).as_bytes()).unwrap();
                }
            });
        }
    });
    (url, puts)
}

fn request(stream: &mut TcpStream) -> String {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut first = String::new();
    reader.read_line(&mut first).unwrap();
    let mut line = first.clone();
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    first
}

pub(crate) fn upload(program: &Program, url: &str) -> Child {
    program
        .command(&["sync", "from", "s3://bucket", "--json", "--endpoint-url", url])
        .env("AWS_ACCESS_KEY_ID", "id")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

pub(crate) fn kill(signal: &str, child: &Child) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn the_second_signal_ends_at_once_with_its_code() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let program = Program::new().with(&[("from/a", "1")]);
        let (url, puts) = stuck_server();
        let mut child = upload(&program, &url);
        puts.recv().unwrap();

        kill(signal, &child);
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let mut told = String::new();
        while !told.contains("ending: waiting for the transfers in flight") {
            assert_ne!(err.read_line(&mut told).unwrap(), 0, "{told}");
        }
        kill(signal, &child);
        // The same signal again within a second is no second one.
        thread::sleep(Duration::from_millis(1200));
        assert_eq!(child.try_wait().unwrap(), None, "it waits for the copy in flight");

        kill(signal, &child);
        assert_eq!(child.wait().unwrap().code(), Some(code));
    }
}

#[test]
fn the_first_signal_ends_in_good_order_with_its_code() {
    // A listing that never comes: nothing is in flight that would have to be waited for.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let program = Program::new().with(&[("from/a", "1")]);
        let child = upload(&program, &url);
        let connection = listener.accept().unwrap();

        kill(signal, &child);
        let ended = Ended::from(child.wait_with_output().unwrap());
        drop(connection);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.err.contains("error: ended by a signal; nothing more was deleted\n"), "{}", ended.err);
        let object: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!(object["exit_code"], code);
        assert_eq!(object["error"]["message"], "ended by a signal; nothing more was deleted");
    }
}
