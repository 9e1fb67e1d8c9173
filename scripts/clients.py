#!/usr/bin/env python3
"""Tries a server with the clients that people have: packages of Python and npm, as their registries give them.

The server is the real binary with a scripted model behind it, on a port that is free. Each file of tests/clients is a
program that gets the addresses by its environment (tests/clients/README.md says which), prints a line for each check and
fails if one does. The packages are installed below `target`, by pip and npm.

    python3 scripts/clients.py [--only NAME] [--no-build]
"""

import argparse
import sys

import live


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="NAME", help="only files whose names begin so; may be repeated")
    parser.add_argument("--no-build", action="store_true", help="take the programs as they are")
    arguments = parser.parse_args()
    files = live.chosen([*live.CLIENTS.glob("*.py"), *live.CLIENTS.glob("*.mjs")], arguments.only)
    if not arguments.no_build:
        live.build()
    python = live.python_packages() if any(file.suffix == ".py" for file in files) else None
    node = live.node_packages() if any(file.suffix == ".mjs" for file in files) else None
    if node:
        live.copied([live.CLIENTS], node)

    def command(file):
        if file.suffix == ".py":
            return [sys.executable, "-B", file]
        return ["node", node / "clients" / file.name]

    with live.programs() as programs:
        env = servers(programs)
        if python:
            env["PYTHONPATH"] = str(python)
        failed = live.run(files, command, env, patience=300)
        failed += programs.faults()
        if failed:
            print(programs.logs(), file=sys.stderr)
            print(f"FAILED: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def servers(programs):
    """Starts everything, and gives the environment that says where it is."""
    config = live.CLIENTS / "martlet.toml"
    model = programs.model(live.CLIENTS / "script.json")
    # All clients of a server without keys are one user.
    plenty = {"max_running": 16, "max_running_per_user": 16, "max_queued_per_user": 64}
    tiny = {"max_running": 1, "max_running_per_user": 1, "max_queued": 1, "max_queued_per_user": 1}
    return {
        "MARTLET_MODEL_URL": model.removesuffix("/v1"),
        "MARTLET_URL": programs.serve("server", config, model, plenty),
        "MARTLET_TINY_URL": programs.serve("tiny", config, model, tiny),
        "MARTLET_KEYS_URL": programs.serve("keys", config, model, {**plenty, "auth": "keys"}),
        "MARTLET_KEY": programs.key("keys", "ann", ["run", "read", "approve"]),
        "MARTLET_OTHER_KEY": programs.key("keys", "bob"),
        "MARTLET_READ_KEY": programs.key("keys", "ann", ["read"]),
    }


if __name__ == "__main__":
    sys.exit(main())
