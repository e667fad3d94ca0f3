//! The banner's width, the labels and the statistics that tasks set.

use super::super::json::dumps;
use super::{COLUMNS, display};
use pileus_jinja::{Dict, Value};

/// `shown` with the marks that decide how `from` is written.
pub(super) fn keep(shown: &Dict, from: &Dict, no_log: bool) -> Dict {
    if !no_log && let Some(v) = from.get("_ansible_verbose_always") {
        shown.insert("_ansible_verbose_always", v);
    }
    shown.clone()
}

/// A loop's label.
pub(super) fn shown_label(v: &Value) -> String {
    v.to_text().unwrap_or_else(|e| e.to_string())
}

/// The columns of the terminal, less one.
pub(super) fn columns() -> usize {
    use std::io::IsTerminal;
    if !std::io::stdout().is_terminal() {
        return COLUMNS;
    }
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).map(|w| usize::from(w.ws_col)).unwrap_or(0);
    COLUMNS.max(size.saturating_sub(1))
}

/// What `set_stats` left: of each host, then of the run.
pub(super) fn custom(all: &[(String, String, Value)]) {
    let of = |host: &str| -> Dict {
        let own = all.iter().filter(|(h, _, _)| h == host);
        own.map(|(_, k, v)| (Value::from(k), v.clone())).collect()
    };
    let line = |d: Dict| dumps(&Value::Dict(d), None, true).replace('\n', "");
    let mut hosts: Vec<&str> = all.iter().map(|(h, _, _)| &**h).filter(|h| *h != RUN).collect();
    hosts.sort_unstable();
    hosts.dedup();
    for h in hosts {
        display::out(&format!("\t{h}: {}", line(of(h))));
    }
    let run = of(RUN);
    if !run.is_empty() {
        display::out("");
        display::out(&format!("\tRUN: {}", line(run)));
    }
    display::out("\n");
}

/// Stands for the run among the hosts.
const RUN: &str = "_run";
