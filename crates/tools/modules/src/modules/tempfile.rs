//! `tempfile`: a new file or directory with a name nobody else has.

use std::os::unix::fs::DirBuilderExt;

use crate::cx::Cx;
use crate::files::write::{temp_in, unique};
use crate::map;
use crate::result::{Fail, Reply, os_error};
use crate::sys::path;

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let (prefix, suffix) = (cx.string("prefix"), cx.string("suffix"));
    for (name, value) in [("prefix", &prefix), ("suffix", &suffix)] {
        if value.contains('/') {
            let shown = crate::py::repr_str(value);
            return Err(Fail::msg(format!("{name} must be a valid file name component, got {shown}")));
        }
    }
    let dir = match cx.text("path") {
        Some(dir) => dir,
        None => ["TMPDIR", "TEMP", "TMP"]
            .iter()
            .filter_map(|name| cx.env(name))
            .find(|dir| std::path::Path::new(dir).is_dir())
            .unwrap_or_else(|| "/tmp".into()),
    };
    let made = if cx.string("state") == "directory" {
        let name = path::join(&dir, &format!("{prefix}{}{suffix}", unique()));
        std::fs::DirBuilder::new().mode(0o700).create(&name).map(|()| name)
    } else {
        temp_in(&dir, &prefix, &suffix).map(|(name, _)| name)
    };
    match made {
        Ok(name) => Ok(map! {"changed" => true, "path" => name}),
        Err(e) => Err(Fail::msg(os_error(&e, Some(&dir)))),
    }
}

#[cfg(test)]
mod tests {
    use crate::{Call, run};

    #[test]
    fn names_modes_and_places() {
        let serde_json::Value::Object(args) = serde_json::json!({"state": "directory", "suffix": ".x"})
        else {
            panic!("an object")
        };
        let result = run(Call::new("tempfile", args));
        let path = result["path"].as_str().expect("a path").to_string();
        assert!(path.contains("/ansible.") && path.ends_with(".x"));
        assert_eq!(result["mode"], "0700");
        std::fs::remove_dir(path).expect("it is there");
    }
}
