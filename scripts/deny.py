#!/usr/bin/env python3
"""Checks the dependencies against deny.toml: licences, banned crates, doubled versions, sources.

It reads what `cargo metadata --locked` says, so it needs no network beyond cargo's own and nothing but the standard
library of Python 3.11 or later. Advisories are not checked here: `cargo deny check` does it with the same file.

    scripts/deny.py                  the crates for this machine
    scripts/deny.py --all-platforms  the crates for every platform
"""

import argparse
import json
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all-platforms", action="store_true", help="check the crates for every platform")
    arguments = parser.parse_args()
    with (ROOT / "deny.toml").open("rb") as file:
        rules = tomllib.load(file)
    packages = read_packages(arguments.all_platforms)
    problems = [
        *check_licenses(packages, set(rules["licenses"]["allow"]), rules["licenses"].get("exceptions", [])),
        *check_bans(packages, rules["bans"]["deny"]),
        *check_versions(packages, rules["bans"]["skip"]),
        *check_sources(packages),
    ]
    for problem in problems:
        print(f"deny: {problem}", file=sys.stderr)
    if problems:
        return 1
    print(f"deny: {len(packages)} packages are as deny.toml wants them")
    return 0


def read_packages(all_platforms: bool) -> list[dict]:
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    if not all_platforms:
        command += ["--filter-platform", host()]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"deny: cargo metadata failed; is Cargo.lock committed and up to date?\n{result.stderr.strip()}")
    metadata = json.loads(result.stdout)
    # `packages` lists more than is built; `resolve` is what counts.
    resolved = {node["id"] for node in metadata["resolve"]["nodes"]}
    return [package for package in metadata["packages"] if package["id"] in resolved]


def host() -> str:
    version = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    return next(line.removeprefix("host: ") for line in version.splitlines() if line.startswith("host: "))


def check_licenses(packages: list[dict], allowed: set[str], exceptions: list[dict]):
    for package in packages:
        excepted = {name for one in exceptions if matches(package, one["crate"]) for name in one["allow"]}
        expression = package["license"]
        if not expression:
            yield f"{label(package)} names no licence; read its sources and replace it if need be"
            continue
        try:
            fits = License(expression, allowed | excepted).holds()
        except ValueError as error:
            yield f"{label(package)}: the licence {expression!r} cannot be read: {error}"
            continue
        if not fits:
            yield (
                f"{label(package)} is under {expression!r}, which deny.toml does not allow; use another crate, "
                "or add the licence to [licenses] if it asks for nothing but that its text is kept"
            )


class License:
    """An SPDX expression: `OR`, `AND`, `WITH`, parentheses, and the old `/` for `OR`."""

    def __init__(self, expression: str, allowed: set[str]):
        self.tokens = re.findall(r"[()/]|[^\s()/]+", expression)
        self.allowed = allowed

    def holds(self) -> bool:
        value = self.alternatives()
        if self.tokens:
            raise ValueError(f"unexpected {self.tokens[0]!r}")
        return value

    def alternatives(self) -> bool:
        value = self.conjunction()
        while self.tokens and self.tokens[0] in ("OR", "/"):
            self.tokens.pop(0)
            # Both sides have to be read, so that nothing short-circuits.
            value = self.conjunction() or value
        return value

    def conjunction(self) -> bool:
        value = self.license()
        while self.tokens and self.tokens[0] == "AND":
            self.tokens.pop(0)
            value = self.license() and value
        return value

    def license(self) -> bool:
        if not self.tokens:
            raise ValueError("it ends too early")
        name = self.tokens.pop(0)
        if name == "(":
            value = self.alternatives()
            if not self.tokens or self.tokens.pop(0) != ")":
                raise ValueError("a parenthesis is not closed")
            return value
        if name in (")", "/", "OR", "AND", "WITH"):
            raise ValueError(f"unexpected {name!r}")
        if self.tokens and self.tokens[0] == "WITH":
            self.tokens.pop(0)
            if not self.tokens:
                raise ValueError("it ends too early")
            name = f"{name} WITH {self.tokens.pop(0)}"
        return name in self.allowed


def check_bans(packages: list[dict], bans: list[dict]):
    for package in packages:
        for ban in bans:
            if matches(package, ban["crate"]):
                yield f"{label(package)} is banned: {ban['reason']}. `cargo tree -i {package['name']}` says who asks for it"


def check_versions(packages: list[dict], skips: list[dict]):
    versions = defaultdict(list)
    for package in packages:
        versions[package["name"]].append(package)
    for name, doubled in sorted(versions.items()):
        counted = [p for p in doubled if not any(matches(p, skip["crate"]) for skip in skips)]
        if len(doubled) > 1 and len(counted) > 1:
            found = ", ".join(sorted(p["version"] for p in counted))
            yield (
                f"{name} is there in several versions: {found}. Settle on one, or add the older to `skip` in "
                f"deny.toml with who needs it (`cargo tree -i {name}@VERSION`)"
            )
    for skip in skips:
        name = skip["crate"].partition("@")[0]
        if len(versions[name]) < 2 or not any(matches(p, skip["crate"]) for p in versions[name]):
            # A note and no failure: which versions are there depends on the platform.
            print(f"deny: note: `skip` of {skip['crate']} in deny.toml is not needed here")


def check_sources(packages: list[dict]):
    """Everything comes from one registry, cargo's own, or from this workspace."""
    registries = defaultdict(list)
    for package in packages:
        source = package["source"]
        if source is None:
            if not Path(package["manifest_path"]).is_relative_to(ROOT):
                yield f"{label(package)} comes from a folder outside the workspace; publish it or move it in"
        elif source.startswith(("registry+", "sparse+")):
            registries[source].append(package)
        else:
            yield f"{label(package)} comes from {source}; depend on a published version"
    # The registry of all the others is cargo's own.
    for source, strays in sorted(registries.items(), key=lambda entry: -len(entry[1]))[1:]:
        for package in strays:
            yield f"{label(package)} comes from another registry, {source}; only one is allowed"


def matches(package: dict, spec: str) -> bool:
    """Whether a package is meant by `name` or `name@1.2`: a prefix of its version, whole numbers only."""
    name, _, version = spec.partition("@")
    return package["name"] == name and (not version or f"{package['version']}.".startswith(f"{version}."))


def label(package: dict) -> str:
    return f"{package['name']} {package['version']}"


if __name__ == "__main__":
    sys.exit(main())
