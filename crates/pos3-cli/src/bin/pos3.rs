//! The command `pos3`: the same program under its short name.

fn main() -> std::process::ExitCode {
    pos3_cli::main()
}
