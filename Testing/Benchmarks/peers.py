"""Environments of the programs we measure ourselves against: they come from the package index and stay away from our own packages."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def peer_python(name: str, *packages: str, install: bool = True) -> Path | None:
    """Return the interpreter of the environment ``.venv-peers-NAME`` that holds these packages.

    It is made if it is missing or holds others; nothing comes back where it may not be made (``install=False``) or cannot be.
    """
    environment = ROOT / f".venv-peers-{name}"
    python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    holds = environment / "packages.txt"  # written last: an installation that broke off is made again
    if holds.is_file() and holds.read_text().split() == list(packages):
        return python
    if not install:
        return None
    venv.create(environment, with_pip=True, clear=True)
    command = [str(python), "-m", "pip", "install", "-q", *packages]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        print(f"{' '.join(packages)} cannot be installed and is left out:\n{done.stderr[-500:]}", file=sys.stderr)
        return None
    holds.write_text("\n".join(packages))
    return python
