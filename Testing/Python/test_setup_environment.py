"""The set-up script says in one sentence what a machine lacks."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def bare_project(folder: Path) -> Path:
    for name in ("setup_environment.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def set_up(folder: Path, code: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code] if code else [sys.executable, "setup_environment.py"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
    return subprocess.run(
        command, cwd=folder, env={**clean, **environment}, capture_output=True, text=True, timeout=120
    )


def test_without_a_network_one_sentence_says_so(tmp_path):
    done = set_up(
        bare_project(tmp_path), PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="0", PIP_CONFIG_FILE=os.devnull
    )
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("The Python package index cannot be reached")


def test_an_old_python_is_told_which_one_is_needed(tmp_path):
    old = "import sys; sys.version_info = (3, 9, 1); sys.argv = ['x']; import setup_environment as s; s.NEWER = (); sys.exit(s.main())"
    done = set_up(bare_project(tmp_path), old)
    assert done.returncode == 1
    assert (
        done.stderr.strip()
        == "DicomWorkbench needs Python 3.11 or newer and found 3.9; install one and run: make PYTHON=python3.12 ..."
    )


def test_a_finished_environment_is_not_touched_again(tmp_path):
    folder = bare_project(tmp_path)
    code = (
        "import hashlib, pathlib, sys; import setup_environment as s; s.VENV.mkdir();"
        "mark = hashlib.sha256(pathlib.Path('pyproject.toml').read_bytes() + sys.version.encode()).hexdigest();"
        "(s.VENV / '.complete').write_text(mark); sys.argv = ['x']; sys.exit(s.main())"
    )
    done = set_up(folder, code, PIP_INDEX_URL="http://127.0.0.1:9/simple")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
