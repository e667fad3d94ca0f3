//! Names: of actions, of lookups, of variables.

use std::sync::RwLock;

use pileus_jinja::Value;

use crate::Error;

/// Whether what is no known key in an action's text is the text itself (`command`'s `a=b`).
pub fn takes_text(action: &str) -> bool {
    let action = short(action);
    let action = action.strip_prefix("ansible.windows.").unwrap_or(action);
    matches!(action, "command" | "raw" | "script" | "shell" | "win_command" | "win_shell")
}

/// Actions that take free text beside keys.
pub const FREE_FORM: [&str; 18] = [
    "command",
    "shell",
    "script",
    "raw",
    "win_command",
    "win_shell",
    "include_vars",
    "include_tasks",
    "include_role",
    "import_tasks",
    "import_role",
    "import_playbook",
    "add_host",
    "group_by",
    "set_fact",
    "meta",
    "ansible.windows.win_command",
    "ansible.windows.win_shell",
];

/// Actions of the controller.
pub const ACTIONS: [&str; 34] = [
    "add_host",
    "assemble",
    "assert",
    "async_status",
    "command",
    "copy",
    "debug",
    "fail",
    "fetch",
    "gather_facts",
    "group_by",
    "import_playbook",
    "import_role",
    "import_tasks",
    "include_role",
    "include_tasks",
    "include_vars",
    "meta",
    "package",
    "pause",
    "raw",
    "reboot",
    "script",
    "service",
    "set_fact",
    "set_stats",
    "shell",
    "template",
    "unarchive",
    "uri",
    "validate_argument_spec",
    "wait_for_connection",
    "dnf",
    "normal",
];

/// The lookups of core.
pub const LOOKUPS: [&str; 25] = [
    "config",
    "csvfile",
    "dict",
    "env",
    "file",
    "fileglob",
    "first_found",
    "indexed_items",
    "ini",
    "inventory_hostnames",
    "items",
    "lines",
    "list",
    "nested",
    "password",
    "pipe",
    "random_choice",
    "sequence",
    "subelements",
    "template",
    "together",
    "unvault",
    "url",
    "varnames",
    "vars",
];

/// `name` without `ansible.builtin.` or `ansible.legacy.`.
pub fn short(name: &str) -> &str {
    name.strip_prefix("ansible.builtin.").or_else(|| name.strip_prefix("ansible.legacy.")).unwrap_or(name)
}

static PLUGIN_LOOKUPS: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// Whether an action of that name is the controller's, a native module, or one of core's that runs in Python.
pub fn known(name: &str) -> bool {
    let s = short(name);
    ACTIONS.contains(&s)
        || pileus_modules::exists(name)
        || crate::openstack::exists(name)
        || pileus_modules::spec::is_builtin(s)
}

/// Names a lookup beside core's.
pub fn add_lookup(name: &str) {
    if let Ok(mut all) = PLUGIN_LOOKUPS.write() {
        all.push(name.to_owned());
    }
}

/// Whether there is a lookup of that name.
pub fn lookup_known(name: &str) -> bool {
    LOOKUPS.contains(&short(name))
        || name == "flattened"
        || crate::python::templates::is_lookup(name)
        || PLUGIN_LOOKUPS.read().is_ok_and(|all| all.iter().any(|n| n == name))
}

const PYTHON: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// Whether `name` may name a variable: a Python identifier in ASCII, no keyword of its or of Jinja's.
pub fn identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !PYTHON.contains(&name)
        && !matches!(name, "true" | "false" | "none")
}

/// Checks that a value can be a variable's name.
///
/// # Errors
/// Where it is none, in the reference's words.
pub fn variable(v: &Value) -> Result<(), Error> {
    if matches!(v, Value::Str(s) if identifier(s)) {
        return Ok(());
    }
    let kind = match v {
        Value::Str(_) => String::new(),
        other => format!(" of type '{}'", other.type_name()),
    };
    let name = v.to_text().unwrap_or_default();
    Err(Error::new(format!("Invalid variable name '{name}'{kind}.")).at(v.origin().cloned()).help(
        "Variable names must be strings starting with a letter or underscore character, and contain only letters, \
         numbers and underscores.",
    ))
}
