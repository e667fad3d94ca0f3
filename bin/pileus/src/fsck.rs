//! `pileus docker fsck`, on both sides of the control socket.

use std::{path::Path, process::ExitCode};

use pileus_base::{Error, Result};
use pileus_http::Reply;
use serde_json::{Value, json};

use crate::control::{Asked, ask, block_on};

/// Exit codes, those of fsck(8): nothing is wrong.
const CLEAN: u8 = 0;
/// All that was wrong has been set right.
const REPAIRED: u8 = 1;
/// Something is wrong still.
const WRONG: u8 = 4;
/// It could not be checked.
const FAILED: u8 = 8;

/// `POST /docker/fsck`
pub async fn serve(mut call: Asked) -> Result<Reply> {
    let body: Value = call.value().await?;
    let docker = call.state.docker.clone();
    let docker = docker.ok_or_else(|| Error::unavailable("the container engine is not served here"))?;
    Reply::ok(&docker.fsck(body["repair"] == true).await?)
}

/// `pileus docker fsck`
pub fn run(state_dir: &Path, repair: bool, json: bool) -> ExitCode {
    match block_on(ask(state_dir, "POST", "/docker/fsck", &json!({ "repair": repair }))) {
        Ok(report) => {
            if json {
                println!("{report:#}");
            } else {
                print!("{}", text(&report));
            }
            ExitCode::from(code(&report))
        }
        Err(e) => {
            eprintln!("pileus: {e:#}");
            ExitCode::from(FAILED)
        }
    }
}

fn problems(report: &Value) -> &[Value] {
    report["problems"].as_array().map_or(&[], Vec::as_slice)
}

fn code(report: &Value) -> u8 {
    let all = problems(report);
    match (all.is_empty(), all.iter().all(|p| p["repaired"] == true)) {
        (true, _) => CLEAN,
        (false, true) => REPAIRED,
        (false, false) => WRONG,
    }
}

fn text(report: &Value) -> String {
    let mut out = format!(
        "{} blobs ({} bytes), {} layers, {} images, {} manifests\n",
        report["blobs"], report["blob_bytes"], report["layers"], report["images"], report["manifests"]
    );
    for p in problems(report) {
        let word = |name: &str| p[name].as_str().unwrap_or_default().to_owned();
        let end = if p["repaired"] == true { " (repaired)" } else { "" };
        out.push_str(&format!("{} {}: {}{end}\n", word("kind"), word("what"), word("why")));
    }
    if problems(report).is_empty() {
        out.push_str("clean\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_fsck() {
        let of = |problems: Value| code(&json!({ "problems": problems }));
        assert_eq!(of(json!([])), 0);
        assert_eq!(of(json!([{ "repaired": true }])), 1);
        assert_eq!(of(json!([{ "repaired": true }, { "repaired": false }])), 4);
    }
}
