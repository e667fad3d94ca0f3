//! What administrators have said of Nova's services.

use pileus_base::{Result, Scope};
use pileus_store::{Read, Tx};

use crate::model::services::Service;

/// The service `binary`: enabled and up where nothing else was said.
pub fn get(rd: &mut Read<'_>, binary: &str) -> Result<Service> {
    let found = rd.find::<Service>(&Scope::All, binary)?;
    Ok(found.map_or_else(|| Service { binary: binary.into(), ..Service::default() }, |s| s.value))
}

/// Changes the service `binary`; as it is then.
pub fn change(tx: &mut Tx<'_>, binary: &str, change: impl FnOnce(&mut Service)) -> Result<Service> {
    match tx.find::<Service>(&Scope::All, binary)? {
        Some(mut service) => {
            change(&mut service.value);
            tx.put(&service)?;
            Ok(service.value)
        }
        None => {
            let mut service = Service { binary: binary.into(), ..Service::default() };
            change(&mut service);
            tx.insert(&service)?;
            Ok(service)
        }
    }
}
