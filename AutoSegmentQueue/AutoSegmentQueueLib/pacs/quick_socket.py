"""The socket of an association, read in large pieces and closed for certain."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

from pynetdicom import AE
from pynetdicom.transport import AssociationSocket


class QuickSocket(AssociationSocket):
    """Reads a PDU at once into one buffer instead of in pieces of 4 kB, half of the time a slice takes."""

    def recv(self, nr_bytes: int) -> bytearray:
        """Return so many bytes, or fewer where the connection has ended."""
        buffer = bytearray(nr_bytes)
        view, filled = memoryview(buffer), 0
        while filled < nr_bytes:
            count = self.socket.recv_into(view[filled:])  # type: ignore[union-attr]
            if not count:
                break
            filled += count
        view.release()
        self._acknowledge()
        del buffer[filled:]
        return buffer

    def _acknowledge(self) -> None:
        """Let Linux acknowledge at once: many senders wait for it before they send the last, small piece of a slice.

        The kernel forgets this after a while, so it is said again; without it each slice can take 40 ms more.
        """
        if hasattr(socket, "TCP_QUICKACK"):
            with suppress(OSError):
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)  # type: ignore[union-attr]

    def _shutdown_socket(self) -> None:
        """Close the socket in any case: pynetdicom leaves it open where the other side has gone first."""
        held = self.socket
        super()._shutdown_socket()
        if held is not None:
            held.close()


class CallingEntity(AE):
    """An application entity whose outgoing associations use such sockets."""

    def _create_socket(self, assoc: Any, address: Any, tls_args: Any) -> AssociationSocket:
        made = QuickSocket(assoc, address=address)
        made.tls_args = tls_args
        return made
