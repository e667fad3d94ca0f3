//! Asking for a rebuild: what it changes of the row, and its job.

use std::collections::BTreeMap;

use pileus_base::{Ctx, Error, Result, Time, ids::ImageId};
use pileus_store::{Stored, Tx};

use super::{actions, keypairs, servers};
use crate::{
    Compute,
    jobs::rebuild::{ServerRebuildInput, ServerRebuildJob},
    model::{
        servers::Server,
        states::{TaskState, VmState},
    },
};

/// A rebuild asked for; what is `None` stays.
#[derive(Debug, Clone, PartialEq)]
pub struct Rebuild {
    /// The image.
    pub image: ImageId,
    /// The name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<Option<String>>,
    /// Key-value pairs.
    pub metadata: Option<BTreeMap<String, String>>,
    /// The keypair's name.
    pub key_name: Option<Option<String>>,
    /// Base64.
    pub user_data: Option<Option<String>>,
    /// Files for the guest: path, base64 content.
    pub personality: Option<Vec<(String, String)>>,
    /// `AUTO` or `MANUAL`.
    pub disk_config: Option<String>,
    /// Shown addresses.
    pub access_ips: (Option<String>, Option<String>),
}

/// Asks for it; the server as it stands then.
///
/// # Errors
/// 409 where the server's state forbids it; 400 where the image or key isn't there or doesn't fit.
pub fn rebuild(
    compute: &Compute,
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    server: &Stored<Server>,
    asked: &Rebuild,
) -> Result<Server> {
    servers::check_unlocked(ctx, server)?;
    let fits = matches!(server.vm_state, VmState::Active | VmState::Stopped | VmState::Error);
    if !fits || server.task_state.is_some() {
        return Err(servers::cannot("rebuild", server));
    }
    if server.host.is_none() {
        return Err(Error::conflict(format!("Instance {} has no host to be rebuilt on.", server.id)));
    }
    let mut server = server.clone();
    server.image = Some(servers::image(compute, tx, ctx, asked.image, &server.flavor)?);
    if let Some(key) = &asked.key_name {
        let public = match key {
            None => None,
            Some(name) => {
                let bad = |_| Error::bad_request("Invalid key_name provided.");
                Some(keypairs::get(tx, &server.user_id, name).map_err(bad)?.public_key.clone())
            }
        };
        server.key_name.clone_from(key);
        server.public_key = public;
    }
    if let Some(metadata) = &asked.metadata {
        servers::check_metadata(tx, &server.project_id, metadata.len())?;
        server.metadata.clone_from(metadata);
    }
    fn set<T: Clone>(field: &mut T, asked: &Option<T>) {
        if let Some(value) = asked {
            field.clone_from(value);
        }
    }
    set(&mut server.name, &asked.name);
    set(&mut server.description, &asked.description);
    set(&mut server.user_data, &asked.user_data);
    set(&mut server.personality, &asked.personality);
    set(&mut server.disk_config, &asked.disk_config);
    set(&mut server.access_ip_v4, &asked.access_ips.0);
    set(&mut server.access_ip_v6, &asked.access_ips.1);
    let stopped = server.vm_state == VmState::Stopped;
    server.task_state = Some(TaskState::Rebuilding);
    server.updated_at = Time::now();
    tx.put(&server)?;
    actions::begin(tx, ctx, &server, "rebuild", "compute_rebuild_instance")?;
    let input = ServerRebuildInput { server: server.id, stopped, request_id: ctx.request_id.to_string() };
    pileus_jobs::enqueue::<ServerRebuildJob>(tx, servers::subject(server.id), &input)?;
    Ok(server.value)
}
