//! What a connection needs to know, from a host's variables, the task's keywords and the settings.
//!
//! Names and their order are those of the reference's connection and become plugins' documentation: the last of a
//! plugin's `vars` that is set wins over the keyword, which wins over the environment, which wins over ansible.cfg.

use super::Become;

/// Where options come from; `execute` implements it for a task on a host.
pub trait Settings {
    /// A variable of the host, rendered, as text; `None` when undefined or null.
    fn var(&self, name: &str) -> Option<String>;

    /// A setting: the first environment variable that is set, else the first `[section] key` of ansible.cfg.
    fn setting(&self, environment: &[&str], ini: &[(&str, &str)]) -> Option<String>;
}

/// How a host is reached. Equal options share a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Options {
    /// The connection plugin: `local`, `ssh`, `docker` …
    pub plugin: String,
    /// The name or address to connect to.
    pub host: String,
    /// The container engine that `docker` speaks to (`unix:///…`), DOCKER_HOST's when absent.
    pub engine: Option<String>,
    /// The port, the plugin's own when absent.
    pub port: Option<u16>,
    /// The user to log in as; whom the user's ssh configuration says when absent.
    pub user: Option<String>,
    /// The password to log in with.
    pub password: Option<String>,
    /// A private key's file.
    pub private_key_file: Option<String>,
    /// A private key itself, and its passphrase.
    pub private_key: Option<String>,
    /// See `private_key`.
    pub private_key_passphrase: Option<String>,
    /// Whether unknown or changed host keys are refused.
    pub host_key_checking: bool,
    /// All further arguments for `ssh`, in the order in which it gets them.
    pub ssh_args: String,
    /// The `ssh` program.
    pub ssh_executable: String,
    /// The template of the ControlPath, its directory.
    pub control_path: Option<String>,
    /// See `control_path`.
    pub control_path_dir: String,
    /// How the password is handed to the `ssh` program, where that is said: `ssh_askpass`, `sshpass`, `disable`.
    pub password_mechanism: Option<String>,
    /// The prompt that `sshpass` waits for, where it isn't its own.
    pub sshpass_prompt: Option<String>,
    /// How much the `ssh` program tells of itself: the number of its `-v`.
    pub verbosity: u8,
    /// Whether commands may get a terminal.
    pub use_tty: bool,
    /// PKCS#11 provider.
    pub pkcs11_provider: Option<String>,
    /// Attempts to connect after the first.
    pub retries: u32,
    /// Seconds for connecting, and for a become prompt.
    pub timeout_s: u64,
    /// The shell on the host that runs commands.
    pub executable: String,
    /// Whether the native helper may be used at all.
    pub helper: bool,
}

