//! Servers: made, changed and removed, each with all that hangs on it.

use std::collections::BTreeMap;

use pileus_base::{
    Ctx, Error, Kind, Result, Scope, Time,
    ids::{ImageId, ServerId},
};
use pileus_image::images;
use pileus_network::ports;
use pileus_store::{Query, Read, Resource, Stored, Tx};
use rand::RngExt;
use serde::{Deserialize, Serialize};

pub use super::networking::{NicRequest, NicRequests};
use super::{actions, flavors, keypairs, networking, quotas, services};
use crate::{
    Compute,
    jobs::{create::ServerCreateInput, delete::ServerDeleteInput, power::ServerPowerInput},
    model::{
        flavors::Flavor,
        quotas::Usage,
        servers::{Server, ServerImage, hostname},
        services::COMPUTE,
        states::{PowerAction, PowerState, TaskState, VmState},
    },
};

/// A server asked for. Words have been checked for shape; nothing has been looked up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerCreate {
    /// The name; numbered where several are made.
    pub name: String,
    /// The image.
    pub image: Option<ImageId>,
    /// The flavor's id.
    pub flavor: String,
    /// The keypair's name.
    pub key_name: Option<String>,
    /// The cards.
    pub nics: NicRequests,
    /// Names or ids of security groups.
    pub security_groups: Vec<String>,
    /// Base64.
    pub user_data: Option<String>,
    /// Files for the guest: path, base64 content.
    pub personality: Vec<(String, String)>,
    /// Key-value pairs.
    pub metadata: BTreeMap<String, String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Whether to make a config drive.
    pub config_drive: bool,
    /// A zone.
    pub availability_zone: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// `AUTO` or `MANUAL`.
    pub disk_config: String,
    /// Shown addresses.
    pub access_ips: (String, String),
    /// At least so many.
    pub min_count: u32,
    /// At most so many.
    pub max_count: u32,
}

impl ServerCreate {
    /// One server of this name, image and flavor; on the project's only network.
    pub fn new(name: &str, image: Option<ImageId>, flavor: &str) -> Self {
        Self {
            name: name.into(),
            image,
            flavor: flavor.into(),
            key_name: None,
            nics: NicRequests::Auto,
            security_groups: Vec::new(),
            user_data: None,
            personality: Vec::new(),
            metadata: BTreeMap::new(),
            tags: Vec::new(),
            config_drive: false,
            availability_zone: None,
            description: None,
            disk_config: "MANUAL".into(),
            access_ips: Default::default(),
            min_count: 1,
            max_count: 1,
        }
    }
}

/// The subject of a server's jobs.
pub fn subject(id: ServerId) -> String {
    format!("server/{id}")
}

/// The server of this id that `scope` covers.
///
/// # Errors
/// 404 in Nova's words.
pub fn get(rd: &mut Read<'_>, scope: &Scope, id: ServerId) -> Result<Stored<Server>> {
    rd.get(scope, id)
}

/// The server of this id or name.
///
/// # Errors
/// 404 in Nova's words; 409 where the name is ambiguous.
pub fn find(rd: &mut Read<'_>, scope: &Scope, id_or_name: &str) -> Result<Stored<Server>> {
    if let Ok(id) = id_or_name.parse::<ServerId>()
        && let Some(found) = rd.find(scope, id)?
    {
        return Ok(found);
    }
    let mut named: Vec<Stored<Server>> = rd.list(scope, &Query::by("name", id_or_name).limit(2))?;
    match (named.pop(), named.len()) {
        (Some(one), 0) => Ok(one),
        (Some(_), _) => Err(Error::conflict(format!("Multiple servers are named {id_or_name}."))),
        (None, _) => Err(Server::not_found(id_or_name)),
    }
}

