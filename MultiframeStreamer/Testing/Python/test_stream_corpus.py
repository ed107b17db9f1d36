"""Every unusual file of the corpus: its frames byte for byte, or a refusal that says why."""

from __future__ import annotations

from pathlib import Path

import pytest
from DicomWorkbenchLib.errors import InputError, PixelDataError
from MultiframeStreamerLib import open_frames
from MultiframeStreamerLib.corpus import Case, all_cases

CASES = list(all_cases())


def test_the_corpus_has_more_than_sixty_files_each_with_its_own_name() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_file_is_read_byte_for_byte_or_refused_by_name(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "case.dcm"
    path.write_bytes(case.content)
    if case.refusal:
        with pytest.raises(InputError, match=case.refusal):
            open_frames(path, sidecar=False)
        return
    with open_frames(path, sidecar=False) as frames:
        assert len(frames) == len(case.frames)
        for index, truth in enumerate(case.frames):
            if truth:
                assert frames.encoded(index) == truth
            else:
                with pytest.raises(PixelDataError, match=f"frame {index + 1}"):
                    frames.encoded(index)
        if not case.legal:
            assert frames.notes
