//! The known deviations of third-party servers, each observed there, and the tests that are therefore skipped.

/// A server of others and what is known to be wrong with it.
pub(super) struct Server {
    pub(super) name: &'static str,
    /// Names the environment variable that holds its endpoint.
    pub(super) variable: &'static str,
    /// Clauses of the contract that it fails, and why.
    pub(super) clauses: &'static [(&'static str, &'static str)],
    /// Keys it does not hold exactly, and why.
    pub(super) keys: &'static [(&'static str, &'static str)],
}

pub(super) const SERVERS: [&Server; 3] = [&SEAWEEDFS, &MOTO, &RADOSGW];

pub(super) const SEAWEEDFS: Server = Server {
    name: "SeaweedFS",
    variable: "POS3_TEST_SEAWEEDFS",
    clauses: &[
        ("list_is_in_byte_order", "it lists directory by directory: `a/x` before `a-b`"),
        ("list_start_after", "`start-after=b` omits everything below `b/`"),
    ],
    keys: &[
        ("a//b", "it is stored as `a/b`"),
        ("/lead", "it is stored as `lead`"),
        ("//", "it is stored as a directory, without its content"),
        ("dir/", "it is stored as a directory, without its content"),
        ("c/./d", "it is refused: 400 InvalidRequest"),
        ("c/../d", "it is refused: 400 InvalidRequest"),
        ("../up", "it is refused: 400 InvalidRequest"),
        ("back\\slash", "it is stored as `back/slash`"),
        ("1024 bytes", "a segment of more than 255 bytes is refused: 400 KeyTooLongError"),
    ],
};

pub(super) const MOTO: Server = Server {
    name: "moto",
    variable: "POS3_TEST_MOTO",
    clauses: &[],
    keys: &[("line\nbreak", "its web framework finds no route for a line break: 404")],
};

pub(super) const RADOSGW: Server = Server {
    name: "radosgw",
    variable: "POS3_TEST_RADOSGW",
    clauses: &[("put_expectation", "`If-Match` with the right ETag gets status 412")],
    keys: &[],
};

/// `docs/SERVERS.md` contains the same text.
#[test]
fn every_quirk_is_documented() {
    let document = include_str!("../../../docs/SERVERS.md");
    for server in SERVERS {
        let heading = format!("\n## {}\n", server.name);
        let section = document.split_once(&heading).expect(server.name).1;
        let section = section.split("\n## ").next().unwrap();
        let clauses = server.clauses.iter().map(|(clause, why)| format!("| `{clause}` | {why} |"));
        let keys = server.keys.iter().map(|(key, why)| format!("| key `{}` | {why} |", key.escape_debug()));
        let rows = section.lines().filter(|line| line.starts_with("| `") || line.starts_with("| key `"));
        assert_eq!(rows.collect::<Vec<_>>(), clauses.chain(keys).collect::<Vec<_>>(), "{}", server.name);
    }
}
