//! Whatever goes wrong in a step, what the API says of the server is what the host has, and nothing is left
//! once it is deleted.

use std::sync::Arc;

use pileus_agent::{Agent, LateMetadata, Options as AgentOptions, Simulate};
use pileus_base::{
    Caller, Ctx, InstanceId, ProjectRef, Scope, Time,
    ids::{ImageId, NetworkId, RequestId, ServerId},
};
use pileus_host::{Host, Power};
use pileus_image::{Image, Images, Status, Visibility};
use pileus_jobs::{
    Jobs, RunnerConfig, State,
    torture::{Case, torture},
};
use pileus_network::{Networks, networks, ports, subnets};
use pileus_placement::Placement;
use pileus_reconcile::Reconciler;
use pileus_store::{Location, Query, Store};

use super::{
    create::{ServerCreateInput, ServerCreateJob},
    delete::{ServerDeleteInput, ServerDeleteJob},
    power::{ServerPowerInput, ServerPowerJob},
    rebuild::{ServerRebuildInput, ServerRebuildJob},
};
use crate::{
    Compute, Options, Server,
    model::{
        actions::Action,
        states::{PowerAction, TaskState, VmState},
    },
    store::{
        actions,
        servers::{self, ServerCreate},
    },
    tasks::power_sync::PowerSync,
};

struct World {
    compute: Arc<Compute>,
    host: Arc<Agent>,
    network: NetworkId,
    server: ServerId,
    ctx: Ctx,
    _dir: tempfile::TempDir,
}

fn image() -> Image {
    let now = Time::now();
    Image {
        id: ImageId::new(),
        name: Some("tiny".into()),
        owner: None,
        status: Status::Active,
        visibility: Visibility::Public,
        disk_format: Some("raw".into()),
        container_format: Some("bare".into()),
        size: Some(1024),
        virtual_size: Some(1024),
        checksum: None,
        os_hash_algo: None,
        os_hash_value: None,
        min_disk_gib: 0,
        min_ram_mib: 0,
        protected: false,
        hidden: false,
        tags: Vec::new(),
        properties: Default::default(),
        members: Vec::new(),
        created_at: now,
        updated_at: now,
    }
}

/// A cloud with one server's rows, and no job.
async fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let location = Location::Sqlite { path: dir.path().join("state.db"), durable: false };
    let store = Store::open(location).await.unwrap();
    let options = AgentOptions {
        state_dir: dir.path().to_owned(),
        instance: InstanceId::generate(),
        simulate: Some(Simulate::default()),
    };
    let host = Agent::open(options, Arc::new(LateMetadata::default())).await.unwrap();
    let shared: Arc<dyn Host> = host.clone();
    let options = pileus_image::Options { state_dir: dir.path().to_owned(), ..Default::default() };
    let images = Images::open(store.clone(), options, shared.clone()).await.unwrap();
    let nets = Networks::open(store.clone(), shared.clone(), Default::default()).await.unwrap();
    let placement = Placement::open(store.clone()).await.unwrap();
    let compute =
        Compute::open(store.clone(), shared, images, nets, placement, Options::default()).await.unwrap();
    let project =
        ProjectRef { id: "p".into(), name: "p".into(), domain_id: "d".into(), domain_name: "d".into() };
    let caller = Caller { project: Some(project), ..Caller::default() };
    let ctx = Ctx::new(caller.into(), RequestId::new());
    let (made, by) = (compute.clone(), ctx.clone());
    let rows = store.write(move |tx| {
        let asked = networks::NetworkCreate { name: "lan".into(), ..Default::default() };
        let network = networks::create(tx, &by, asked, 1500)?;
        subnets::create(tx, &by, subnets::SubnetCreate::new(network.id, "10.0.0.0/24".parse().unwrap()))?;
        let image = image();
        tx.insert(&image)?;
        let mut asked = ServerCreate::new("s", Some(image.id), "1");
        asked.config_drive = true;
        let server = servers::rows(&made, tx, &by, &asked)?.remove(0);
        Ok((network.id, server.id))
    });
    let (network, server) = rows.await.unwrap();
    World { compute, host, network, server, ctx, _dir: dir }
}

impl World {
    fn store(&self) -> &Store {
        self.compute.store()
    }

