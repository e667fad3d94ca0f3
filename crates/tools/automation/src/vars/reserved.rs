//! Names that variables had better not have: keywords of plays, blocks and tasks, and what templates have of their own.

use std::collections::HashSet;
use std::sync::OnceLock;

use pileus_jinja::{Dict, Value};

use crate::{Error, display};

/// The reference's list (`ansible.vars.reserved`); `vars` itself is no cause for a warning.
const NAMES: &str = "action always any_errors_fatal args async async_val become become_exe become_flags become_method \
    become_user block changed_when check_mode collections connection cycler debugger delay delegate_facts delegate_to \
    dict diff environment fact_path failed_when force_handlers gather_facts gather_timeout handlers hosts ignore_errors \
    ignore_unreachable joiner lipsum local_action lookup loop loop_control loop_with max_fail_percentage module_defaults \
    name namespace no_log notify now omit order poll port post_tasks pre_tasks q query range register remote_user rescue \
    retries roles run_once serial strategy tags tasks throttle timeout undef until vars_files vars_prompt when with_";

fn is_reserved(name: &str) -> bool {
    static SET: OnceLock<HashSet<&str>> = OnceLock::new();
    SET.get_or_init(|| NAMES.split_ascii_whitespace().collect()).contains(name)
}

/// Warns, once each, of variables in `vars` that have reserved names.
pub fn warn(vars: &Dict) {
    for name in vars.read().keys() {
        warn_of(name);
    }
}

/// Warns where the variable `name` has a reserved name.
pub fn warn_of(name: &Value) {
    if let Some(text) = name.as_str().filter(|n| is_reserved(n)) {
        let message = format!("Found variable using reserved name {}.", pileus_jinja::value::repr_str(text));
        display::warning_of(&Error::new(message).at(name.origin().cloned()));
    }
}

#[cfg(test)]
mod tests {
    use super::is_reserved;

    #[test]
    fn keywords_and_what_templates_have() {
        assert!(is_reserved("query") && is_reserved("become_user") && is_reserved("with_"));
        assert!(!is_reserved("vars") && !is_reserved("ansible_user") && !is_reserved(""));
    }
}
