//! The options that several commands share, in the order of their usage lines.

use super::args::{Flag, Takes, flag};

/// `--version` and `-v`.
pub fn base() -> [Flag; 2] {
    [
        flag(
            &["--version"],
            "version",
            Takes::Flag,
            "show program's version number, config file location, configured module search path, module location, \
             executable location and exit",
        ),
        verbose(),
    ]
}

/// `-v`.
pub fn verbose() -> Flag {
    flag(
        &["-v", "--verbose"],
        "verbosity",
        Takes::Count,
        "Causes Ansible to print more debug messages. Adding multiple -v will increase the verbosity, the builtin \
         plugins currently evaluate up to -vvvvvv. A reasonable level to start is -vvv, connection debugging might \
         require -vvvv.",
    )
}

/// `-i`, `-l`, `--list-hosts`, `--flush-cache`.
pub fn inventory() -> [Flag; 4] {
    [
        flag(
            &["-i", "--inventory", "--inventory-file"],
            "inventory",
            Takes::Append,
            "specify inventory host path or comma separated host list",
        ),
        flag(
            &["--list-hosts"],
            "listhosts",
            Takes::Flag,
            "outputs a list of matching hosts; does not execute anything else",
        ),
        flag(
            &["-l", "--limit"],
            "subset",
            Takes::Value,
            "further limit selected hosts to an additional pattern",
        ),
        flag(
            &["--flush-cache"],
            "flush_cache",
            Takes::Flag,
            "clear the fact cache for every host in inventory",
        ),
    ]
}

/// `--vault-id`, `-J`, `--vault-password-file`.
pub fn vaults() -> [Flag; 3] {
    [
        flag(&["--vault-id"], "vault_ids", Takes::Append, "the vault identity to use"),
        flag(
            &["-J", "--ask-vault-password", "--ask-vault-pass"],
            "ask_vault_pass",
            Takes::Flag,
            "ask for vault password",
        )
        .exclusive(101),
        flag(
            &["--vault-password-file", "--vault-pass-file"],
            "vault_password_files",
            Takes::Append,
            "vault password file",
        )
        .exclusive(101),
    ]
}

/// `--playbook-dir`.
pub fn playbook_dir() -> Flag {
    flag(
        &["--playbook-dir"],
        "basedir",
        Takes::Value,
        "Since this tool does not use playbooks, use this as a substitute playbook directory. This sets the relative \
         path for many features including roles/ group_vars/ etc.",
    )
}

/// `-e`.
pub fn extra_vars() -> Flag {
    flag(
        &["-e", "--extra-vars"],
        "extra_vars",
        Takes::Append,
        "set additional variables as key=value or YAML/JSON, if filename prepend with @",
    )
}

/// `-C`, `-D`.
pub fn check() -> [Flag; 2] {
    [
        flag(
            &["-C", "--check"],
            "check",
            Takes::Flag,
            "don't make any changes; instead, try to predict some of the changes that may occur",
        ),
        flag(
            &["-D", "--diff"],
            "diff",
            Takes::Flag,
            "when changing (small) files and templates, show the differences in those files; works great with --check",
        ),
    ]
}

const CONNECTION: &str = "Connection Options";
const BECOME: &str = "Privilege Escalation Options";
/// The headings of [`connect`] and [`runas`], and what stands below them.
pub const CONNECTION_GROUP: (&str, &str) = (CONNECTION, "control as whom and how to connect to hosts");
/// See [`CONNECTION_GROUP`].
pub const BECOME_GROUP: (&str, &str) = (BECOME, "control how and which user you become as on target hosts");

