//! Rules of other programs that packets to containers meet: a drop in any table's forward chain wins over
//! whatever ours accept.

use std::process::{Command, Stdio};

use pileus_base::{Error, Result};
use serde_json::Value;

/// Chains on the forward hook that drop by default, in this process's namespace; a line each.
pub fn drops() -> Result<Vec<String>> {
    let asked = Command::new("nft").args(["-j", "list", "chains"]).stdin(Stdio::null()).output();
    let output = asked.map_err(|e| Error::wrap("failed to run nft", e))?;
    let listed: Value = serde_json::from_slice(&output.stdout)
        .map_err(|e| Error::wrap("nft does not list chains as JSON", e))?;
    let mut all = dropping(&listed);
    // Rules of the older kind are not nft's to show.
    let legacy = std::fs::read_to_string("/proc/net/ip_tables_names").unwrap_or_default();
    if legacy.lines().any(|l| l == "filter") {
        all.push("iptables-legacy has a filter table: see `iptables-legacy -S FORWARD`".into());
    }
    Ok(all)
}

fn dropping(listed: &Value) -> Vec<String> {
    let chains = listed["nftables"].as_array().into_iter().flatten().map(|o| &o["chain"]);
    let forward = chains.filter(|c| c["hook"] == "forward" && c["policy"] == "drop");
    forward
        .map(|c| {
            let word = |key: &str| c[key].as_str().unwrap_or("?").to_owned();
            format!("chain {} of table {} {}: policy drop", word("name"), word("family"), word("table"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_that_drop_are_told() {
        let listed = serde_json::json!({"nftables": [
            {"metainfo": {"version": "1.0.6"}},
            {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"}},
            {"chain": {"family": "ip", "table": "filter", "name": "INPUT", "hook": "input", "policy": "drop"}},
            {"chain": {"family": "inet", "table": "x", "name": "f", "hook": "forward", "policy": "accept"}}]});
        assert_eq!(dropping(&listed), ["chain FORWARD of table ip filter: policy drop"]);
    }
}
