//! `pileus status` and `pileus jobs`.

use std::path::Path;

use serde_json::Value;

use crate::control::{ask, block_on};

/// `pileus status`
pub fn status(state_dir: &Path, json: bool) -> anyhow::Result<()> {
    let s = block_on(ask(state_dir, "GET", "/status", &Value::Null))?;
    if json {
        println!("{s:#}");
        return Ok(());
    }
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let host = &s["host"];
    println!("pileus {} at {} (pid {})", text(&s["version"]), text(&s["url"]), s["pid"]);
    println!("state         {}", text(&s["state_dir"]));
    println!(
        "host          {}: {} processors, {} MiB, {} GiB free of {}",
        text(&host["hostname"]),
        host["vcpus"],
        host["ram_mib"],
        host["free_disk_gib"],
        host["disk_gib"]
    );
    println!(
        "hypervisor    {} {}, {} ({})",
        text(&host["hypervisor"]),
        text(&host["hypervisor_version"]),
        text(&host["accelerator"]),
        text(&host["accelerator_reason"])
    );
    println!("on this host  {} servers, {} networks", s["servers_on_host"], s["networks_on_host"]);
    for address in s["engine"].as_array().into_iter().flatten() {
        println!("docker        {}", text(address));
    }
    for r in s["reconcilers"].as_array().into_iter().flatten() {
        let error = r["last_error"].as_str().map(|e| format!(": {e}")).unwrap_or_default();
        println!("reconciler    {} ({} runs){error}", text(&r["name"]), r["runs"]);
    }
    Ok(())
}

/// `pileus jobs`
pub fn jobs(state_dir: &Path, resume: Option<&str>, json: bool) -> anyhow::Result<()> {
    if let Some(id) = resume {
        block_on(ask(state_dir, "POST", &format!("/jobs/{id}/resume"), &Value::Null))?;
        println!("job {id} is tried again");
        return Ok(());
    }
    let all = block_on(ask(state_dir, "GET", "/jobs", &Value::Null))?;
    if json {
        println!("{:#}", all["jobs"]);
        return Ok(());
    }
    println!("{:<36}  {:<10}  {:<24}  SUBJECT", "JOB", "STATE", "KIND");
    for job in all["jobs"].as_array().into_iter().flatten() {
        let text = |key: &str| job[key].as_str().unwrap_or("").to_owned();
        println!("{:<36}  {:<10}  {:<24}  {}", text("id"), text("state"), text("kind"), text("subject"));
        if let Some(error) = job["error"]["message"].as_str() {
            println!("    {error}");
        }
    }
    Ok(())
}

/// `pileus routes`: the golden table, and what tests walk.
pub fn routes(state_dir: &Path) -> anyhow::Result<()> {
    let all = block_on(ask(state_dir, "GET", "/routes", &Value::Null))?;
    for route in all["routes"].as_array().into_iter().flatten() {
        let text = |key: &str| route[key].as_str().unwrap_or("");
        let open = if route["open"] == true { "open" } else { "token" };
        println!("{} {}{} {} {open}", text("method"), text("mount"), text("path"), text("rule"));
    }
    Ok(())
}
