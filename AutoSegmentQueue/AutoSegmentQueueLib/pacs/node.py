"""The DICOM node: takes instances by C-STORE and answers C-ECHO (PS3.4 annexes A and B).

pynetdicom keeps two of its switches per process: that everything storable is accepted in any transfer syntax, as it comes, and that data
sets are written to disk while they arrive. Both are set when a node starts; a node therefore has a process of its own (`node_process`).
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from DicomWorkbenchLib.errors import DependencyError, OutputError, WorkbenchError

from AutoSegmentQueueLib.home import Home
from AutoSegmentQueueLib.pacs.chunked import drop_unfinished, written_to
from AutoSegmentQueueLib.pacs.instance import NotAnInstance, read_instance
from AutoSegmentQueueLib.pacs.received import Origin
from AutoSegmentQueueLib.pacs.settings import DicomSettings
from AutoSegmentQueueLib.pacs.store import DiskFull, Store
from AutoSegmentQueueLib.pacs.tls import server_context
from AutoSegmentQueueLib.settings import QueueSettings

VERIFICATION = "1.2.840.10008.1.1"
LONGEST_PDU = 131072  # bytes; the most DCMTK sends, and enough that a slice takes few of them
# PS3.4 B.2.3: status codes of C-STORE
SUCCESS, OUT_OF_RESOURCES, CANNOT_UNDERSTAND, NO_MATCH = 0x0000, 0xA700, 0xC000, 0xA900

Tell = Callable[[str], None]


class Node:
    """A listening node; `start` it, and `stop` it at the end.

    Parameters
    ----------
    home, settings : of the queue; ``dicom`` of the settings says who may call.
    port : to listen on; 0 takes a free one.
    tell : gets a line about everything that was refused: AE titles and addresses, never a patient.
    """

    def __init__(self, home: Home, settings: QueueSettings, port: int, tell: Tell) -> None:
        settings.dicom.check_reach()
        self._settings = settings
        self._home = home
        self._port = port
        self._tell = tell
        self._store: Store | None = None
        self._server: Any = None
        self._stack = ExitStack()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    @property
    def store(self) -> Store:
        """What takes the instances in."""
        assert self._store is not None
        return self._store

    def start(self) -> None:
        """Listen.

        Raises
        ------
        DependencyError : pynetdicom is not installed.
        OutputError : the port cannot be had.
        """
        try:
            from pynetdicom import _config, evt
        except ImportError as error:
            raise DependencyError("pynetdicom", extra="pacs") from error
        from AutoSegmentQueueLib.pacs.node_server import make_server

        quiet_pynetdicom()
        _config.UNRESTRICTED_STORAGE_SERVICE = True
        self._store = Store(self._home, self._settings)
        self._stack.enter_context(written_to(self._store.incoming.folder))
        handlers = [
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_C_ECHO, lambda event: SUCCESS),
            (evt.EVT_REJECTED, self._on_rejected),
            (evt.EVT_ABORTED, self._on_aborted),
            (evt.EVT_CONN_CLOSE, lambda event: drop_unfinished(event.assoc)),
        ]
        dicom = self._settings.dicom
        try:
            self._server = make_server(entity_of(dicom), dicom, self._port, handlers, server_context(dicom), self._tell)
        except OSError as error:
            self.stop()
            raise OutputError(
                f"the DICOM node cannot listen on {dicom.address}:{self._port}: {error.strerror or error}; choose "
                "another --dicom-port"
            ) from error

    def stop(self) -> None:
        """End all associations and the server."""
        if self._server is not None:
            self._server.ae.shutdown()
            self._server = None
        if self._store is not None:
            self._stack.close()
            self._store.close()
            self._store = None

    def _on_store(self, event: Any) -> int:
        path = Path(event.dataset_path)
        calling = str(event.assoc.requestor.ae_title).strip()
        try:
            event.request._dataset_file.close()  # all is written; Windows renames closed files only
            instance = read_instance(path)
            if instance.sop_instance_uid != str(event.request.AffectedSOPInstanceUID):
                self._say(event, "an instance was refused: its data set has another SOP instance UID than its message")
                return NO_MATCH
            self.store.take(path, Origin("dicom", calling), instance)
            return SUCCESS
        except NotAnInstance as error:
            self._say(event, f"an instance was refused: {error}")
            return CANNOT_UNDERSTAND
        except DiskFull as error:
            self._say(event, str(error))
            return OUT_OF_RESOURCES
        except (OSError, WorkbenchError) as error:
            full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
            self._say(event, f"an instance could not be written: {getattr(error, 'strerror', None) or error}")
            return OUT_OF_RESOURCES if full else CANNOT_UNDERSTAND

    def _on_rejected(self, event: Any) -> None:
        requestor = event.assoc.requestor
        called = str(getattr(requestor.primitive, "called_ae_title", "")).strip()
        self._say(event, f"association refused (it called {called!r})")

    def _on_aborted(self, event: Any) -> None:
        self._say(event, "association aborted")

    def _say(self, event: Any, text: str) -> None:
        requestor = event.assoc.requestor
        self._tell(f"{str(requestor.ae_title).strip()}@{requestor.address}: {text}")


def entity_of(dicom: DicomSettings) -> Any:
    """Return the application entity that answers, with its limits."""
    from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
    from pynetdicom import AE

    entity = AE(ae_title=dicom.ae_title)
    entity.require_called_aet = True
    entity.require_calling_aet = list(dicom.allow_ae)
    entity.maximum_associations = dicom.associations
    entity.maximum_pdu_size = LONGEST_PDU
    entity.acse_timeout = dicom.acse_seconds
    entity.dimse_timeout = dicom.dimse_seconds
    entity.network_timeout = dicom.idle_seconds
    entity.add_supported_context(UID(VERIFICATION), [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    return entity


def quiet_pynetdicom() -> None:
    """Keep pynetdicom from writing what it sees: its log of data sets would hold names of patients."""
    from pynetdicom import _config

    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_RESPONSE_IDENTIFIERS = False
    _config.LOG_REQUEST_IDENTIFIERS = False
    logger = logging.getLogger("pynetdicom")
    logger.propagate = False
    logger.setLevel(logging.CRITICAL + 1)
