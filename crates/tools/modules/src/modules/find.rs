//! `find`: files below directories by name, content, age, size, mode and type.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;

use serde_json::Value;

use super::file::glob;
use crate::cx::Cx;
use crate::map;
use crate::re::{Flags, Regex};
use crate::result::{Fail, Map, Reply};
use crate::sys::{clock, hash, path};

struct Wanted {
    patterns: Vec<String>,
    excludes: Vec<String>,
    regexes: Vec<Regex>,
    exclude_regexes: Vec<Regex>,
    use_regex: bool,
    contains: Option<Regex>,
    whole: bool,
    kind: String,
    age: Option<i64>,
    stamp: String,
    size: Option<i64>,
    hidden: bool,
    follow: bool,
    mode: Value,
    exact_mode: bool,
    now: i64,
}

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let wanted = wanted(cx)?;
    let checksum = cx.bool("get_checksum").then(|| cx.string("checksum_algorithm"));
    let (recurse, depth) = (cx.bool("recurse"), cx.int("depth"));
    let limit = cx.int("limit").filter(|l| *l > 0).map(|l| l as usize);
    let (mut files, mut skipped, mut examined) = (Vec::new(), Map::new(), 0usize);
    'paths: for given in cx.list("paths") {
        let base = path::expand(&given);
        if !fs::metadata(&base).is_ok_and(|m| m.is_dir()) {
            let why = format!("'{base}' is not a directory");
            cx.warn(format!("Skipped '{base}' path due to this access issue: {why}\n"));
            skipped.insert(base, why.into());
            continue;
        }
        // Breadth first, as a walk from the top: a directory's entries, then its directories.
        let mut queue = std::collections::VecDeque::from([(base.clone(), 1i64)]);
        while let Some((dir, level)) = queue.pop_front() {
            let entries = match fs::read_dir(&dir) {
                Ok(entries) => entries,
                Err(e) => {
                    let why = crate::result::os_error(&e, Some(&dir));
                    cx.warn(format!("Skipped '{dir}' path due to this access issue: {why}\n"));
                    skipped.insert(dir, why.into());
                    continue;
                }
            };
            let (mut dirs, mut others) = (Vec::new(), Vec::new());
            for entry in entries.flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                let full = path::join(&dir, &name);
                let is_dir = fs::metadata(&full).is_ok_and(|m| m.is_dir());
                if is_dir { dirs.push((name, full)) } else { others.push((name, full)) }
            }
            examined += dirs.len() + others.len();
            for (name, full) in others.iter().chain(&dirs) {
                let read = if wanted.follow { fs::metadata(full) } else { fs::symlink_metadata(full) };
                let Ok(meta) = read.or_else(|_| fs::symlink_metadata(full)) else { continue };
                if wanted.matches(name, full, &meta) {
                    files.push(Value::Object(fields(
                        full,
                        &meta,
                        checksum.as_deref().filter(|_| meta.is_file()),
                    )));
                    if limit.is_some_and(|l| files.len() >= l) {
                        break 'paths;
                    }
                }
            }
            if recurse && depth.is_none_or(|d| d <= 0 || level < d) {
                for (name, full) in dirs.into_iter().rev() {
                    let link = fs::symlink_metadata(&full).is_ok_and(|m| m.is_symlink());
                    if (wanted.hidden || !name.starts_with('.')) && (wanted.follow || !link) {
                        queue.push_front((full, level + 1));
                    }
                }
            }
        }
    }
    let msg = if skipped.is_empty() {
        "All paths examined"
    } else {
        "Not all paths examined, check warnings for details"
    };
    Ok(map! {
        "files" => files, "changed" => false, "msg" => msg, "matched" => files.len(), "examined" => examined,
        "skipped_paths" => skipped,
    })
}

