#!/usr/bin/env python3
"""Tries the page of a server in a real browser: Debian's Chromium, driven by playwright-core, and looked at by axe-core.

The server is the real binary with a scripted model behind it, on a port that is free. Each file of tests/browser is a
program that prints a line for each check and fails if one does. The packages are installed below `target` by npm; Chromium, if
it is missing, by apt-get.

    python3 scripts/browser.py [--only NAME] [--test WORDS] [--no-build] [--screenshots DIR]
"""

import argparse
import glob
import os
import shutil
import subprocess
import sys

import live

TESTS = live.ROOT / "tests" / "browser"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="NAME", help="only files whose names begin so; may be repeated")
    parser.add_argument("--test", metavar="WORDS", help="only checks with these words in their names")
    parser.add_argument("--no-build", action="store_true", help="take the programs as they are")
    parser.add_argument("--screenshots", metavar="DIR", help="where pictures are written (default: below the target folder)")
    arguments = parser.parse_args()
    files = live.chosen(TESTS.glob("*.mjs"), arguments.only)
    pictures = os.path.abspath(arguments.screenshots or live.TARGET / "screenshots")
    os.makedirs(pictures, exist_ok=True)
    # What failed before may pass now.
    for old in glob.glob(os.path.join(glob.escape(pictures), "failed-*.png")):
        os.remove(old)
    browser = chromium()
    if not arguments.no_build:
        live.build()
    node = live.node_packages()
    live.copied([live.CLIENTS, TESTS], node)
    copy = node / TESTS.name
    long_answers(copy / "hostile")
    with live.programs() as programs:
        env = servers(programs, copy)
        env.update(CHROMIUM=browser, MARTLET_SCREENSHOTS=pictures)
        if arguments.test:
            env["MARTLET_TEST"] = arguments.test
        failed = live.run(files, lambda file: ["node", copy / file.name], env, patience=600)
        failed += programs.faults()
        if failed:
            print(programs.logs(), file=sys.stderr)
            print(f"FAILED: {', '.join(failed)}", file=sys.stderr)
    print(f"pictures: {pictures}")
    return 1 if failed else 0


def chromium():
    """The browser, which is installed if it is missing."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if found:
        return found
    root = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    if shutil.which("apt-get") is None or (root and shutil.which("sudo") is None):
        raise SystemExit("Chromium is missing: install it (on Debian: apt-get install chromium), or let CHROMIUM be its path")
    try:
        subprocess.run([*root, "apt-get", "-qq", "update"], check=True)
        command = ["apt-get", "-qq", "install", "--yes", "--no-install-recommends", "chromium", "fonts-dejavu-core"]
        subprocess.run([*root, "env", "DEBIAN_FRONTEND=noninteractive", *command], check=True, stdout=subprocess.DEVNULL)
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"Chromium is missing and could not be installed ({error}): install it (apt-get install chromium)") from error
    return shutil.which("chromium") or "/usr/bin/chromium"


def servers(programs, tests):
    """Starts everything, and gives the environment that says where it is."""
    config = tests / "martlet.toml"
    model = programs.model(tests / "script.json")
    plenty = {"max_running": 16, "max_running_per_user": 16, "max_queued_per_user": 64}
    tiny = {"max_running": 1, "max_running_per_user": 1, "max_queued": 1, "max_queued_per_user": 1}
    return {
        "MARTLET_MODEL_URL": model.removesuffix("/v1"),
        "MARTLET_URL": programs.serve("server", config, model, plenty),
        "MARTLET_TINY_URL": programs.serve("tiny", config, model, tiny),
        "MARTLET_KEYS_URL": programs.serve("keys", config, model, {**plenty, "auth": "keys"}),
        "MARTLET_KEY": programs.key("keys", "ann", ["run", "read", "approve"]),
        "MARTLET_OTHER_KEY": programs.key("keys", "bob"),
    }


def long_answers(folder):
    """The hostile answers that are too long to be kept: a huge table with deep nesting, and endless lines."""
    columns = range(60)
    table = ["A table:", "", "|".join(f" c{column} " for column in columns), "|".join("---" for _ in columns)]
    table += ["|".join(f" {row}·{column} " for column in columns) for row in range(80)]
    nested = ["  " * level + f"- level {level}" for level in range(120)]
    stars = "*" * 2000 + "a" + "_" * 2000
    parts = [*table, "", ">" * 300 + " deep", "", *nested, "", stars, "", "[" * 2000, "", "END table", ""]
    (folder / "table.md").write_text("\n".join(parts))
    lines = ["One line:", "x" * 60_000, f"`{'y' * 20_000}`", f"```\n{'z' * 60_000}\n```", f"https://evil.example/{'a' * 5_000}"]
    (folder / "lines.md").write_text("\n\n".join([*lines, "# " + "H" * 3_000, "END lines", ""]))


if __name__ == "__main__":
    sys.exit(main())
