//! A worker of Martlet's Python sandbox, for programs that do not start themselves as their worker.

use std::process::ExitCode;

fn main() -> ExitCode {
    martlet_sandbox::worker_main()
}
