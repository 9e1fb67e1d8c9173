//! A fake OpenAI-compatible server as a program of its own, for benchmarks and for tests from outside.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use martlet_testkit::{FakeServer, Reply, SCRIPT_FORM, Script};

const USAGE: &str = "\
usage: martlet-fake-model [options]

Answers every chat completion on 127.0.0.1 with the same text, or as a script says. Prints its base URL, then serves until it is stopped.

  --port N         the port (default: any that is free)
  --text TEXT      the reply (default: OK)
  --delay-ms N     wait before each reply (default: 0)
  --piece-ms N     wait before each piece of a streamed reply (default: 0)
  --piece-chars N  characters of a piece (default: 4)
  --fail-every N   answer every Nth request with an error (default: never)
  --fail-status N  the status of those errors (default: 503)
  --script FILE    answer as this file says, see below; of the options above only --port counts then";

struct Options {
    port: u16,
    text: String,
    delay: Duration,
    piece_delay: Duration,
    piece_chars: usize,
    fail_every: usize,
    fail_status: u16,
    script: Option<PathBuf>,
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            port: 0,
            text: "OK".into(),
            delay: Duration::ZERO,
            piece_delay: Duration::ZERO,
            piece_chars: 4,
            fail_every: 0,
            fail_status: 503,
            script: None,
        };
        while let Some(name) = arguments.next() {
            if name == "--help" || name == "-h" {
                return Err(format!("{USAGE}\n\n{SCRIPT_FORM}"));
            }
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value\n\n{USAGE}"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("{name} needs a number, not `{value}`"));
            let small = || {
                value.parse::<u16>().map_err(|_| format!("{name} needs a number up to 65535, not `{value}`"))
            };
            let size = || value.parse::<usize>().map_err(|_| format!("{name} needs a number, not `{value}`"));
            match name.as_str() {
                "--port" => options.port = small()?,
                "--text" => options.text.clone_from(&value),
                "--delay-ms" => options.delay = Duration::from_millis(number()?),
                "--piece-ms" => options.piece_delay = Duration::from_millis(number()?),
                "--piece-chars" => options.piece_chars = size()?,
                "--fail-every" => options.fail_every = size()?,
                "--fail-status" => options.fail_status = small()?,
                "--script" => options.script = Some(PathBuf::from(&value)),
                _ => return Err(format!("there is no option {name}\n\n{USAGE}")),
            }
        }
        Ok(options)
    }
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a program speaks to its user")]
fn main() -> ExitCode {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let reply =
        Reply::text(options.text).delay(options.delay).pieces(options.piece_chars, options.piece_delay);
    let script = match options.script.as_deref().map(Script::read).transpose() {
        Ok(script) => script,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let builder = match (script, options.fail_every) {
        (Some(script), _) => FakeServer::builder_with(move |request| script.reply(request)),
        (None, 0) => FakeServer::builder_always(reply),
        (None, every) => FakeServer::builder_with(move |request| {
            if (request.index + 1).is_multiple_of(every) {
                Reply::status(options.fail_status, "asked to fail")
            } else {
                reply.clone()
            }
        }),
    };
    let server = builder.capture(0).port(options.port).spawn_thread();
    println!("{}", server.base_url());
    server.serve_forever();
    ExitCode::SUCCESS
}
