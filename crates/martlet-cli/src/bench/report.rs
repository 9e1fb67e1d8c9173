//! What was measured, for people and for programs.

use std::time::Duration;

use serde_json::{Value, json};

use crate::exit::Failure;
use crate::output::Sink;
use crate::runs::write_json;
use crate::style::escaped;

/// The version of the JSON object.
const SCHEMA: u32 = 1;
/// Up to so many requests are shown one by one.
const EACH: usize = 12;

/// All requests, once.
pub(super) struct Pass {
    /// From the first request to the last answer.
    pub(super) wall: Duration,
    /// Of each request, by user.
    pub(super) times: Vec<Duration>,
}

pub(super) struct Report<'a> {
    pub(super) users: u32,
    pub(super) requests: u32,
    pub(super) task: &'a str,
    pub(super) url: &'a str,
    pub(super) sequential: Option<Pass>,
    pub(super) concurrent: Pass,
}

impl Pass {
    /// The time that so many of a hundred requests did not exceed.
    fn percentile(&self, percent: usize) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        let place = (times.len() * percent).div_ceil(100).saturating_sub(1);
        times.get(place).copied().unwrap_or_default()
    }

    fn mean(&self) -> Duration {
        let count = u32::try_from(self.times.len()).unwrap_or(u32::MAX).max(1);
        self.times.iter().sum::<Duration>() / count
    }

    fn text(&self, title: &str) -> String {
        let mut text = format!("{title}: {} in {}\n", count(self.times.len()), seconds(self.wall));
        if self.times.len() <= EACH {
            let each: Vec<String> = self.times.iter().map(|time| seconds(*time)).collect();
            text.push_str(&format!("  each: {}\n", each.join(", ")));
        }
        text.push_str(&format!(
            "  mean {}, p50 {}, p95 {}, slowest {}\n",
            seconds(self.mean()),
            seconds(self.percentile(50)),
            seconds(self.percentile(95)),
            seconds(self.percentile(100)),
        ));
        text
    }

    fn json(&self) -> Value {
        json!({
            "wall_s": self.wall.as_secs_f64(),
            "mean_s": self.mean().as_secs_f64(),
            "p50_s": self.percentile(50).as_secs_f64(),
            "p95_s": self.percentile(95).as_secs_f64(),
            "max_s": self.percentile(100).as_secs_f64(),
            "each_s": self.times.iter().map(Duration::as_secs_f64).collect::<Vec<_>>(),
        })
    }
}

impl Report<'_> {
    /// How many times faster it was at once.
    fn speed_up(&self) -> Option<f64> {
        let sequential = self.sequential.as_ref()?.wall.as_secs_f64();
        Some(sequential / self.concurrent.wall.as_secs_f64().max(f64::MIN_POSITIVE))
    }

    pub(super) fn write(&self, as_json: bool) -> Result<(), Failure> {
        if as_json {
            return write_json(&json!({
                "schema": SCHEMA,
                "url": self.url,
                "users": self.users,
                "requests_per_user": self.requests,
                "task": self.task,
                "sequential": self.sequential.as_ref().map(Pass::json),
                "concurrent": self.concurrent.json(),
                "speed_up": self.speed_up(),
            }));
        }
        Ok(Sink::Stdout.line(self.text().trim_end())?)
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{} users, {} each, at {}: {}\n\n",
            self.users,
            count(usize::try_from(self.requests).unwrap_or_default()),
            escaped(self.url),
            escaped(self.task)
        );
        if let Some(sequential) = &self.sequential {
            text.push_str(&sequential.text("one after the other"));
        }
        text.push_str(&self.concurrent.text("at once"));
        if let Some(speed_up) = self.speed_up() {
            text.push_str(&format!("\nspeed-up: {speed_up:.2}× (at most {}×)\n", self.users));
        }
        text
    }
}

fn count(requests: usize) -> String {
    if requests == 1 { "1 request".into() } else { format!("{requests} requests") }
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(wall: u64, times: &[u64]) -> Pass {
        let of = Duration::from_millis;
        Pass { wall: of(wall), times: times.iter().map(|time| of(*time)).collect() }
    }

    #[test]
    fn the_report_compares_both_ways() {
        let report = Report {
            users: 3,
            requests: 1,
            task: "Say hello.",
            url: "http://127.0.0.1:1",
            sequential: Some(pass(1_500, &[500, 510, 490])),
            concurrent: pass(520, &[500, 505, 510]),
        };
        assert_eq!(
            report.text(),
            "3 users, 1 request each, at http://127.0.0.1:1: Say hello.\n\n\
             one after the other: 3 requests in 1.500 s\n  each: 0.500 s, 0.510 s, 0.490 s\n  \
             mean 0.500 s, p50 0.500 s, p95 0.510 s, slowest 0.510 s\n\
             at once: 3 requests in 0.520 s\n  each: 0.500 s, 0.505 s, 0.510 s\n  \
             mean 0.505 s, p50 0.505 s, p95 0.510 s, slowest 0.510 s\n\n\
             speed-up: 2.88× (at most 3×)\n"
        );
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times: Vec<u64> = (1..=100).collect();
        let pass = pass(1, &times);
        assert_eq!([50, 95, 100].map(|percent| pass.percentile(percent).as_millis()), [50, 95, 100]);
        assert_eq!(super::Pass { wall: Duration::ZERO, times: Vec::new() }.percentile(50), Duration::ZERO);
    }
}
