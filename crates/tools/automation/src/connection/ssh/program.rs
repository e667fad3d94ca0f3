//! The `ssh` program, for what the native client doesn't follow: its options stay its own, with ControlPersist.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use sha1::{Digest, Sha1};

use super::config::{path, split};
use crate::connection::spawn::{self, Spawned, Transport};
use crate::connection::{Error, Options};

/// Variables that a program is started with.
type Environment = Vec<(String, String)>;

/// One host by the program.
pub struct Program {
    options: Options,
}

impl Program {
    /// For a host.
    pub fn new(options: &Options) -> Self {
        Program { options: options.clone() }
    }

    /// Everything up to the host's name.
    fn arguments(&self, tty: bool) -> Result<Vec<OsString>, Error> {
        let options = &self.options;
        let extra = split(&options.ssh_args).ok_or_else(|| {
            Error::Failed(format!("No closing quotation in the arguments for ssh: {}", options.ssh_args))
        })?;
        let persists = extra.iter().any(|a| a.to_lowercase().contains("controlpersist"));
        let has_path = extra.iter().any(|a| a.to_lowercase().contains("controlpath"));
        let mut words: Vec<String> = extra;
        if options.verbosity > 0 {
            // A verbose master keeps our streams open as long as it persists; and each connection is to be seen.
            let told = format!("-{}", "v".repeat(usize::from(options.verbosity.min(6))));
            words.splice(0..0, [told, "-oControlPath=none".into()]);
        }
        let mut option = |text: String| words.extend(["-o".to_string(), text]);
        if !options.host_key_checking {
            option("StrictHostKeyChecking=no".into());
        }
        if let Some(port) = options.port {
            option(format!("Port={port}"));
        }
        if let Some(file) = &options.private_key_file {
            option(format!("IdentityFile=\"{}\"", path(file).display()));
        }
        if self.password().is_none() {
            option("KbdInteractiveAuthentication=no".into());
            option("PreferredAuthentications=gssapi-with-mic,gssapi-keyex,hostbased,publickey".into());
            option("PasswordAuthentication=no".into());
        } else {
            option("NumberOfPasswordPrompts=1".into());
        }
        if let Some(user) = &options.user {
            option(format!("User=\"{user}\""));
        }
        if let Some(provider) = &options.pkcs11_provider {
            option(format!("PKCS11Provider={provider}"));
        }
        option(format!("ConnectTimeout={}", options.timeout_s));
        if persists && !has_path {
            option(format!("ControlPath=\"{}\"", self.control_path()?));
        }
        words.push(if tty { "-tt" } else { "-T" }.into());
        Ok(words.into_iter().map(OsString::from).collect())
    }

    fn control_path(&self) -> Result<String, Error> {
        let options = &self.options;
        let directory: PathBuf = path(&options.control_path_dir);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(|e| {
            Error::Failed(format!("Cannot write to ControlPath {}: {e}", directory.display()))
        })?;
        if let Some(template) = &options.control_path {
            return Ok(template.replace("%(directory)s", &directory.to_string_lossy()).replace("%%", "%"));
        }
        // One master for all that would connect the same way.
        let identity = format!(
            "{}-{:?}-{:?}-{}-{:?}",
            options.host, options.port, options.user, options.ssh_args, options.private_key_file
        );
        let hash: String = Sha1::digest(identity).iter().take(5).map(|b| format!("{b:02x}")).collect();
        Ok(directory.join(hash).to_string_lossy().into_owned())
    }

    /// The password, unless the user wants none to be handed on.
    fn password(&self) -> Option<&str> {
        let disabled = self.options.password_mechanism.as_deref() == Some("disable");
        self.options.password.as_deref().filter(|_| !disabled)
    }

    /// `sshpass` and its options, where it is to hand the password on.
    fn sshpass(&self) -> Vec<OsString> {
        if self.password().is_none() || self.options.password_mechanism.as_deref() != Some("sshpass") {
            return Vec::new();
        }
        let mut argv: Vec<OsString> = vec!["sshpass".into(), "-e".into()];
        if let Some(prompt) = &self.options.sshpass_prompt {
            argv.extend(["-P".into(), prompt.into()]);
        }
        argv
    }

