//! What a build is asked: the query of `POST /build`.

use std::collections::BTreeMap;

use pileus_base::{Error, Result};
use serde_json::Value;

use crate::api::{Call, Flags};

/// The options.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// Names for what is built, normalised: `docker.io/library/x:latest`.
    pub tags: Vec<String>,
    /// The Dockerfile's path in the context.
    pub dockerfile: String,
    /// Where the context is instead of the body.
    pub remote: String,
    /// Say only the id.
    pub quiet: bool,
    /// Don't use the cache.
    pub no_cache: bool,
    /// Pull the images that are built on, even those that are here.
    pub pull: bool,
    /// Keep containers of steps.
    pub keep: bool,
    /// Remove containers of steps that failed, too.
    pub force_remove: bool,
    /// Build arguments.
    pub build_args: BTreeMap<String, Option<String>>,
    /// Labels to add.
    pub labels: BTreeMap<String, String>,
    /// The stage to stop after.
    pub target: String,
    /// `networkmode`.
    pub network: String,
    /// `extrahosts`.
    pub extra_hosts: Vec<String>,
    /// `shmsize`, `memory`, `cpushares` and their kin, in the names of `HostConfig`.
    pub limits: serde_json::Map<String, Value>,
}

impl Options {
    /// Reads them.
    ///
    /// # Errors
    /// 400 for what can't be read, 501 for what is not served.
    pub fn read(call: &Call) -> Result<Self> {
        if call.text("version") == "2" {
            return Err(Error::bad_request(
                "BuildKit is not supported by this daemon: set DOCKER_BUILDKIT=0 to use the classic builder",
            ));
        }
        if call.flag("squash") {
            return Err(Error::not_implemented("squash is not supported"));
        }
        let platform = call.text("platform");
        if !platform.is_empty() && !platform.starts_with("linux") {
            return Err(Error::bad_request(format!("\"{platform}\": unsupported operating system")));
        }
        let json = |name: &str| -> Result<Value> {
            match call.text(name).as_str() {
                "" => Ok(Value::Null),
                text => serde_json::from_str(text)
                    .map_err(|e| Error::bad_request(format!("error reading {name}: {e}"))),
            }
        };
        let mut build_args = BTreeMap::new();
        for (k, v) in json("buildargs")?.as_object().into_iter().flatten() {
            build_args.insert(k.clone(), v.as_str().map(str::to_owned));
        }
        let mut labels = BTreeMap::new();
        for (k, v) in json("labels")?.as_object().into_iter().flatten() {
            labels.insert(k.clone(), v.as_str().unwrap_or_default().to_owned());
        }
        let mut limits = serde_json::Map::new();
        for (name, key) in [
            ("shmsize", "ShmSize"),
            ("memory", "Memory"),
            ("memswap", "MemorySwap"),
            ("cpushares", "CpuShares"),
            ("cpuperiod", "CpuPeriod"),
            ("cpuquota", "CpuQuota"),
        ] {
            if let Ok(n) = call.text(name).parse::<i64>()
                && n != 0
            {
                limits.insert(key.into(), n.into());
            }
        }
        if !call.text("cpusetcpus").is_empty() {
            limits.insert("CpusetCpus".into(), call.text("cpusetcpus").into());
        }
        let dockerfile = call.text("dockerfile");
        let mut tags = Vec::new();
        for tag in call.query.all("t").filter(|t| !t.is_empty()) {
            let tag = super::keep::normalise(tag)?;
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        Ok(Self {
            tags,
            dockerfile: if dockerfile.is_empty() { "Dockerfile".into() } else { dockerfile },
            remote: call.text("remote"),
            quiet: call.flag("q"),
            no_cache: call.flag("nocache"),
            pull: call.flag("pull"),
            keep: !call.text("rm").is_empty() && !call.flag("rm") && !call.flag("forcerm"),
            force_remove: call.flag("forcerm"),
            build_args,
            labels,
            target: call.text("target"),
            network: call.text("networkmode"),
            extra_hosts: call
                .text("extrahosts")
                .split(',')
                .filter(|h| !h.is_empty())
                .map(str::to_owned)
                .collect(),
            limits,
        })
    }
}
