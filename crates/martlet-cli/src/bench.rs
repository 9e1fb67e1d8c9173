//! `martlet bench`: measuring a server.

mod concurrency;
mod own;
mod report;

use crate::args::BenchCommand;
use crate::exit::{Exit, Failure};

pub(crate) async fn bench(command: BenchCommand) -> Result<Exit, Failure> {
    match command {
        BenchCommand::Concurrency(args) => concurrency::concurrency(args).await,
    }
}
