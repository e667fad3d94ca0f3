//! What travels: request shapes with Nova's messages, views per microversion, faults.

pub mod fault;
pub mod fields;
pub mod flavors;
pub mod servers;

/// Microversions that change what we serve, newest on top.
/// See <https://docs.openstack.org/nova/latest/reference/api-microversion-history.html>.
pub mod mv {
    use pileus_http::Version;

    /// `PUT` and rebuild answer with the whole server; unknown query parameters are refused.
    pub const WHOLE_SERVER_ON_UPDATE: Version = Version(2, 75);
    /// `locked_reason`.
    pub const LOCKED_REASON: Version = Version(2, 73);
    /// `server_groups` in a server.
    pub const SERVER_GROUPS_IN_SERVER: Version = Version(2, 71);
    /// `changes-before`.
    pub const CHANGES_BEFORE: Version = Version(2, 66);
    /// `trusted_image_certificates`.
    pub const TRUSTED_CERTIFICATES: Version = Version(2, 63);
    /// `extra_specs` in a flavor.
    pub const EXTRA_SPECS_IN_FLAVOR: Version = Version(2, 61);
    /// No personality files, user data on rebuild.
    pub const NO_PERSONALITY: Version = Version(2, 57);
    /// `description` of a flavor.
    pub const FLAVOR_DESCRIPTION: Version = Version(2, 55);
    /// Hypervisors and services are known by UUID.
    pub const UUID_IDS: Version = Version(2, 53);
    /// `key_name` on rebuild.
    pub const KEY_ON_REBUILD: Version = Version(2, 54);
    /// Tags when a server is made.
    pub const TAGS_ON_CREATE: Version = Version(2, 52);
    /// The flavor stands whole in a server.
    pub const FLAVOR_IN_SERVER: Version = Version(2, 47);
    /// `networks` is required: a list, `auto` or `none`.
    pub const NETWORKS_REQUIRED: Version = Version(2, 37);
    /// The proxies to Neutron and Glance are gone.
    pub const NO_PROXIES: Version = Version(2, 36);
    /// Keypairs are listed in pages.
    pub const KEYPAIR_PAGES: Version = Version(2, 35);
    /// Tags.
    pub const TAGS: Version = Version(2, 26);
    /// `description` of a server.
    pub const DESCRIPTION: Version = Version(2, 19);
    /// `host_status`.
    pub const HOST_STATUS: Version = Version(2, 16);
    /// `forced_down` of a service.
    pub const FORCED_DOWN: Version = Version(2, 11);
    /// Keypairs of other users, for administrators.
    pub const KEYPAIR_USER: Version = Version(2, 10);
    /// `locked`.
    pub const LOCKED: Version = Version(2, 9);
    /// Consoles by `remote-consoles`.
    pub const REMOTE_CONSOLES: Version = Version(2, 6);
    /// More attributes of a server.
    pub const MORE_ATTRIBUTES: Version = Version(2, 3);
    /// A type for keypairs; 201 and 204.
    pub const KEYPAIR_TYPE: Version = Version(2, 2);
}
