//! Hosts, groups and their variables; patterns that choose among them.
