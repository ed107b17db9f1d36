"""What the README says is true: its commands run, its Python runs, its links lead somewhere, its targets exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def tour(text: str = README) -> list[str]:
    lines = [line.partition("  #")[0].strip() for block in blocks("sh", text) for line in block.splitlines()]
    return [line for line in lines if line.startswith("dicom-workbench ")]


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        arguments, cwd=folder, env={**os.environ, "PATH": here}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as people have them: with spaces and letters beyond ASCII in its name."""
    made = tmp_path / "Pläne für Łódź 日本"
    made.mkdir()
    return made


def test_the_tour_and_the_python_example_run_as_written_in_any_folder(folder):
    assert len(tour()) >= 9
    for line in tour():
        done = run([part.replace("data/", f"{folder}/data/") for part in line.split()], folder)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    for code in blocks("python"):
        done = run([sys.executable, "-c", code], folder)
        assert done.returncode == 0, f"{code}\n{done.stderr}"


def test_every_shell_line_of_the_readme_is_a_make_target_or_a_command_that_is_run():
    lines = [line.partition("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    assert {line.split()[0] for line in lines if line} <= {"make", "dicom-workbench"}


def test_the_page_on_headless_use_and_the_notebook_run_as_written(folder):
    page = (ROOT / "docs" / "headless.md").read_text(encoding="utf-8")
    for line in tour(page):
        done = run(line.split(), folder)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    for code in [*blocks("python", page), (ROOT / "docs" / "notebook.py").read_text(encoding="utf-8")]:
        done = run([sys.executable, "-c", code], folder)
        assert done.returncode == 0, f"{code}\n{done.stderr}"
    assert (folder / "notebook-data" / "before-after.png").stat().st_size > 10_000


def test_every_make_target_the_readme_names_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"\bmake ([a-z]+)\b", "\n".join(re.findall(r"`[^`]+`|```.*?```", README, re.DOTALL))))
    assert {"demo", "test", "setup"} <= named
    assert {target for target in named if not re.search(rf"^{target}:", makefile, re.MULTILINE)} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_to_files_of_this_repository(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [
        t.partition("#")[0] for t in re.findall(r"\]\(([^)\s]+)\)", text) if not t.startswith(("http", "#", "mailto:"))
    ]
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == [], f"{page.name} links to {missing}"
