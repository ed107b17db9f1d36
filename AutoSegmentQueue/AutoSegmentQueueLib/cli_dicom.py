"""The DICOM node of ``queue serve``: its options, and its start beside the workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from AutoSegmentQueueLib.cli_options import with_given
from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.settings import QueueSettings

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_OPTIONS = (
    click.option("--dicom-port", type=click.IntRange(0, 65535), help="Receive by DICOM on this port; 0 takes a free one."),
    click.option("--dicom-address", help="Interface of the DICOM node.  [default: 127.0.0.1, this machine only]"),
    click.option("--ae-title", help="Our AE title.  [default: WORKBENCH]"),
    click.option("--allow-ae", multiple=True, help="AE title that may send; once for each. Without it any on this machine."),
    click.option("--allow-from", multiple=True, help="Address or network that may connect, such as 10.1.2.0/24."),
    click.option("--dicom-tls-cert", type=_FILE, help="Certificate of the node (PEM); it then speaks TLS only."),
    click.option("--dicom-tls-key", type=_FILE, help="Its key (PEM)."),
    click.option("--dicom-tls-ca", type=_FILE, help="Authority whose certificate every caller must show (PEM)."),
    click.option("--dicom-associations", type=click.IntRange(min=1), help="Associations at once.  [default: 16]"),
    click.option("--quiet-seconds", type=click.FloatRange(min=0), help="A series is complete after so long.  [default: 30]"),
    click.option("--ask", multiple=True, metavar="PEER", help="Peer that knows how long a series is: AET@HOST:PORT or a DICOMweb address."),
)  # fmt: skip
_NAMES = {
    "dicom_address": "address",
    "ae_title": "ae_title",
    "allow_ae": "allow_ae",
    "allow_from": "allow_from",
    "dicom_tls_cert": "tls_cert",
    "dicom_tls_key": "tls_key",
    "dicom_tls_ca": "tls_ca",
    "dicom_associations": "associations",
    "quiet_seconds": "quiet_seconds",
    "ask": "ask",
}


def options(function: Any) -> Any:
    """Add the options of the node to ``queue serve``."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def chosen(settings: QueueSettings, given: dict[str, Any]) -> QueueSettings:
    """Return settings with what was given."""
    values: dict[str, Any] = {field: given.get(option) or None for option, field in _NAMES.items()}
    values["quiet_seconds"] = given.get("quiet_seconds")
    changes: dict[str, Any] = {
        field: value.absolute() if isinstance(value, Path) else value
        for field, value in values.items()
        if value is not None
    }
    dicom = replace(settings.dicom, **changes)
    if given.get("dicom_port") is not None:
        dicom.check_reach()
    return with_given(settings, {"dicom": dicom})


@contextmanager
def beside(
    place: Home, settings: QueueSettings, given: dict[str, Any], tell: Callable[[str], None]
) -> Iterator[list[str]]:
    """Receive and assemble series while the block runs; gives the lines that say where."""
    from AutoSegmentQueueLib.pacs.assembly_loop import assembling
    from AutoSegmentQueueLib.pacs.routing import Routing

    Routing.load(place.root)  # a mistake in it is said now, not when the first series has come
    with assembling(place, settings, tell):
        port = given["dicom_port"]
        if port is None:
            yield []
            return
        from AutoSegmentQueueLib.pacs.node_child import NodeChild

        node = NodeChild(place, port, tell)
        node.start()
        try:
            dicom = settings.dicom
            kind = "DICOM with TLS" if dicom.tls_cert else "DICOM"
            yield [f"node   {dicom.ae_title}@{dicom.address}:{node.port} ({kind}), refusals in {node.log}"]
        finally:
            node.stop()
