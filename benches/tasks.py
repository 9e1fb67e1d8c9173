#!/usr/bin/env python3
"""Has the martlet command do ten small tasks, and says how many answers are right and how long each took.

usage: benches/tasks.py BINARY [FLAG ...]

The flags go to `martlet run`: `--model http://127.0.0.1:8080/v1#name`, `--strategy tool_calling` and so on. The tasks and
their answers are in tasks.json beside this file: an answer is right if it is the expected one, with numbers compared as
numbers and words without regard to case, or if it is one sentence or phrase that holds it as its only such number or word.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time


def is_right(task, answer):
    if "json" in task:
        try:
            found = json.loads(answer) if isinstance(answer, str) else answer
        except ValueError:
            return False
        return found == task["json"]
    text, expected = str(answer).strip().lower(), task["answer"]
    if re.fullmatch(r"[\d.]+", expected):
        numbers = {float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text.replace(",", ""))}
        return numbers == {float(expected)}
    return re.search(rf"\b{re.escape(expected)}\b", text) is not None and len(text) <= 3 * len(expected) + 60


def run(binary, flags, task):
    command = [binary, "run", "--output", "json", "--timeout", "300", *flags]
    with tempfile.TemporaryDirectory() as folder:
        if "schema" in task:
            schema = os.path.join(folder, "schema.json")
            with open(schema, "w", encoding="utf-8") as file:
                json.dump(task["schema"], file)
            command += ["--output-schema", schema]
        started = time.monotonic()
        done = subprocess.run(
            [*command, "--", task["task"]], input=task.get("context", ""), capture_output=True, text=True, check=False
        )
        seconds = time.monotonic() - started
    try:
        result = json.loads(done.stdout)
    except ValueError:
        return None, seconds, f"exit {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"
    return result.get("answer"), seconds, f"{result.get('status')}, {len(result.get('steps', []))} steps"


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    binary, flags = sys.argv[1], sys.argv[2:]
    with open(os.path.join(os.path.dirname(__file__), "tasks.json"), encoding="utf-8") as file:
        tasks = json.load(file)
    right, total = 0, 0.0
    for number, task in enumerate(tasks, 1):
        answer, seconds, note = run(binary, flags, task)
        good = answer is not None and is_right(task, answer)
        right += good
        total += seconds
        shown = re.sub(r"\s+", " ", str(answer))[:60]
        print(f"{number:2} {'right' if good else 'WRONG'} {seconds:6.1f} s  {shown}  ({note})", flush=True)
    print(f"{right} of {len(tasks)} right, {total / len(tasks):.1f} s each")


if __name__ == "__main__":
    main()
