"""Make the project's environment in ``.venv``, once: what the commands need, and with ``--dev`` what tests and checks need too.

Run by the Makefile. Uses nothing but Python's own library, because nothing else is there yet.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
OLDEST = (3, 11)
NEWER = ("python3.13", "python3.12", "python3.11")
NO_NETWORK = (
    "NewConnectionError",
    "Name or service not known",
    "ConnectTimeout",
    "getaddrinfo failed",
    "Could not find a version",
)


def main() -> int:
    """Set up what is missing; returns the exit code for the shell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dev", action="store_true", help="also what tests and checks need")
    wanted = ["dev"] if parser.parse_args().dev else []
    if sys.version_info < OLDEST:
        return _with_newer_python()
    stamp = VENV / f".complete{'-dev' if wanted else ''}"
    mark = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == mark:
        return 0
    try:
        _install(wanted)
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    stamp.write_text(mark, encoding="utf-8")
    print(f"The environment is ready: {BIN.relative_to(ROOT) / 'dicom-workbench'} --help", file=sys.stderr)
    return 0


class SetupError(Exception):
    """The environment cannot be made; the text says what to do."""


def _with_newer_python() -> int:
    have = ".".join(map(str, sys.version_info[:2]))
    for name in NEWER:
        found = shutil.which(name)
        if found:
            return subprocess.call([found, *sys.argv])
    print(
        f"DicomWorkbench needs Python 3.11 or newer and found {have}; install one and run: make PYTHON=python3.12 ...",
        file=sys.stderr,
    )
    return 1


def _install(groups: list[str]) -> None:
    if not (BIN / ("python.exe" if os.name == "nt" else "python")).exists():
        _run([sys.executable, "-m", "venv", "--clear", str(VENV)], "making .venv")
    python = str(BIN / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--no-input"]
    _run([*pip, "--upgrade", "pip>=25.1"], "updating pip")
    group_options = [option for name in groups for option in ("--group", name)]
    _run([*pip, *group_options, "--editable", f"{ROOT}[all]"], "installing packages (about 2 minutes, once)")


def _run(command: list[str], what: str) -> None:
    """Run a step and show one line that moves; on failure say in one sentence why."""
    began, lines = time.monotonic(), []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT) as child:
        assert child.stdout is not None
        for line in child.stdout:
            lines.append(line.rstrip())
            _show(what, time.monotonic() - began, lines[-1])
    if child.returncode:
        raise SetupError(_reason(what, "\n".join(lines)))
    _show(what, time.monotonic() - began, "done", last=True)


def _show(what: str, seconds: float, line: str, *, last: bool = False) -> None:
    if sys.stderr.isatty():
        short = " ".join(line.split()[:2])[:40]
        print(f"\r{what} {seconds:4.0f} s  {short:<40}", end="\n" if last else "", file=sys.stderr, flush=True)
    elif last:
        print(f"{what}: done in {seconds:.0f} s", file=sys.stderr, flush=True)


def _reason(what: str, output: str) -> str:
    if "ensurepip" in output:
        return "Python has no venv module here; install it (Debian and Ubuntu: apt-get install python3-venv) and run again."
    if "No space left" in output:
        return f"The disk that holds {ROOT} is full; the environment needs about 2 GB."
    if any(word in output for word in NO_NETWORK):
        return "The Python package index cannot be reached; check the network or the proxy (HTTPS_PROXY) and run again."
    return f"{what} failed:\n" + "\n".join(output.splitlines()[-15:])


if __name__ == "__main__":
    sys.exit(main())
