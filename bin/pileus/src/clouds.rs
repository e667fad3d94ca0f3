//! `clouds.yaml`: how the stock OpenStack clients log in.

use std::path::Path;

use crate::state::write_private;

/// What the file says.
pub struct Clouds<'a> {
    /// `http://127.0.0.1:8700`.
    pub base_url: &'a str,
    /// The administrator's password.
    pub admin_password: &'a str,
    /// The password of `demo`.
    pub demo_password: &'a str,
    /// The authority to trust, where the cloud speaks TLS.
    pub ca: Option<&'a Path>,
}

/// Writes `<state-dir>/clouds.yaml`, readable by its owner alone.
pub fn write(state_dir: &Path, clouds: &Clouds<'_>) -> anyhow::Result<()> {
    let cloud = |name: &str, user: &str, project: &str, password: &str| {
        // JSON is YAML: quoting is the serialiser's affair.
        let mut entry = serde_json::json!({
            "auth": {
                "auth_url": format!("{}/identity", clouds.base_url),
                "username": user,
                "password": password,
                "project_name": project,
                "user_domain_name": "Default",
                "project_domain_name": "Default",
            },
            "region_name": "RegionOne",
            "identity_api_version": "3",
        });
        if let Some(ca) = clouds.ca {
            entry["cacert"] = serde_json::json!(ca);
        }
        format!("  {name}: {entry}\n")
    };
    let text = format!(
        "# Written by `pileus up`. Use it with: eval \"$(pileus env)\"\nclouds:\n{}{}",
        cloud("pileus", "demo", "demo", clouds.demo_password),
        cloud("pileus-admin", "admin", "admin", clouds.admin_password)
    );
    write_private(&state_dir.join("clouds.yaml"), text.as_bytes())
}
