"""Calling other DICOM nodes: one association for one purpose, with our AE title, timeouts and, where wanted, TLS."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from DicomWorkbenchLib.errors import DependencyError, ProcessError

from AutoSegmentQueueLib.pacs.peers import DimsePeer

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"


class PeerError(ProcessError):
    """Another system does not do what it was asked for."""


@dataclass(frozen=True)
class Caller:
    """Who we are when we call: AE title, longest waiting, and the TLS context where TLS is spoken."""

    ae_title: str
    seconds: float = 30.0
    tls: ssl.SSLContext | None = None


@contextmanager
def association(
    peer: DimsePeer, caller: Caller, contexts: Sequence[Any], roles: Sequence[Any] = (), handlers: Sequence[Any] = ()
) -> Iterator[Any]:
    """Hold an association while the block runs.

    Parameters
    ----------
    contexts : abstract syntaxes (UIDs), or presentation contexts of pynetdicom.
    roles : negotiation items, for C-GET.

    Raises
    ------
    DependencyError : pynetdicom is not installed.
    PeerError : the peer cannot be reached or refuses us.
    """
    try:
        from AutoSegmentQueueLib.pacs.quick_socket import CallingEntity
    except ImportError as error:
        raise DependencyError("pynetdicom", extra="pacs") from error
    from AutoSegmentQueueLib.pacs.chunked import drop_unfinished
    from AutoSegmentQueueLib.pacs.node import LONGEST_PDU, quiet_pynetdicom

    quiet_pynetdicom()
    _try_connection(peer, caller)
    entity = CallingEntity(ae_title=caller.ae_title)
    entity.acse_timeout = entity.connection_timeout = entity.dimse_timeout = entity.network_timeout = caller.seconds
    entity.maximum_pdu_size = LONGEST_PDU
    for context in contexts:
        if isinstance(context, str):
            entity.add_requested_context(context)
        else:
            entity.add_requested_context(context.abstract_syntax, context.transfer_syntax)
    held = entity.associate(
        peer.host,
        peer.port,
        ae_title=peer.ae_title,
        ext_neg=list(roles),
        evt_handlers=list(handlers),
        tls_args=(caller.tls, peer.host) if caller.tls else None,
    )
    try:
        if not held.is_established:
            raise PeerError(f"{peer} {_why_not(held, by_tls=caller.tls is not None)}")
        yield held
    finally:
        if held.is_established:
            held.release()
        drop_unfinished(held)


def _try_connection(peer: DimsePeer, caller: Caller) -> None:
    """Connect and go away again: says what is wrong better than pynetdicom, which also leaves its socket open where it fails."""
    try:
        with socket.create_connection((peer.host, peer.port), caller.seconds) as plain:
            if caller.tls is not None:
                caller.tls.wrap_socket(plain, server_hostname=peer.host).close()
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or "no TLS there"
        raise PeerError(f"{peer} cannot be reached by TLS: {reason}") from error
    except OSError as error:
        raise PeerError(f"{peer} cannot be reached: {error.strerror or error}") from error


def _why_not(held: Any, *, by_tls: bool) -> str:
    if held.is_rejected:
        answer = held.acceptor.primitive
        reason = getattr(answer, "reason_str", "") if answer else ""
        return f"refuses the association: {reason or 'no reason given'}; see that it knows our AE title and address"
    if held.is_aborted and held.acceptor.primitive is not None:
        return "ended the association; none of what we asked for was accepted"
    if by_tls:  # with TLS 1.3 a certificate is refused only after the connection stands
        return "ended the connection; see whether it wants a certificate of ours, and accepts the one we show"
    return "cannot be reached; see that it runs, and whether it wants TLS"
