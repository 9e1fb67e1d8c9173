#!/usr/bin/env python3
"""Runs Python programs through `martlet python` and compares them with what CPython printed.

    scripts/python-cases.py CASES.json target/debug/martlet

CASES.json is a list of {"id", "theme", "snippets": [program, ...], "expected": [{"stdout", "error"}, ...]};
the programs of a case share one session, "error" is the class of the exception or null. A case whose
programs call functions that the host would have to provide (theme "tools") fails here and is counted apart.
"""

import collections
import json
import pathlib
import subprocess
import sys
import tempfile

HOST_FUNCTIONS = "tools"


def run(binary, snippets):
    """The results of a session's programs, one for each."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for number, code in enumerate(snippets):
            path = pathlib.Path(folder, f"{number}.py")
            path.write_text(code, encoding="utf-8")
            files.append(str(path))
        done = subprocess.run([binary, "python", "--output", "json", *files], capture_output=True, text=True,
                              timeout=120, check=False)
    results = []
    for line in done.stdout.splitlines():
        try:
            results.append(json.loads(line))
        except ValueError:
            pass
    if len(results) != len(snippets):
        problem = (done.stderr.strip().splitlines() or ["no output"])[-1]
        results += [{"stdout": "", "error": {"type": "NoResult", "message": problem}}] * (len(snippets) - len(results))
    return results


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    cases = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    passed = collections.Counter()
    total = collections.Counter()
    failures = []
    for case in cases:
        results = run(sys.argv[2], case["snippets"])
        wrong = None
        for found, expected in zip(results, case["expected"]):
            kind = found["error"]["type"] if found.get("error") else None
            if found["stdout"] != expected["stdout"] or kind != expected["error"]:
                message = found["error"]["message"] if found.get("error") else ""
                wrong = f"expected {expected['stdout']!r} {expected['error']}, found {found['stdout']!r} {kind} {message}"
                break
        total[case["theme"]] += 1
        if wrong is None:
            passed[case["theme"]] += 1
        else:
            failures.append((case["id"], case["theme"], wrong))
    for theme in total:
        print(f"{theme:20} {passed[theme]:4} of {total[theme]:4}")
    every, good = sum(total.values()), sum(passed.values())
    print(f"{'all':20} {good:4} of {every:4}  {100 * good / every:.1f} %")
    if total[HOST_FUNCTIONS]:
        rest = every - total[HOST_FUNCTIONS]
        kept = good - passed[HOST_FUNCTIONS]
        print(f"{'without tools':20} {kept:4} of {rest:4}  {100 * kept / rest:.1f} %")
    for number, theme, wrong in failures:
        print(f"\n{number} ({theme}): {wrong[:400]}")


if __name__ == "__main__":
    main()
