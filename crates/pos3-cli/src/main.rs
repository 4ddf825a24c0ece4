//! The command `pos3-cli`.

fn main() -> std::process::ExitCode {
    pos3_cli::main()
}
