//! Plays, blocks, tasks and roles: parsing and validation.
