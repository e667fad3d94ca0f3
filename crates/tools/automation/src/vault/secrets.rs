//! Where passwords come from: files, scripts, client scripts (`*-client`), prompts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{DEFAULT_ID, Secret, Vault, is_encrypted, prompt};
use crate::config::Config;
use crate::source::paths::unfrack;
use crate::{Error, display};

/// What stands for a prompt in `--vault-id name@prompt`.
const PROMPT: &str = "prompt";
/// What `--ask-vault-pass` stands for: the prompt without an id in it.
const PLAIN_PROMPT: &str = "prompt_ask_vault_pass";
/// The exit code by which a client script says that it knows no such id.
const NO_SUCH_ID: i32 = 2;

/// What the command line and the settings say about passwords.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// `--vault-id`, as given: `id@source` or `source`.
    pub ids: Vec<String>,
    /// `--vault-password-file`.
    pub files: Vec<String>,
    /// `--ask-vault-pass`.
    pub ask: bool,
    /// New passwords are asked twice.
    pub new: bool,
    /// Whether to ask where nothing else is given.
    pub auto_prompt: bool,
}

impl Wanted {
    /// The same, after what the settings name (`vault_identity_list`, `vault_password_file`).
    #[must_use]
    pub fn with_settings(mut self, config: &Config) -> Self {
        let mut ids = config.list("DEFAULT_VAULT_IDENTITY_LIST");
        ids.append(&mut self.ids);
        self.ids = ids;
        self
    }
}

/// Gets every password of `wanted`.
///
/// # Errors
/// Where a prompt fails, or a file or script does and nothing else was found.
pub fn load(wanted: &Wanted, config: &Config) -> Result<Vault, Error> {
    let mut slugs = wanted.ids.clone();
    let mut files = wanted.files.clone();
    files.extend(config.text("DEFAULT_VAULT_PASSWORD_FILE").map(str::to_owned));
    slugs.extend(files.iter().map(|f| format!("{DEFAULT_ID}@{f}")));
    if wanted.ask || (slugs.is_empty() && wanted.auto_prompt) {
        slugs.push(format!("{DEFAULT_ID}@{PLAIN_PROMPT}"));
    }
    let mut vault = Vault::new(Vec::new());
    let mut failed = None;
    for slug in &slugs {
        let (id, source) = match slug.split_once('@') {
            Some((id, source)) => (Some(id), source),
            None => (None, slug.as_str()),
        };
        let name = id.filter(|i| !i.is_empty()).unwrap_or(DEFAULT_ID);
        if source == PROMPT || source == PLAIN_PROMPT {
            let password = ask(name, source, wanted.new).inspect_err(|e| {
                display::warning(&format!("Error in vault password prompt ({}): {e}", id.unwrap_or("None")));
            })?;
            vault.push(Secret { id: name.into(), password: password.into_bytes().into() });
            continue;
        }
        match from_file(source, id, &vault) {
            Ok(password) => vault.push(Secret { id: name.into(), password: password.into() }),
            Err((stage, e)) => {
                display::warning(&format!("Error {stage} ({}): {e}", id.unwrap_or("None")));
                failed = Some(e);
            }
        }
    }
    match failed {
        Some(e) if vault.secrets().is_empty() => Err(e),
        _ => Ok(vault),
    }
}

fn ask(id: &str, source: &str, new: bool) -> Result<String, Error> {
    let prompts: Vec<String> = match (source == PLAIN_PROMPT, new) {
        (true, true) => vec!["New Vault password: ".into(), "Confirm New Vault password: ".into()],
        (true, false) => vec!["Vault password: ".into()],
        (false, true) => {
            vec![format!("New vault password ({id}): "), format!("Confirm new vault password ({id}): ")]
        }
        (false, false) => vec![format!("Vault password ({id}): ")],
    };
    let mut first: Option<String> = None;
    for text in prompts {
        let answer = prompt::ask(&text, true)
            .map_err(|e| Error::new(format!("Unable to read the vault password: {e}")))?
            .ok_or_else(|| Error::new(format!("EOFError (ctrl-d) on prompt for ({id})")))?;
        if answer.is_empty() {
            return Err(Error::new("Invalid vault password was provided"));
        }
        let answer = answer.trim().to_owned();
        match &first {
            Some(earlier) if *earlier != answer => return Err(Error::new("Passwords do not match")),
            Some(_) => {}
            None => first = Some(answer),
        }
    }
    first.ok_or_else(|| Error::new("Invalid vault password was provided"))
}

