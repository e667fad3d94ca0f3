//! What things are: pure.
