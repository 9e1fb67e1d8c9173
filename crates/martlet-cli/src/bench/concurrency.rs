//! `martlet bench concurrency`: several users at once, against the same requests one after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::own::Server;
use super::report::{Pass, Report};
use crate::args::ConcurrencyArgs;
use crate::client;
use crate::exit::{Exit, Failure};
use crate::signals::Signals;

/// The longest that a server lets a request wait.
const LONGEST_WAIT_S: u64 = 300;

pub(super) async fn concurrency(args: ConcurrencyArgs) -> Result<Exit, Failure> {
    let mut signals = Signals::listen()?;
    signals.unless_stopped(measure(&args)).await
}

async fn measure(args: &ConcurrencyArgs) -> Result<Exit, Failure> {
    let own = match args.url {
        Some(_) => None,
        None => Some(Server::start(args.users, args.latency).await?),
    };
    let (url, keys) = match (&own, &args.url) {
        (Some(own), _) => (own.url().to_owned(), own.keys().to_vec()),
        (None, url) => (url.clone().unwrap_or_default(), given_keys(args)?),
    };
    let target = Arc::new(Target {
        client: client::client(own.is_some())?,
        address: format!("{}/api/v1/runs", url.trim_end_matches('/')),
        keys,
        task: args.task.clone(),
        timeout: args.timeout,
    });
    // The first request of all connects, fills caches and starts threads: that is not what is measured.
    target.ask(0).await?;
    let sequential = match args.no_baseline {
        true => None,
        false => Some(one_after_the_other(&target, args).await?),
    };
    let concurrent = at_once(&target, args).await?;
    if let Some(own) = own {
        own.end().await;
    }
    Report {
        users: args.users,
        requests: args.requests,
        task: &args.task,
        url: &url,
        sequential,
        concurrent,
    }
    .write(args.output.json)?;
    Ok(Exit::Success)
}

/// The keys of the file, or that of the variable; none for a server that asks for none.
fn given_keys(args: &ConcurrencyArgs) -> Result<Vec<String>, Failure> {
    let text = match &args.keys {
        Some(path) => crate::input::read_text(path)?,
        None => std::env::var("MARTLET_KEY").unwrap_or_default(),
    };
    let keys: Vec<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if args.keys.is_some() && keys.is_empty() {
        return Err(Failure::usage(
            "the file of --keys has no key: write one a line (`martlet keys create`)",
        ));
    }
    Ok(keys)
}

async fn one_after_the_other(target: &Target, args: &ConcurrencyArgs) -> Result<Pass, Failure> {
    let began = Instant::now();
    let mut times = Vec::new();
    for user in 0..args.users {
        for _ in 0..args.requests {
            times.push(target.ask(user).await?);
        }
    }
    Ok(Pass { wall: began.elapsed(), times })
}

async fn at_once(target: &Arc<Target>, args: &ConcurrencyArgs) -> Result<Pass, Failure> {
    let began = Instant::now();
    let mut users = JoinSet::new();
    for user in 0..args.users {
        let (target, requests) = (target.clone(), args.requests);
        users.spawn(async move {
            let mut times = Vec::new();
            for _ in 0..requests {
                times.push(target.ask(user).await?);
            }
            Ok::<_, Failure>((user, times))
        });
    }
    let mut all = Vec::new();
    while let Some(done) = users.join_next().await {
        all.push(done.map_err(|error| Failure::host("a user of the test ended early", error))??);
    }
    let wall = began.elapsed();
    all.sort_unstable_by_key(|(user, _)| *user);
    Ok(Pass { wall, times: all.into_iter().flat_map(|(_, times)| times).collect() })
}

/// Who is asked, and what.
struct Target {
    client: reqwest::Client,
    address: String,
    keys: Vec<String>,
    task: String,
    timeout: Duration,
}

impl Target {
    /// Lets a user ask once, and says how long the answer took.
    async fn ask(&self, user: u32) -> Result<Duration, Failure> {
        let began = Instant::now();
        let wait = self.timeout.as_secs().clamp(1, LONGEST_WAIT_S);
        let mut request = self
            .client
            .post(&self.address)
            .header("content-type", "application/json")
            .header("prefer", format!("wait={wait}"))
            .timeout(self.timeout)
            .body(json!({"task": self.task}).to_string());
        let place = usize::try_from(user).unwrap_or_default() % self.keys.len().max(1);
        if let Some(key) = self.keys.get(place) {
            request = request.bearer_auth(key);
        }
        let reply = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = reply.status();
        let body = reply.text().await.map_err(|error| self.unreachable(error))?;
        if !status.is_success() {
            return Err(client::refused(status, &body));
        }
        let run: Value =
            serde_json::from_str(&body).map_err(|error| Failure::host("the reply is no run", error))?;
        match run["outcome"].as_str() {
            Some("succeeded") => Ok(began.elapsed()),
            outcome => {
                let why = run["error"].as_str().unwrap_or("no error is told");
                let how = outcome.or(run["state"].as_str()).unwrap_or("not known");
                let text = format!("a request did not succeed ({how}: {why}): nothing was measured");
                Err(Failure::new(Exit::Failed, anyhow::Error::msg(text)))
            }
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> Failure {
        let (exit, what) = match error.is_timeout() {
            true => (Exit::TimedOut, "no answer came in the time of --timeout"),
            false => (Exit::Unreachable, "it cannot be reached: see that it runs there"),
        };
        let message = format!("{}: {what}", self.address);
        Failure::new(exit, anyhow::Error::new(error).context(message))
    }
}
