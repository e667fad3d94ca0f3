//! `ansible-vault`: files and strings encrypted, decrypted, shown, edited, given another password.

use std::ffi::OsString;
use std::fs;
use std::io::{IsTerminal, Read};
use std::path::Path;

use super::args::{Count, Given, Grammar, Takes, flag};
use super::flags;
use super::vault_files as files;
use crate::config::Config;
use crate::source::paths::unfrack;
use crate::vault::secrets::{self, Wanted};
use crate::vault::{self, Envelope, Secret, Vault, prompt};
use crate::{Error, display};

const ACTIONS: [(&str, &str); 7] = [
    ("create", "Create new vault encrypted file"),
    ("decrypt", "Decrypt vault encrypted file or string"),
    ("edit", "Edit vault encrypted file"),
    ("view", "View vault encrypted file"),
    ("encrypt", "Encrypt YAML file"),
    ("encrypt_string", "Encrypt a string"),
    ("rekey", "Re-key a vault encrypted file"),
];

fn top() -> Grammar {
    let mut g = Grammar::new("ansible-vault", "encryption/decryption utility for Ansible data files")
        .with(flags::base());
    g.actions = ACTIONS.to_vec();
    g
}

fn grammar(action: &str) -> Grammar {
    let metavar = if action == "encrypt_string" { "string_to_encrypt" } else { "file_name" };
    let help = if action == "encrypt_string" { "String to encrypt" } else { "Filename" };
    let mut g = Grammar::new(format!("ansible-vault {action}"), "")
        .arguments(Count::Any, metavar, help)
        .with(flags::vaults())
        .with([flags::verbose()]);
    let output = flag(
        &["--output"],
        "output_file",
        Takes::Value,
        "output file name for encrypt or decrypt; use - for stdout",
    );
    let encrypt_id = flag(
        &["--encrypt-vault-id"],
        "encrypt_vault_id",
        Takes::Value,
        "the vault id used to encrypt (required if more than one vault-id is provided)",
    );
    if matches!(action, "decrypt" | "encrypt" | "encrypt_string") {
        g = g.with([output]);
    }
    if !matches!(action, "decrypt" | "view") {
        g = g.with([encrypt_id]);
    }
    match action {
        "create" => g.with([flag(
            &["--skip-tty-check"],
            "skip_tty_check",
            Takes::Flag,
            "allows editor to be opened when no tty attached",
        )]),
        "encrypt_string" => g.with([
            flag(
                &["-p", "--prompt"],
                "encrypt_string_prompt",
                Takes::Flag,
                "Prompt for the string to encrypt",
            ),
            flag(
                &["--show-input"],
                "show_string_input",
                Takes::Flag,
                "Do not hide input when prompted for the string to encrypt",
            ),
            flag(&["-n", "--name"], "encrypt_string_names", Takes::Append, "Specify the variable name"),
            flag(
                &["--stdin-name"],
                "encrypt_string_stdin_name",
                Takes::Value,
                "Specify the variable name for stdin",
            ),
        ]),
        "rekey" => g.with([
            flag(
                &["--new-vault-password-file"],
                "new_vault_password_file",
                Takes::Value,
                "new vault password file for rekey",
            )
            .exclusive(104),
            flag(
                &["--new-vault-id"],
                "new_vault_id",
                Takes::Value,
                "the new vault identity to use for rekey",
            )
            .exclusive(104),
        ]),
        _ => g,
    }
}

/// The whole program; the exit code.
pub fn main(args: &[OsString]) -> i32 {
    super::action::run(&top(), &ACTIONS, args, grammar, run)
}

fn wanted(given: &Given, config: &Config) -> Wanted {
    Wanted {
        ids: given.values("vault_ids").to_vec(),
        files: given.values("vault_password_files").iter().map(|f| unfrack(f)).collect(),
        ask: given.on("ask_vault_pass") || config.bool("DEFAULT_ASK_VAULT_PASS"),
        new: false,
        auto_prompt: true,
    }
    .with_settings(config)
}

