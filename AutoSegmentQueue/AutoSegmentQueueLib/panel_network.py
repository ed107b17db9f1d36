"""The panel's fields for other machines: DICOM node, destinations, pulling a study, and what carries the jobs. No Qt."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from DicomWorkbenchLib.errors import SettingsError

from AutoSegmentQueueLib.cluster.settings import LOCAL, LOCAL_CLUSTER, SLURM
from AutoSegmentQueueLib.pacs.peers import parse_peer
from AutoSegmentQueueLib.pacs.settings import LOOPBACK
from AutoSegmentQueueLib.settings import QueueSettings

SCHEDULER = "scheduler"  # the address stands in a field of its own
EXECUTORS = [LOCAL, LOCAL_CLUSTER, SLURM, SCHEDULER]
PORT = 11112  # IANA's for DICOM that needs no rights of an administrator
FIELDS = (
    "executor",
    "scheduler",
    "receive",
    "dicomPort",
    "dicomAddress",
    "aeTitle",
    "allowAe",
    "receiveFrom",
    "sendTo",
    "pullFrom",
    "study",
)


def with_network(fields: dict[str, Any], before: QueueSettings) -> QueueSettings:
    """Return settings with what the fields say; what the panel does not show stays as it was.

    Raises
    ------
    SettingsError : a field cannot work.
    """
    executor = fields["scheduler"].strip() if fields["executor"] == SCHEDULER else fields["executor"]
    if not executor:
        raise SettingsError(
            "Give the address of the scheduler, such as tcp://HOST:8786, or choose another way to run jobs."
        )
    dicom = replace(
        before.dicom,
        address=fields["dicomAddress"].strip() or "127.0.0.1",
        ae_title=fields["aeTitle"].strip(),
        allow_ae=_several(fields["allowAe"]),
        allow_from=_several(fields["receiveFrom"]) or LOOPBACK,
    )
    if fields["receive"]:
        dicom.check_reach()
    return replace(before, executor=executor, dicom=dicom, send=replace(before.send, to=_several(fields["sendTo"])))


def network_fields(settings: QueueSettings) -> dict[str, Any]:
    """Return the fields for settings that were kept."""
    dicom, is_choice = settings.dicom, settings.executor in EXECUTORS
    return {
        "executor": settings.executor if is_choice else SCHEDULER,
        "scheduler": "" if is_choice else settings.executor,
        "dicomAddress": dicom.address,
        "aeTitle": dicom.ae_title,
        "allowAe": ", ".join(dicom.allow_ae),
        "receiveFrom": "" if dicom.allow_from == LOOPBACK else ", ".join(dicom.allow_from),
        "sendTo": ", ".join(settings.send.to),
    }


def serve_arguments(fields: dict[str, Any]) -> list[str]:
    """Return what ``queue serve`` is given beside the settings it finds in the home."""
    return ["--port", "0", *(["--dicom-port", str(fields["dicomPort"])] if fields["receive"] else [])]


def pull_arguments(fields: dict[str, Any]) -> list[str]:
    """Return what ``queue pull`` is given."""
    return ["--from", fields["pullFrom"].strip(), "--study", fields["study"].strip()]


def pull_obstacle(fields: dict[str, Any]) -> str:
    """Return why no study can be pulled with these fields; empty text if one can."""
    if not fields["pullFrom"].strip():
        return "Say where the study is: AET@HOST:PORT, or a DICOMweb address."
    try:
        parse_peer(fields["pullFrom"].strip())
    except SettingsError as error:
        return str(error)
    study = fields["study"].strip()
    is_uid = 0 < len(study) <= 64 and all(part.isdigit() for part in study.split("."))
    return "" if is_uid else "Give the Study Instance UID: numbers with dots between them."


def _several(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())