fn wanted(cx: &Cx<'_>) -> Result<Wanted, Fail> {
    let use_regex = cx.bool("use_regex");
    let default = if use_regex { ".*" } else { "*" };
    let mut patterns = cx.list("patterns");
    if patterns.is_empty() {
        patterns.push(default.into());
    }
    let excludes = cx.list("excludes");
    let compile = |all: &[String]| -> Result<Vec<Regex>, Fail> {
        if !use_regex {
            return Ok(Vec::new());
        }
        all.iter().map(|p| Regex::new(p, Flags::default()).map_err(Fail::msg)).collect()
    };
    let age = match cx.text("age") {
        None => None,
        Some(text) => Some(
            amount(&text, &[("s", 1), ("m", 60), ("h", 3600), ("d", 86400), ("w", 604_800)])
                .ok_or_else(|| Fail::msg("failed to process age").with("age", text))?,
        ),
    };
    let size = match cx.text("size") {
        None => None,
        Some(text) => Some(
            amount(&text, &[("b", 1), ("k", 1 << 10), ("m", 1 << 20), ("g", 1 << 30), ("t", 1 << 40)])
                .ok_or_else(|| Fail::msg("failed to process size").with("size", text))?,
        ),
    };
    let contains = match cx.text("contains") {
        Some(pattern) => Some(Regex::new(&pattern, Flags::default()).map_err(Fail::msg)?),
        None => None,
    };
    Ok(Wanted {
        regexes: compile(&patterns)?,
        exclude_regexes: compile(&excludes)?,
        patterns,
        excludes,
        use_regex,
        contains,
        whole: cx.bool("read_whole_file"),
        kind: cx.string("file_type"),
        age,
        stamp: cx.string("age_stamp"),
        size,
        hidden: cx.bool("hidden"),
        follow: cx.bool("follow"),
        mode: cx.raw("mode").clone(),
        exact_mode: cx.bool("exact_mode"),
        now: clock::now().0,
    })
}

/// `-5d`, `10k`: a number with a unit.
fn amount(text: &str, units: &[(&str, i64)]) -> Option<i64> {
    let text = text.to_lowercase();
    let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let factor = match unit {
        "" => 1,
        unit => units.iter().find(|(name, _)| *name == unit)?.1,
    };
    number.trim().parse::<i64>().ok()?.checked_mul(factor)
}

impl Wanted {
    fn matches(&self, name: &str, full: &str, meta: &Metadata) -> bool {
        if name.starts_with('.') && !self.hidden {
            return false;
        }
        let kind = match self.kind.as_str() {
            "any" => true,
            "directory" => meta.is_dir(),
            "link" => fs::symlink_metadata(full).is_ok_and(|m| m.is_symlink()),
            _ => meta.is_file(),
        };
        kind && self.name(name)
            && self.age_fits(meta)
            && self.mode_fits(meta)
            && (self.kind == "directory"
                || self.kind == "link"
                || self.size_fits(meta)
                || self.kind == "any" && meta.is_dir())
            && (self.contains.is_none() || meta.is_file() && self.content(full))
    }

    fn name(&self, name: &str) -> bool {
        let full = |r: &Regex| r.match_at(name.as_bytes(), 0).is_some();
        if self.use_regex {
            return self.regexes.iter().any(full) && !self.exclude_regexes.iter().any(full);
        }
        self.patterns.iter().any(|p| glob::matches(p, name))
            && !self.excludes.iter().any(|p| glob::matches(p, name))
    }

    fn age_fits(&self, meta: &Metadata) -> bool {
        let Some(age) = self.age else { return true };
        let stamp = match self.stamp.as_str() {
            "atime" => meta.atime(),
            "ctime" => meta.ctime(),
            _ => meta.mtime(),
        };
        let old = self.now - stamp;
        if age >= 0 { old >= age } else { old <= age.abs() }
    }

    fn size_fits(&self, meta: &Metadata) -> bool {
        let Some(size) = self.size else { return true };
        let len = meta.len() as i64;
        if size >= 0 { len >= size } else { len <= size.abs() }
    }

    fn mode_fits(&self, meta: &Metadata) -> bool {
        if self.mode.is_null() {
            return true;
        }
        let present = meta.mode() & 0o7777;
        let Ok(wanted) = crate::files::mode::wanted(&self.mode, 0, meta.is_dir(), 0) else { return false };
        if self.exact_mode { present == wanted } else { present & wanted != 0 }
    }

    fn content(&self, full: &str) -> bool {
        let (Some(regex), Ok(bytes)) = (&self.contains, fs::read(full)) else { return false };
        if self.whole {
            return regex.is_match(&bytes);
        }
        super::edit::lines(&bytes).iter().any(|line| regex.match_at(line, 0).is_some())
    }
}

fn fields(full: &str, meta: &Metadata, checksum: Option<&str>) -> Map {
    let mut all = super::stat::fields(full, meta);
    for key in ["exists", "blocks", "block_size", "device_type", "readable", "writeable", "executable"] {
        all.remove(key);
    }
    if let Some(algorithm) = checksum {
        all.insert("checksum".into(), hash::file(algorithm, full).ok().flatten().into());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::amount;

    #[test]
    fn amounts() {
        let units = [("d", 86400), ("w", 604_800)];
        assert_eq!(amount("-2d", &units), Some(-172_800));
        assert_eq!(amount("3", &units), Some(3));
        assert_eq!(amount("xx", &units), None);
    }
}
