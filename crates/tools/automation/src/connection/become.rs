//! Raising privileges: the command that does it, and the talk about passwords before it succeeds.
//!
//! ```text
//!  sudo … /bin/sh -c 'echo BECOME-SUCCESS-key ; command'
//!        ◄── prompt        ──► password, once
//!        ◄── BECOME-SUCCESS-key: what follows is the command's
//! ```

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use super::Error;
use super::spawn::{Event, Spawned, Transport, quote};

/// Who a task becomes, and how (the become plugins' options).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Become {
    /// `sudo`, `su` or `doas`.
    pub method: String,
    /// The user.
    pub user: String,
    /// The method's program, its own name when empty.
    pub exe: String,
    /// The method's flags; `None` is the method's default.
    pub flags: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// The directory to enter first (`sudo_chdir`).
    pub chdir: Option<String>,
    /// Further prompts of `su` to recognise.
    pub prompts: Vec<String>,
}

/// The prompts of `su` in the languages that the reference knows.
const SU_PROMPTS: &[&str] = &[
    "Password",
    "암호",
    "パスワード",
    "Adgangskode",
    "Contraseña",
    "Contrasenya",
    "Hasło",
    "Heslo",
    "Jelszó",
    "Lösenord",
    "Mật khẩu",
    "Mot de passe",
    "Parola",
    "Parool",
    "Pasahitza",
    "Passord",
    "Passwort",
    "Salasana",
    "Sandi",
    "Senha",
    "Wachtwoord",
    "ססמה",
    "Лозинка",
    "Парола",
    "Пароль",
    "गुप्तशब्द",
    "शब्दकूट",
    "సంకేతపదము",
    "හස්පදය",
    "密码",
    "密碼",
    "口令",
];

impl Become {
    /// The default way: sudo.
    pub fn sudo(user: &str) -> Self {
        Become {
            method: "sudo".into(),
            user: user.into(),
            exe: String::new(),
            flags: None,
            password: None,
            chdir: None,
            prompts: Vec::new(),
        }
    }

    /// The command line that runs `command` as the user, and the key of its prompt and success.
    pub fn command(&self, command: &str, shell: &str, key: &str) -> Result<String, Error> {
        let success = format!("echo BECOME-SUCCESS-{key} ; {command}");
        let exe = if self.exe.is_empty() { &self.method } else { &self.exe };
        match self.method.as_str() {
            "sudo" => {
                let mut flags = self.flags.clone().unwrap_or_else(|| "-H -S -n".into());
                let mut prompt = String::new();
                if self.password.is_some() {
                    flags = without_n(&flags);
                    prompt = format!("-p \"{}\"", self.sudo_prompt(key));
                }
                let user =
                    if self.user.is_empty() { String::new() } else { format!("-u {}", quote(&self.user)) };
                let words = [exe.as_str(), &flags, &prompt, &user, shell, "-c", &quote(&success)];
                let line = words.iter().filter(|w| !w.is_empty()).copied().collect::<Vec<_>>().join(" ");
                Ok(match &self.chdir {
                    Some(directory) => format!("cd {} && {line}", quote(directory)),
                    None => line,
                })
            }
            "su" => {
                let inner = format!("{shell} -c {}", quote(&success));
                let words = [
                    exe.as_str(),
                    self.flags.as_deref().unwrap_or(""),
                    &quote(&self.user),
                    "-c",
                    &quote(&inner),
                ];
                Ok(words.iter().filter(|w| !w.is_empty()).copied().collect::<Vec<_>>().join(" "))
            }
            "doas" => {
                let mut flags = self.flags.clone().unwrap_or_default();
                if self.password.is_none() && !flags.split_whitespace().any(|f| f == "-n") {
                    flags.push_str(" -n");
                }
                Ok(format!("{exe} {} -u {} {shell} -c {}", flags.trim(), quote(&self.user), quote(&success)))
            }
            "runas" => Err(Error::Failed("become method runas is for Windows hosts only".into())),
            other => Err(Error::Failed(format!(
                "Invalid become method specified, could not find matching plugin: '{other}'. \
                 Use `ansible-doc -t become -l` to list available plugins."
            ))),
        }
    }

