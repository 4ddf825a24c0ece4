//! The `pos3-cli` command.
fn main() {}