fn run(action: &str, given: &Given, config: &'static Config) -> Result<i32, Error> {
    for id in given.values("vault_ids") {
        if id.contains(';') {
            return Err(Error::options(format!(
                "'{id}' is not a valid vault id. The character ';' is not allowed in vault ids"
            )));
        }
    }
    if given.value("output_file").is_some() && given.args.len() > 1 {
        return Err(Error::options("At most one input file may be used with the --output option"));
    }
    let stdin = given.args.iter().any(|a| a == "-")
        || given.value("encrypt_string_stdin_name").is_some()
        || (given.args.is_empty() && !given.on("encrypt_string_prompt"));
    if action == "encrypt_string" && stdin && given.on("encrypt_string_prompt") {
        return Err(Error::options("The --prompt option is not supported if also reading input from stdin"));
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let encrypting = matches!(action, "encrypt" | "encrypt_string" | "create");
    let mut asked = wanted(given, config);
    asked.new = encrypting;
    let vault = secrets::load(&asked, config)?;
    if vault.secrets().is_empty() {
        return Err(Error::options("A vault password is required to use Ansible's Vault"));
    }
    let id = given.value("encrypt_vault_id").or(config.text("DEFAULT_VAULT_ENCRYPT_IDENTITY"));
    let output = given.value("output_file").map(|o| if o == "-" { o.to_owned() } else { unfrack(o) });
    let inputs = || if given.args.is_empty() { vec!["-".to_owned()] } else { given.args.clone() };
    match action {
        "encrypt" => {
            let secret = to_encrypt(&vault, id)?;
            for file in inputs() {
                let file = files::real(&file);
                let text = vault::encrypt(&files::read(&file)?, secret, Some(&secret.id))?;
                files::write(text.as_bytes(), output.as_deref().unwrap_or(&file), true)?;
            }
            said("Encryption successful");
        }
        "encrypt_string" => encrypt_string(given, to_encrypt(&vault, id)?, stdin, output.as_deref())?,
        "create" => create(given, to_encrypt(&vault, id)?, config)?,
        "decrypt" => {
            for file in inputs() {
                let file = files::real(&file);
                let plain = decrypt(&vault, &file)?.0;
                files::write(&plain, output.as_deref().unwrap_or(&file), false)?;
            }
            said("Decryption successful");
        }
        "view" => {
            for file in &given.args {
                display::out(&String::from_utf8_lossy(&decrypt(&vault, file)?.0));
            }
        }
        "edit" => {
            for file in &given.args {
                let file = files::real(file);
                let (plain, secret, id) = decrypt(&vault, &file)?;
                files::edit(&file, Some(&plain), &secret, &id, config)?;
            }
        }
        _ => rekey(given, &vault, id, config)?,
    }
    Ok(0)
}

fn said(text: &str) {
    if std::io::stdout().is_terminal() {
        display::err(text, "normal");
    }
}

/// The plain text of a file, with the secret that fit and the id in its header.
fn decrypt(vault: &Vault, file: &str) -> Result<(Vec<u8>, Secret, String), Error> {
    let text = files::read(file)?;
    let (plain, secret) = vault.decrypt_with(&text).map_err(|e| Error::new(format!("{e} for {file}")))?;
    Ok((plain, secret.clone(), Envelope::parse(&text)?.id))
}

fn to_encrypt<'a>(vault: &'a Vault, id: Option<&str>) -> Result<&'a Secret, Error> {
    if vault.secrets().len() > 1 && id.is_none() {
        let ids: Vec<&str> = vault.secrets().iter().map(|s| s.id.as_str()).collect();
        return Err(Error::options(format!(
            "The vault-ids {} are available to encrypt. Specify the vault-id to encrypt with --encrypt-vault-id",
            ids.join(",")
        )));
    }
    vault.secret_for(id)
}

