//! The 22 levels of variables, and the magic ones.
