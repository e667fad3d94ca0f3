//! `GET /containers/{id}/top`: the host's `ps`, and of what it says the container's processes alone.

use std::collections::BTreeSet;

use pileus_base::{Error, Result};
use pileus_http::Reply;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::api::{Call, Flags};

/// How `ps` is asked where the client says nothing.
const USUAL: &str = "-ef";

pub async fn top(call: Call) -> Result<Reply> {
    let asked = call.text("ps_args");
    let asked = if asked.trim().is_empty() { USUAL.to_owned() } else { asked };
    let args = arguments(&asked)?;
    let c = call.state.running(call.param("id"), |id| format!("container {id} is not running")).await?;
    if c.state.status == crate::store::Status::Restarting {
        return Err(Error::conflict(format!(
            "Container {} is restarting, wait until the container is running",
            c.id
        )));
    }
    let pids: BTreeSet<u32> = call.state.host.container_pids(&c.id).await?.into_iter().collect();
    let text = ps(&args, &pids).await?;
    let shown = table(&text, &pids)?;
    call.state.container_event(&c, "top", &[]);
    Reply::ok(&shown)
}

/// The words of `ps_args`, each an argument; nothing but options, as the reference has it.
fn arguments(text: &str) -> Result<Vec<String>> {
    // A column called PID must be the pid.
    for word in text.split_whitespace() {
        if let Some((column, title)) = word.split_once('=')
            && title.starts_with("PID")
            && column.rsplit(',').next() != Some("pid")
        {
            let column = column.rsplit(',').next().unwrap_or(column);
            return Err(Error::bad_request(format!("specifying \"{column}={title}\" is not allowed")));
        }
    }
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

async fn ps(args: &[String], pids: &BTreeSet<u32>) -> Result<String> {
    let wanted = pids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let run = async |more: Option<String>| {
        let output = Command::new("ps").args(args).args(more).kill_on_drop(true).output().await;
        output.map_err(|e| Error::internal(format!("ps: {e}")))
    };
    let output = run(Some(format!("-q{wanted}"))).await?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    // Some options don't go with `-q`.
    let output = run(None).await?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::bad_request(format!("ps: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

/// What `ps` said as the API has it; the last column takes what is left of its line.
fn table(text: &str, pids: &BTreeSet<u32>) -> Result<Value> {
    let mut lines = text.lines();
    let titles: Vec<&str> = lines.next().unwrap_or("").split_whitespace().collect();
    let at = titles.iter().position(|t| *t == "PID");
    let at = at.ok_or_else(|| Error::internal("Couldn't find PID field in ps output"))?;
    let mut rows: Vec<Vec<String>> = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(pid) = words.get(at) else { continue };
        // With `-m`, threads follow their process with `-` for a pid.
        let thread = *pid == "-" && !rows.is_empty();
        let own = pid.parse().is_ok_and(|p| pids.contains(&p));
        if !own && !thread {
            continue;
        }
        let last = titles.len() - 1;
        let mut row: Vec<String> = words.iter().take(last).map(|w| (*w).to_owned()).collect();
        row.push(words.get(last..).unwrap_or_default().join(" "));
        rows.push(row);
    }
    Ok(json!({"Titles": titles, "Processes": rows}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_containers_processes_are_shown() {
        let text = "UID PID PPID CMD\nroot 1 0 /sbin/init\nroot 7 1 sh -c sleep  9\n";
        let shown = table(text, &BTreeSet::from([7])).unwrap();
        assert_eq!(shown["Processes"], json!([["root", "7", "1", "sh -c sleep 9"]]));
        assert!(table("UID CMD\n", &BTreeSet::new()).is_err());
    }

    #[test]
    fn a_column_called_pid_is_the_pid() {
        assert!(arguments("-eo pid,comm").is_ok() && arguments("-o pid=PID").is_ok());
        let e = arguments("-o ppid=PID").unwrap_err();
        assert_eq!(e.message(), "specifying \"ppid=PID\" is not allowed");
    }
}