/// Makes `max_count` servers (fewer where the quota ends, not fewer than `min_count`): rows, ports,
/// claims, quota and jobs. Nothing of it stands where anything fails.
///
/// # Errors
/// Nova's own, for each thing that isn't there, doesn't fit or is used up.
pub fn create(compute: &Compute, tx: &mut Tx<'_>, ctx: &Ctx, asked: &ServerCreate) -> Result<Vec<Server>> {
    let made = rows(compute, tx, ctx, asked)?;
    for server in made.iter().filter(|s| s.vm_state == VmState::Building) {
        let input = ServerCreateInput { server: server.id, request_id: ctx.request_id.to_string() };
        pileus_jobs::enqueue::<crate::jobs::create::ServerCreateJob>(tx, subject(server.id), &input)?;
    }
    Ok(made)
}

/// [`create`] without the jobs.
pub(crate) fn rows(
    compute: &Compute,
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    asked: &ServerCreate,
) -> Result<Vec<Server>> {
    let project = ctx.project_id()?.clone();
    let flavor = flavors::get(tx, ctx, &asked.flavor)
        .map_err(|e| if e.is_not_found() { Error::bad_request(e.message()) } else { e })?
        .value;
    let image = asked.image.map(|id| image(compute, tx, ctx, id, &flavor)).transpose()?;
    if flavor.disk_gib == 0 && image.is_some() && !ctx.is_admin() {
        return Err(Error::forbidden("Only volume-backed servers are allowed for flavors with zero disk."));
    }
    let user = ctx.user_id().cloned().unwrap_or_else(|| "".into());
    let public_key = match &asked.key_name {
        None => None,
        Some(name) => {
            let bad = |_| Error::bad_request("Invalid key_name provided.");
            Some(keypairs::get(tx, &user, name).map_err(bad)?.public_key.clone())
        }
    };
    if let Some(zone) = asked.availability_zone.as_deref() {
        let name = zone.split(':').next().unwrap_or("");
        if !name.is_empty() && name != "nova" {
            return Err(Error::bad_request("The requested availability zone is not available"));
        }
    }
    check_metadata(tx, &project, asked.metadata.len())?;
    let cards = networking::resolve(tx, ctx, &asked.nics)?;
    let wants = if cards.iter().all(|c| c.port.is_some()) { vec![] } else { vec!["default".to_owned()] };
    let names = if asked.security_groups.is_empty() { &wants } else { &asked.security_groups };
    let groups = networking::groups(tx, ctx, names)?;
    let group_ids: Vec<_> = groups.iter().map(|(id, _)| *id).collect();
    let count = affordable(tx, &project, &flavor, asked)?;

    let now = Time::now();
    let reservation_id = format!("r-{}", random_word(8));
    let mut made = Vec::new();
    for n in 0..count {
        let id = ServerId::new();
        let name = if asked.max_count > 1 { format!("{}-{}", asked.name, n + 1) } else { asked.name.clone() };
        let mut server = Server {
            id,
            project_id: project.clone(),
            user_id: user.clone(),
            hostname: hostname(&name, id),
            name,
            description: asked.description.clone(),
            vm_state: VmState::Building,
            task_state: Some(TaskState::Scheduling),
            power_state: PowerState::NoState,
            fault: None,
            image: image.clone(),
            flavor: flavor.clone(),
            key_name: asked.key_name.clone(),
            public_key: public_key.clone(),
            nics: Vec::new(),
            metadata: asked.metadata.clone(),
            tags: asked.tags.clone(),
            user_data: asked.user_data.clone(),
            personality: asked.personality.clone(),
            config_drive: asked.config_drive || compute.options.force_config_drive,
            availability_zone: "nova".into(),
            disk_config: asked.disk_config.clone(),
            host: None,
            security_groups: groups.iter().map(|(_, name)| name.clone()).collect(),
            reservation_id: reservation_id.clone(),
            launch_index: n,
            access_ip_v4: asked.access_ips.0.clone(),
            access_ip_v6: asked.access_ips.1.clone(),
            password: String::new(),
            locked: None,
            created_at: now,
            updated_at: now,
            launched_at: None,
        };
        build(compute, tx, ctx, &mut server, &cards, &group_ids)?;
        made.push(server);
    }
    Ok(made)
}

