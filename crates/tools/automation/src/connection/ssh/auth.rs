//! Proving who we are: keys given, keys of the agent, the user's default keys, then a password.

use std::sync::Arc;

use russh::client::{Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::client::AgentClient;
use russh::keys::{
    Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, decode_secret_key, load_secret_key,
};
use russh::{MethodKind, MethodSet};

use super::config::{Wanted, home, path};
use super::native::Client;
use crate::connection::Options;

/// Default key files, in ssh's order.
const DEFAULT_KEYS: &[&str] = &["id_rsa", "id_ecdsa", "id_ed25519", "id_dsa"];

/// How often a password's dialogue may ask before we stop answering.
const MAX_QUESTIONS: u32 = 3;

/// Authenticates. The error is what `ssh` would print.
pub async fn authenticate(
    handle: &mut Handle<Client>,
    user: &str,
    options: &Options,
    wanted: &Wanted,
) -> Result<(), String> {
    let broken = |e: russh::Error| format!("{user}@{}: {e}", options.host);
    let methods = match handle.authenticate_none(user).await.map_err(broken)? {
        russh::client::AuthResult::Success => return Ok(()),
        russh::client::AuthResult::Failure { remaining_methods, .. } => remaining_methods,
    };
    let allowed = |kind: MethodKind, flag: Option<bool>| {
        let listed =
            wanted.methods.as_ref().is_none_or(|m| m.iter().any(|m| m == String::from(&kind).as_str()));
        methods.contains(&kind) && flag != Some(false) && listed
    };
    if allowed(MethodKind::PublicKey, wanted.public_key)
        && public_keys(handle, user, options, wanted).await.map_err(broken)?
    {
        return Ok(());
    }
    if let Some(password) = &options.password {
        if allowed(MethodKind::KeyboardInteractive, wanted.keyboard)
            && keyboard(handle, user, password).await.map_err(broken)?
        {
            return Ok(());
        }
        if allowed(MethodKind::Password, wanted.password)
            && handle.authenticate_password(user, password).await.map_err(broken)?.success()
        {
            return Ok(());
        }
    }
    Err(format!("{user}@{}: Permission denied ({}).", options.host, names(&methods)))
}

/// `publickey,password`.
fn names(methods: &MethodSet) -> String {
    methods.iter().map(String::from).collect::<Vec<_>>().join(",")
}

async fn public_keys(
    handle: &mut Handle<Client>,
    user: &str,
    options: &Options,
    wanted: &Wanted,
) -> Result<bool, russh::Error> {
    let hash = handle.best_supported_rsa_hash().await?.flatten();
    let mut agent = agent(wanted).await;
    let mut in_agent = Vec::new();
    if let Some(agent) = &mut agent {
        // An agent that doesn't answer has no keys for us.
        in_agent = agent
            .request_identities()
            .await
            .unwrap_or_default()
            .iter()
            .map(|i| i.public_key().into_owned())
            .collect();
    }
    let mut keys: Vec<PrivateKey> = Vec::new();
    if let Some(text) = &options.private_key {
        keys.extend(decode_secret_key(text, options.private_key_passphrase.as_deref()).ok());
    }
    let mut files: Vec<_> = wanted.identity_files.iter().map(|f| path(f)).collect();
    if files.is_empty() && !wanted.identities_only {
        files = DEFAULT_KEYS.iter().map(|name| home().join(".ssh").join(name)).collect();
    }
    // A file that isn't there or is encrypted is passed over, as ssh without a terminal does;
    // an encrypted key whose public half lies beside it may be the agent's.
    let mut wanted_public = Vec::new();
    for file in &files {
        match load_secret_key(file, None) {
            Ok(key) => {
                wanted_public.push(key.public_key().clone());
                keys.push(key);
            }
            Err(_) => wanted_public.extend(russh::keys::load_public_key(file.with_extension("pub")).ok()),
        }
    }
    // Keys that the user named come first, by the agent if it has them.
    let named = |key: &russh::keys::PublicKey| wanted_public.iter().any(|k| k.key_data() == key.key_data());
    in_agent.sort_by_key(|key| !named(key));
    if wanted.identities_only {
        in_agent.retain(named);
    }
    if let Some(agent) = &mut agent {
        for key in &in_agent {
            let hash = hash.filter(|_| matches!(key.algorithm(), Algorithm::Rsa { .. }));
            // The agent may refuse to sign with one and not with the next.
            if let Ok(result) = handle.authenticate_publickey_with(user, key.clone(), hash, agent).await
                && result.success()
            {
                return Ok(true);
            }
        }
    }
    for key in keys {
        if in_agent.iter().any(|k| k.key_data() == key.public_key().key_data()) {
            continue;
        }
        if handle.authenticate_publickey(user, with_hash(key, hash)).await?.success() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn with_hash(key: PrivateKey, hash: Option<HashAlg>) -> PrivateKeyWithHashAlg {
    PrivateKeyWithHashAlg::new(Arc::new(key), hash)
}

type Agent = AgentClient<Box<dyn russh::keys::agent::client::AgentStream + Send + Unpin>>;

async fn agent(wanted: &Wanted) -> Option<Agent> {
    let socket = match wanted.identity_agent.as_deref() {
        Some("none") => return None,
        Some("SSH_AUTH_SOCK") | None => std::env::var_os("SSH_AUTH_SOCK")?.into(),
        Some(text) => path(text),
    };
    Some(AgentClient::connect_uds(socket).await.ok()?.dynamic())
}

async fn keyboard(handle: &mut Handle<Client>, user: &str, password: &str) -> Result<bool, russh::Error> {
    let mut answer = handle.authenticate_keyboard_interactive_start(user, None).await?;
    let mut questions = 0;
    loop {
        match answer {
            KeyboardInteractiveAuthResponse::Success => return Ok(true),
            KeyboardInteractiveAuthResponse::Failure { .. } => return Ok(false),
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => {
                // The password once; a second question is about something that we don't know.
                let first = questions == 0;
                let replies = prompts
                    .iter()
                    .map(|_| if first { password.to_string() } else { String::new() })
                    .collect();
                questions += u32::from(!prompts.is_empty());
                if questions > MAX_QUESTIONS {
                    return Ok(false);
                }
                answer = handle.authenticate_keyboard_interactive_respond(replies).await?;
            }
        }
    }
}
