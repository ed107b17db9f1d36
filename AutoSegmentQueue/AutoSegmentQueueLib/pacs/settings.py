"""How the DICOM node receives, and when a series counts as complete."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from DicomWorkbenchLib.errors import SettingsError

from AutoSegmentQueueLib.pacs.peers import check_ae_title, parse_peer

LOOPBACK = ("127.0.0.0/8", "::1/128")


@dataclass(frozen=True)
class DicomSettings:
    """Receiving from a PACS.

    Attributes
    ----------
    address : interface the node listens on; others than the loopback need an allow list of AE titles.
    ae_title : our own; associations that call another one are refused.
    allow_ae : AE titles that may call; empty: any, as long as only this machine can reach us.
    allow_from : addresses or networks that may connect at all, such as ``10.1.2.0/24``.
    tls_cert, tls_key : PEM files of the node; with them it speaks TLS only.
    tls_ca : PEM file of the authority whose certificate every caller must show.
    associations : at once; more are refused for the time being.
    idle_seconds, acse_seconds, dimse_seconds : longest silence on the network, of the negotiation, of a message.
    quiet_seconds : a series is complete when nothing has come for so long.
    count_seconds : where a peer says that more is to come, how long it is waited for.
    keep_days : received instances are kept for so long after the last one, so that late ones complete a series.
    ask : peers that can say how many instances a series has, each ``AET@HOST:PORT`` or a DICOMweb address.
    """

    address: str = "127.0.0.1"
    ae_title: str = "WORKBENCH"
    allow_ae: tuple[str, ...] = ()
    allow_from: tuple[str, ...] = LOOPBACK
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None
    associations: int = 16
    idle_seconds: float = 60.0
    acse_seconds: float = 30.0
    dimse_seconds: float = 60.0
    quiet_seconds: float = 30.0
    count_seconds: float = 600.0
    keep_days: float = 1.0
    ask: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for title in (self.ae_title, *self.allow_ae):
            check_ae_title(title)
        for network in self.allow_from:
            _network(network)
        for name in ("idle_seconds", "acse_seconds", "dimse_seconds"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("quiet_seconds", "count_seconds", "keep_days"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.associations < 1:
            raise SettingsError(f"associations must be at least 1, got {self.associations}")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise SettingsError("TLS needs both a certificate and its key (--dicom-tls-cert and --dicom-tls-key)")
        if self.tls_ca and not self.tls_cert:
            raise SettingsError("an authority for callers (--dicom-tls-ca) needs a certificate of our own as well")
        for peer in self.ask:
            parse_peer(peer)

    def check_reach(self) -> None:
        """See that a node others can reach knows who may call.

        Raises
        ------
        SettingsError : it listens beyond this machine and would take anything from anybody.
        """
        if is_loopback(self.address):
            return
        if not self.allow_ae:
            raise SettingsError(
                f"a DICOM node on {self.address} can be reached from other machines: say who may call with --allow-ae"
            )
        if self.allow_from == LOOPBACK:
            raise SettingsError(
                f"a DICOM node on {self.address} can be reached from other machines: say from where with "
                "--allow-from, such as --allow-from 10.1.2.0/24"
            )

    def may_connect(self, address: str) -> bool:
        """Tell whether an address is on the allow list."""
        try:
            here = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(here, "ipv4_mapped", None)
        return any((mapped or here) in _network(network) for network in self.allow_from)


def is_loopback(address: str) -> bool:
    """Tell whether only this machine can reach an interface."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise SettingsError(
            f"allow_from holds addresses and networks such as 10.1.2.3 or 10.1.2.0/24, got {text!r}"
        ) from error
