"""Real servers with a scripted model behind them, and packages of other registries, for the scripts that try them.

What is installed lies below the target folder of cargo: nothing is written into the checkout.
"""

import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
CLIENTS = ROOT / "tests" / "clients"


def build():
    """What the tests build, so that after them there is nothing to do."""
    command = ["cargo", "test", "--quiet", "--ignore-rust-version", "--workspace", "--no-run"]
    subprocess.run(command, cwd=ROOT, check=True)


def python_packages():
    """The folder of the packages of Python. Not a virtual environment: some systems have pip and not what makes those."""
    requirements = CLIENTS / "requirements.txt"

    def install(folder):
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]
        # The file has all of them, each with its version.
        subprocess.run([*pip, "--no-deps", "--target", folder, "--requirement", requirements], check=True)

    return installed("clients-python", [requirements], install)


def node_packages():
    """A folder with `node_modules` in it."""
    files = [CLIENTS / "package.json", CLIENTS / "package-lock.json"]

    def install(folder):
        for tool in ["node", "npm"]:
            if shutil.which(tool) is None:
                raise SystemExit(f"{tool} is missing: install Node.js 20 or later with npm")
        for file in files:
            shutil.copy(file, folder)
        # No package here needs a script to be installed.
        npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
        subprocess.run(npm, cwd=folder, check=True)

    return installed("clients-node", files, install)


def installed(name, files, install):
    """The folder of what `files` name; it is made when they change, and only as a whole."""
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
    folder = TARGET / f"{name}-{digest}"
    if not folder.exists():
        TARGET.mkdir(parents=True, exist_ok=True)
        work = pathlib.Path(tempfile.mkdtemp(dir=TARGET, prefix=f"{name}-"))
        try:
            install(work)
            work.rename(folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return folder


def copied(sources, packages):
    """Copies folders beside `node_modules`: there alone node looks for what they import."""
    for source in sources:
        target = packages / source.name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("node_modules", "package*.json", "__pycache__"))


class Programs:
    """Programs that run for as long as they are tried."""

    def __init__(self, work):
        self.work = work
        self.running = {}

    def start(self, name, command, env=None):
        """Starts a program and waits for the address that it prints."""
        log = self.work / f"{name}.log"
        with log.open("w") as out:
            # The user's own settings must not count.
            clean = {key: value for key, value in os.environ.items() if not key.startswith("MARTLET_")}
            clean["XDG_CONFIG_HOME"] = str(self.work / "no-config")
            process = subprocess.Popen(
                list(map(str, command)), stdout=out, stderr=out, cwd=self.work, env={**clean, **(env or {})}
            )
        self.running[name] = process
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            text = log.read_text()
            found = re.search(r"http://\S+", text)
            if found and text.endswith("\n"):
                return found.group().rstrip("/")
            time.sleep(0.05)
        raise SystemExit(f"{name} did not start: {log.read_text()}")

    def model(self, script):
        """A model that answers as a script says; the address is that of its API."""
        return self.start("model", [TARGET / "debug" / "martlet-fake-model", "--script", script])

    def serve(self, name, config, model, settings=None):
        """A server of this configuration; its data are kept in `name` of the folder of work."""
        env = {"MARTLET_MODELS__SCRIPTED__BASE_URL": model}
        env.update({f"MARTLET_SERVER__{key.upper()}": str(value) for key, value in (settings or {}).items()})
        command = [TARGET / "debug" / "martlet", "serve", "--listen", "127.0.0.1:0", "--config", config]
        return self.start(name, [*command, "--data", self.work / name], env)

    def key(self, name, user, scopes=()):
        """A key for a server that asks for keys."""
        command = [TARGET / "debug" / "martlet", "keys", "create", "--data", self.work / name, "--user", user]
        command += [part for scope in scopes for part in ("--scope", scope)]
        made = subprocess.run(list(map(str, command)), cwd=self.work, check=True, capture_output=True, text=True)
        return re.search(r"mrt_\S+", made.stdout).group()

    def faults(self):
        """What went wrong with the programs themselves: those that ended, and panics."""
        faults = []
        for name, process in self.running.items():
            text = (self.work / f"{name}.log").read_text(errors="replace")
            if process.poll() is not None:
                faults.append(f"{name} ended with {process.returncode}")
            if "panicked" in text:
                faults.append(f"{name} panicked")
        return faults

    def logs(self, size=4000):
        """The ends of what the programs said."""
        return "\n".join(
            f"-- {name}\n{(self.work / f'{name}.log').read_text(errors='replace')[-size:]}" for name in self.running
        )


@contextlib.contextmanager
def programs():
    """Ends what it started, whatever happens."""
    with tempfile.TemporaryDirectory() as work:
        started = Programs(pathlib.Path(work))
        try:
            yield started
        finally:
            for process in reversed(started.running.values()):
                process.terminate()
            for process in reversed(started.running.values()):
                try:
                    process.wait(timeout=15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def run(files, command, env, patience):
    """Runs each file by itself; tells which failed."""
    failed = []
    for file in files:
        print(f"\n-- {file.name}", flush=True)
        begun = time.monotonic()
        try:
            status = subprocess.run(command(file), env={**os.environ, **env}, timeout=patience).returncode
        except subprocess.TimeoutExpired:
            status = f"no end after {patience} s"
        print(f"   {file.name}: {'passed' if status == 0 else f'FAILED ({status})'} in {time.monotonic() - begun:.1f} s", flush=True)
        if status != 0:
            failed.append(file.name)
    return failed


def chosen(files, only):
    """The files whose names begin with what was asked for."""
    files = sorted(file for file in files if not file.name.startswith("lib"))
    if only:
        files = [file for file in files if any(file.name.startswith(name) for name in only)]
    if not files:
        raise SystemExit("there is no such test")
    return files