/// Claims the host, plugs the cards, writes the row. No room is no error of the request:
/// the server is there, in ERROR, and says so.
fn build(
    compute: &Compute,
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    server: &mut Server,
    cards: &[NicRequest],
    groups: &[pileus_base::ids::SecurityGroupId],
) -> Result<()> {
    let amounts = [
        ("VCPU", u64::from(server.flavor.vcpus)),
        ("MEMORY_MB", server.flavor.ram_mib),
        (
            "DISK_GB",
            server.flavor.disk_gib + server.flavor.ephemeral_gib + server.flavor.swap_mib.div_ceil(1024),
        ),
    ];
    let user = ctx.user_id();
    let claimed = if services::get(tx, COMPUTE)?.takes_servers() {
        pileus_placement::allocations::claim(tx, server.id.0, &server.project_id, user, &amounts, &[])
            .map(drop)
    } else {
        Err(Error::conflict("There are not enough hosts available.").code("NoValidHost"))
    };
    match claimed {
        Ok(()) => {}
        Err(e) if e.code_word() == Some("NoValidHost") => {
            server.fail("No valid host was found. ", e.message(), server.created_at);
            actions::begin(tx, ctx, server, "create", "conductor_schedule_and_build_instances")?;
            actions::end(tx, server.id, &ctx.request_id.0, Some("No valid host was found."))?;
            return tx.insert(server);
        }
        Err(e) => return Err(e),
    }
    let host = compute.facts.hostname.clone();
    let of = networking::For {
        server: server.id,
        host: &host,
        hostname: &server.hostname,
        project: &server.project_id,
        groups,
    };
    let nics: Result<Vec<_>> = cards.iter().map(|c| networking::plug(tx, ctx, c, &of)).collect();
    server.nics = nics?;
    server.host = Some(host);
    server.task_state = Some(TaskState::Spawning);
    tx.insert(server)?;
    actions::begin(tx, ctx, server, "create", "compute__do_build_and_run_instance")
}

/// The image, checked against the flavor (nova/compute/api.py, `_validate_flavor_image_nostatus`).
pub(super) fn image(
    compute: &Compute,
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    id: ImageId,
    flavor: &Flavor,
) -> Result<ServerImage> {
    let image = images::get(tx, ctx, id).map_err(|e| {
        if e.is_not_found() { Error::bad_request(format!("Image {id} could not be found.")) } else { e }
    })?;
    if !image.is_active() {
        return Err(Error::bad_request(format!("Image {id} is not active.")));
    }
    if image.min_ram_mib > flavor.ram_mib {
        return Err(Error::bad_request("Flavor's memory is too small for requested image."));
    }
    let needed = image.virtual_size.or(image.size).unwrap_or(0);
    let disk = flavor.disk_gib * (1 << 30);
    if flavor.disk_gib > 0 && (needed > disk || image.min_disk_gib > flavor.disk_gib) {
        return Err(Error::bad_request(format!(
            "Flavor's disk is too small for requested image. Flavor disk is {disk} bytes, image is {needed} bytes."
        )));
    }
    Ok(ServerImage { id, file: compute.images.file(&image), properties: image.properties.clone() })
}

/// Refuses more metadata items than the quota allows.
pub(super) fn check_metadata(
    tx: &mut Tx<'_>,
    project: &pileus_base::ids::ProjectId,
    items: usize,
) -> Result<()> {
    let limit = quotas::limit(tx, project, "metadata_items")?;
    if limit < 0 || i64::try_from(items).unwrap_or(i64::MAX) <= limit {
        return Ok(());
    }
    Err(Error::new(
        Kind::OverQuota,
        format!(
            "Quota exceeded for resources: ['metadata_items']. Maximum number of metadata items exceeds {limit}"
        ),
    ))
}

