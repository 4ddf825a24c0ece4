//! Servers and tools for the tests.
