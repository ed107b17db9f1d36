"""What belongs to an order whose files are fetched and returned: where from, with which token, and which files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ParcelFile:
    """One file to fetch: its name below the node's folder of the job, written with ``/``, and its size."""

    name: str
    size: int


@dataclass(frozen=True)
class Parcel:
    """The files of one order.

    Attributes
    ----------
    address : ``http://HOST:PORT/KEY`` or ``https://...``.
    token : opens this order's files and no others, until the queue has heard of its end.
    files : to be fetched.
    roots : path at the queue and the same, relative to the node's folder of the job, for the job's folder and each of its inputs.
    """

    address: str
    token: str
    files: tuple[ParcelFile, ...]
    roots: tuple[tuple[str, str], ...]