    /// Whether the method reads its password from a terminal only.
    pub fn wants_tty(&self) -> bool {
        self.password.is_some() && matches!(self.method.as_str(), "su" | "doas")
    }

    fn sudo_prompt(&self, key: &str) -> String {
        format!("[sudo via ansible, key={key}] password:")
    }

    fn prompts_in(&self, text: &str, key: &str) -> usize {
        match self.method.as_str() {
            "sudo" => text.matches(&self.sudo_prompt(key)).count(),
            _ => {
                let own = self.prompts.iter().map(String::as_str);
                let known = if self.prompts.is_empty() { SU_PROMPTS } else { &[] };
                let lower = text.to_lowercase();
                own.chain(known.iter().copied()).map(|p| prompted(&lower, &p.to_lowercase())).sum()
            }
        }
    }

    fn refused(&self, text: &str) -> bool {
        match self.method.as_str() {
            "sudo" => text.contains("Sorry, try again."),
            "su" => text.contains("Authentication failure"),
            _ => text.contains("Permission denied"),
        }
    }

    fn missing(&self, text: &str) -> bool {
        match self.method.as_str() {
            "sudo" => {
                text.contains("Sorry, a password is required to run sudo")
                    || text.contains("sudo: a password is required")
            }
            "doas" => text.contains("Authorization required"),
            _ => false,
        }
    }
}

/// How often `prompt`, blanks and a colon (ASCII or full width) stand in the text.
fn prompted(text: &str, prompt: &str) -> usize {
    text.match_indices(prompt)
        .filter(|(at, _)| text[at + prompt.len()..].trim_start().starts_with([':', '：']))
        .count()
}

/// The flags without `-n`: with a password, sudo must ask.
fn without_n(flags: &str) -> String {
    let shorter = |flag: &str| match flag {
        "-n" | "--non-interactive" => None,
        f if f.starts_with('-') && !f.starts_with("--") => Some(f.replace('n', "")).filter(|f| f != "-"),
        f => Some(f.to_string()),
    };
    flags.split_whitespace().filter_map(shorter).collect::<Vec<_>>().join(" ")
}

/// What is told where a program on this machine neither asks for a password nor runs the command.
fn unasked(out: &[u8], err: &[u8]) -> String {
    let mut told = "Timed out waiting for become success or become password prompt.".to_owned();
    for (name, bytes) in [("Output", out), ("Error", err)] {
        let text = String::from_utf8_lossy(bytes);
        if !text.trim().is_empty() {
            told.push_str(&format!("\n>>> Standard {name}\n{}", text.trim()));
        }
    }
    told
}

