//! Builds the helper, a static program of its own, and compresses it to be embedded.
//!
//! `PILEUS_HELPER_PROGRAM` names one that is built already, for those who build the helper apart (packagers,
//! or work on the controller alone): it is embedded as it is.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

fn main() {
    println!("cargo::rerun-if-env-changed=PILEUS_HELPER_PROGRAM");
    if let Some(program) = env::var_os("PILEUS_HELPER_PROGRAM").filter(|path| !path.is_empty()) {
        println!("cargo::rerun-if-changed={}", program.display());
        return embed(&PathBuf::from(program));
    }
    for path in ["helper/src", "helper/Cargo.toml", "helper/Cargo.lock", "modules/src", "modules/Cargo.toml"]
    {
        println!("cargo::rerun-if-changed=../{path}");
    }
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let target = out.join("helper");
    let triple = env::var("TARGET").expect("cargo sets it");
    let build = |offline: bool| {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--release", "--locked", "--target", &triple, "--manifest-path"]);
        cargo.arg(here.join("../helper/Cargo.toml")).arg("--target-dir").arg(&target);
        if offline {
            cargo.arg("--offline");
        }
        for name in ["CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_MAKEFLAGS"]
        {
            cargo.env_remove(name);
        }
        // Static, so that it runs on any target of the machine's kind, whatever C library is there.
        cargo.env("RUSTFLAGS", "-C target-feature=+crt-static -C relocation-model=static");
        cargo.status().is_ok_and(|s| s.success())
    };
    assert!(build(true) || build(false), "the helper doesn't build");
    embed(&target.join(&triple).join("release/pileus-helper"));
}

/// Compresses the program at `path` and tells the crate where the result is.
fn embed(path: &Path) {
    let program = fs::read(path).expect("the helper was built");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let compressed = out.join("pileus-helper.zst");
    fs::write(&compressed, zstd::bulk::compress(&program, 19).expect("zstd compresses"))
        .expect("the output directory is writable");
    println!("cargo::rustc-env=PILEUS_HELPER={}", compressed.display());
}
