"""What the tests of the PACS share: Debian's Orthanc on this machine alone, certificates of a small invented authority, and CT series.

Every server listens on a free port, keeps its files in a folder of the test, and is ended by its process id.
"""

from __future__ import annotations

from pacs_testing.certificates import Certificates, make_certificates
from pacs_testing.orthanc import DICOMWEB_PLUGIN, Orthanc, Peer, orthanc
from pacs_testing.ports import free_port, free_ports
from pacs_testing.series import SECRETS, ct_series, dataset_bytes, files_by_uid, small_slices

__all__ = [
    "DICOMWEB_PLUGIN",
    "SECRETS",
    "Certificates",
    "Orthanc",
    "Peer",
    "ct_series",
    "dataset_bytes",
    "files_by_uid",
    "free_port",
    "free_ports",
    "make_certificates",
    "orthanc",
    "small_slices",
]
