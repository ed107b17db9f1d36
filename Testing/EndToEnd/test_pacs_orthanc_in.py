"""From Orthanc to us: the node, pulling and pushing, against Debian's Orthanc on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from pacs_testing import Peer, make_certificates, orthanc, small_slices

pytestmark = pytest.mark.needs("Orthanc", "module:pynetdicom", "module:dicomweb_client")


def test_orthanc_boots_keeps_what_it_is_given_and_ends(tmp_path: Path) -> None:
    small_slices(tmp_path / "ct", 3)
    with orthanc(tmp_path / "orthanc", peers={"queue": Peer("QUEUE", 11112)}) as peer:
        peer.upload(tmp_path / "ct")
        assert [len(one["Instances"]) for one in peer.series()] == [3]
        assert peer.ask("modalities") == ["queue"]
        assert len(peer.ask("dicom-web/studies")) == 1
    assert peer.process.poll() is not None
    with orthanc(tmp_path / "orthanc", tls=make_certificates(tmp_path / "certificates")) as again:
        assert len(again.series()) == 1
