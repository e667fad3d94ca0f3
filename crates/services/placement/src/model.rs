//! Providers, their inventories, and consumers' allocations.

use std::collections::{BTreeMap, BTreeSet};

use pileus_base::{
    Error,
    ids::{ProjectId, ProviderId, UserId},
};
use pileus_store::{Indexes, Resource, Unique};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How much there is of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// In the class' unit.
    pub total: u64,
    /// Kept for the host.
    #[serde(default)]
    pub reserved: u64,
    /// Smallest claim.
    #[serde(default = "one")]
    pub min_unit: u64,
    /// Largest claim.
    #[serde(default = "most")]
    pub max_unit: u64,
    /// Claims are multiples of it.
    #[serde(default = "one")]
    pub step_size: u64,
    /// Promised for one that is there.
    #[serde(default = "even")]
    pub allocation_ratio: f64,
}

fn one() -> u64 {
    1
}
fn most() -> u64 {
    0x7fff_ffff
}
fn even() -> f64 {
    1.0
}

impl Inventory {
    /// All of `total`, promised `ratio` times.
    pub fn of(total: u64, ratio: f64) -> Self {
        Self {
            total,
            reserved: 0,
            min_unit: 1,
            max_unit: total.max(1),
            step_size: 1,
            allocation_ratio: ratio,
        }
    }
    /// What may be claimed in all.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    pub fn capacity(&self) -> u64 {
        (self.total.saturating_sub(self.reserved) as f64 * self.allocation_ratio) as u64
    }
    /// Whether `amount` is a claim it takes, beside `used`.
    pub fn takes(&self, amount: u64, used: u64) -> bool {
        amount >= self.min_unit
            && amount <= self.max_unit
            && amount.is_multiple_of(self.step_size.max(1))
            && used.saturating_add(amount) <= self.capacity()
    }
}

/// A resource provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provider {
    /// The id.
    pub id: ProviderId,
    /// The name, unique: a host's.
    pub name: String,
    /// Rises with every change.
    pub generation: u64,
    /// The provider that it is part of.
    pub parent: Option<ProviderId>,
    /// By class.
    pub inventories: BTreeMap<String, Inventory>,
    /// What it can.
    pub traits: BTreeSet<String>,
    /// Groups it belongs to.
    pub aggregates: BTreeSet<Uuid>,
}

impl Provider {
    /// One without inventory.
    pub fn new(id: ProviderId, name: &str) -> Self {
        Self {
            id,
            name: name.into(),
            generation: 0,
            parent: None,
            inventories: BTreeMap::new(),
            traits: BTreeSet::new(),
            aggregates: BTreeSet::new(),
        }
    }
}

impl Resource for Provider {
    const KIND: &'static str = "placement.provider";
    fn id(&self) -> String {
        self.id.to_string()
    }
    fn project(&self) -> Option<&ProjectId> {
        None
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("name", &self.name);
    }
    fn unique(&self, unique: &mut Unique) {
        unique.claim("provider-name", &self.name);
    }
    fn not_found(id: &str) -> Error {
        Error::not_found(format!("No resource provider with uuid {id} found"))
    }
}

/// What a consumer has claimed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Allocation {
    /// The consumer: a server.
    pub consumer: Uuid,
    /// Its project.
    pub project_id: ProjectId,
    /// Its user.
    pub user_id: Option<UserId>,
    /// Rises with every change.
    pub generation: u64,
    /// By provider and class.
    pub resources: BTreeMap<ProviderId, BTreeMap<String, u64>>,
}

impl Resource for Allocation {
    const KIND: &'static str = "placement.allocation";
    fn id(&self) -> String {
        self.consumer.to_string()
    }
    fn project(&self) -> Option<&ProjectId> {
        Some(&self.project_id)
    }
    fn indexes(&self, ix: &mut Indexes) {
        self.resources.keys().for_each(|p| ix.add("provider", p));
    }
}
