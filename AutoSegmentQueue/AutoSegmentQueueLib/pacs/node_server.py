"""The listening socket of the node: who may connect, TLS that cannot be stalled, and quick reading."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import Any

from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from AutoSegmentQueueLib.pacs.quick_socket import QuickSocket
from AutoSegmentQueueLib.pacs.settings import DicomSettings

HANDSHAKE_SECONDS = 10.0
_CONNECTIONS_PER_ASSOCIATION = 2  # so many may be on their way to an association; each takes a thread


class Handler(RequestHandler):
    """Makes an association of a connection."""

    def _create_association(self) -> Any:
        association = super()._create_association()
        association.dul.socket.__class__ = (
            QuickSocket  # it is made inside pynetdicom, which has no hook for another one
        )
        return association


class NodeServer(ThreadedAssociationServer):
    """Accepts connections from allowed addresses and gives each a thread; a handshake holds up nobody else."""

    def __init__(self, dicom: DicomSettings, tls: ssl.SSLContext | None, tell: Any, **arguments: Any) -> None:
        self._dicom = dicom
        self._tls = tls
        self._tell = tell
        super().__init__(request_handler=Handler, **arguments)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; TLS comes later, in its own thread."""
        assert self.socket is not None
        connection, address = self.socket.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(self._dicom.idle_seconds)  # a caller that stops in the middle of a PDU lets us go
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Tell whether a connection may go on, before a byte of it is read."""
        if not self._dicom.may_connect(str(client_address[0])):
            self._tell(f"{client_address[0]}: connection refused, the address is not on the allow list")
            return False
        busy = sum(1 for one in threading.enumerate() if "AcceptorThread" in one.name or "process_request" in one.name)
        if busy >= self._dicom.associations * (1 + _CONNECTIONS_PER_ASSOCIATION):
            self._tell(f"{client_address[0]}: connection refused, there are too many")
            return False
        return True

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands, where TLS is spoken, and start the association."""
        if self._tls is not None:
            request.settimeout(HANDSHAKE_SECONDS)
            try:
                request = self._tls.wrap_socket(request, server_side=True)
            except (OSError, ssl.SSLError) as error:
                reason = getattr(error, "reason", None) or type(error).__name__
                self._tell(f"{client_address[0]}: TLS refused ({reason})")
                self.shutdown_request(request)
                return
            request.settimeout(self._dicom.idle_seconds)
        elif not self._says_something(request):
            self.shutdown_request(request)
            return
        super().finish_request(request, client_address)

    def _says_something(self, request: Any) -> bool:
        """Wait for the first byte: who connects and goes away again must not hold an association until its time is over."""
        request.settimeout(self._dicom.acse_seconds)
        try:
            return bool(request.recv(1, socket.MSG_PEEK))
        except OSError:
            return False
        finally:
            request.settimeout(self._dicom.idle_seconds)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say that a connection has failed, without what was in it."""
        self._tell(f"{client_address[0]}: the connection failed before there was an association")


def make_server(
    entity: Any, dicom: DicomSettings, port: int, handlers: list[Any], tls: ssl.SSLContext | None, tell: Any
) -> NodeServer:
    """Return a server that listens, its thread running.

    Raises
    ------
    OSError : the port cannot be had.
    """
    server = NodeServer(
        dicom,
        tls,
        tell,
        ae=entity,
        address=(dicom.address, port),
        ae_title=dicom.ae_title,
        contexts=entity.supported_contexts,
        evt_handlers=handlers,
    )
    entity._servers.append(server)  # so that its shutdown ends the server and the associations
    threading.Thread(target=server.serve_forever, name="dicom-node", daemon=True).start()
    return server
