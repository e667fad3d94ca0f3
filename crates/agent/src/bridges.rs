//! Container networks: the services' specs in the driver's words.

use std::path::PathBuf;

use ipnet::IpNet;
use pileus_base::Result;
use pileus_host::{
    BoxFuture, BridgeSpec, Bridges, EndpointSpec, Gateway, IpvlanMode, MacvlanMode, Names, Plug,
    PublishedPort,
};

use crate::Agent;

fn bridge(spec: &BridgeSpec) -> pileus_dataplane::BridgeSpec {
    pileus_dataplane::BridgeSpec {
        network: spec.network.clone(),
        link: spec.link.clone(),
        gateways: spec.gateways.clone(),
        internal: spec.internal,
        icc: spec.icc,
        masquerade: spec.masquerade,
        mtu: spec.mtu,
        gateway4: gateway(spec.gateway4),
        gateway6: gateway(spec.gateway6),
    }
}

fn gateway(mode: Gateway) -> pileus_dataplane::Gateway {
    match mode {
        Gateway::Nat => pileus_dataplane::Gateway::Nat,
        Gateway::Unprotected => pileus_dataplane::Gateway::Unprotected,
        Gateway::Routed => pileus_dataplane::Gateway::Routed,
        Gateway::Isolated => pileus_dataplane::Gateway::Isolated,
    }
}

fn macvlan(mode: MacvlanMode) -> pileus_dataplane::MacvlanMode {
    match mode {
        MacvlanMode::Private => pileus_dataplane::MacvlanMode::Private,
        MacvlanMode::Vepa => pileus_dataplane::MacvlanMode::Vepa,
        MacvlanMode::Bridge => pileus_dataplane::MacvlanMode::Bridge,
        MacvlanMode::Passthru => pileus_dataplane::MacvlanMode::Passthru,
    }
}

fn ipvlan(mode: IpvlanMode) -> pileus_dataplane::IpvlanMode {
    match mode {
        IpvlanMode::L2 => pileus_dataplane::IpvlanMode::L2,
        IpvlanMode::L3 => pileus_dataplane::IpvlanMode::L3,
        IpvlanMode::L3s => pileus_dataplane::IpvlanMode::L3s,
    }
}

fn endpoint(spec: &EndpointSpec) -> pileus_dataplane::EndpointSpec {
    pileus_dataplane::EndpointSpec {
        id: spec.id.clone(),
        container: spec.container.clone(),
        plug: match &spec.plug {
            Plug::Bridge(network) => pileus_dataplane::Plug::Bridge(network.clone()),
            Plug::Port(network, port) => pileus_dataplane::Plug::Port(*network, *port),
            Plug::Macvlan(parent, mode) => pileus_dataplane::Plug::Macvlan(parent.clone(), macvlan(*mode)),
            Plug::Ipvlan(parent, mode) => pileus_dataplane::Plug::Ipvlan(parent.clone(), ipvlan(*mode)),
        },
        name: spec.name.clone(),
        mac: spec.mac.clone(),
        addresses: spec.addresses.clone(),
        gateways: spec.gateways.clone(),
        mtu: spec.mtu,
    }
}

fn asked(port: &PublishedPort) -> pileus_dataplane::PublishedPort {
    pileus_dataplane::PublishedPort {
        protocol: port.protocol.clone(),
        host_ip: port.host_ip,
        host_port: port.host_port,
        to: port.to,
        port: port.port,
    }
}

fn held(port: pileus_dataplane::PublishedPort) -> PublishedPort {
    PublishedPort {
        protocol: port.protocol,
        host_ip: port.host_ip,
        host_port: port.host_port,
        to: port.to,
        port: port.port,
    }
}

impl Bridges for Agent {
    fn ensure_bridge<'a>(&'a self, spec: &'a BridgeSpec) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.bridges.ensure_bridge(&bridge(spec)).await })
    }
    fn remove_bridge<'a>(&'a self, network: &'a str, link: &'a str) -> BoxFuture<'a, Result<()>> {
        self.bridges.remove_bridge(network, link)
    }
    fn ensure_parent<'a>(
        &'a self,
        network: &'a str,
        parent: Option<&'a str>,
    ) -> BoxFuture<'a, Result<String>> {
        self.bridges.ensure_parent(network, parent)
    }
    fn remove_parent<'a>(&'a self, link: &'a str) -> BoxFuture<'a, Result<()>> {
        self.bridges.remove_parent(link)
    }
    fn routed(&self) -> BoxFuture<'_, Result<Vec<IpNet>>> {
        self.bridges.routed()
    }
    fn ensure_sandbox<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<PathBuf>> {
        self.bridges.ensure_sandbox(container)
    }
    fn remove_sandbox<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<()>> {
        self.bridges.remove_sandbox(container)
    }
    fn sandboxes(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        self.bridges.sandboxes()
    }
    fn ensure_endpoint<'a>(&'a self, spec: &'a EndpointSpec) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.bridges.ensure_endpoint(&endpoint(spec)).await })
    }
    fn remove_endpoint<'a>(&'a self, spec: &'a EndpointSpec) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.bridges.remove_endpoint(&endpoint(spec)).await })
    }
    fn publish<'a>(
        &'a self,
        container: &'a str,
        ports: &'a [PublishedPort],
    ) -> BoxFuture<'a, Result<Vec<PublishedPort>>> {
        Box::pin(async move {
            let ports: Vec<_> = ports.iter().map(asked).collect();
            Ok(self.bridges.publish(container, &ports).await?.into_iter().map(held).collect())
        })
    }
    fn serve_names<'a>(&'a self, container: &'a str, names: &'a Names) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let names =
                pileus_dataplane::Names { names: names.names.clone(), upstream: names.upstream.clone() };
            self.bridges.serve_names(container, &names).await
        })
    }
    fn forward_drops(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        self.bridges.forward_drops()
    }
    fn sandbox_path(&self, container: &str) -> PathBuf {
        self.bridges.sandbox_path(container)
    }
}
