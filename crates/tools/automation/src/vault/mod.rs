//! Encrypted files and values.
