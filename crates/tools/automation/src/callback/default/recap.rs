//! The banner's width and the labels.

use super::*;
use pileus_jinja::{Dict, Value};

/// `shown` with the marks that decide how `from` is written.
pub(super) fn keep(shown: &Dict, from: &Dict) -> Dict {
    if let Some(v) = from.get("_ansible_verbose_always") {
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
