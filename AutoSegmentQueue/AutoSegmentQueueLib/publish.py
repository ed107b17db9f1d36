"""Results under their name: verified, complete, once, and only by who holds the job.

A result is staged beside its target under a name with the job's fence, and renamed. Whoever gets the job next removes older stages before
it looks whether something is published already; so a frozen worker that wakes up finds its stage gone, or its result taken over.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from DicomWorkbenchLib.errors import OutputError
from DicomWorkbenchLib.outputs import cannot_write, sync
from DicomWorkbenchLib.report import sha256_of

from AutoSegmentQueueLib.failpoints import reach
from AutoSegmentQueueLib.ledger import Job, Ledger
from AutoSegmentQueueLib.ledger_store import NoSuchJob, StaleFence
from AutoSegmentQueueLib.states import ACTIVE

MANIFEST = "manifest.json"
_STAGE = re.compile(r"\.partial-(?P<job>[a-z2-9]{8})-(?P<fence>\w+)$")


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return a folder's manifest, None if there is none that can be read."""
    try:
        data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def problems_of_manifest(folder: Path, job: Job) -> list[str]:
    """Compare a result with what its manifest says: whose it is, and size and SHA-256 of every file."""
    manifest = read_manifest(folder)
    if manifest is None:
        return ["there is no readable manifest"]
    found = [
        f"the manifest is of {name} {manifest.get(name)!r}, not {value!r}"
        for name, value in (("id", job.id), ("attempt", job.attempts), ("fence", job.fence))
        if manifest.get(name) != value
    ]
    outputs = manifest.get("outputs")
    if not isinstance(outputs, list) or not outputs:
        return [*found, "the manifest names no outputs"]
    for one in outputs:
        found += _problems_of_output(folder, one)
    return found


def results_stand(job: Job) -> bool:
    """True if the published results of a done job are still there, each file with its size."""
    folder = Path(job.output or "")
    manifest = read_manifest(folder) if job.output else None
    if manifest is None:
        return False
    try:
        return all((folder / one["path"]).stat().st_size == one["bytes"] for one in manifest["outputs"])
    except (OSError, KeyError, TypeError):
        return False


def take_over(job: Job) -> str | None:
    """Lock out older attempts and return the folder one of them has published already, None if there is none.

    The order matters: once their stages are gone they cannot publish any more, so what is not there now will not appear.
    """
    if not job.reserved:
        return None
    target = Path(job.reserved)
    drop_stages(target, job.id)
    manifest = read_manifest(target)
    return str(target) if manifest is not None and manifest.get("id") == job.id else None


def drop_stages(target: Path, job_id: str, but: Path | None = None) -> None:
    """Remove what older attempts of a job have staged; each disappears at once by a rename."""
    for stage in target.parent.glob(f".*.partial-{job_id}-*"):
        if stage == but:
            continue
        trash = stage.with_name(
            f".trash.partial-{job_id}-{uuid.uuid4().hex[:8]}"
        )  # found again if we end before it is gone
        try:
            stage.rename(trash)
        except FileNotFoundError:  # published or removed this very moment
            continue
        shutil.rmtree(trash, ignore_errors=True)


def drop_all_stages(ledger: Ledger, root: Path) -> None:
    """Remove from the output folder what attempts of jobs that nobody holds any more have staged."""
    for stage in root.glob(".*.partial-*"):
        found = _STAGE.search(stage.name)
        if found is None:
            continue  # somebody else's
        try:
            job = ledger.job(found["job"])
        except NoSuchJob:
            continue
        if job.state not in ACTIVE or found["fence"] != str(job.fence):
            shutil.rmtree(stage, ignore_errors=True)


def publish(ledger: Ledger, job: Job, result: Path, root: Path) -> Path:
    """Bring a verified result under its name in the output folder and return that.

    Raises
    ------
    StaleFence : the job has been given to somebody else.
    OutputError : it cannot be written.
    """
    target = Path(ledger.reserve(job.id, job.fence, _free_names(root, job.name)))
    stage = target.parent / f".{target.name}.partial-{job.id}-{job.fence}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if job.fence > 1:  # the first to hold a job has no predecessors; a large output folder is not read for nothing
            drop_stages(target, job.id, but=stage)
        _bring(result, stage)
        _sync_tree(stage)
        reach("publish.staged")
        ledger.check_fence(job.id, job.fence)
        reach("publish.before-rename")
        if target.exists():
            target = _other_target(ledger, job, target, root)
        stage.rename(target)
        reach("publish.after-rename")
        sync(target.parent)
    except StaleFence:
        shutil.rmtree(stage, ignore_errors=True)
        raise
    except FileNotFoundError as error:
        ledger.check_fence(job.id, job.fence)  # the usual reason: somebody else has got the job and removed the stage
        raise cannot_write(target, error) from error
    except OSError as error:
        shutil.rmtree(stage, ignore_errors=True)
        raise cannot_write(target, error) from error
    return target


def _other_target(ledger: Ledger, job: Job, target: Path, root: Path) -> Path:
    """Somebody made a folder of that name meanwhile; it is not touched."""
    return Path(ledger.reserve(job.id, job.fence, _free_names(root, job.name), taken=str(target)))


def _free_names(root: Path, name: str) -> Iterator[str]:
    candidate, number = root / name, 2
    while number < 100_000:
        if not candidate.exists():
            yield str(candidate)
        candidate = root / f"{name}_{number}"
        number += 1


def _bring(result: Path, stage: Path) -> None:
    shutil.rmtree(stage, ignore_errors=True)
    try:
        result.rename(stage)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copytree(result, stage)  # the output folder is on another file system than the home


def _sync_tree(folder: Path) -> None:
    for path, _, names in os.walk(folder):
        for name in names:
            sync(Path(path) / name)
            reach("publish.synced")
        sync(Path(path))


def _problems_of_output(folder: Path, one: Any) -> list[str]:
    path = PurePosixPath(str(one.get("path", ""))) if isinstance(one, dict) else PurePosixPath()
    if not path.parts or path.is_absolute() or ".." in path.parts:
        return [f"the manifest names an output {str(path)!r} that is not inside the result"]
    file = folder / path
    try:
        size = file.stat().st_size
        if size == 0 or size != one.get("bytes"):
            return [f"{path} has {size} bytes, the manifest says {one.get('bytes')}"]
        if sha256_of(file) != one.get("sha256"):
            return [f"{path} does not have the SHA-256 of the manifest"]
    except OSError as error:
        return [f"{path} cannot be read: {error.strerror}"]
    return []


def write_manifest(folder: Path, job: Job, rest: dict[str, Any]) -> None:
    """Write the manifest of a result whose job writes none itself; it appears complete, after everything else.

    Raises
    ------
    OutputError : it cannot be written.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    outputs = [
        {"path": p.relative_to(folder).as_posix(), "bytes": p.stat().st_size, "sha256": sha256_of(p)} for p in files
    ]
    if not any(one["bytes"] for one in outputs):
        raise OutputError("the job wrote nothing")
    outputs = [one for one in outputs if one["bytes"]]  # an empty file proves nothing; it is delivered but not listed
    manifest = {"id": job.id, "attempt": job.attempts, "fence": job.fence, **rest, "outputs": outputs}
    stage = folder / f".{MANIFEST}.partial"
    stage.write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    sync(stage)
    stage.rename(folder / MANIFEST)
