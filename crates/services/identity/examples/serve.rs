//! Identity alone on a port, for trying stock clients by hand: `cargo run --example serve -- 5000`.

use std::sync::Arc;

use pileus_http::{Metrics, Mount, Server};
use pileus_identity::{Bootstrap, CatalogEntry, Identity, Options};
use pileus_store::{Location, Store};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "5000".into());
    let dir = tempfile::tempdir()?;
    let location = Location::Sqlite { path: dir.path().join("state.db"), durable: false };
    let store = Store::open(location).await?;
    let identity = Identity::open(store, Options { bcrypt_rounds: 4, ..Options::new(dir.path()) }).await?;
    let base_url = format!("http://127.0.0.1:{port}");
    let entry = |service_type: &str, name: &str, path: &str| CatalogEntry {
        service_type: service_type.into(),
        name: name.into(),
        path: path.into(),
    };
    let services =
        vec![entry("identity", "keystone", "/identity"), entry("compute", "nova", "/compute/v2.1")];
    let made = identity.bootstrap(Bootstrap { base_url: base_url.clone(), services }).await?;
    println!("export OS_AUTH_URL={base_url}/identity OS_USERNAME=admin OS_PROJECT_NAME=admin \\");
    println!("  OS_USER_DOMAIN_ID=default OS_PROJECT_DOMAIN_ID=default OS_IDENTITY_API_VERSION=3 \\");
    println!("  OS_PASSWORD={}", made.admin_password.unwrap_or_default());
    let mut server = Server::new(identity.clone(), Arc::new(Metrics::default()), "/identity");
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    server.tcp(listener, None, vec![Mount { prefix: "/identity", service: Arc::new(identity.service()) }]);
    tokio::signal::ctrl_c().await?;
    server.stop().await;
    Ok(())
}
