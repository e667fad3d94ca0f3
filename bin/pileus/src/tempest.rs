//! `pileus tempest-conf`: a tempest.conf for this cloud, of what it has and can do.

use std::{path::Path, process::Command};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::cli::TempestArgs;

/// Prints the configuration. The stock `openstack` client, which Tempest's users have, finds the ids.
pub fn run(state_dir: &Path, args: &TempestArgs) -> anyhow::Result<()> {
    let clouds = state_dir.join("clouds.yaml");
    let password = admin_password(&clouds)?;
    let ask = |words: &[&str]| -> anyhow::Result<Value> {
        let output = Command::new("openstack")
            .args(words)
            .args(["-f", "json"])
            .env("OS_CLIENT_CONFIG_FILE", &clouds)
            .env("OS_CLOUD", "pileus-admin")
            .output()
            .context("failed to run the openstack client: is it on the PATH?")?;
        if !output.status.success() {
            bail!("openstack {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let images = ask(&["image", "list", "--status", "active"])?;
    let wanted = |i: &&Value| args.image.as_deref().is_none_or(|w| i["ID"] == w || i["Name"] == w);
    let image = images.as_array().into_iter().flatten().find(wanted);
    let image = image.context("there is no such image: upload one with `openstack image create`")?;
    let image = image["ID"].as_str().context("an image has no id")?;
    let flavors = ask(&["flavor", "list", "--all"])?;
    let flavor = |name: &str| -> anyhow::Result<String> {
        let found = flavors.as_array().into_iter().flatten().find(|f| f["Name"] == name);
        let id =
            found.and_then(|f| f["ID"].as_str()).with_context(|| format!("there is no flavor {name}"))?;
        Ok(id.to_owned())
    };
    let extensions = ask(&["extension", "list", "--network"])?;
    let aliases: Vec<_> =
        extensions.as_array().into_iter().flatten().filter_map(|e| e["Alias"].as_str()).collect();
    let auth_url = auth_url(&clouds)?;
    let workspace = std::path::absolute(&args.workspace)?;
    print!(
        "{}",
        include_str!("tempest.conf")
            .replace("@WS@", &workspace.display().to_string())
            .replace("@AUTH_URL@", &auth_url)
            .replace("@ADMIN_PW@", &password)
            .replace("@NETWORK@", &args.network)
            .replace("@IMAGE@", image)
            .replace("@FLAVOR@", &flavor("m1.tiny")?)
            .replace("@FLAVOR_ALT@", &flavor("m1.small")?)
            .replace("@NET_EXT@", &aliases.join(","))
    );
    Ok(())
}

fn entry(clouds: &Path, key: &str) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(clouds)
        .with_context(|| format!("failed to read `{}`: has the cloud been started?", clouds.display()))?;
    let line = text.lines().find_map(|l| l.trim().strip_prefix("pileus-admin: "));
    let cloud: Value = serde_json::from_str(line.context("clouds.yaml has no pileus-admin")?)?;
    Ok(cloud["auth"][key].as_str().with_context(|| format!("clouds.yaml has no {key}"))?.to_owned())
}

fn admin_password(clouds: &Path) -> anyhow::Result<String> {
    entry(clouds, "password")
}

fn auth_url(clouds: &Path) -> anyhow::Result<String> {
    Ok(format!("{}/v3", entry(clouds, "auth_url")?))
}
