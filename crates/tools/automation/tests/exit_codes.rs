//! A failure stays one: plays whose failing blocks end in `always`, with and without `--force-handlers`. The reference
//! ends each with the code that stands beside it.

use std::ffi::OsString;

const PLAYS: &[(&str, i32, &str)] = &[
    ("a failure", 2, "[{command: /bin/false}]"),
    ("through always", 2, "[{block: [{command: /bin/false}], always: [{debug: {msg: a}}]}]"),
    (
        "of a block inside, through always",
        2,
        "[{block: [{block: [{command: /bin/false}]}], always: [{debug: {msg: a}}]}]",
    ),
    ("rescued", 0, "[{block: [{block: [{command: /bin/false}]}], rescue: [{debug: {msg: a}}]}]"),
    (
        "of rescue",
        2,
        "[{block: [{command: /bin/false}], rescue: [{command: /bin/false}], always: [{debug: {msg: a}}]}]",
    ),
    (
        "rescued after always",
        0,
        "[{block: [{block: [{command: /bin/false}], always: [{debug: {msg: a}}]}], rescue: [{debug: {msg: b}}]}]",
    ),
];

#[test]
fn failures_stay_failures() {
    let directory = tempfile::tempdir().unwrap();
    for (name, expected, tasks) in PLAYS {
        let path = directory.path().join("play.yml");
        std::fs::write(&path, format!("[{{hosts: localhost, gather_facts: false, tasks: {tasks}}}]\n"))
            .unwrap();
        for forced in [false, true] {
            let mut arguments: Vec<OsString> =
                ["-i", "localhost,", "-c", "local"].into_iter().map(Into::into).collect();
            if forced {
                arguments.push("--force-handlers".into());
            }
            arguments.push(path.clone().into());
            let code = pileus_automation::cli::main("ansible-playbook", &arguments);
            assert_eq!(code, *expected, "{name}, handlers forced: {forced}");
        }
    }
}
