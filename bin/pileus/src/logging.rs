//! Logs to standard error; `PILEUS_LOG` (or the configuration) filters them.

use tracing_subscriber::EnvFilter;

/// Starts logging. An unreadable filter is an error that names it.
pub fn start(filter: &str) -> anyhow::Result<()> {
    let filter = std::env::var("PILEUS_LOG").unwrap_or_else(|_| filter.to_owned());
    let filter = EnvFilter::try_new(&filter)
        .map_err(|e| anyhow::anyhow!("the log filter `{filter}` is wrong: {e}"))?;
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let format =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(terminal);
    format.try_init().map_err(|e| anyhow::anyhow!("failed to start logging: {e}"))
}