fn encrypt_string(given: &Given, secret: &Secret, stdin: bool, output: Option<&str>) -> Result<(), Error> {
    let mut texts: Vec<(String, &str, Option<String>)> = Vec::new();
    let empty = |from: &str| Error::options(format!("{from} was empty, not encrypting"));
    if given.on("encrypt_string_prompt") {
        let ask = |text: &str, hidden| {
            prompt::ask(text, hidden)
                .map_err(|e| Error::new(format!("Unable to read from the terminal: {e}")))
                .map(Option::unwrap_or_default)
        };
        let name = ask("Variable name (enter for no name): ", false)?;
        let hidden = !given.on("show_string_input");
        let text = ask(if hidden { "String to encrypt (hidden): " } else { "String to encrypt:" }, hidden)?;
        if text.is_empty() {
            return Err(empty("The plaintext provided from the prompt"));
        }
        texts.push((text, "the interactive prompt", Some(name).filter(|n| !n.is_empty())));
    }
    if stdin {
        said(
            "Reading plaintext input from stdin. (ctrl-d to end input, twice if your content does not already have a newline)",
        );
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|e| Error::new(format!("Unable to read stdin: {e}")))?;
        if text.is_empty() {
            return Err(empty("stdin"));
        }
        texts.push((text, "stdin", given.value("encrypt_string_stdin_name").map(str::to_owned)));
    }
    let names = given.values("encrypt_string_names");
    let args: Vec<&String> = given.args.iter().filter(|a| *a != "-").collect();
    if !names.is_empty() && args.len() > names.len() {
        eprintln!("The number of --name options do not match the number of args.");
        eprintln!(
            "The last named variable will be \"{}\". The rest will not have names.",
            names[names.len() - 1]
        );
    }
    for (i, arg) in args.into_iter().enumerate() {
        if arg.is_empty() {
            return Err(empty("The plaintext provided from the command line args"));
        }
        texts.push((arg.clone(), "the command line args", names.get(i).cloned()));
    }
    let many = texts.len() > 1;
    let mut out = String::new();
    for (i, (text, from, name)) in texts.iter().enumerate() {
        let sealed = vault::encrypt(text.as_bytes(), secret, Some(&secret.id))?;
        if many {
            match name {
                Some(n) => eprintln!(
                    "# The encrypted version of variable (\"{n}\", the string #{} from {from}).",
                    i + 1
                ),
                None => eprintln!("# The encrypted version of the string #{} from {from}.)", i + 1),
            }
        }
        out.push_str(&name.as_ref().map_or_else(String::new, |n| format!("{n}: ")));
        out.push_str("!vault |");
        for line in sealed.lines() {
            out.push_str("\n          ");
            out.push_str(line);
        }
        out.push('\n');
    }
    files::write(out.as_bytes(), output.unwrap_or("-"), true)?;
    said("Encryption successful");
    Ok(())
}

fn create(given: &Given, secret: &Secret, config: &Config) -> Result<(), Error> {
    let [file] = given.args.as_slice() else {
        return Err(Error::options("ansible-vault create can take only one filename argument"));
    };
    if !std::io::stdout().is_terminal() && !given.on("skip_tty_check") {
        return Err(Error::options("not a tty, editor cannot be opened"));
    }
    let path = Path::new(file);
    if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty() && !d.exists()) {
        display::warning(&format!("{} does not exist, creating...", dir.display()));
        fs::create_dir_all(dir).map_err(|e| {
            Error::new("Unable to create local directories")
                .because(crate::os_error(&e, &dir.to_string_lossy()))
        })?;
    }
    if path.is_file() {
        return Err(Error::new(format!("{file} exists, please use 'edit' instead")));
    }
    files::edit(file, None, secret, &secret.id, config)
}

fn rekey(given: &Given, vault: &Vault, id: Option<&str>, config: &Config) -> Result<(), Error> {
    let mut asked =
        Wanted { new: true, auto_prompt: true, ask: given.on("ask_vault_pass"), ..Wanted::default() };
    if id.is_some() {
        asked.ids = config.list("DEFAULT_VAULT_IDENTITY_LIST");
    }
    asked.ids.extend(given.value("new_vault_id").map(str::to_owned));
    asked.files.extend(given.value("new_vault_password_file").map(unfrack));
    let new = secrets::load(&asked, config)?;
    if new.secrets().is_empty() {
        return Err(Error::options("A new vault password is required to use Ansible's Vault rekey"));
    }
    let secret = new.secret_for(id)?;
    for file in &given.args {
        let file = files::real(file);
        let kept = fs::metadata(&file).map_err(|e| crate::os_error(&e, &file))?;
        let plain = decrypt(vault, &file)?.0;
        let text = vault::encrypt(&plain, secret, Some(&secret.id))?;
        files::write(text.as_bytes(), &file, true)?;
        files::restore(&file, &kept)?;
    }
    display::err("Rekey successful", "normal");
    Ok(())
}
