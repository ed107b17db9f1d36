"""Children report progress, and end with everything they started."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from DicomWorkbenchLib import job, workflows
from DicomWorkbenchLib.errors import Cancelled, ProcessError
from DicomWorkbenchLib.panel_job import PanelJob
from DicomWorkbenchLib.process import child_environment, job_command, raise_if_failed, run_command, workbench_command
from DicomWorkbenchLib.progress import CancelToken

TALKS = """
import json, sys
for i in range(3):
    print(json.dumps({"stage": "reading", "done": i + 1, "total": 3}))
print("a plain line")
print(json.dumps({"report": {"job": "test"}}))
print("said at the end", file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def test_progress_report_and_messages_arrive():
    seen = []
    result = run_command(python(TALKS, "0"), progress=lambda *step: seen.append(step))
    assert seen == [(1, 3, "reading"), (2, 3, "reading"), (3, 3, "reading")]
    assert result.report == {"job": "test"} and result.exit_code == 0
    assert "a plain line" in result.messages and "said at the end" in result.messages


def test_a_failed_child_is_told_with_its_last_words():
    result = run_command(python(TALKS, "1"))
    with pytest.raises(ProcessError, match="said at the end"):
        raise_if_failed(result, "the test")


def test_a_program_that_is_not_there_is_named():
    with pytest.raises(ProcessError, match="no-such-program"):
        run_command(["no-such-program"])


def test_our_own_command_runs_as_a_child():
    lines = []
    assert run_command(workbench_command("--version"), on_line=lines.append).exit_code == 0
    assert lines[0].startswith("dicom-workbench")


STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(120)"
FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import signal, time; " + sys.argv[2]])
time.sleep(0.5)
open(sys.argv[1], "w").write(str(child.pid))
print("ready", flush=True)
time.sleep(120)
"""


def _alive(pid: int) -> bool:
    if os.name == "nt":
        listed = subprocess.run(["tasklist", "/FI", f"PID eq {pid}"], capture_output=True, text=True, check=True)
        return str(pid) in listed.stdout
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("grandchild", ["time.sleep(120)", STUBBORN], ids=["polite", "stubborn"])
def test_cancel_ends_the_child_and_its_children(tmp_path, grandchild):
    cancel, note = CancelToken(), tmp_path / "grandchild"
    threading.Timer(1.0, cancel.cancel).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        run_command(python(FAMILY, str(note), grandchild), cancel=cancel)
    assert time.monotonic() - began < 60, "the child did not end when cancelled"
    deadline = time.monotonic() + 5
    while _alive(int(note.read_text())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(int(note.read_text()))


def test_a_bare_python_finds_the_jobs_through_the_environment_we_give_it(tmp_path):
    bare = Path(sys.base_prefix) / ("python.exe" if os.name == "nt" else "bin/python3")
    command = [str(bare), *job_command("no-such-job", tmp_path / "settings.json")[1:]]
    result = run_command(command, environment=child_environment())
    assert result.exit_code == 2 and "there is no job no-such-job" in result.messages


@pytest.mark.parametrize("content, said", [("", "cannot be read"), ("[1]", "one JSON object")])
def test_a_job_says_what_is_wrong_with_its_settings_file(tmp_path, monkeypatch, capsys, content, said):
    (tmp_path / "s.json").write_text(content)
    monkeypatch.setitem(
        workflows.WORKFLOWS, "try", workflows.Workflow("try", "", "", job=f"{__name__}:x", settings="pathlib:Path")
    )
    monkeypatch.setattr(job, "job_of", lambda verb: (None, None))
    assert job.main(["try", str(tmp_path / "s.json")]) == 2
    assert said in capsys.readouterr().err


def _launch(arguments, updateEnvironment, blocking, logCallback, completedCallback):
    """Stand in for Slicer's launcher: the same arguments, lines handed over when the child has ended."""
    child = subprocess.Popen(
        arguments, env={**os.environ, **updateEnvironment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )

    def finish():
        with child.stdout:
            for line in child.stdout:
                logCallback(line)
        completedCallback(child.wait())

    child.finish = finish
    return child


def _panel_job():
    seen = {"progress": [], "done": None, "failed": None}
    watched = PanelJob(
        _launch,
        lambda *step: seen["progress"].append(step),
        lambda report: seen.update(done=report),
        lambda text: seen.update(failed=text),
    )
    return watched, seen


def test_a_panel_hears_what_its_job_could_not_do():
    watched, seen = _panel_job()
    watched.start("no-such-job", {})
    assert watched.running
    watched._child.finish()
    assert "there is no job no-such-job" in seen["failed"] and not watched.running and seen["done"] is None


def test_a_cancelled_panel_job_ends_quietly_with_its_group():
    watched, seen = _panel_job()
    watched.start("no-such-job", {})
    child = watched._child
    watched.cancel()
    child.finish()
    assert seen["failed"] == "" and child.returncode is not None
