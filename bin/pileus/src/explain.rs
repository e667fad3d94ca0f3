//! `pileus docker explain`, on both sides of the control socket.

use std::{fmt::Write, path::Path};

use pileus_base::{Error, Result};
use pileus_http::Reply;
use serde_json::{Value, json};

use crate::control::{Asked, ask, block_on};

/// `POST /docker/explain`
pub async fn serve(mut call: Asked) -> Result<Reply> {
    let body: Value = call.value().await?;
    let docker = call.state.docker.clone();
    let docker = docker.ok_or_else(|| Error::unavailable("the container engine is not served here"))?;
    Reply::ok(&docker.explain(body["port"].as_str().unwrap_or("")).await?)
}

/// `pileus docker explain`
pub fn run(state_dir: &Path, port: &str) -> anyhow::Result<()> {
    let told = block_on(ask(state_dir, "POST", "/docker/explain", &json!({ "port": port })))?;
    print!("{}", text(&told));
    Ok(())
}

fn text(told: &Value) -> String {
    let mut out = String::new();
    let word = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    for p in told["paths"].as_array().into_iter().flatten() {
        let address = |ip: &Value, port: &Value| match word(ip) {
            ip if ip.contains(':') => format!("[{ip}]:{port}"),
            ip => format!("{ip}:{port}"),
        };
        let from = address(&p["host_ip"], &p["host_port"]);
        let to = address(&p["to"], &p["to_port"]);
        let _ = writeln!(out, "{from}/{}", word(&p["protocol"]));
        let _ = writeln!(out, "  held by    the daemon, so that no other program takes it");
        let _ = match p["way"].as_str() {
            Some("translated") => writeln!(out, "  rule       {}", word(&p["rule"])),
            Some("routed") => writeln!(out, "  routed     to the container's own address"),
            _ => writeln!(out, "  carried    by the daemon: the container has no address of this family"),
        };
        let _ = writeln!(out, "  bridge     {} (network {})", word(&p["bridge"]), word(&p["network"]));
        let _ = writeln!(out, "  container  {} at {to}, {}", word(&p["container"]), word(&p["interface"]));
    }
    for drop in told["drops"].as_array().into_iter().flatten() {
        let _ = writeln!(
            out,
            "warning: {}: a packet from elsewhere is dropped there unless it is accepted",
            word(drop)
        );
        let _ = writeln!(out, "         what would accept it: `ct status dnat accept`");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_from_the_host_to_the_container() {
        let told = json!({"drops": ["chain f of table ip x: policy drop"], "paths": [{
            "protocol": "tcp", "host_ip": "0.0.0.0", "host_port": 80, "way": "translated", "rule": "map any4",
            "network": "app", "bridge": "pd1", "container": "web", "interface": "eth0", "to": "10.0.0.2",
            "to_port": 8080}]});
        let text = text(&told);
        assert!(
            text.starts_with("0.0.0.0:80/tcp\n") && text.contains("web at 10.0.0.2:8080, eth0"),
            "{text}"
        );
        assert!(text.contains("warning: chain f of table ip x: policy drop"), "{text}");
    }
}
