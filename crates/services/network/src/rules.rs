//! Neutron's rules, under its own names.

use pileus_policy::Rule;

macro_rules! rules {
    ($($name:ident = $check:ident $text:literal;)*) => { $(#[doc = $text] pub const $name: Rule = Rule::$check($text);)* };
}

rules! {
    VERSIONS = anyone "versions";
    EXTENSIONS = authenticated "get_extension";
    GET_NETWORK = reader "get_network";
    CREATE_NETWORK = member "create_network";
    UPDATE_NETWORK = member "update_network";
    DELETE_NETWORK = member "delete_network";
    GET_SUBNET = reader "get_subnet";
    CREATE_SUBNET = member "create_subnet";
    UPDATE_SUBNET = member "update_subnet";
    DELETE_SUBNET = member "delete_subnet";
    GET_PORT = reader "get_port";
    CREATE_PORT = member "create_port";
    UPDATE_PORT = member "update_port";
    DELETE_PORT = member "delete_port";
    GET_GROUP = reader "get_security_group";
    CREATE_GROUP = member "create_security_group";
    UPDATE_GROUP = member "update_security_group";
    DELETE_GROUP = member "delete_security_group";
    GET_RULE = reader "get_security_group_rule";
    CREATE_RULE = member "create_security_group_rule";
    DELETE_RULE = member "delete_security_group_rule";
    GET_TAGS = reader "get_tags";
    UPDATE_TAGS = member "update_tags";
    GET_QUOTA = reader "get_quota";
    UPDATE_QUOTA = admin "update_quota";
    GET_AGENT = authenticated "get_agent";
    GET_ZONES = reader "get_availability_zone";
}
