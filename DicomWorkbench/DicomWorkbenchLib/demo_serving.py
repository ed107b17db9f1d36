"""The demo's last step: our server as a child on a free port of this machine, and what a viewer would ask it for."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from subprocess import Popen
from typing import Any

from DicomWorkbenchLib.demo_server import running
from DicomWorkbenchLib.demo_step import Step, shown_command
from DicomWorkbenchLib.errors import ProcessError
from DicomWorkbenchLib.progress import CancelToken, Progress

_SERIES, _INSTANCE, _STUDY = "0020000E", "00080018", "0020000D"
_TIMEOUT_S = 30.0


def fetch_served(step: Step, folder: Path, progress: Progress, cancel: CancelToken) -> dict[str, Any]:
    """Start the server, list its studies, fetch one rendered frame, and end it; returns the counts.

    Raises
    ------
    ProcessError : the server does not start or does not answer.
    """
    with running(step, folder, "--progress", "json") as child:
        progress(0, 2, step.title)
        address = _address(child, step)
        cancel.check()
        try:
            return _fetch(address, folder / step.output)
        except OSError as error:
            raise ProcessError(f"{shown_command(step)}: the server does not answer ({error})") from error


def _address(child: Popen[str], step: Step) -> str:
    assert child.stdout is not None
    for line in child.stdout:
        said = json.loads(line) if line.startswith("{") else {}
        if "serving" in said:
            return f"{said['serving']}/dicomweb"
    raise ProcessError(f"{shown_command(step)}: the server ended before it served")


def _fetch(address: str, target: Path) -> dict[str, Any]:
    target.mkdir(parents=True)
    studies = _list(f"{address}/studies")
    study = f"{address}/studies/{_value(studies[0], _STUDY)}"
    largest = max((_instances(study, one) for one in _list(f"{study}/series")), key=len)
    middle = largest[len(largest) // 2]
    series = f"{study}/series/{_value(middle, _SERIES)}"
    picture = _get(f"{series}/instances/{_value(middle, _INSTANCE)}/rendered", "image/png")
    (target / "rendered.png").write_bytes(picture)
    return {"studies": len(studies), "instances": len(largest), "bytes": len(picture)}


def _instances(study: str, series: dict[str, Any]) -> list[dict[str, Any]]:
    found = _list(f"{study}/series/{_value(series, _SERIES)}/instances")
    return sorted(found, key=lambda one: int(one.get("00200013", {}).get("Value", [0])[0]))


def _list(url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_get(url, "application/dicom+json"))
    return found


def _get(url: str, kind: str) -> bytes:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # this machine is never behind a proxy
    with direct.open(urllib.request.Request(url, headers={"Accept": kind}), timeout=_TIMEOUT_S) as answer:
        content: bytes = answer.read()
        return content


def _value(found: dict[str, Any], tag: str) -> str:
    return str(found[tag]["Value"][0])
