//! Plan files: written by one run, reviewed, and executed by one or several later runs as far as they are still valid.

use std::fs;

use pos3_tests::server::Operation;

use super::{BUCKET, Cloud};

fn lines(cloud: &Cloud, plan: &str) -> Vec<String> {
    fs::read_to_string(cloud.program.path(plan)).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_plan_is_made_looked_at_and_done() {
    let cloud = Cloud::new(&[("d/new", "1"), ("d/same", "2"), ("d/changed", "33")])
        .with_objects(&[("d/same", "2"), ("d/old", "3")]);
    cloud.server.put(BUCKET, "d/changed", "3");
    let ended = cloud.run(&["plan", "d", "s3://data/d", "--delete", "-o", "plan.jsonl"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.err.contains("to copy    2 files, 3 B\nto delete  1 file\nunchanged  1\n"), "{}", ended.err);
    assert_eq!(lines(&cloud, "plan.jsonl").len(), 4);
    assert_eq!(cloud.server.keys(BUCKET), ["d/changed", "d/old", "d/same"], "a plan touches nothing");

    let shown = cloud.run(&["apply", "plan.jsonl", "-n"]);
    let verbs: Vec<&str> = shown.out.lines().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(verbs, ["(dryrun) upload", "(dryrun) upload", "(dryrun) delete"], "{}", shown.out);
    assert_eq!(cloud.server.keys(BUCKET), ["d/changed", "d/old", "d/same"]);

    // The plan knows its places, whatever the working directory is.
    fs::create_dir(cloud.program.path("elsewhere")).unwrap();
    let mut command = cloud.command(&["apply", "../plan.jsonl", "--json"]);
    let ended = crate::program::Ended::from(command.current_dir(cloud.program.path("elsewhere")).output().unwrap());
    let told: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((ended.code, &told["command"]), (Some(0), &"apply".into()), "{ended:?}");
    assert_eq!((&told["copied"]["files"], &told["deleted"]), (&2.into(), &1.into()));
    assert_eq!(cloud.server.keys(BUCKET), ["d/changed", "d/new", "d/same"]);
    assert_eq!(cloud.server.object(BUCKET, "d/changed").unwrap().bytes, "33");
    let again = cloud.run(&["check", "d", "s3://data/d"]);
    assert_eq!((again.code, again.out.as_str()), (Some(0), ""), "{again:?}");
}

#[test]
fn a_plan_looks_at_the_objects_that_it_deletes_in_one_listing() {
    let cloud = Cloud::new(&[("d/kept", "1")]).with_objects(&[("d/kept", "1")]);
    (0..50).for_each(|number| cloud.server.put(BUCKET, &format!("d/old-{number:02}"), "1"));
    let plan = ["plan", "d", "s3://data/d", "--delete", "--max-delete", "100%", "-o", "plan"];
    assert_eq!(cloud.run(&plan).code, Some(0));
    cloud.server.put(BUCKET, "d/old-07", "2");
    cloud.server.reset_requests();
    let ended = cloud.run(&["apply", "plan"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(cloud.server.keys(BUCKET), ["d/kept", "d/old-07"], "what changed since stays");
    let requests = cloud.server.requests();
    let counted = [Operation::HeadObject, Operation::DeleteObjects].map(|operation| requests.of(operation));
    assert!(counted[0] <= 2 && counted[1] == 1, "{counted:?}");
}

#[test]
fn what_is_stale_is_refused_one_by_one_and_the_rest_is_done() {
    let cloud = Cloud::new(&[("d/fine", "1"), ("d/mine", "1"), ("d/theirs", "1"), ("d/gone", "1")]);
    cloud.server.put(BUCKET, "d/old", "1");
    assert_eq!(cloud.run(&["plan", "d", "s3://data/d", "--delete", "-o", "plan"]).code, Some(0));
    fs::write(cloud.program.path("d/mine"), "2").unwrap();
    fs::remove_file(cloud.program.path("d/gone")).unwrap();
    cloud.server.put(BUCKET, "d/theirs", "precious");
    let ended = cloud.run(&["apply", "plan"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for (key, side) in [("mine", "source"), ("gone", "source"), ("theirs", "target")] {
        let line = ended.err.lines().find(|line| line.contains(&format!("d/{key} to"))).unwrap();
        assert!(line.contains(&format!("the {side} has changed since")), "{line}");
    }
    assert!(ended.err.contains("withheld   1 delete, because not everything was copied"), "{}", ended.err);
    assert!(ended.err.contains("hint: check the changed files"), "{}", ended.err);
    assert_eq!(cloud.server.keys(BUCKET), ["d/fine", "d/old", "d/theirs"]);
    assert_eq!(cloud.server.object(BUCKET, "d/theirs").unwrap().bytes, "precious");
}

#[test]
fn an_object_that_changed_since_the_plan_is_not_deleted() {
    let cloud = Cloud::new(&[("d/keep", "1")]).with_objects(&[("d/keep", "1"), ("d/one", "1"), ("d/two", "1")]);
    assert_eq!(cloud.run(&["plan", "d", "s3://data/d", "--delete", "-o", "plan"]).code, Some(0));
    cloud.server.put(BUCKET, "d/two", "changed");
    let ended = cloud.run(&["apply", "plan"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(cloud.server.keys(BUCKET), ["d/keep", "d/two"]);
}

#[test]
fn three_processes_share_one_plan() {
    let cloud = Cloud::new(&[]);
    fs::create_dir_all(cloud.program.path("d")).unwrap();
    for number in 0..120 {
        fs::write(cloud.program.path(&format!("d/f{number}")), format!("{number}")).unwrap();
        cloud.server.put(BUCKET, &format!("d/old{}/{number}", number % 5), "x");
    }
    let limit = ["--delete", "--max-delete", "100%"];
    assert_eq!(cloud.run(&[&["plan", "d", "s3://data/d", "-o", "plan"], &limit[..]].concat()).code, Some(0));
    cloud.server.reset_requests();
    let runs: Vec<_> = (1..=3)
        .map(|part| {
            let shard = format!("{part}/3");
            let mut command = cloud.command(&["apply", "plan", "--shard", &shard, "--json", "-q"]);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let (mut copied, mut deleted) = (0, 0);
    for run in runs {
        let ended = crate::program::Ended::from(run.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let told: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
        assert!(told["copied"]["files"].as_u64().unwrap() > 20, "the parts are about equal: {told}");
        copied += told["copied"]["files"].as_u64().unwrap();
        deleted += told["deleted"].as_u64().unwrap();
    }
    assert_eq!((copied, deleted), (120, 120));
    assert_eq!(cloud.server.requests().of(Operation::PutObject), 120, "each file was sent once");
    let check = cloud.run(&["check", "d", "s3://data/d"]);
    assert_eq!((check.code, check.out.as_str()), (Some(0), ""), "{check:?}");
}

#[test]
fn a_plan_that_guards_refuse_is_not_written() {
    let cloud = Cloud::new(&[("empty/", "")]).with_objects(&[("d/a", "1")]);
    let ended = cloud.run(&["plan", "empty", "s3://data/d", "--delete", "-o", "plan"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.err.contains("the source is empty"), "{}", ended.err);
    assert!(!cloud.program.path("plan").exists());
    assert_eq!(cloud.run(&["plan", "missing", "s3://data/d", "-o", "plan"]).code, Some(1));
    assert!(!cloud.program.path("plan").exists());
}

#[test]
fn a_plan_is_executed_only_on_the_servers_that_it_was_made_with() {
    let cloud = Cloud::new(&[("d/a", "1")]).with_objects(&[("d/old", "1")]);
    let other = Cloud::new(&[]).with_objects(&[("d/old", "1")]);
    assert_eq!(cloud.run(&["plan", "d", "s3://data/d", "--delete", "-o", "plan"]).code, Some(0));
    assert_eq!(cloud.run(&["plan", "s3://data/d", "down", "-o", "plan-down"]).code, Some(0));
    let host = |endpoint: &str| endpoint.strip_prefix("http://").unwrap().to_owned();
    let (here, there) = (host(&cloud.server.endpoint()), host(&other.server.endpoint()));
    for arguments in [&["apply", "plan"][..], &["apply", "plan", "-n"], &["apply", "plan-down"]] {
        for endpoint in [Some(other.server.endpoint()), None] {
            let mut command = cloud.command(arguments);
            match &endpoint {
                Some(endpoint) => command.env("AWS_ENDPOINT_URL", endpoint),
                None => command.env_remove("AWS_ENDPOINT_URL"),
            };
            let ended = crate::program::Ended::from(command.output().unwrap());
            assert_eq!((ended.code, ended.out.as_str()), (Some(4), ""), "{arguments:?} {ended:?}");
            let found = if endpoint.is_some() { &there } else { "s3.amazonaws.com" };
            let named = format!(
                "the plan was made with 's3://data/d' on the server {here}, and the settings of this run name {found}\nhint: "
            );
            assert!(ended.err.contains(&named), "{}", ended.err);
        }
    }
    assert_eq!((other.server.keys(BUCKET), cloud.server.keys(BUCKET)), (vec!["d/old".into()], vec!["d/old".into()]));
    let same = format!("{}/", cloud.server.endpoint());
    let mut command = cloud.command(&["apply", "plan"]);
    let ended = crate::program::Ended::from(command.env("AWS_ENDPOINT_URL", same).output().unwrap());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(cloud.server.keys(BUCKET), ["d/a"]);
}

#[test]
fn a_plan_is_not_executed_where_its_profile_names_another_server() {
    let cloud = Cloud::new(&[("d/a", "1")]);
    let other = Cloud::new(&[]);
    let run = |arguments: &[&str], endpoint: &str| {
        let profiles = format!("[profiles.lab]\nendpoint = \"{endpoint}\"\nregion = \"us-east-1\"\n");
        fs::write(cloud.program.path("profiles.toml"), profiles).unwrap();
        let mut command = cloud.command(arguments);
        command.env("POS3_PROFILES_FILE", cloud.program.path("profiles.toml"));
        crate::program::Ended::from(command.output().unwrap())
    };
    let planned = run(&["plan", "d", "s3://data/d", "--profile", "lab", "-o", "plan"], &cloud.server.endpoint());
    assert_eq!(planned.code, Some(0), "{planned:?}");
    let ended = run(&["apply", "plan"], &other.server.endpoint());
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.err.contains("the plan was made with 's3://lab@data/d' on the server "), "{}", ended.err);
    assert_eq!(run(&["apply", "plan"], &cloud.server.endpoint()).code, Some(0));
    assert_eq!((other.server.keys(BUCKET), cloud.server.keys(BUCKET)), (vec![], vec!["d/a".into()]));
}

#[test]
fn a_plan_of_an_earlier_version_is_refused_with_advice() {
    let cloud = Cloud::new(&[("d/a", "1")]);
    let line = r#"{"format":"pos3-plan","version":1,"source":"/d","target":"s3://data/d","follow_symlinks":false,"delete":false,"created":"2026-01-01T00:00:00Z","options":"","source_entries":1,"target_files":0,"unchanged":0,"extra":0,"warnings":[],"actions":0}"#;
    fs::write(cloud.program.path("old"), format!("{line}\n")).unwrap();
    let ended = cloud.run(&["apply", "old"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let told = "it is a plan of version 1; this program reads versions 2 and 3\nhint: make the plan again";
    assert!(ended.err.contains(told), "{}", ended.err);
    assert_eq!(cloud.run(&["plan", "d", "s3://data/d", "-o", "old"]).code, Some(0), "it is replaced");
}

#[test]
fn a_file_that_the_filter_of_a_plan_excludes_is_no_file_of_its_source() {
    let cloud = Cloud::new(&[("list", "*.tmp\n")]);
    for (number, filter) in [["--exclude", "*.tmp"], ["--exclude-from", "list"]].iter().enumerate() {
        let [source, target] = ["src", "out"].map(|name| format!("{name}{number}"));
        for file in [format!("{source}/a"), format!("{target}/a"), format!("{target}/old")] {
            fs::create_dir_all(cloud.program.path(&file).parent().unwrap()).unwrap();
            fs::write(cloud.program.path(&file), "1").unwrap();
        }
        let plan = [&["plan", &source, &target, "--delete", "-o", "plan"][..], filter].concat();
        assert_eq!(cloud.run(&plan).code, Some(0));
        fs::remove_file(cloud.program.path(&format!("{source}/a"))).unwrap();
        fs::write(cloud.program.path(&format!("{source}/b.tmp")), "1").unwrap();
        let ended = cloud.run(&["apply", "plan"]);
        assert_eq!(ended.code, Some(4), "{ended:?}");
        assert!(ended.err.contains("there is no file at the source"), "{}", ended.err);
        assert_eq!(cloud.program.files(&target).len(), 2);
    }
}

#[test]
fn a_plan_that_was_cut_or_changed_does_nothing() {
    let cloud = Cloud::new(&[]).with_objects(&[("d/a", "1"), ("d/b", "2")]);
    assert_eq!(cloud.run(&["plan", "s3://data/d", "out", "-o", "plan"]).code, Some(0));
    let whole = fs::read_to_string(cloud.program.path("plan")).unwrap();
    let refused = |text: &str, expected: &str| {
        fs::write(cloud.program.path("changed"), text).unwrap();
        let ended = cloud.run(&["apply", "changed"]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(4), ""), "{ended:?}");
        assert!(ended.err.contains(expected), "{}", ended.err);
        assert!(!cloud.program.path("out").exists() && !cloud.program.path("up").exists(), "nothing was made");
        let (code, told) = cloud.json(&["apply", "changed"]);
        assert_eq!((code, told["exit_code"].as_i64()), (4, Some(4)));
        assert!(told["error"]["message"].as_str().unwrap().contains(expected), "{told}");
        let has_hint = told["error"]["hint"].as_str().is_some_and(|hint| hint.starts_with("make "));
        assert_eq!(has_hint, !expected.contains("not a plan"), "{told}");
    };
    let last = whole.trim_end().rsplit_once('\n').unwrap().0;
    refused(last, "'changed': it is truncated: it has 1 of 2 actions");
    refused(&whole[..whole.len() - 20], "line 3: it is truncated");
    refused(&format!("{whole}\n"), "line 4: it is empty, so the plan was changed after it was written");
    refused(&whole.replace("\"key\":\"b\"", "\"key\":\"../up\""), "line 3: the target cannot store '../up'");
    let elsewhere = cloud.program.path("up");
    let target = cloud.program.path("out");
    let (target, elsewhere) = (target.to_str().unwrap(), elsewhere.to_str().unwrap());
    let edited = "it was changed after it was written: its checksum is wrong";
    refused(&whole.replace(target, elsewhere), edited);
    let shorter = format!("{last}\n").replace("\"actions\":2", "\"actions\":1");
    refused(&shorter, edited);
    refused("hello\n", "it is not a plan");
    refused(
        &whole.replace("\"version\":3", "\"version\":9"),
        "it is a plan of version 9; this program reads versions 2 and 3",
    );
    let ended = cloud.run(&["apply", "no-such-file"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(cloud.run(&["apply", "plan", "--shard", "3/2"]).code, Some(2));
}

#[test]
fn a_plan_goes_through_a_pipe() {
    let cloud = Cloud::new(&[("d/a", "1")]);
    let plan = cloud.run(&["plan", "d", "s3://data/d", "-q"]);
    assert!(plan.out.starts_with("{\"format\":\"pos3-plan\",\"version\":3,"), "{plan:?}");
    fs::write(cloud.program.path("piped"), &plan.out).unwrap();
    let mut command = cloud.command(&["apply", "-"]);
    command.stdin(fs::File::open(cloud.program.path("piped")).unwrap());
    assert_eq!(command.output().unwrap().status.code(), Some(0));
    assert_eq!(cloud.server.keys(BUCKET), ["d/a"]);
    assert_eq!(cloud.run(&["plan", "d", "s3://data/d", "--json"]).code, Some(2), "two things for one stdout");
}
