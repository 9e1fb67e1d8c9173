//! Lengths of time: `"30s"`, `"500ms"`, `"2m"`, `"30d"`, or a number of seconds.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Duration);

const EXPECTED: &str =
    "a length of time such as \"30s\", \"500ms\", \"2m\", \"1h\" or \"30d\", or a number of seconds";

impl Time {
    fn of_seconds(seconds: f64) -> Option<Self> {
        if seconds <= 0.0 {
            return None;
        }
        Duration::try_from_secs_f64(seconds).ok().map(Self)
    }

    /// Reads a text.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let number: f64 = number.parse().ok()?;
        let factor = match unit.trim() {
            "ms" => 0.001,
            "" | "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        Self::of_seconds(number * factor)
    }

    /// In milliseconds.
    pub fn millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Time;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
                Time::read(text).ok_or_else(|| E::custom(format!("`{text}` is not {EXPECTED}")))
            }
            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Time, E> {
                #[expect(clippy::cast_precision_loss, reason = "nobody waits for 2^53 seconds")]
                self.visit_f64(seconds as f64)
            }
            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Time, E> {
                Time::of_seconds(seconds)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Float(seconds), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        let of = |text| Time::read(text).map(Time::millis);
        assert_eq!(of("30s"), Some(30_000));
        assert_eq!(of("500ms"), Some(500));
        assert_eq!(of("1.5 m"), Some(90_000));
        assert_eq!(of("2h"), Some(7_200_000));
        assert_eq!(of("90d"), Some(7_776_000_000));
        assert_eq!(of("7"), Some(7_000));
        for wrong in ["", "s", "-1s", "0s", "3 days", "1e3s"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
