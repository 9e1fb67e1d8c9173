"""What the programs of this folder share."""

import itertools
import os
import sys
import time
import traceback
import urllib.request

URL = os.environ["MARTLET_URL"]
TINY_URL = os.environ["MARTLET_TINY_URL"]
KEYS_URL = os.environ["MARTLET_KEYS_URL"]
MODEL_URL = os.environ["MARTLET_MODEL_URL"]
KEY = os.environ["MARTLET_KEY"]

failures = []
gates = itertools.count(1)


def check(name, holds, detail=""):
    """Prints one line for a check, and remembers a failure."""
    print(f"{'ok  ' if holds else 'FAIL'} {name}", flush=True)
    if not holds:
        failures.append(name)
        print(f"     {detail}", flush=True)


def test(name):
    """Runs a check at once: a failure is an exception, or a result other than none or true."""

    def run(body):
        try:
            seen = body()
            check(name, seen is None or seen is True, seen)
        except Exception:
            check(name, False, traceback.format_exc())

    return run


def finish():
    """Ends the program: what clients leave open must not keep it."""
    sys.stdout.flush()
    os._exit(1 if failures else 0)


class Gate:
    """A gate of the model: put `gate.word` into a question that the script holds."""

    def __init__(self):
        self.name = f"p{os.getpid()}x{next(gates)}"
        self.word = f"gate:{self.name}"

    def _call(self, method, turn, rest=""):
        name = f"{self.name}-{turn}" if turn else self.name
        request = urllib.request.Request(f"{MODEL_URL}/gates/{name}{rest}", method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()

    def open(self, turn=0):
        """Lets the answer of a turn go on."""
        self._call("POST", turn)

    def reached(self, turn=0):
        """Waits until the model was asked and holds its answer."""
        self._call("GET", turn)

    def left(self, turn=0):
        """Waits until the model sees that its answer is no longer wanted."""
        self._call("GET", turn, "/left")


def until(ask, seconds=20):
    """Asks again and again until the answer is one that is wanted; the time limit is for faults."""
    deadline = time.monotonic() + seconds
    while True:
        seen = ask()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {seconds} s")
        time.sleep(0.02)
