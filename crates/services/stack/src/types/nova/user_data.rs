//! What a server is told at its first boot.

use base64::{Engine, engine::general_purpose::STANDARD};
use pileus_base::{Result, Scope, ids::parse_uuid};

use crate::{store::configs::Config, types::At};

/// The server's user data in base64: as it is, or wrapped as Heat's tools want it.
///
/// # Errors
/// Those of the store.
pub fn encoded(at: &mut At<'_, '_>) -> Result<Option<String>> {
    let given = at.text("user_data").unwrap_or_default();
    let format = at.text("user_data_format").unwrap_or_else(|| "HEAT_CFNTOOLS".into());
    let text = if format == "HEAT_CFNTOOLS" { given } else { config(at, &given)?.unwrap_or(given) };
    if text.is_empty() {
        return Ok(None);
    }
    // A text that is multi-part already, or wanted raw, stays as it is.
    let raw = format == "RAW" || text.starts_with("Content-Type: multipart/");
    let text = if raw { text } else { wrapped(&text, &at.item.id.simple().to_string()) };
    Ok(Some(STANDARD.encode(text)))
}

/// The text of a kept config of the stack's project, where `id` is one's.
fn config(at: &mut At<'_, '_>, id: &str) -> Result<Option<String>> {
    let Ok(id) = parse_uuid(id) else { return Ok(None) };
    let scope = Scope::Project(at.stack.project_id.clone());
    let found = at.tx.find::<Config>(&scope, id)?;
    Ok(found.and_then(|c| c.config.as_str().map(str::to_owned)))
}

/// One part beside a cloud-config that leaves the image's users as they are.
fn wrapped(text: &str, id: &str) -> String {
    let boundary = format!("==============={id}==");
    let kind = if text.starts_with("#cloud-config") { "cloud-config" } else { "x-shellscript" };
    let part = |kind: &str, name: &str, text: &str| {
        format!(
            "--{boundary}\nContent-Type: text/{kind}; charset=\"us-ascii\"\nMIME-Version: 1.0\n\
             Content-Transfer-Encoding: 7bit\nContent-Disposition: attachment; filename=\"{name}\"\n\n{text}\n"
        )
    };
    format!(
        "Content-Type: multipart/mixed; boundary=\"{boundary}\"\nMIME-Version: 1.0\n\n{}{}--{boundary}--\n",
        part("cloud-config", "cloud-config", "#cloud-config\nuser: ec2-user\npreserve_hostname: false\n"),
        part(kind, "cfn-userdata", text),
    )
}
