use serde_json::{Value, json};

use crate::{Call, Map, run};

fn call(args: Value, check: bool) -> Map {
    let Value::Object(args) = args else { panic!("an object") };
    let mut call = Call::new("file", args);
    call.check = check;
    run(call)
}

fn room() -> String {
    let dir = std::env::temp_dir().join(format!("pileus-file-{}", crate::files::write::unique()));
    std::fs::create_dir(&dir).unwrap();
    dir.to_string_lossy().into_owned()
}

#[test]
fn directory_touch_mode_and_absent() {
    let dir = room();
    let sub = format!("{dir}/a/b");
    assert_eq!(call(json!({"path": sub, "state": "directory", "mode": "0750"}), true)["changed"], true);
    assert!(!std::path::Path::new(&sub).exists());
    let made = call(json!({"path": sub, "state": "directory", "mode": "0750"}), false);
    assert_eq!((&made["changed"], &made["mode"]), (&true.into(), &"0750".into()));
    assert_eq!(call(json!({"path": sub, "state": "directory", "mode": "0750"}), false)["changed"], false);
    let file = format!("{sub}/f");
    assert_eq!(call(json!({"path": file, "state": "touch", "mode": "u=rw,g=,o="}), false)["mode"], "0600");
    assert_eq!(
        call(json!({"path": file, "state": "directory"}), false)["msg"],
        format!("{file} already exists as a file")
    );
    let gone = call(json!({"path": dir, "state": "absent"}), false);
    assert_eq!((&gone["changed"], &gone["state"]), (&true.into(), &"absent".into()));
    assert!(!std::path::Path::new(&dir).exists());
}

#[test]
fn links_are_made_and_kept() {
    let dir = room();
    let (file, link, hard) = (format!("{dir}/f"), format!("{dir}/l"), format!("{dir}/h"));
    let missing = call(json!({"path": link, "src": file, "state": "link"}), false);
    assert!(missing["msg"].as_str().unwrap().starts_with("src file does not exist, use 'force=yes'"));
    std::fs::write(&file, "x").unwrap();
    assert_eq!(call(json!({"path": link, "src": file, "state": "link"}), false)["changed"], true);
    assert_eq!(call(json!({"path": link, "src": file, "state": "link"}), false)["changed"], false);
    assert_eq!(call(json!({"path": hard, "src": file, "state": "hard"}), false)["state"], "hard");
    assert_eq!(call(json!({"path": hard, "src": file, "state": "hard"}), false)["changed"], false);
    std::fs::remove_dir_all(&dir).unwrap();
}