fn affordable(
    tx: &mut Tx<'_>,
    project: &pileus_base::ids::ProjectId,
    flavor: &Flavor,
    asked: &ServerCreate,
) -> Result<u32> {
    let mut last = None;
    for n in (asked.min_count..=asked.max_count).rev() {
        match quotas::take(tx, project, &Usage::of(flavor, n)) {
            Ok(()) => return Ok(n),
            Err(e) => last = last.or(Some(e)),
        }
    }
    Err(last.unwrap_or_else(|| Error::bad_request("min_count must be <= max_count")))
}

fn random_word(length: usize) -> String {
    let letters = b"abcdefghijklmnopqrstuvwxyz0123456789";
    (0..length).map(|_| char::from(letters[rand::rng().random_range(0..letters.len())])).collect()
}

/// Refuses changes to a locked server by others than administrators.
///
/// # Errors
/// 409 in Nova's words.
pub fn check_unlocked(ctx: &Ctx, server: &Server) -> Result<()> {
    if server.locked.is_some() && !ctx.is_admin() {
        return Err(Error::conflict(format!("Instance {} is locked", server.id)));
    }
    Ok(())
}

/// Asks for a server's removal: what is being done to it unwinds, then it goes. Asking twice is fine.
///
/// # Errors
/// 409 where it is locked.
pub fn delete(tx: &mut Tx<'_>, ctx: &Ctx, server: &Stored<Server>) -> Result<()> {
    check_unlocked(ctx, server)?;
    if server.task_state == Some(TaskState::Deleting) {
        return Ok(());
    }
    let mut server = server.clone();
    server.task_state = Some(TaskState::Deleting);
    server.updated_at = Time::now();
    tx.put(&server)?;
    actions::begin(tx, ctx, &server, "delete", "compute_terminate_instance")?;
    let subject = subject(server.id);
    pileus_jobs::cancel(tx, &subject)?;
    let input = ServerDeleteInput { server: server.id, request_id: ctx.request_id.to_string() };
    pileus_jobs::enqueue::<crate::jobs::delete::ServerDeleteJob>(tx, subject, &input)?;
    Ok(())
}

/// The refusal of `action` in the server's present state.
pub(super) fn cannot(action: &str, server: &Server) -> Error {
    let (attribute, state) = match server.task_state {
        Some(task) => ("task_state", task.word()),
        None => ("vm_state", server.vm_state.word()),
    };
    Error::conflict(format!("Cannot '{action}' instance {} while it is in {attribute} {state}", server.id))
}

/// Asks for a power action.
///
/// # Errors
/// 409 where the server's state forbids it.
pub fn power(tx: &mut Tx<'_>, ctx: &Ctx, server: &Stored<Server>, action: PowerAction) -> Result<()> {
    check_unlocked(ctx, server)?;
    if !action.allowed(server.vm_state, server.task_state) {
        return Err(cannot(action.name(), server));
    }
    let mut server = server.clone();
    server.task_state = Some(action.task());
    server.updated_at = Time::now();
    tx.put(&server)?;
    let event = format!("compute_{}_instance", action.name());
    actions::begin(tx, ctx, &server, action.name(), &event)?;
    let input = ServerPowerInput { server: server.id, action, request_id: ctx.request_id.to_string() };
    pileus_jobs::enqueue::<crate::jobs::power::ServerPowerJob>(tx, subject(server.id), &input)?;
    Ok(())
}

/// Takes a server's row away with all that hangs on it: ports, claim, quota, actions. Done twice, nothing.
pub fn forget(tx: &mut Tx<'_>, id: ServerId) -> Result<()> {
    let Some(server) = tx.find::<Server>(&Scope::All, id)? else { return Ok(()) };
    for nic in &server.nics {
        let gone = if nic.owned {
            ports::delete(tx, &Ctx::internal(), nic.port)
        } else {
            ports::unbind(tx, nic.port)
        };
        match gone {
            Err(e) if !e.is_not_found() => return Err(e),
            _ => {}
        }
    }
    pileus_placement::allocations::release(tx, id.0)?;
    quotas::give(tx, &server.project_id, &Usage::of(&server.flavor, 1))?;
    actions::forget(tx, id)?;
    tx.delete::<Server>(id).map(drop)
}