/// Talks until the command runs as the user; gives what it said after that (output, errors).
pub fn negotiate(
    spawned: &mut Spawned,
    r#become: &Become,
    key: &str,
    wait: Duration,
    local: bool,
) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let marker = format!("BECOME-SUCCESS-{key}");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (mut sent, deadline) = (false, Instant::now() + wait);
    loop {
        let event = match spawned.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => {
                if local {
                    return Err(Error::Unreachable(unasked(&out, &err)));
                }
                return Err(Error::Unreachable(format!(
                    "Timeout ({}s) waiting for privilege escalation prompt: {}",
                    wait.as_secs(),
                    String::from_utf8_lossy(&out)
                )));
            }
            Err(RecvTimeoutError::Disconnected) => None,
        };
        let exit = match event {
            Some(Event::Out(bytes)) => {
                out.extend(bytes);
                None
            }
            Some(Event::Err(bytes)) => {
                err.extend(bytes);
                None
            }
            Some(Event::Exit(code)) => Some(code),
            None => Some(255),
        };
        if let Some(at) = find(&out, marker.as_bytes())
            && let Some(end) = out[at..].iter().position(|b| *b == b'\n')
        {
            return Ok((out.split_off(at + end + 1), scrub(&err, r#become, key)));
        }
        let text = format!("{}{}", String::from_utf8_lossy(&out), String::from_utf8_lossy(&err));
        let prompts = r#become.prompts_in(&text, key);
        if r#become.refused(&text) || (sent && prompts > 1) {
            return Err(Error::Failed(format!("Incorrect {} password", r#become.method)));
        }
        if r#become.missing(&text) {
            return Err(Error::Failed(format!("Missing {} password", r#become.method)));
        }
        if prompts > 0 && !sent {
            let Some(password) = &r#become.password else {
                return Err(Error::Failed(format!("Missing {} password", r#become.method)));
            };
            if let Some(input) = &mut spawned.input {
                input
                    .write(format!("{password}\n").as_bytes())
                    .map_err(|e| Error::Unreachable(e.to_string()))?;
            }
            sent = true;
        }
        if exit.is_some() {
            return Err(Error::Failed(format!(
                "Premature end of stream waiting for become success.\n>>> Standard Error\n{}",
                String::from_utf8_lossy(&err).trim()
            )));
        }
    }
}

fn scrub(err: &[u8], r#become: &Become, key: &str) -> Vec<u8> {
    let prompt = r#become.sudo_prompt(key);
    String::from_utf8_lossy(err).replace(&prompt, "").trim_start().as_bytes().to_vec()
}

/// Where `needle` is.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

/// Ends a command that never became the user: its process group, found by the key in its arguments. sshd passes no
/// signals on to a session of root's.
pub fn end(transport: &dyn Transport, shell: &str, key: &str, wait: Duration) {
    // The pattern doesn't match itself.
    let script = format!(
        "for p in /proc/[0-9]*; do grep -qs 'BECOME-SUCCES[S]-{key}' $p/cmdline && kill -s TERM -- -${{p##*/}} ${{p##*/}}; done"
    );
    let Ok(spawned) = transport.spawn(&format!("{shell} -c {}", quote(&script)), false) else { return };
    let deadline = Instant::now() + wait;
    // Its end is waited for, so that nothing of the command is there when the task has failed; a lost host isn't.
    while let Ok(Event::Out(_) | Event::Err(_)) =
        spawned.events.recv_timeout(deadline.saturating_duration_since(Instant::now()))
    {}
}

/// A word that no prompt or output contains by chance.
pub fn key() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let mut random = [0; 16];
    // SAFETY: the buffer and its length belong together; a failure leaves zeros, and the counter still tells keys apart.
    unsafe { libc::getrandom(random.as_mut_ptr().cast(), random.len(), 0) };
    let letter = |b: u8| char::from(b'a' + b % 26);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    random.iter().map(|b| letter(*b)).chain((0..4).map(|n| letter((count >> (4 * n) & 15) as u8))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_the_references() {
        let mut sudo = Become::sudo("bob");
        assert_eq!(
            sudo.command("id", "/bin/sh", "k").unwrap(),
            "sudo -H -S -n -u bob /bin/sh -c 'echo BECOME-SUCCESS-k ; id'"
        );
        sudo.password = Some("x".into());
        assert_eq!(
            sudo.command("id", "/bin/sh", "k").unwrap(),
            "sudo -H -S -p \"[sudo via ansible, key=k] password:\" -u bob /bin/sh -c 'echo BECOME-SUCCESS-k ; id'"
        );
        sudo.flags = Some("-Hn --preserve-env".into());
        assert!(sudo.command("id", "/bin/sh", "k").unwrap().starts_with("sudo -H --preserve-env -p"));
        let su = Become { method: "su".into(), ..Become::sudo("root") };
        assert!(su.command("id", "/bin/sh", "k").unwrap().starts_with("su root -c '/bin/sh -c '\"'\"'echo"));
        assert!(Become { method: "runas".into(), ..su }.command("id", "/bin/sh", "k").is_err());
    }

    #[test]
    fn prompts_of_su() {
        let su = Become { method: "su".into(), ..Become::sudo("root") };
        assert_eq!(su.prompts_in("Password: ", "k"), 1);
        assert_eq!(su.prompts_in("パスワード：", "k"), 1);
        assert_eq!(su.prompts_in("the password is old", "k"), 0);
    }
}
