//! Volumes, and what a container mounts.
//!
//! A volume's files are in `<state-dir>/volumes/<name>/_data`; one with options is mounted there from when it
//! is made or first used until it is removed.

mod binds;
mod device;
pub(crate) mod mount;

use std::{collections::BTreeMap, path::PathBuf};

use pileus_base::{Error, Result, Scope};
use pileus_host::Rootfs;
use pileus_store::{Query, Resource, Stored};
use serde_json::{Value, json};

use super::open;
use crate::{Container, Docker, Image, Volume, events::now_ns, new_id};

/// Containers that mount a volume.
pub(crate) fn uses(containers: &[Stored<Container>], volume: &str) -> Vec<String> {
    let mounts = |c: &Container| c.mounts.iter().any(|m| m["Type"] == "volume" && m["Name"] == volume);
    containers.iter().filter(|c| mounts(c)).map(|c| c.id.clone()).collect()
}

/// Whether a name is one for a volume.
///
/// # Errors
/// 400 in the reference's words.
fn check_name(name: &str) -> Result<()> {
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_alphanumeric());
    let rest = chars.clone().count() > 0 && chars.all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if name.len() == 1 {
        return Err(Error::bad_request(format!(
            "create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )));
    }
    if first && rest {
        return Ok(());
    }
    Err(Error::bad_request(format!(
        "create {name}: \"{name}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    )))
}

impl Docker {
    /// Where a volume's files are.
    pub(crate) fn volume_path(&self, name: &str) -> PathBuf {
        self.options.state_dir.join("volumes").join(name).join("_data")
    }

    /// Makes a volume, or gives the one there is.
    ///
    /// # Errors
    /// 400 for a name that can't be; 409 where one with other options is there.
    pub(crate) async fn ensure_volume(
        &self,
        name: &str,
        options: BTreeMap<String, String>,
        mut labels: BTreeMap<String, String>,
    ) -> Result<(Volume, bool)> {
        let anonymous = name.is_empty();
        let name = if anonymous { new_id() } else { name.to_owned() };
        check_name(&name)?;
        device::check(&options).map_err(|e| Error::bad_request(format!("create {name}: {}", e.message())))?;
        if anonymous {
            labels.insert("com.docker.volume.anonymous".into(), String::new());
        }
        let volume = Volume {
            name: name.clone(),
            project: self.options.project.clone(),
            created_ns: now_ns(),
            options,
            labels,
            anonymous,
        };
        let write = self.store.write(move |tx| {
            if let Some(there) = tx.find::<Volume>(&Scope::All, &volume.name)? {
                if !volume.options.is_empty() && there.options != volume.options {
                    return Err(Error::conflict(format!(
                        "create {}: volume named {} already exists with different options",
                        volume.name, volume.name
                    )));
                }
                return Ok((there.value, false));
            }
            tx.insert(&volume)?;
            Ok((volume.clone(), true))
        });
        let (volume, made) = write.await?;
        let path = self.volume_path(&name);
        let doing = |e| Error::wrap(format!("failed to make {}", path.display()), e);
        open::make_last(&path).await.map_err(doing)?;
        if made {
            let told = BTreeMap::from([("driver".into(), "local".into())]);
            self.events.emit("volume", "create", &volume.name, told);
        }
        Ok((volume, made))
    }

    /// Removes a volume and its files.
    pub(crate) async fn remove_volume(&self, name: &str) -> Result<()> {
        let data = self.volume_path(name);
        device::remove(&data)?;
        if let Some(dir) = data.parent() {
            match tokio::fs::remove_dir_all(dir).await {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::wrap(format!("failed to remove {}", dir.display()), e));
                }
                _ => {}
            }
        }
        let id = name.to_owned();
        self.store.write(move |tx| tx.delete::<Volume>(&id).map(drop)).await?;
        self.events.emit("volume", "destroy", name, BTreeMap::from([("driver".into(), "local".into())]));
        Ok(())
    }

    /// Before a start: the volumes' directories, and what is mounted on them.
    pub(crate) async fn ensure_volumes(&self, container: &Container) -> Result<()> {
        for mount in container.mounts.iter().filter(|m| m["Type"] == "volume") {
            let name = mount["Name"].as_str().unwrap_or_default().to_owned();
            let volume = self.store.read(move |rd| rd.find::<Volume>(&Scope::All, &name)).await?;
            if let Some(volume) = volume {
                let path = self.volume_path(&volume.name);
                let doing = |e| Error::wrap(format!("failed to make {}", path.display()), e);
                open::make_last(&path).await.map_err(doing)?;
                device::ensure(&path, &volume.options)?;
            }
        }
        Ok(())
    }

    /// The mounts of a new container, of `HostConfig.Binds`, `.Mounts`, `.VolumesFrom`, `Config.Volumes`
    /// and the image's volumes: as `inspect` shows them. Volumes that are missing are made, and seeded with
    /// what the image has there.
    ///
    /// # Errors
    /// 400 in the reference's words for a mount that can't be.
    pub(crate) async fn mounts(
        &self,
        config: &Value,
        host_config: &Value,
        image: &Image,
    ) -> Result<Vec<Value>> {
        let mut asked = Vec::new();
        for bind in host_config["Binds"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            asked.push(binds::bind(bind)?);
        }
        for mount in host_config["Mounts"].as_array().into_iter().flatten() {
            asked.push(binds::mount(mount)?);
        }
        let driver = host_config["VolumeDriver"].as_str().unwrap_or("");
        if !matches!(driver, "" | "local")
            && let Some(one) = asked.iter().find(|a| a.kind == "volume")
        {
            return Err(Error::not_found(format!(
                "create {}: error looking up volume plugin {driver}: plugin \"{driver}\" not found",
                one.source
            )));
        }
        for (n, one) in asked.iter().enumerate() {
            if asked[..n].iter().any(|other| other.destination == one.destination) {
                return Err(Error::bad_request(format!("Duplicate mount point: {}", one.destination)));
            }
        }
        let mut out = self.volumes_from(host_config).await?;
        out.retain(|m| !asked.iter().any(|a| m["Destination"] == *a.destination));
        let image_config = image.value();
        for volumes in [&config["Volumes"], &image_config["config"]["Volumes"]] {
            for path in volumes.as_object().into_iter().flatten().map(|(path, _)| path) {
                let path = mount::clean(path);
                let there = asked.iter().any(|a| a.destination == path)
                    || out.iter().any(|m| m["Destination"] == *path)
                    || host_config["Tmpfs"].get(&path).is_some();
                if !there {
                    asked.push(binds::Asked::anonymous(path));
                }
            }
        }
        for one in asked {
            match self.mount(one, image).await {
                Ok(mount) => out.push(mount),
                Err(e) => {
                    // The first failure is what is told.
                    let _ = self.forget_volumes(&out, "").await;
                    return Err(e);
                }
            }
        }
        Ok(out)
    }

    /// One mount, as `inspect` shows it.
    async fn mount(&self, asked: binds::Asked, image: &Image) -> Result<Value> {
        let mut shown = json!({
            "Type": asked.kind,
            "Source": asked.source,
            "Destination": asked.destination,
            "Mode": asked.mode,
            "RW": asked.writable,
            "Propagation": asked.propagation,
        });
        match asked.kind {
            "bind" => {
                let there = tokio::fs::try_exists(&asked.source).await.unwrap_or(false);
                if !there && !asked.create {
                    return Err(Error::bad_request(format!(
                        "invalid mount config for type \"bind\": bind source path does not exist: {}",
                        asked.source
                    )));
                }
                if !there {
                    let doing = |e| {
                        Error::wrap(format!("error while creating mount source path '{}'", asked.source), e)
                    };
                    open::make_dir(asked.source.as_ref()).await.map_err(doing)?;
                }
            }
            "volume" => {
                let (volume, _) = self.ensure_volume(&asked.source, asked.options, asked.labels).await?;
                let path = self.volume_path(&volume.name);
                device::ensure(&path, &volume.options)?;
                let empty = std::fs::read_dir(&path).is_ok_and(|mut d| d.next().is_none());
                if empty && asked.copy && asked.subpath.is_empty() {
                    let rootfs = Rootfs { layers: image.layers.clone() };
                    self.host.seed_volume(&rootfs, &asked.destination, &path).await?;
                }
                shown["Name"] = json!(volume.name);
                shown["Source"] = json!(path);
                shown["Driver"] = json!("local");
            }
            _ => {}
        }
        if !asked.subpath.is_empty() {
            shown[mount::SUBPATH] = json!(asked.subpath);
        }
        if !asked.words.is_empty() {
            shown[mount::OPTIONS] = json!(asked.words.join(","));
        }
        Ok(shown)
    }

    async fn volumes_from(&self, host_config: &Value) -> Result<Vec<Value>> {
        let mut out: Vec<Value> = Vec::new();
        for from in host_config["VolumesFrom"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let (name, mode) = from.split_once(':').unwrap_or((from, ""));
            if from.is_empty() {
                return Err(Error::bad_request("volumes-from specification cannot be an empty string"));
            }
            if !matches!(mode, "" | "ro" | "rw" | "z" | "Z") {
                return Err(Error::bad_request(format!("invalid mode: {mode}")));
            }
            let all = self.store.read(|rd| rd.list::<Container>(&Scope::All, &Query::all())).await?;
            let name = name.trim_start_matches('/');
            let found = all.iter().find(|c| c.id == name || c.name == name || c.id.starts_with(name));
            let missing = || Error::bad_request(Container::not_found(name).message().to_owned());
            for mount in &found.ok_or_else(missing)?.mounts {
                let mut mount = mount.clone();
                if mode == "ro" {
                    mount["RW"] = json!(false);
                }
                out.retain(|m| m["Destination"] != mount["Destination"]);
                out.push(mount);
            }
        }
        Ok(out)
    }

    /// After a container has gone: its anonymous volumes too, where asked.
    pub(crate) async fn release_volumes(&self, container: &Container, remove: bool) -> Result<()> {
        match remove {
            true => self.forget_volumes(&container.mounts, &container.id).await,
            false => Ok(()),
        }
    }

    /// Removes the anonymous volumes among a container's mounts that no other uses.
    async fn forget_volumes(&self, mounts: &[Value], container: &str) -> Result<()> {
        for mount in mounts.iter().filter(|m| m["Type"] == "volume") {
            let name = mount["Name"].as_str().unwrap_or_default().to_owned();
            let own = container.to_owned();
            let read = self.store.read(move |rd| {
                let volume = rd.find::<Volume>(&Scope::All, &name)?;
                let used = uses(&rd.list::<Container>(&Scope::All, &Query::all())?, &name);
                Ok(volume.filter(|v| v.anonymous && used.iter().all(|u| *u == own)))
            });
            if let Some(volume) = read.await? {
                self.remove_volume(&volume.name).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_checked() {
        assert!(super::check_name("data_1").is_ok());
        for bad in ["", "a", "../x", "-a", "a/b"] {
            assert!(super::check_name(bad).is_err(), "{bad}");
        }
    }
}
