//! Builds the supervisor, a static program of its own, to be embedded in the driver.

use std::{env, path::PathBuf, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=supervisor/src");
    println!("cargo::rerun-if-changed=supervisor/Cargo.toml");
    println!("cargo::rerun-if-changed=supervisor/Cargo.lock");
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let target = out.join("supervisor");
    let triple = env::var("TARGET").expect("cargo sets it");
    let build = |offline: bool| {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--release", "--locked", "--target", &triple, "--manifest-path"]);
        cargo.arg(here.join("supervisor/Cargo.toml")).arg("--target-dir").arg(&target);
        if offline {
            cargo.arg("--offline");
        }
        for name in ["CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_MAKEFLAGS"]
        {
            cargo.env_remove(name);
        }
        // Static and without a C library: it begins at its own `_start`.
        let flags = "-C target-feature=+crt-static -C relocation-model=static -C link-arg=-nostartfiles \
                     -C link-arg=-nostdlib -C link-arg=-static -C link-arg=-Wl,--build-id=none \
                     -C link-arg=-Wl,--defsym=rust_eh_personality=_Unwind_Resume";
        cargo.env("RUSTFLAGS", flags);
        cargo.status().is_ok_and(|s| s.success())
    };
    assert!(build(true) || build(false), "the supervisor doesn't build");
    let program = target.join(&triple).join("release/pileus-supervisor");
    println!("cargo::rustc-env=PILEUS_SUPERVISOR={}", program.display());
}