    /// The environment by which the program asks us for the password: itself answers, called by `SSH_ASKPASS`.
    fn environment(&self) -> Result<(Environment, Option<Askpass>), Error> {
        let Some(password) = self.password() else { return Ok((Vec::new(), None)) };
        if self.options.password_mechanism.as_deref() == Some("sshpass") {
            return Ok((vec![("SSHPASS".into(), password.into())], None));
        }
        let askpass = Askpass::new(password)?;
        let environment = [
            ("SSH_ASKPASS", askpass.script.to_string_lossy().into_owned()),
            ("SSH_ASKPASS_REQUIRE", "force".into()),
        ];
        Ok((environment.map(|(k, v)| (k.to_string(), v)).to_vec(), Some(askpass)))
    }
}

impl Transport for Program {
    fn name(&self) -> &'static str {
        "ssh"
    }

    fn spawn(&self, command: &str, tty: bool) -> Result<Spawned, Error> {
        let mut argv = self.sshpass();
        argv.push(OsString::from(&self.options.ssh_executable));
        argv.extend(self.arguments(tty)?);
        argv.push(self.options.host.clone().into());
        argv.push(command.into());
        let (environment, askpass) = self.environment()?;
        if crate::display::verbosity() >= 3 {
            let words: Vec<String> = argv.iter().map(|w| spawn::quote(&w.to_string_lossy())).collect();
            crate::display::verbose(3, &format!("<{}> SSH: EXEC {}", self.options.host, words.join(" ")));
        }
        let mut spawned = spawn::program(&argv, &environment).map_err(|e| {
            if e.kind() == std::io::ErrorKind::NotFound && argv[0] == "sshpass" {
                return Error::Failed(
                    "to use the password_mechanism=sshpass, you must install the sshpass program".into(),
                );
            }
            Error::Failed(format!("Unable to execute ssh command line on a controller due to: {e}"))
        })?;
        if let Some(askpass) = askpass
            && let Some(input) = spawned.input.take()
        {
            spawned.input = Some(Box::new(Holding { input, _askpass: askpass }));
        }
        Ok(spawned)
    }

    fn close(&self) {
        if let Ok(mut arguments) = self.arguments(false) {
            arguments.extend(["-O".into(), "stop".into(), self.options.host.clone().into()]);
            let mut command = Command::new(&self.options.ssh_executable);
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            // No master: nothing to stop.
            let _ = command.status();
        }
    }
}

/// A script that says the password once per call; gone with the command.
struct Askpass {
    script: PathBuf,
}

impl Askpass {
    fn new(password: &str) -> Result<Self, Error> {
        let failed =
            |e: std::io::Error| Error::Failed(format!("failed to prepare the password for ssh: {e}"));
        let directory = path(&format!(
            "~/.ansible/tmp/pileus-askpass-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let directory = PathBuf::from(directory.to_string_lossy().replace(['(', ')'], ""));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(failed)?;
        let script = directory.join("askpass");
        let text = format!("#!/bin/sh\nprintf '%s\\n' {}\n", spawn::quote(password));
        fs::write(&script, text).map_err(failed)?;
        let mode = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o700);
        fs::set_permissions(&script, mode).map_err(failed)?;
        Ok(Askpass { script })
    }
}

impl Drop for Askpass {
    fn drop(&mut self) {
        if let Some(directory) = self.script.parent() {
            // What is gone already needs no removing.
            let _ = fs::remove_dir_all(directory);
        }
    }
}

/// An input that keeps the password's script as long as the program may ask.
struct Holding {
    input: Box<dyn spawn::Input>,
    _askpass: Askpass,
}

impl spawn::Input for Holding {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.input.write(bytes)
    }

    fn end(&mut self) {
        self.input.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_in_the_references_order() {
        let options = Options {
            host: "h".into(),
            port: Some(2222),
            user: Some("u".into()),
            ssh_args: "-C -o ProxyCommand='nc %h %p'".into(),
            timeout_s: 10,
            host_key_checking: false,
            ..Options::default()
        };
        let words: Vec<_> = Program::new(&options)
            .arguments(true)
            .unwrap()
            .into_iter()
            .map(|w| w.into_string().unwrap())
            .collect();
        assert_eq!(words[..5], ["-C", "-o", "ProxyCommand=nc %h %p", "-o", "StrictHostKeyChecking=no"]);
        assert!(words.contains(&"User=\"u\"".to_string()) && words.contains(&"Port=2222".to_string()));
        assert_eq!(words.last().unwrap(), "-tt");
    }
}
