#!/usr/bin/env python3
"""Sends a server what its own OpenAPI document allows, and what it forbids.

No answer may be a fault of the server, and each has to be of a form that the document knows. The server is the real
binary with a scripted model behind it, on a port that is free. schemathesis is installed from PyPI into
`target`, by pip.

    python3 scripts/schemathesis.py [--examples N] [--seed N]
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

VERSION = "4.32.5"
ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PROGRAM = "```python\nfinal_answer('done')\n```"
CONFIG = """\
[models.scripted]
model = "scripted"
base_url = "{model}"

[agents.assistant]
model = "scripted"
description = "Answers."

[workflows.pair]
description = "Two agents, one after the other."

[workflows.pair.nodes.first]
agent = "assistant"
prompt = "Say something about {{{{ topic }}}}"

[workflows.pair.nodes.second]
agent = "assistant"
after = ["first"]
prompt = "Say it shorter: {{{{ first }}}}"
"""


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--examples", type=int, default=40, help="examples for each operation (default: 40)")
    arguments.add_argument("--seed", type=int, default=1)
    arguments = arguments.parse_args()
    # What the tests build, so that after them there is nothing to do.
    build = ["cargo", "test", "--quiet", "--ignore-rust-version", "--workspace", "--no-run"]
    subprocess.run(build, cwd=ROOT, check=True)
    packages = installed()
    with tempfile.TemporaryDirectory() as work:
        processes = []
        try:
            return check(packages, pathlib.Path(work), processes, arguments)
        finally:
            for process in reversed(processes):
                process.terminate()
            for process in reversed(processes):
                process.wait(timeout=15)


def installed():
    """The folder of the packages. Not a virtual environment: some systems have pip and not what makes those."""
    folder = TARGET / f"schemathesis-{VERSION}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=TARGET) as work:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", work, f"schemathesis=={VERSION}"]
            subprocess.run(pip, check=True)
            shutil.copytree(work, folder)
    return folder.resolve()


def check(packages, work, processes, arguments):
    fake = TARGET / "debug" / "martlet-fake-model"
    model = started([fake, "--text", PROGRAM], work, "model", processes)
    config = work / "martlet.toml"
    config.write_text(CONFIG.format(model=model))
    serve = [TARGET / "debug" / "martlet", "serve", "--listen", "127.0.0.1:0", "--config", config, "--data", work / "data"]
    server = started(serve, work, "server", processes)
    command = [
        sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()",
        "run", f"{server}/openapi.json",
        "--url", server,
        "--phases", "examples,coverage,fuzzing",
        "--checks",
        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,unsupported_method",
        "--max-examples", str(arguments.examples),
        "--seed", str(arguments.seed),
        "--request-timeout", "20",
        "--suppress-health-check", "all",
        "--generation-database", "none",
        "--no-color",
    ]
    status = subprocess.run(command, cwd=work, env={**os.environ, "PYTHONPATH": str(packages)}).returncode
    if processes[-1].poll() is not None:
        print("the server ended meanwhile", file=sys.stderr)
        status = 1
    if status:
        print((work / "server.log").read_text()[-4000:], file=sys.stderr)
    return status


def started(command, work, name, processes):
    """Starts a program and waits for the address that it prints."""
    log = work / f"{name}.log"
    with log.open("w") as out:
        process = subprocess.Popen(list(map(str, command)), stdout=out, stderr=out, cwd=work)
    processes.append(process)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"http://\S+", log.read_text())
        if found and log.read_text().endswith("\n"):
            return found.group().rstrip("/")
        time.sleep(0.05)
    raise SystemExit(f"{name} did not start: {log.read_text()}")


if __name__ == "__main__":
    sys.exit(main())
