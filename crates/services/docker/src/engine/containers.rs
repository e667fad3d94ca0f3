//! Containers: finding, making, renaming, removing.

use std::sync::Arc;

use pileus_base::{Error, Result, Scope};
use pileus_host::Rootfs;
use pileus_store::{Query, Resource, Stored, taken};
use serde_json::{Value, json};

use crate::{
    Container, Docker,
    events::now_ns,
    model::config,
    new_id,
    store::{State, Status},
};

impl Docker {
    /// The container of an id.
    pub(crate) async fn find_container(&self, id: &str) -> Result<Option<Stored<Container>>> {
        let id = id.to_owned();
        self.store.read(move |r| r.find::<Container>(&Scope::All, &id)).await
    }

    /// All containers, the newest first.
    pub(crate) async fn containers(&self) -> Result<Vec<Container>> {
        let all: Vec<Stored<Container>> =
            self.store.read(|r| r.list(&Scope::All, &Query::all().sort("created"))).await?;
        Ok(all.into_iter().rev().map(|c| c.value).collect())
    }

    /// The container of an id, a name or an id's beginning.
    ///
    /// # Errors
    /// 404, `No such container: X`; 400 where several ids begin so.
    pub(crate) async fn container(&self, name: &str) -> Result<Stored<Container>> {
        let asked = name.strip_prefix('/').unwrap_or(name).to_owned();
        let found = self
            .store
            .read(move |r| {
                if let Some(c) = r.find::<Container>(&Scope::All, &asked)? {
                    return Ok(vec![c]);
                }
                if let Some(c) = r.first::<Container>(&Scope::All, Query::by("name", &asked))? {
                    return Ok(vec![c]);
                }
                if asked.is_empty() || !asked.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Ok(Vec::new());
                }
                let all: Vec<Stored<Container>> = r.list(&Scope::All, &Query::all())?;
                Ok(all.into_iter().filter(|c| c.id.starts_with(&asked)).collect())
            })
            .await?;
        let several = found.len() > 1;
        match found.into_iter().next() {
            Some(_) if several => {
                Err(Error::bad_request(format!("multiple IDs found with provided prefix: {name}")))
            }
            Some(c) => Ok(c),
            None => Err(Container::not_found(name)),
        }
    }

    /// Changes a container's document.
    pub(crate) async fn change(
        &self,
        id: &str,
        f: impl Fn(&mut Container) + Send + 'static,
    ) -> Result<Stored<Container>> {
        let id = id.to_owned();
        self.store
            .write(move |tx| {
                tx.update::<Container>(&Scope::All, &id, |c| {
                    f(c);
                    Ok(())
                })
            })
            .await
    }

    /// Tells of something that happened to a container.
    pub(crate) fn container_event(&self, c: &Container, action: impl Into<String>, more: &[(&str, String)]) {
        let mut attributes = c.labels();
        attributes.insert("image".into(), c.image.clone());
        attributes.insert("name".into(), c.name.clone());
        attributes.extend(more.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
        self.events.emit("container", action, &c.id, attributes);
    }

    /// Makes a container of a request's body.
    ///
    /// # Errors
    /// 400, 404 and 409 in the reference's words.
    pub(crate) async fn create_container(&self, name: &str, body: &Value) -> Result<Container> {
        let client = body
            .as_object()
            .ok_or_else(|| Error::bad_request("invalid JSON: got EOF while reading request body"))?;
        if client.keys().all(|k| matches!(k.as_str(), "HostConfig" | "NetworkingConfig")) {
            return Err(Error::bad_request("config cannot be empty in order to create a container"));
        }
        let asked = name.strip_prefix('/').unwrap_or(name).to_owned();
        if !asked.is_empty() {
            config::check_name(&asked)?;
        }
        let image_name = body["Image"].as_str().unwrap_or("").to_owned();
        let image = self.image(&image_name).await?.value;
        let mut merged = config::merge(client, &image.value()["config"], &image_name)?;
        let host_config = config::host_defaults(&body["HostConfig"]);
        config::check_host(&host_config)?;
        crate::model::logging::check(&host_config["LogConfig"])?;
        crate::model::spec::validate(&merged, &host_config)?;
        if self.remap.is_some() {
            crate::model::spec::confine::check_remapped(&host_config)?;
        }
        let id = new_id();
        if merged["Hostname"] == json!("") {
            merged["Hostname"] = json!(&id[..12]);
        }
        let name = self.free_name(&asked).await?;
        let endpoints = self.endpoints(&host_config, &body["NetworkingConfig"]).await?;
        let rootfs = Rootfs { layers: image.layers.clone() };
        let mounts = self.mounts(&merged, &host_config, &image).await?;
        let mut container = Container {
            id: id.clone(),
            name,
            project: self.options.project.clone(),
            created_ns: now_ns(),
            image_id: image.id.clone(),
            image: image_name,
            args: config::args(&merged),
            config: merged,
            host_config,
            mounts,
            rootfs,
            endpoints,
            published: Vec::new(),
            state: State::default(),
            execs: Vec::new(),
        };
        let made = self.make(&mut container, asked.is_empty()).await;
        if let Err(e) = made {
            let _ = self.host.remove_container(&id).await;
            let _ = self.release_volumes(&container, true).await;
            return Err(match taken(&e) {
                Some(t) => name_taken(&container.name, &t.id),
                None => e,
            });
        }
        self.container_event(&container, "create", &[]);
        Ok(container)
    }

    /// Keeps a new container; a name of our own choice that another took meanwhile is chosen anew.
    async fn make(&self, container: &mut Container, ours: bool) -> Result<()> {
        self.host.ensure_container(&container.id, &container.rootfs).await?;
        tokio::fs::create_dir_all(self.container_dir(&container.id))
            .await
            .map_err(|e| Error::wrap("failed to make a container's directory", e))?;
        loop {
            let doc = container.clone();
            match self.store.write(move |tx| tx.insert(&doc)).await {
                Err(e) if ours && taken(&e).is_some() => container.name = config::random_name(1),
                done => return done,
            }
        }
    }

    async fn holder(&self, name: &str) -> Result<Option<String>> {
        let name = name.to_owned();
        let held = self.store.read(move |r| r.holder("docker.container.name", &name)).await?;
        Ok(held.map(|(_, id)| id))
    }

    async fn free_name(&self, asked: &str) -> Result<String> {
        if !asked.is_empty() {
            return match self.holder(asked).await? {
                Some(id) => Err(name_taken(asked, &id)),
                None => Ok(asked.to_owned()),
            };
        }
        let mut attempt = 0;
        loop {
            let name = config::random_name(attempt);
            if self.holder(&name).await?.is_none() {
                return Ok(name);
            }
            attempt += 1;
        }
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// 400 for a bad name, 409 for one in use.
    pub(crate) async fn rename_container(&self, id: &str, name: &str) -> Result<()> {
        let new = name.strip_prefix('/').unwrap_or(name).to_owned();
        if new.is_empty() {
            return Err(Error::bad_request("Neither old nor new names may be empty"));
        }
        let old = self.container(id).await?.value;
        if let Err(e) = config::check_name(&new) {
            // The reference names it as it keeps it, with the slash.
            let told = e.message().replacen('(', "(/", 1);
            return Err(Error::bad_request(format!("Error when allocating new name: {told}")));
        }
        if old.name == new {
            return Err(Error::bad_request("Renaming a container with the same name as its current name"));
        }
        let wanted = new.clone();
        let renamed = self.change(&old.id, move |c| c.name.clone_from(&wanted)).await;
        let renamed = renamed.map_err(|e| match taken(&e) {
            Some(t) => {
                let taken = name_taken(&new, &t.id);
                Error::conflict(format!("Error when allocating new name: {}", taken.message()))
            }
            None => e,
        })?;
        self.container_event(&renamed, "rename", &[("oldName", format!("/{}", old.name))]);
        Ok(())
    }

    /// Removes a container with everything of it.
    ///
    /// # Errors
    /// 409 where it runs and isn't forced.
    pub(crate) async fn remove_container(
        self: &Arc<Self>,
        name: &str,
        force: bool,
        volumes: bool,
    ) -> Result<()> {
        let found = self.container(name).await?.value;
        let id = found.id;
        let lock = self.lock(&id);
        let _held = match lock.try_lock() {
            Ok(held) => held,
            Err(_) if found.state.status == Status::Removing => {
                return Err(Error::conflict(format!("removal of container {name} is already in progress")));
            }
            Err(_) => lock.lock().await,
        };
        let Some(found) = self.find_container(&id).await? else { return Err(Container::not_found(name)) };
        let mut container = found.value;
        if !force
            && (container.runs() || matches!(container.state.status, Status::Starting | Status::Restarting))
        {
            let how = if container.state.status == Status::Paused { "paused" } else { "running" };
            return Err(Error::conflict(format!(
                "cannot remove container \"/{}\": container is {how}: stop the container before removing or force remove",
                container.name
            )));
        }
        self.remove_held(&mut container, volumes).await
    }

    /// Removes one that has ended and was to be removed then.
    pub(crate) async fn remove_ended(&self, id: &str) -> Result<()> {
        let lock = self.lock(id);
        let _held = lock.lock().await;
        match self.find_container(id).await? {
            // Somebody may have started it again.
            Some(mut c) if !c.runs() => self.remove_held(&mut c.value, true).await,
            _ => Ok(()),
        }
    }

    /// Removes a container whose lock is held: first its document says so, and what is to go with it.
    async fn remove_held(&self, container: &mut Container, volumes: bool) -> Result<()> {
        let (id, ran) = (container.id.clone(), container.runs());
        let intend = move |c: &mut Container| {
            c.state.status = Status::Removing;
            c.state.remove_volumes = volumes;
        };
        self.change(&id, intend).await?;
        let done = self.finish_removal(container, volumes, ran).await;
        if let Err(e) = &done {
            let text = e.message().to_owned();
            let dead = move |c: &mut Container| {
                c.state.status = Status::Dead;
                c.state.pid = 0;
                c.state.error.clone_from(&text);
            };
            // The first failure is what is told.
            let _ = self.change(&id, dead).await;
        }
        done
    }

    /// What removal does once it is written down.
    pub(crate) async fn finish_removal(
        &self,
        container: &mut Container,
        volumes: bool,
        ran: bool,
    ) -> Result<()> {
        let id = container.id.clone();
        if ran {
            self.container_event(container, "kill", &[("signal", "9".into())]);
        }
        self.clear_shm(container);
        if self.ships(&id) {
            // Its log goes with it: what is left is sent first.
            if ran {
                self.host
                    .signal_container(&id, crate::model::signals::KILL)
                    .await
                    .or_else(super::life::gone)?;
                self.host.wait_container(&id).await?;
            }
            self.finish_shipping(&id).await;
        }
        self.host.remove_container(&id).await?;
        self.disconnect_all(container).await?;
        if ran {
            let ran = (now_ns() - container.state.started_ns).max(0) / 1_000_000_000;
            let told = [("execDuration", ran.to_string()), ("exitCode", "137".into())];
            self.container_event(container, "die", &told);
        }
        if let Err(e) = tokio::fs::remove_dir_all(self.container_dir(&id)).await
            && e.kind() != std::io::ErrorKind::NotFound
        {
            return Err(Error::wrap("failed to remove a container's directory", e));
        }
        // Before the document, which a daemon that is killed here finds again.
        if let Err(e) = self.release_volumes(container, volumes).await {
            tracing::warn!(container = %id, "failed to remove a volume: {}", e.chain());
        }
        let gone = id.clone();
        self.store.write(move |tx| tx.delete::<Container>(&gone).map(drop)).await?;
        self.execs.lock().retain(|_, e| e.container != id);
        self.tell(&id, |p| {
            if ran {
                p.ends += 1;
                p.code = 137;
            }
            p.removed = true;
        });
        self.watching.lock().remove(&id);
        self.busy.lock().remove(&id);
        self.container_event(container, "destroy", &[]);
        Ok(())
    }
}

fn name_taken(name: &str, id: &str) -> Error {
    Error::conflict(format!(
        "Conflict. The container name \"/{name}\" is already in use by container \"{id}\". You have to remove (or rename) that container to be able to reuse that name."
    ))
}
