//! `OS::Nova::KeyPair`.

use pileus_base::{Result, Time};
use pileus_compute::{
    keypairs,
    model::keypairs::{Keypair, fingerprint, generate},
};
use pileus_store::Read;

use crate::{
    model::{
        Constraint, Json, Property,
        schema::{Schema, schema},
    },
    types::{At, Kind, View},
};

/// The type.
pub struct KeyPair;

impl Kind for KeyPair {
    fn name(&self) -> &'static str {
        "OS::Nova::KeyPair"
    }
    fn about(&self) -> &'static str {
        "A resource for creating Nova key pairs."
    }
    fn schema(&self) -> Schema {
        schema([
            ("name", Property::string().required().constraint(Constraint::length(Some(1), Some(255)))),
            ("save_private_key", Property::boolean().default(false)),
            ("public_key", Property::string()),
            ("type", Property::string().constraint(Constraint::one_of(&["ssh", "x509"]))),
            ("user", Property::string().unimplemented()),
        ])
    }
    fn attributes(&self) -> &'static [(&'static str, &'static str)] {
        &[("public_key", "The public key."), ("private_key", "The private key if it has been saved.")]
    }
    fn create(&self, at: &mut At<'_, '_>) -> Result<()> {
        let public_key = match at.text("public_key") {
            Some(given) => given.trim().to_owned(),
            None => {
                let (private, public) = generate()?;
                if at.property("save_private_key") == &Json::Bool(true) {
                    at.item.data.insert("private_key".into(), private.into());
                }
                public
            }
        };
        let keypair = Keypair {
            user_id: at.ctx.user_id().cloned().unwrap_or_else(|| "".into()),
            name: at.text("name").unwrap_or_default(),
            kind: at.text("type").unwrap_or_else(|| "ssh".into()),
            fingerprint: fingerprint(&public_key)?,
            public_key,
            created_at: Time::now(),
        };
        keypairs::create(at.tx, &keypair, &at.stack.project_id)?;
        at.item.physical_id = Some(keypair.name);
        Ok(())
    }
    fn delete(&self, at: &mut At<'_, '_>) -> Result<()> {
        let user = at.ctx.user_id().cloned().unwrap_or_else(|| "".into());
        match keypairs::delete(at.tx, &user, &at.physical_id()?) {
            Err(e) if e.is_not_found() => Ok(()),
            other => other,
        }
    }
    fn check(&self, at: &mut At<'_, '_>) -> Result<()> {
        let user = at.ctx.user_id().cloned().unwrap_or_else(|| "".into());
        let name = at.physical_id()?;
        keypairs::get(at.tx, &user, &name).map(drop)
    }
    fn attribute(&self, rd: &mut Read<'_>, view: &View<'_>, name: &str) -> Result<Option<Json>> {
        let user = view.ctx.user_id().cloned().unwrap_or_else(|| "".into());
        Ok(match name {
            "private_key" => Some(view.item.data.get("private_key").cloned().unwrap_or_else(|| "".into())),
            "public_key" => {
                let id = view.item.physical_id.as_deref().unwrap_or_default();
                Some(keypairs::get(rd, &user, id)?.public_key.clone().into())
            }
            _ => None,
        })
    }
}
