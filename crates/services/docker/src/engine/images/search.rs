//! `docker search`: among the repositories of this cloud's registry, in the engine's project, and among the
//! images that are here. Docker Hub is not asked.

use std::collections::BTreeMap;

use pileus_base::{Result, Scope};
use pileus_store::Query;
use serde_json::{Value, json};

use crate::{
    Docker,
    model::reference::{familiar, repository_of},
    store::registry::Manifest,
};

impl Docker {
    /// What bears a term in its name or description; what is called so first.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn search(&self, term: &str) -> Result<Vec<Value>> {
        let term = term.trim().to_lowercase();
        let scope = Scope::Project(self.options.project.clone());
        let pushed = self.store.read(move |rd| rd.list::<Manifest>(&scope, &Query::all())).await?;
        let mut all: BTreeMap<String, String> = BTreeMap::new();
        for image in self.images().await? {
            let description =
                image.value()["config"]["Labels"][DESCRIPTION].as_str().unwrap_or("").to_owned();
            for tag in &image.tags {
                all.insert(familiar(repository_of(tag)).to_owned(), description.clone());
            }
        }
        for manifest in pushed {
            let text = manifest.annotations[DESCRIPTION].as_str().unwrap_or("").to_owned();
            let known = all.entry(manifest.value.at.name).or_default();
            if known.is_empty() {
                *known = text;
            }
        }
        let mut found: Vec<(bool, String, String)> = all
            .into_iter()
            .filter(|(name, text)| name.contains(&term) || text.to_lowercase().contains(&term))
            .map(|(name, text)| (name != term, name, text))
            .collect();
        found.sort();
        Ok(found
            .into_iter()
            .map(|(_, name, description)| {
                json!({
                    "star_count": 0,
                    "is_official": !name.contains('/'),
                    "name": name,
                    "is_automated": false,
                    "description": description,
                })
            })
            .collect())
    }
}

/// Where an image says what it is.
const DESCRIPTION: &str = "org.opencontainers.image.description";
