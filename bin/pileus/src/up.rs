//! `pileus up`: start in order, wait, stop in reverse.

use std::{path::Path, time::Instant};

use tokio::signal::unix::{SignalKind, signal};

use crate::{cli::UpArgs, config, daemon::Daemon, logging, notify, state::StateDir};

/// Runs the cloud until it is told to stop.
pub fn run(state_dir: &Path, args: &UpArgs) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut config = config::load(args.config.as_deref())?;
    if let Some(listen) = args.listen {
        config.daemon.listen = listen;
    }
    logging::start(&config.daemon.log)?;
    let state = StateDir::open(state_dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let daemon = Daemon::start(&state, config, args.simulate).await?;
        println!("ready in {} ms at {}", started.elapsed().as_millis(), daemon.base_url());
        notify::send("READY=1");
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = daemon.asked_to_stop() => {}
        }
        notify::send("STOPPING=1");
        daemon.stop().await
    })
}
