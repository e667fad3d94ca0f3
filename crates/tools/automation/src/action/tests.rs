//! Tests and filters of templates that look at files.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Weak};

use pileus_jinja::{Args, Engine, Error, State, Value};

use crate::execute::World;
use crate::source::paths;

fn path(args: &Args) -> Result<String, Error> {
    args.first().to_text()
}

/// Registers them.
pub fn register(engine: &mut Engine, _world: &Weak<World>) {
    type Check = fn(&Path) -> bool;
    let checks: [(&[&str], Check); 6] = [
        (&["exists"], |p| p.exists()),
        (&["file", "is_file"], |p| p.is_file()),
        (&["directory", "is_dir"], |p| p.is_dir()),
        (&["link", "is_link"], |p| p.is_symlink()),
        (&["link_exists"], |p| p.symlink_metadata().is_ok()),
        (&["abs", "is_abs"], |p| p.is_absolute()),
    ];
    for (names, check) in checks {
        for name in names {
            engine.add_test(
                name,
                Arc::new(move |_: &State<'_>, args: Args| Ok(check(Path::new(&path(&args)?)))),
            );
        }
    }
    for name in ["mount", "is_mount"] {
        engine.add_test(
            name,
            Arc::new(|_: &State<'_>, args: Args| {
                let p = path(&args)?;
                let (Ok(here), Ok(up)) =
                    (std::fs::symlink_metadata(&p), std::fs::symlink_metadata(format!("{p}/..")))
                else {
                    return Ok(false);
                };
                Ok(!here.is_symlink() && (here.dev() != up.dev() || here.ino() == up.ino()))
            }),
        );
    }
    for name in ["same_file", "is_same_file"] {
        engine.add_test(
            name,
            Arc::new(|_: &State<'_>, args: Args| {
                let (a, b) = (path(&args)?, args.pos.get(1).cloned().unwrap_or_default().to_text()?);
                let (Ok(a), Ok(b)) = (std::fs::metadata(&a), std::fs::metadata(&b)) else { return Ok(false) };
                Ok(a.dev() == b.dev() && a.ino() == b.ino())
            }),
        );
    }
    engine.add_filter(
        "expanduser",
        Arc::new(|_: &State<'_>, args: Args| Ok(Value::from(paths::expand_user(&path(&args)?)))),
    );
    engine.add_filter(
        "expandvars",
        Arc::new(|_: &State<'_>, args: Args| Ok(Value::from(paths::expand_vars(&path(&args)?)))),
    );
    engine.add_filter(
        "realpath",
        Arc::new(|_: &State<'_>, args: Args| {
            let p = path(&args)?;
            let full =
                std::fs::canonicalize(&p).map_or_else(|_| paths::unfrack(&p), |p| p.display().to_string());
            Ok(Value::from(full))
        }),
    );
    engine.add_filter(
        "fileglob",
        Arc::new(|_: &State<'_>, args: Args| {
            let p = path(&args)?;
            let (dir, pattern) = p.rsplit_once('/').unwrap_or((".", &p));
            let found: Vec<String> = std::fs::read_dir(if dir.is_empty() { "/" } else { dir })
                .into_iter()
                .flatten()
                .flatten()
                .filter(|e| e.path().is_file())
                .filter_map(|e| e.file_name().into_string().ok())
                .filter(|n| crate::lookup::glob(pattern, n))
                .map(|n| if p.contains('/') { format!("{dir}/{n}") } else { n })
                .collect();
            Ok(Value::list(found.into_iter().map(Value::from).collect()))
        }),
    );
}
