//! What a build is asked: the query of `POST /build`.

use std::collections::BTreeMap;

use pileus_base::{Error, Result};
use serde_json::{Map, Value};

use crate::{
    api::{Call, Flags},
    model::reference::Reference,
};

/// The options.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// Names for what is built.
    pub tags: Vec<Reference>,
    /// The Dockerfile's path in the context.
    pub dockerfile: String,
    /// Where the context is instead of the body.
    pub remote: String,
    /// What `POST /build/cancel` calls it.
    pub id: String,
    /// Say only the id.
    pub quiet: bool,
    /// Don't use the cache.
    pub no_cache: bool,
    /// Images whose history is cache too.
    pub cache_from: Vec<String>,
    /// Pull the images that are built on, even those that are here.
    pub pull: bool,
    /// Who asks registries: an AuthConfig for each, from `X-Registry-Config`.
    pub auth: BTreeMap<String, Value>,
    /// Keep containers of steps.
    pub keep: bool,
    /// Remove containers of steps that failed, too.
    pub force_remove: bool,
    /// Make one layer of the build's.
    pub squash: bool,
    /// Build arguments.
    pub build_args: BTreeMap<String, Option<String>>,
    /// Labels to add.
    pub labels: BTreeMap<String, String>,
    /// The stage to stop after.
    pub target: String,
    /// `platform`.
    pub platform: String,
    /// `networkmode`.
    pub network: String,
    /// `extrahosts`.
    pub extra_hosts: Vec<String>,
    /// `shmsize`, `memory`, `cpushares` and their kin, in the names of `HostConfig`.
    pub limits: Map<String, Value>,
}

/// A parameter that is JSON.
fn json<T: serde::de::DeserializeOwned + Default>(call: &Call, name: &str, what: &str) -> Result<T> {
    match call.text(name).as_str() {
        "" | "null" => Ok(T::default()),
        text => serde_json::from_str(text).map_err(|e| {
            let why = crate::model::json::reason(text.as_bytes(), &e);
            Error::bad_request(format!("error reading {what}: {why}"))
        }),
    }
}

impl Options {
    /// Reads them.
    ///
    /// # Errors
    /// 400 for what can't be read.
    pub fn read(call: &Call) -> Result<Self> {
        match call.text("version").as_str() {
            "" | "1" => {}
            "2" => {
                return Err(Error::bad_request(
                    "BuildKit is not supported by this engine: set DOCKER_BUILDKIT=0 to build with the classic builder",
                ));
            }
            other => return Err(Error::bad_request(format!("invalid version {other:?}"))),
        }
        if !call.text("securityopt").is_empty() {
            return Err(Error::bad_request("security options are not supported on linux"));
        }
        let isolation = call.text("isolation").to_lowercase();
        if !matches!(isolation.as_str(), "" | "default") {
            return Err(Error::bad_request(format!("unsupported isolation: {isolation:?}")));
        }
        let platform = call.text("platform");
        if !platform.is_empty() {
            super::from::platform(&platform)?;
        }
        // docker-py names it twice where it is out of the context; the first counts.
        let dockerfile = call.query.all("dockerfile").next().unwrap_or_default();
        let mut tags = Vec::new();
        for tag in call.query.all("t").filter(|t| !t.is_empty()) {
            let tag = Reference::parse(tag)?;
            if tag.digest.is_some() {
                return Err(Error::bad_request("build tag cannot contain a digest"));
            }
            let tag = tag.or_latest();
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        let hosts = call.query.all("extrahosts").flat_map(|h| h.split(','));
        Ok(Self {
            tags,
            // As the reference: the file is in the context, however its path begins.
            dockerfile: match dockerfile.trim_start_matches('/') {
                "" => "Dockerfile".into(),
                path => path.to_owned(),
            },
            remote: call.text("remote"),
            id: call.text("buildid"),
            quiet: call.flag("q"),
            no_cache: call.flag("nocache"),
            cache_from: json(call, "cachefrom", "cache-from")?,
            pull: call.flag("pull"),
            auth: registry_config(call),
            keep: !call.text("rm").is_empty() && !call.flag("rm") && !call.flag("forcerm"),
            force_remove: call.flag("forcerm"),
            squash: call.flag("squash"),
            build_args: json(call, "buildargs", "build args")?,
            labels: json(call, "labels", "labels")?,
            target: call.text("target"),
            platform,
            network: call.text("networkmode"),
            extra_hosts: hosts.filter(|h| !h.is_empty()).map(str::to_owned).collect(),
            limits: limits(call)?,
        })
    }
}

/// What a step's container may use.
fn limits(call: &Call) -> Result<Map<String, Value>> {
    let mut limits = Map::new();
    for (name, key) in [
        ("shmsize", "ShmSize"),
        ("memory", "Memory"),
        ("memswap", "MemorySwap"),
        ("cpushares", "CpuShares"),
        ("cpuperiod", "CpuPeriod"),
        ("cpuquota", "CpuQuota"),
    ] {
        let text = call.text(name);
        match text.parse::<i64>() {
            Ok(0) => {}
            Ok(n) => drop(limits.insert(key.into(), n.into())),
            Err(_) if name == "shmsize" && !text.is_empty() => {
                return Err(Error::bad_request(format!(
                    "strconv.ParseInt: parsing {text:?}: invalid syntax"
                )));
            }
            Err(_) => {}
        }
    }
    for (name, key) in
        [("cpusetcpus", "CpusetCpus"), ("cpusetmems", "CpusetMems"), ("cgroupparent", "CgroupParent")]
    {
        let text = call.text(name);
        if !text.is_empty() {
            limits.insert(key.into(), text.into());
        }
    }
    let ulimits: Vec<Value> = json(call, "ulimits", "ulimit settings")?;
    if !ulimits.is_empty() {
        limits.insert("Ulimits".into(), ulimits.into());
    }
    Ok(limits)
}

/// The AuthConfigs of `X-Registry-Config`; one that can't be read is none, as in the reference.
fn registry_config(call: &Call) -> BTreeMap<String, Value> {
    use base64::Engine;
    let header = call.header("x-registry-config").unwrap_or_default();
    let engine = base64::engine::general_purpose::URL_SAFE;
    let bytes = engine.decode(header).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}