    async fn row(&self) -> Option<Server> {
        let id = self.server;
        let found = self.store().read(move |rd| rd.find::<Server>(&Scope::All, id)).await.unwrap();
        found.map(|s| s.value)
    }

    /// Does `act` in a transaction and lets the jobs that it enqueues end.
    async fn run(&self, act: impl Fn(&mut pileus_store::Tx<'_>) -> pileus_base::Result<()> + Send + 'static) {
        self.store().write(move |tx| act(tx)).await.unwrap();
        let filter = pileus_jobs::Filter::default();
        let jobs = self.store().read(move |rd| pileus_jobs::list(rd, &filter)).await.unwrap();
        let runner = self.compute.jobs(Jobs::new(self.store().clone())).start(RunnerConfig::default());
        for job in jobs {
            runner.ended(job.id).await.unwrap();
        }
        runner.stop().await;
    }

    /// The server built, then brought by `before` to where a test begins.
    async fn built(self, before: &[PowerAction]) -> Self {
        let request_id = self.ctx.request_id.to_string();
        let input = ServerCreateInput { server: self.server, request_id };
        let id = self.server;
        self.run(move |tx| {
            pileus_jobs::enqueue::<ServerCreateJob>(tx, servers::subject(id), &input).map(drop)
        })
        .await;
        for action in before {
            let (ctx, action) = (Ctx::new(self.ctx.caller.clone(), RequestId::new()), *action);
            self.run(move |tx| {
                let server = servers::get(tx, &Scope::All, id)?;
                servers::power(tx, &ctx, &server, action)
            })
            .await;
        }
        self
    }

    /// What is being done to the server, as the API notes it together with the job: under a new request.
    async fn task(mut self, task: TaskState) -> Self {
        self.ctx = Ctx::new(self.ctx.caller.clone(), RequestId::new());
        let (id, ctx) = (self.server, self.ctx.clone());
        let change = self.store().write(move |tx| {
            let server = tx.update::<Server>(&Scope::All, id, |s| {
                s.task_state = Some(task);
                Ok(())
            })?;
            actions::begin(tx, &ctx, &server, task.word(), "event")
        });
        change.await.unwrap();
        self
    }

    /// The API says what the host has, in a state that `expected` allows; then a delete leaves nothing.
    async fn truthful(&self, expected: impl Fn(VmState) -> bool) -> Result<(), String> {
        let sync = PowerSync::new(self.compute.clone());
        for _ in 0..2 {
            sync.reconcile().await.map_err(|e| e.chain())?;
        }
        let server = self.row().await.ok_or("the server is gone")?;
        let power = self.host.server(self.server).await.map_err(|e| e.chain())?.power;
        let agrees = match server.vm_state {
            VmState::Active => power == Power::Running,
            VmState::Paused => power == Power::Paused,
            VmState::Suspended => power == Power::Suspended,
            VmState::Stopped => matches!(power, Power::Shutdown | Power::Absent | Power::Crashed),
            VmState::Error => server.fault.is_some(),
            VmState::Building => false,
        };
        if !agrees || server.task_state.is_some() || !expected(server.vm_state) {
            return Err(format!("{:?} {:?} on a host with {power:?}", server.vm_state, server.task_state));
        }
        let id = self.server;
        let done = self.store().read(move |rd| actions::list(rd, &Scope::All, id)).await.unwrap();
        let open = done.iter().find(|a| a.events.iter().any(|e| e.finished_at.is_none()));
        if let Some(action) = open {
            return Err(format!("the action {} has no end", action.action));
        }
        let ctx = Ctx::new(self.ctx.caller.clone(), RequestId::new());
        self.run(move |tx| {
            let server = servers::get(tx, &Scope::All, id)?;
            servers::delete(tx, &ctx, &server)
        })
        .await;
        self.nothing().await
    }

    /// Neither the host nor the store knows the server, and no job is left half-way.
    async fn nothing(&self) -> Result<(), String> {
        let host = &self.host;
        let on_host = (
            host.servers().await.unwrap(),
            host.disk_owners().await.unwrap(),
            host.ports(self.network).await.unwrap_or_default(),
        );
        if !(on_host.0.is_empty() && on_host.1.is_empty() && on_host.2.is_empty()) {
            return Err(format!("left on the host: {on_host:?}"));
        }
        let id = self.server;
        let rows = self.store().read(move |rd| {
            let mut left = Vec::new();
            left.extend(rd.find::<Server>(&Scope::All, id)?.map(|_| "server".to_owned()));
            left.extend(ports::of_device(rd, &id.to_string())?.iter().map(|p| format!("port {}", p.id)));
            left.extend(rd.list::<Action>(&Scope::All, &Query::all())?.iter().map(|a| a.action.clone()));
            for counter in ["compute.instances", "compute.cores", "compute.ram"] {
                let used = rd.counter(counter, &"p".into())?;
                left.extend((used != 0).then(|| format!("{counter}: {used}")));
            }
            let jobs = pileus_jobs::list(rd, &pileus_jobs::Filter::default())?;
            let ended = [State::Done, State::Undone, State::Cancelled];
            left.extend(jobs.iter().filter(|j| !ended.contains(&j.state)).map(|j| format!("{j:?}")));
            Ok(left)
        });
        let rows = rows.await.unwrap();
        if rows.is_empty() { Ok(()) } else { Err(format!("left in the store: {rows:?}")) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_made_whole_or_not_at_all() {
    torture(
        async || {
            let w = world().await;
            let (store, job, id) = (w.store().clone(), ServerCreateJob(w.compute.clone()), w.server);
            let input = ServerCreateInput { server: id, request_id: w.ctx.request_id.to_string() };
            Case::new(store, w, job, servers::subject(id), input)
        },
        async |w: &World| {
            let on_host = (w.host.servers().await.unwrap(), w.host.disk_owners().await.unwrap());
            if !on_host.0.is_empty() || !on_host.1.is_empty() {
                return Err(format!("a failed server is on the host: {on_host:?}"));
            }
            w.truthful(|s| s == VmState::Error).await
        },
        async |w: &World| w.truthful(|s| s == VmState::Active).await,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_goes_or_says_that_it_failed() {
    torture(
        async || {
            let w = world().await.built(&[]).await.task(TaskState::Deleting).await;
            let (store, job, id) = (w.store().clone(), ServerDeleteJob(w.compute.clone()), w.server);
            let input = ServerDeleteInput { server: id, request_id: w.ctx.request_id.to_string() };
            Case::new(store, w, job, servers::subject(id), input)
        },
        async |w: &World| w.truthful(|s| s == VmState::Error).await,
        async |w: &World| w.nothing().await,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn power_actions_end_as_they_say() {
    use PowerAction as A;
    let all: [(A, &[A]); 11] = [
        (A::Stop, &[]),
        (A::Start, &[A::Stop]),
        (A::RebootSoft, &[]),
        (A::RebootHard, &[]),
        (A::RebootHard, &[A::Pause]),
        (A::RebootHard, &[A::Suspend]),
        (A::RebootHard, &[A::Stop]),
        (A::Pause, &[]),
        (A::Unpause, &[A::Pause]),
        (A::Suspend, &[]),
        (A::Resume, &[A::Suspend]),
    ];
    for (action, before) in all {
        torture(
            async || {
                let w = world().await.built(before).await.task(action.task()).await;
                let (store, job, id) = (w.store().clone(), ServerPowerJob(w.compute.clone()), w.server);
                let request_id = w.ctx.request_id.to_string();
                let input = ServerPowerInput { server: id, action, request_id };
                Case::new(store, w, job, servers::subject(id), input)
            },
            async |w: &World| w.truthful(|_| true).await.map_err(|e| format!("{action:?}: {e}")),
            async |w: &World| {
                let wanted = action.after().0;
                w.truthful(|s| s == wanted).await.map_err(|e| format!("{action:?}: {e}"))
            },
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_ends_as_it_says() {
    for (stopped, before) in [(false, &[][..]), (true, &[PowerAction::Stop][..])] {
        torture(
            async || {
                let w = world().await.built(before).await.task(TaskState::Rebuilding).await;
                let (store, job, id) = (w.store().clone(), ServerRebuildJob(w.compute.clone()), w.server);
                let request_id = w.ctx.request_id.to_string();
                let input = ServerRebuildInput { server: id, stopped, request_id };
                Case::new(store, w, job, servers::subject(id), input)
            },
            async |w: &World| w.truthful(|s| s == VmState::Error).await,
            async |w: &World| {
                let wanted = if stopped { VmState::Stopped } else { VmState::Active };
                w.truthful(|s| s == wanted).await
            },
        )
        .await;
    }
}
