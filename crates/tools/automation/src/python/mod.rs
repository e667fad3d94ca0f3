//! Third-party modules and plugins in Python.