impl Options {
    /// The options of a plugin for the host `inventory_hostname`; `user` and `port` are the task's keywords.
    pub fn resolve(
        plugin: &str,
        inventory_hostname: &str,
        user: Option<&str>,
        port: Option<u16>,
        from: &dyn Settings,
    ) -> Self {
        let var = |names: &[&str]| names.iter().rev().find_map(|name| from.var(name));
        let text = |v: Option<String>| v.filter(|v| !v.is_empty());
        let boolean = |v: Option<String>, default: bool| v.map_or(default, |v| crate::truth::holds(&v));
        let setting = |environment: &[&str], ini: &[(&str, &str)]| from.setting(environment, ini);
        let plugin = plugin.rsplit('.').next().unwrap_or(plugin);
        let plugin = match plugin {
            "smart" | "paramiko" | "paramiko_ssh" => "ssh",
            "podman" | "buildah" => plugin,
            other => other,
        };
        let arguments = |v: &[&str], env: &str, key: &str| {
            var(v).or_else(|| setting(&[env], &[("ssh_connection", key)])).unwrap_or_default()
        };
        let ssh_args = var(&["ansible_ssh_args"])
            .or_else(|| setting(&["ANSIBLE_SSH_ARGS"], &[("ssh_connection", "ssh_args")]))
            .unwrap_or_else(|| "-C -o ControlMaster=auto -o ControlPersist=60s".into());
        let common = arguments(&["ansible_ssh_common_args"], "ANSIBLE_SSH_COMMON_ARGS", "ssh_common_args");
        let extra = arguments(&["ansible_ssh_extra_args"], "ANSIBLE_SSH_EXTRA_ARGS", "ssh_extra_args");
        let all = [ssh_args, common, extra]
            .iter()
            .map(|a| a.trim())
            .filter(|a| !a.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        let docker = plugin == "docker";
        Options {
            plugin: plugin.into(),
            host: if docker {
                var(&["ansible_host", "ansible_docker_host"]).unwrap_or_else(|| inventory_hostname.into())
            } else {
                var(&["ansible_host", "ansible_ssh_host"]).unwrap_or_else(|| inventory_hostname.into())
            },
            engine: text(var(&["ansible_docker_docker_host"])).filter(|_| docker),
            port: var(&["ansible_port", "ansible_ssh_port"])
                .and_then(|p| p.parse().ok())
                .or(port)
                .or_else(|| setting(&["ANSIBLE_REMOTE_PORT"], &[("defaults", "remote_port")])?.parse().ok()),
            user: text(
                var(&["ansible_user", "ansible_ssh_user"])
                    .or_else(|| user.map(str::to_string))
                    .or_else(|| setting(&["ANSIBLE_REMOTE_USER"], &[("defaults", "remote_user")])),
            ),
            password: var(&["ansible_password", "ansible_ssh_pass", "ansible_ssh_password"]),
            private_key_file: text(
                var(&["ansible_private_key_file", "ansible_ssh_private_key_file"])
                    .or_else(|| setting(&["ANSIBLE_PRIVATE_KEY_FILE"], &[("defaults", "private_key_file")])),
            ),
            private_key: text(
                var(&["ansible_private_key", "ansible_ssh_private_key"])
                    .or_else(|| setting(&["ANSIBLE_PRIVATE_KEY"], &[])),
            ),
            private_key_passphrase: var(&[
                "ansible_private_key_passphrase",
                "ansible_ssh_private_key_passphrase",
            ])
            .or_else(|| setting(&["ANSIBLE_PRIVATE_KEY_PASSPHRASE"], &[])),
            host_key_checking: boolean(
                var(&["ansible_host_key_checking", "ansible_ssh_host_key_checking"]).or_else(|| {
                    setting(
                        &["ANSIBLE_HOST_KEY_CHECKING", "ANSIBLE_SSH_HOST_KEY_CHECKING"],
                        &[("defaults", "host_key_checking"), ("ssh_connection", "host_key_checking")],
                    )
                }),
                true,
            ),
            ssh_args: all,
            ssh_executable: var(&["ansible_ssh_executable"])
                .or_else(|| setting(&["ANSIBLE_SSH_EXECUTABLE"], &[("ssh_connection", "ssh_executable")]))
                .unwrap_or_else(|| "ssh".into()),
            control_path: text(
                var(&["ansible_control_path"]).or_else(|| {
                    setting(&["ANSIBLE_SSH_CONTROL_PATH"], &[("ssh_connection", "control_path")])
                }),
            ),
            control_path_dir: var(&["ansible_control_path_dir"])
                .or_else(|| {
                    setting(&["ANSIBLE_SSH_CONTROL_PATH_DIR"], &[("ssh_connection", "control_path_dir")])
                })
                .unwrap_or_else(|| "~/.ansible/cp".into()),
            password_mechanism: text(var(&["ansible_ssh_password_mechanism"]).or_else(|| {
                setting(&["ANSIBLE_SSH_PASSWORD_MECHANISM"], &[("ssh_connection", "password_mechanism")])
            })),
            sshpass_prompt: text(
                var(&["ansible_sshpass_prompt"]).or_else(|| {
                    setting(&["ANSIBLE_SSHPASS_PROMPT"], &[("ssh_connection", "sshpass_prompt")])
                }),
            ),
            verbosity: var(&["ansible_ssh_verbosity"])
                .or_else(|| setting(&["ANSIBLE_SSH_VERBOSITY"], &[("ssh_connection", "verbosity")]))
                .and_then(|n| n.trim().parse().ok())
                .unwrap_or(0),
            use_tty: boolean(
                var(&["ansible_ssh_use_tty"])
                    .or_else(|| setting(&["ANSIBLE_SSH_USETTY"], &[("ssh_connection", "usetty")])),
                true,
            ),
            pkcs11_provider: text(
                var(&["ansible_ssh_pkcs11_provider"]).or_else(|| {
                    setting(&["ANSIBLE_PKCS11_PROVIDER"], &[("ssh_connection", "pkcs11_provider")])
                }),
            ),
            retries: var(&["ansible_ssh_retries"])
                .or_else(|| {
                    setting(
                        &["ANSIBLE_SSH_RETRIES"],
                        &[("connection", "retries"), ("ssh_connection", "retries")],
                    )
                })
                .and_then(|n| n.parse().ok())
                .unwrap_or(0),
            timeout_s: var(&["ansible_ssh_timeout"])
                .or_else(|| {
                    setting(
                        &["ANSIBLE_TIMEOUT", "ANSIBLE_SSH_TIMEOUT"],
                        &[("defaults", "timeout"), ("ssh_connection", "timeout")],
                    )
                })
                .and_then(|n| n.parse().ok())
                .unwrap_or(10),
            executable: var(&["ansible_shell_executable"])
                .or_else(|| setting(&["ANSIBLE_EXECUTABLE"], &[("defaults", "executable")]))
                .unwrap_or_else(|| "/bin/sh".into()),
            helper: boolean(
                var(&["ansible_pileus_helper"]).or_else(|| setting(&["PILEUS_ANSIBLE_HELPER"], &[])),
                true,
            ),
        }
    }
}

impl Become {
    /// Who the task becomes; the arguments are its keywords (`become_method`, `become_user`, `become_exe`, `become_flags`).
    pub fn resolve(
        method: &str,
        user: Option<&str>,
        exe: Option<&str>,
        flags: Option<&str>,
        from: &dyn Settings,
    ) -> Self {
        let method = method.rsplit('.').next().unwrap_or(method).to_string();
        let upper = method.to_uppercase();
        let section = format!("{method}_become_plugin");
        let option = |names: [&str; 2], keyword: Option<&str>, environment: [&str; 2], key: [&str; 2]| {
            let own = format!("ansible_{method}_{}", names[1]);
            from.var(&own)
                .or_else(|| from.var(&format!("ansible_become_{}", names[0])))
                .or_else(|| keyword.map(str::to_string))
                .or_else(|| {
                    let own = format!("ANSIBLE_{upper}_{}", environment[1]);
                    from.setting(
                        &[&format!("ANSIBLE_BECOME_{}", environment[0]), &own],
                        &[("privilege_escalation", &format!("become_{}", key[0])), (&section, key[1])],
                    )
                })
        };
        let password = from
            .var(&format!("ansible_{method}_pass"))
            .or_else(|| from.var("ansible_become_pass"))
            .or_else(|| from.var("ansible_become_password"))
            .or_else(|| {
                from.setting(
                    &["ANSIBLE_BECOME_PASS", &format!("ANSIBLE_{upper}_PASS")],
                    &[(&section, "password")],
                )
            });
        Become {
            user: option(["user", "user"], user, ["USER", "USER"], ["user", "user"])
                .unwrap_or_else(|| "root".into()),
            exe: option(["exe", "exe"], exe, ["EXE", "EXE"], ["exe", "executable"]).unwrap_or_default(),
            flags: option(["flags", "flags"], flags, ["FLAGS", "FLAGS"], ["flags", "flags"]),
            password: password.filter(|p| !p.is_empty()),
            chdir: from.var(&format!("ansible_{method}_chdir")).filter(|d| !d.is_empty()),
            prompts: from
                .var(&format!("ansible_{method}_prompt_l10n"))
                .map(|list| list.split(',').map(|p| p.trim().to_string()).filter(|p| !p.is_empty()).collect())
                .unwrap_or_default(),
            method,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    struct Fixed(HashMap<&'static str, &'static str>);

    impl Settings for Fixed {
        fn var(&self, name: &str) -> Option<String> {
            self.0.get(name).map(|v| v.to_string())
        }

        fn setting(&self, environment: &[&str], ini: &[(&str, &str)]) -> Option<String> {
            let ini = ini.iter().map(|(section, key)| format!("{section}.{key}"));
            environment.iter().map(|e| e.to_string()).chain(ini).find_map(|name| self.var(&name))
        }
    }

    #[test]
    fn variables_win_over_keywords_over_settings() {
        let from = Fixed(HashMap::from([
            ("ansible_host", "a"),
            ("ansible_ssh_host", "b"),
            ("ansible_port", "2200"),
            ("ANSIBLE_REMOTE_USER", "env"),
            ("ssh_connection.ssh_extra_args", "-q"),
            ("ANSIBLE_SSH_ARGS", ""),
            ("ansible_ssh_common_args", "-o A=b"),
        ]));
        let options = Options::resolve("ansible.builtin.ssh", "name", Some("kw"), Some(1), &from);
        assert_eq!(
            (options.host.as_str(), options.port, options.user.as_deref()),
            ("b", Some(2200), Some("kw"))
        );
        assert_eq!((options.ssh_args.as_str(), options.plugin.as_str()), ("-o A=b -q", "ssh"));
        assert_eq!(Options::resolve("ssh", "name", None, None, &from).user.as_deref(), Some("env"));
    }

    #[test]
    fn become_options() {
        let from = Fixed(HashMap::from([
            ("ansible_become_user", "bob"),
            ("ansible_sudo_user", "eve"),
            ("ansible_become_pass", "s"),
            ("sudo_become_plugin.flags", "-H"),
        ]));
        let sudo = Become::resolve("sudo", Some("kw"), None, None, &from);
        assert_eq!(
            (sudo.user.as_str(), sudo.password.as_deref(), sudo.flags.as_deref()),
            ("eve", Some("s"), Some("-H"))
        );
        assert_eq!(Become::resolve("su", Some("kw"), None, None, &from).user, "bob");
    }
}
