//! What an uploaded image is, by `qemu-img info` under limits, and whether it is safe: it may refer to no
//! other file (CVE-2024-32498, CVE-2015-5163), and must be what it was said to be.

use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Output},
};

use pileus_base::{Error, Result};
use serde_json::Value;

/// Address space that `qemu-img` may use; Nova's and Glance's limit.
const MEMORY_MAX: u64 = 1 << 30;
/// Processor seconds.
const CPU_MAX: u64 = 30;

/// What examination found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageInfo {
    /// As QEMU calls it.
    pub format: String,
    /// In bytes.
    pub virtual_size: u64,
}

/// Examines `path`, said to be of `format` in Glance's words.
///
/// # Errors
/// 400 that says what is wrong with it; 503 where `qemu-img` is missing.
pub fn inspect(path: &Path, format: &str) -> Result<ImageInfo> {
    let length = std::fs::metadata(path)
        .map_err(|e| Error::wrap(format!("failed to read `{}`", path.display()), e))?
        .len();
    let qemu = match format {
        "qcow2" | "vmdk" | "vdi" | "vhdx" | "qed" => format,
        "vhd" => "vpc",
        // Nothing to interpret: a raw image is its bytes, and must not be probed as anything else.
        "raw" | "iso" | "ami" | "ari" | "aki" | "ploop" => {
            return raw(path, format, length);
        }
        other => return Err(Error::bad_request(format!("Disk format {other} is not supported."))),
    };
    let info = qemu_img_info(path, qemu)?;
    let refused = |why: &str| Err(Error::bad_request(format!("Image disallowed by safety check: {why}")));
    if info["format"].as_str() != Some(qemu) {
        return refused("the content does not match the disk format");
    }
    if info.get("backing-filename").is_some() || info.get("full-backing-filename").is_some() {
        return refused("it has a backing file");
    }
    let specific = &info["format-specific"]["data"];
    if specific.get("data-file").is_some_and(|f| !f.is_null()) {
        return refused("it has an external data file");
    }
    if qemu == "vmdk" {
        let kind = specific["create-type"].as_str().unwrap_or("");
        let extents = specific["extents"].as_array().map_or(0, Vec::len);
        if !matches!(kind, "monolithicSparse" | "streamOptimized") || extents > 1 {
            return refused("only single-file VMDK images are taken");
        }
    }
    // Only now: a check would open the files that an image refers to.
    whole(path, qemu)?;
    let virtual_size = info["virtual-size"].as_u64().unwrap_or(0);
    Ok(ImageInfo { format: qemu.into(), virtual_size })
}

fn raw(path: &Path, format: &str, length: u64) -> Result<ImageInfo> {
    use std::io::Read;
    let mut head = [0u8; 4];
    let read = std::fs::File::open(path).and_then(|mut f| f.read(&mut head));
    read.map_err(|e| Error::wrap(format!("failed to read `{}`", path.display()), e))?;
    // A qcow2 passed off as raw would be interpreted later, backing file and all.
    if format == "raw" && (head == *b"QFI\xfb" || head == *b"KDMV") {
        return Err(Error::bad_request(
            "Image disallowed by safety check: the content does not match the disk format",
        ));
    }
    Ok(ImageInfo { format: "raw".into(), virtual_size: length })
}

/// Whether the image's tables and data are all there: one that was cut short still has a good header, and
/// would fail inside a server.
fn whole(path: &Path, format: &str) -> Result<()> {
    if format == "vdi" && std::fs::metadata(path).is_ok_and(|m| m.len() < vdi_end(path)) {
        return Err(Error::bad_request("Image is corrupted or incomplete: it ends before its last block"));
    }
    let output = qemu_img("check", path, format)?;
    // qemu-img(1): 2 is corrupted, 3 has leaked clusters, which is untidy alone, 63 can't be checked.
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let count = |key: &str| report[key].as_u64().unwrap_or(0);
    match output.status.code() {
        Some(0 | 3 | 63) if count("corruptions") == 0 => Ok(()),
        Some(2) => Err(Error::bad_request(format!(
            "Image is corrupted or incomplete: {} errors in its {format} structure",
            count("corruptions").max(1)
        ))),
        Some(_) => {
            Err(Error::bad_request(format!("Image is not a valid {format} image: {}", said(&output.stderr))))
        }
        None => Err(Error::bad_request("Image is too large or too intricate to be checked.")),
    }
}

/// Where a VDI's blocks end by its header: QEMU reads what is missing as zeros.
fn vdi_end(path: &Path) -> u64 {
    use std::io::Read;
    let mut head = [0u8; 0x188];
    if std::fs::File::open(path).and_then(|mut f| f.read_exact(&mut head)).is_err() {
        return u64::MAX;
    }
    let at = |n: usize| u64::from(u32::from_le_bytes([head[n], head[n + 1], head[n + 2], head[n + 3]]));
    let (data, block, allocated) = (at(0x158), at(0x178), at(0x184));
    data.saturating_add(block.saturating_mul(allocated))
}

/// The last thing that `qemu-img` said.
fn said(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    text.trim().rsplit(": ").next().unwrap_or("").trim().to_owned()
}

fn qemu_img_info(path: &Path, format: &str) -> Result<Value> {
    let output = qemu_img("info", path, format)?;
    if !output.status.success() {
        let why = said(&output.stderr);
        return Err(Error::bad_request(format!("Image is not a valid {format} image: {why}")));
    }
    serde_json::from_slice(&output.stdout).map_err(|e| Error::wrap("qemu-img gave no JSON", e))
}

/// `qemu-img VERB` on the file, under limits.
fn qemu_img(verb: &str, path: &Path, format: &str) -> Result<Output> {
    let mut command = Command::new("qemu-img");
    command
        .args([verb, "--output=json", "-f", format, "--"])
        .arg(path)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()));
    // SAFETY: setrlimit is async-signal-safe and is given values made before the fork.
    unsafe {
        command.pre_exec(|| {
            use rustix::process::{Resource, Rlimit, setrlimit};
            let limit = |n| Rlimit { current: Some(n), maximum: Some(n) };
            setrlimit(Resource::As, limit(MEMORY_MAX))?;
            setrlimit(Resource::Cpu, limit(CPU_MAX))?;
            Ok(())
        });
    }
    command.output().map_err(|e| {
        Error::unavailable("qemu-img is not installed: install the package qemu-utils").caused_by(e)
    })
}