/// The options of connections.
pub fn connect() -> Vec<Flag> {
    vec![
        flag(
            &["--private-key", "--key-file"],
            "private_key_file",
            Takes::Value,
            "use this file to authenticate the connection",
        )
        .group(CONNECTION),
        flag(&["-u", "--user"], "remote_user", Takes::Value, "connect as this user (default=None)")
            .group(CONNECTION),
        flag(&["-c", "--connection"], "connection", Takes::Value, "connection type to use (default=ssh)")
            .group(CONNECTION),
        flag(
            &["-T", "--timeout"],
            "timeout",
            Takes::Int,
            "override the connection timeout in seconds (default depends on connection)",
        )
        .group(CONNECTION),
        flag(
            &["--ssh-common-args"],
            "ssh_common_args",
            Takes::Value,
            "specify common arguments to pass to sftp/scp/ssh (e.g. ProxyCommand)",
        )
        .group(CONNECTION),
        flag(
            &["--sftp-extra-args"],
            "sftp_extra_args",
            Takes::Value,
            "specify extra arguments to pass to sftp only (e.g. -f, -l)",
        )
        .group(CONNECTION),
        flag(
            &["--scp-extra-args"],
            "scp_extra_args",
            Takes::Value,
            "specify extra arguments to pass to scp only (e.g. -l)",
        )
        .group(CONNECTION),
        flag(
            &["--ssh-extra-args"],
            "ssh_extra_args",
            Takes::Value,
            "specify extra arguments to pass to ssh only (e.g. -R)",
        )
        .group(CONNECTION),
        flag(&["-k", "--ask-pass"], "ask_pass", Takes::Flag, "ask for connection password").exclusive(102),
        flag(
            &["--connection-password-file", "--conn-pass-file"],
            "connection_password_file",
            Takes::Value,
            "Connection password file",
        )
        .exclusive(102),
    ]
}

/// The options of becoming another user.
pub fn runas() -> Vec<Flag> {
    vec![
        flag(
            &["-b", "--become"],
            "become",
            Takes::Flag,
            "run operations with become (does not imply password prompting)",
        )
        .group(BECOME),
        flag(
            &["--become-method"],
            "become_method",
            Takes::Value,
            "privilege escalation method to use (default=sudo), use `ansible-doc -t become -l` to list valid choices.",
        )
        .group(BECOME),
        flag(&["--become-user"], "become_user", Takes::Value, "run operations as this user (default=root)")
            .group(BECOME),
        flag(
            &["-K", "--ask-become-pass"],
            "become_ask_pass",
            Takes::Flag,
            "ask for privilege escalation password",
        )
        .exclusive(103),
        flag(
            &["--become-password-file", "--become-pass-file"],
            "become_password_file",
            Takes::Value,
            "Become password file",
        )
        .exclusive(103),
    ]
}

/// `-f`.
pub fn forks() -> Flag {
    flag(&["-f", "--forks"], "forks", Takes::Int, "specify number of parallel processes to use (default=5)")
}

/// `-M`.
pub fn module_path() -> Flag {
    flag(
        &["-M", "--module-path"],
        "module_path",
        Takes::Append,
        "prepend colon-separated path(s) to module library (default={{ ANSIBLE_HOME ~ \
         \"/plugins/modules:/usr/share/ansible/plugins/modules\" }})",
    )
}

/// What `ansible-playbook` takes beside the shared ones.
pub fn playbook() -> [Flag; 5] {
    [
        flag(
            &["--syntax-check"],
            "syntax",
            Takes::Flag,
            "perform a syntax check on the playbook, but do not execute it",
        ),
        flag(&["--list-tasks"], "listtasks", Takes::Flag, "list all tasks that would be executed"),
        flag(&["--list-tags"], "listtags", Takes::Flag, "list all available tags"),
        flag(&["--step"], "step", Takes::Flag, "one-step-at-a-time: confirm each task before running"),
        flag(
            &["--start-at-task"],
            "start_at_task",
            Takes::Value,
            "start the playbook at the task matching this name",
        ),
    ]
}

/// `--force-handlers`.
pub fn force_handlers() -> Flag {
    flag(&["--force-handlers"], "force_handlers", Takes::Flag, "run handlers even if a task fails")
}

/// `-t`, `--skip-tags`.
pub fn tags() -> [Flag; 2] {
    [
        flag(&["-t", "--tags"], "tags", Takes::Append, "only run plays and tasks tagged with these values"),
        flag(
            &["--skip-tags"],
            "skip_tags",
            Takes::Append,
            "only run plays and tasks whose tags do not match these values",
        ),
    ]
}
