//! Differences as the callback shows them.

use crate::display;
use pileus_jinja::Value;

/// The unified differences of a result.
pub fn differences(diff: &Value, added: &str, removed: &str, lines: &str) -> String {
    let mut out = String::new();
    for d in crate::playbook::keyword::items(diff) {
        let text = |k: &str| {
            d.get(k).and_then(|v| match v {
                Value::Dict(_) | Value::List(_) => Some(super::super::json::dumps(&v, Some(4), true) + "\n"),
                other => other.to_text().ok(),
            })
        };
        if d.get("dst_binary").is_some() {
            out.push_str("diff skipped: destination file appears to be binary\n");
        }
        if d.get("src_binary").is_some() {
            out.push_str("diff skipped: source file appears to be binary\n");
        }
        if let Some(n) = text("dst_larger") {
            out.push_str(&format!("diff skipped: destination file size is greater than {n}\n"));
        }
        if let Some(n) = text("src_larger") {
            out.push_str(&format!("diff skipped: source file size is greater than {n}\n"));
        }
        if let (Some(before), Some(after)) = (
            d.get("before").map(|_| text("before").unwrap_or_default()),
            d.get("after").map(|_| text("after").unwrap_or_default()),
        ) {
            let head =
                |k: &str, name: &str| text(k).map_or_else(|| name.to_owned(), |h| format!("{name}: {h}"));
            out.push_str(&unified(
                &before,
                &after,
                &head("before_header", "before"),
                &head("after_header", "after"),
                added,
                removed,
                lines,
            ));
        }
        if let Some(p) = text("prepared") {
            out.push_str(&p);
        }
    }
    out
}

/// A unified difference of two texts, with three lines around.
pub(super) fn unified(
    before: &str,
    after: &str,
    from: &str,
    to: &str,
    added: &str,
    removed: &str,
    hunk: &str,
) -> String {
    let a: Vec<&str> = before.split_inclusive('\n').collect();
    let b: Vec<&str> = after.split_inclusive('\n').collect();
    let ops = super::super::dump_diff::opcodes(&a, &b);
    if ops.iter().all(|o| o.equal) {
        return String::new();
    }
    let mut out = String::new();
    let paint = |t: &str, c: &str| display::paint(t, c);
    out.push_str(&format!(
        "{}\n{}\n",
        paint(&format!("--- {from}"), removed),
        paint(&format!("+++ {to}"), added)
    ));
    for group in super::super::dump_diff::groups(&ops, 3) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let range = |s: usize, e: usize| match e - s {
            0 => format!("{},0", s),
            1 => format!("{}", s + 1),
            n => format!("{},{n}", s + 1),
        };
        out.push_str(&paint(
            &format!("@@ -{} +{} @@", range(first.a.start, last.a.end), range(first.b.start, last.b.end)),
            hunk,
        ));
        out.push('\n');
        let line = |out: &mut String, mark: char, text: &str, color: Option<&str>| {
            let body = text.strip_suffix('\n');
            let shown = format!("{mark}{}", body.unwrap_or(text));
            out.push_str(&color.map_or_else(|| shown.clone(), |c| paint(&shown, c)));
            out.push('\n');
            if body.is_none() {
                out.push_str("\\ No newline at end of file\n");
            }
        };
        for op in &group {
            if op.equal {
                for l in &a[op.a.clone()] {
                    line(&mut out, ' ', l, None);
                }
            } else {
                for l in &a[op.a.clone()] {
                    line(&mut out, '-', l, Some(removed));
                }
                for l in &b[op.b.clone()] {
                    line(&mut out, '+', l, Some(added));
                }
            }
        }
    }
    out.push('\n');
    out
}