/// The password of a file or script; an error says at which stage.
fn from_file(source: &str, id: Option<&str>, known: &Vault) -> Result<Vec<u8>, (&'static str, Error)> {
    let path = unfrack(source);
    let getting = |e: Error| ("getting vault password file", e);
    let loading = |e: Error| ("in vault password file loading", e);
    let meta = fs::metadata(&path)
        .map_err(|_| getting(Error::new(format!("The vault password file {path} was not found"))))?;
    if meta.is_dir() {
        return Err(getting(Error::new(format!(
            "The vault password file provided '{path}' can not be a directory"
        ))));
    }
    if meta.permissions().mode() & 0o111 != 0 {
        let client = Path::new(source).file_stem().is_some_and(|s| s.to_string_lossy().ends_with("-client"));
        return from_script(&path, client.then_some(id)).map_err(loading);
    }
    let bytes = fs::read(&path).map_err(|e| {
        loading(
            Error::new(format!("Could not read vault password file '{path}'."))
                .because(crate::os_error(&e, &path)),
        )
    })?;
    let bytes = bytes.trim_ascii().to_vec();
    let bytes = if is_encrypted(&bytes) { known.decrypt(&bytes).map_err(loading)? } else { bytes };
    not_empty(strip_newlines(&bytes), &format!("Invalid vault password was provided from file ({path})"))
        .map_err(loading)
}

fn strip_newlines(bytes: &[u8]) -> Vec<u8> {
    let is_newline = |b: &u8| matches!(b, b'\r' | b'\n');
    let start = bytes.iter().position(|b| !is_newline(b)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|b| !is_newline(b)).map_or(start, |i| i + 1);
    bytes[start..end].to_vec()
}

fn not_empty(password: Vec<u8>, message: &str) -> Result<Vec<u8>, Error> {
    if password.is_empty() { Err(Error::new(message)) } else { Ok(password) }
}

/// Runs a script; a client script gets `--vault-id`.
fn from_script(path: &str, client: Option<Option<&str>>) -> Result<Vec<u8>, Error> {
    let kind = if client.is_some() { "vault password client script" } else { "vault password script" };
    let mut command = Command::new(path);
    if let Some(Some(id)) = client {
        command.args(["--vault-id", id]);
    }
    // stdin and stderr stay the user's: the script may ask
    let done = command.stdout(Stdio::piped()).spawn().and_then(std::process::Child::wait_with_output).map_err(|e| {
        let why = crate::os_error(&e, path);
        Error::new(format!(
            "Problem running {kind} {path} ({why}). If this is not a script, remove the executable bit from the file."
        ))
    })?;
    let code = done.status.code().unwrap_or(-1);
    let id = client.flatten().unwrap_or("None");
    if client.is_some() && code == NO_SUCH_ID {
        return Err(Error::new(format!(
            "Vault password client script {path} did not find a secret for vault-id={id}: None"
        )));
    }
    if client.is_some() && code != 0 {
        return Err(Error::new(format!(
            "Vault password client script {path} returned non-zero ({code}) when getting secret for vault-id={id}: None"
        )));
    }
    if code != 0 {
        return Err(Error::new(format!("Vault password script {path} returned non-zero ({code}): None")));
    }
    not_empty(
        strip_newlines(&done.stdout),
        &format!("Invalid vault password was provided from script ({path})"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newlines_are_cut_at_both_ends_only() {
        assert_eq!(strip_newlines(b"\n a b \r\n"), b" a b ");
        assert!(strip_newlines(b"\n\r").is_empty());
    }

    #[test]
    fn files_and_scripts() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pw");
        fs::write(&file, "  secret\n").unwrap();
        let script = dir.path().join("ask-client.sh");
        fs::write(&script, "#!/bin/sh\n[ \"$2\" = dev ] && echo devpw || exit 2\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let config = crate::config::current();
        let wanted = Wanted {
            ids: vec![format!("a@{}", file.display()), format!("dev@{}", script.display())],
            ..Wanted::default()
        };
        let vault = load(&wanted, config).unwrap();
        let got: Vec<(&str, &[u8])> = vault.secrets().iter().map(|s| (s.id.as_str(), &*s.password)).collect();
        assert_eq!(got, [("a", &b"secret"[..]), ("dev", &b"devpw"[..])]);
        let none = Wanted { ids: vec![format!("x@{}", script.display())], ..Wanted::default() };
        assert!(load(&none, config).unwrap_err().brief().contains("did not find a secret for vault-id=x"));
    }
}
