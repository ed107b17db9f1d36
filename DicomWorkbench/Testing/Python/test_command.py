"""The command: help at once, exit codes, JSON, cancel."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass

import click
import pytest
from DicomWorkbenchLib import cli, workflows
from DicomWorkbenchLib.errors import DependencyError, FileError, SettingsError
from DicomWorkbenchLib.progress import json_lines_progress, part_of, throttled
from DicomWorkbenchLib.report import Report, sha256_of
from DicomWorkbenchLib.workflows import Workflow


@dataclass
class TestReport(Report):
    __test__ = False
    figure: float = 1.5


@click.command()
@click.argument("what")
@cli.job_options
def try_out(what: str, as_json: bool, progress_style: str) -> None:
    """Do what the tests below ask for."""
    raising = {
        "file": FileError("scan.dcm is cut short"),
        "settings": SettingsError("no"),
        "usage": click.UsageError("u"),
    }

    def job(progress, cancel):
        progress(1, 2, "half")
        if what in raising:
            raise raising[what]
        if what == "cancel":
            os.kill(os.getpid(), signal.SIGINT)
            cancel.wait(5)
            cancel.check()
        return TestReport("try", warnings=["look here"])

    cli.run_job(job, as_json=as_json, progress_style=progress_style, summary=lambda r: f"figure {r.figure}")


@pytest.fixture(autouse=True)
def _table(monkeypatch):
    row = Workflow("try", "try", f"{__name__}:try_out", extra="all")
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or type(sys)(__name__))
    monkeypatch.setattr(sys.modules[__name__], "try_out", try_out, raising=False)
    monkeypatch.setitem(workflows.WORKFLOWS, "try", row)


def test_a_job_prints_its_summary_and_its_warnings(capsys):
    assert cli.run(["try", "ok"]) == 0
    assert capsys.readouterr() == ("figure 1.5\n", "warning: look here\n")


def test_json_on_stdout_is_the_report_alone(capsys):
    assert cli.run(["try", "ok", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["job"] == "try" and report["figure"] == 1.5 and report["warnings"] == ["look here"]


def test_a_watched_job_reports_lines_and_the_report_last(capsys):
    assert cli.run(["try", "ok", "--progress", "json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == {"stage": "half", "done": 1, "total": 2} and lines[-1]["report"]["job"] == "try"


@pytest.mark.parametrize("what, code, said", [("file", 1, "cut short"), ("settings", 2, "no"), ("usage", 2, "u")])
def test_failures_have_their_exit_codes_and_go_to_stderr(capsys, what, code, said):
    assert cli.run(["try", what]) == code
    out, err = capsys.readouterr()
    assert out == "" and said in err


@pytest.mark.skipif(os.name == "nt", reason="SIGINT to oneself ends a process on Windows")
def test_ctrl_c_cancels_and_the_handlers_come_back(capsys):
    before = signal.getsignal(signal.SIGINT)
    assert cli.run(["try", "cancel"]) == 130
    assert signal.getsignal(signal.SIGINT) is before


def test_an_unknown_verb_is_wrong_usage(capsys):
    assert cli.run(["no-such-verb"]) == 2


def test_a_missing_package_names_the_extra():
    with pytest.raises(DependencyError, match=r'pip install "dicom-workbench\[spheres\]"'):
        workflows.load("no_such_package_anywhere:x", "spheres")


def test_help_lists_every_verb_and_imports_nothing_heavy():
    code = (
        "import sys; from DicomWorkbenchLib.cli import run; run(['--help']);"
        "heavy = {'numpy', 'pydicom', 'rich', 'scipy', 'pandas', 'matplotlib', 'vtk'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(verb in done.stdout for verb in workflows.WORKFLOWS if verb != "try")


def test_a_stage_is_a_stretch_of_the_whole():
    seen = []
    part_of(lambda *step: seen.append(step), 30, 100)(5, 10, "writing")
    assert seen == [(65, 100, "writing")]


def test_progress_is_thinned_but_the_end_always_arrives(capsys):
    seen = []
    report = throttled(lambda *step: seen.append(step), seconds=60)
    for done in range(1, 101):
        report(done, 100, "reading")
    assert seen == [(1, 100, "reading"), (100, 100, "reading")]
    json_lines_progress()(1, 1, "x")
    assert json.loads(capsys.readouterr().out) == {"stage": "x", "done": 1, "total": 1}


def test_reports_hash_files_and_are_strict_json(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(ValueError, match="JSON"):
        TestReport("t", figure=float("nan")).write(tmp_path)
