"""Which masks are liver tumours: names seen in public data, overlap with the liver, the user's word; and pieces of masks."""

from __future__ import annotations

import numpy as np
import pytest
import tumor_files as files
from DicomWorkbenchLib.errors import SettingsError
from tumor_shapes import grid_of
from TumorAnalysisLib.burden import burden
from TumorAnalysisLib.components import label_with_cc3d, label_with_scipy, pieces
from TumorAnalysisLib.masks import crop
from TumorAnalysisLib.names import is_lesion_name, is_suspicious, lesion_pattern, vessel_of
from TumorAnalysisLib.patient import Role, Structure
from TumorAnalysisLib.recist import smallest_measurable_mm, targets
from TumorAnalysisLib.roles import judge
from TumorAnalysisLib.settings import Override, TumorSettings, wanted

GRID = grid_of(files.SHAPE, (1.5, 1.5, 2.5))
LIVER = Structure("liver", crop(files.LIVER))


def role_of(name: str, mask: np.ndarray, **options: object) -> Role:
    structures = [LIVER, Structure(name, crop(mask))]
    return judge(structures, GRID, **options)[1].role  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["livertumor", "livertumor01", "livertumors", "LiverTumour", "Liver Tumor 3", "liver_tumours"]
)
def test_names_of_liver_tumours_are_lesions_inside_the_liver_only(name: str) -> None:
    assert role_of(name, files.TUMOR) is Role.LESION
    assert role_of(name, files.OUTSIDE) is Role.REVIEW


@pytest.mark.parametrize(
    "name",
    [
        "leftsurretumor",
        "rightsurretumor",
        "tumor",
        "metastasectomie",
        "livercyst",
        "liverkyste",
        "Hyperplasie",
        "resection_bed",
    ],
)
def test_other_tumours_cysts_and_resections_go_to_review(name: str) -> None:
    assert role_of(name, files.TUMOR) is Role.REVIEW


@pytest.mark.parametrize(
    "name", ["portalvein", "venoussystem", "leftkidney", "surrenalgland", "stomachoesophage", "livertumorous"]
)
def test_anatomy_is_other_and_unknown_tumour_words_are_for_review(name: str) -> None:
    expected = Role.REVIEW if is_suspicious(name) else Role.OTHER
    assert role_of(name, files.TUMOR) is expected
    assert not is_lesion_name(name, lesion_pattern("liver"))


def test_half_the_voxels_in_the_dilated_liver_decide() -> None:
    # A block whose share within 5 mm of the liver is known from a brute-force distance to every liver voxel's boundary.
    for shift in range(20, 46, 2):
        block = np.zeros(files.SHAPE, dtype=bool)
        block[4:9, 20:28, shift : shift + 6] = True
        one = judge([LIVER, Structure("livertumor", crop(block))], GRID)[1]
        assert one.overlap is not None
        assert one.role is (Role.LESION if one.overlap >= 0.5 else Role.REVIEW)
    assert judge([LIVER, Structure("livertumor", crop(files.OUTSIDE))], GRID)[1].overlap < 0.5  # type: ignore[operator]


def test_the_word_of_the_user_goes_before_the_rule_and_is_recorded() -> None:
    one = judge([LIVER, Structure("livercyst", crop(files.TUMOR))], GRID, overrides={"livercyst": Role.LESION})[1]
    assert (one.role, one.overridden) == (Role.LESION, True)
    assert "user" in one.reason
    assert "extra-hepatic" in one.reason


def test_vessels_are_known_by_name() -> None:
    assert vessel_of("portalvein1") == "portal vein"
    assert vessel_of("portal_vein_and_splenic_vein") == "portal vein"
    assert vessel_of("venoussystem") == "hepatic vein"
    assert vessel_of("venacava") == ""


def test_both_labellers_number_the_same_pieces_alike() -> None:
    rng = np.random.default_rng(0)
    for density in (0.05, 0.2, 0.5):
        voxels = rng.random((17, 23, 19)) < density
        for connectivity in (6, 26):
            ours, theirs = label_with_cc3d(voxels, connectivity), label_with_scipy(voxels, connectivity)
            assert ours[1] == theirs[1]
            np.testing.assert_array_equal(ours[0], theirs[0])


def test_voxels_that_touch_in_a_corner_are_one_piece_of_26_and_two_of_6() -> None:
    voxels = np.zeros((4, 4, 4), dtype=bool)
    voxels[0:2, 0:2, 0:2] = voxels[2:4, 2:4, 2:4] = True
    assert [len(pieces(crop(voxels), connectivity)) for connectivity in (26, 6)] == [1, 2]


def test_the_three_burdens_by_hand() -> None:
    liver, tumor = np.zeros((1, 4, 10), dtype=bool), np.zeros((1, 4, 10), dtype=bool)
    liver[0, :, :8] = True  # 32 voxels
    tumor[0, :, 7:9] = True  # 8, half of them in the liver
    found = burden(crop(liver), [crop(tumor)], grid_of((1, 4, 10), (1.0, 1.0, 1.0)))
    assert (found.over_union, found.over_organ_mask, found.over_parenchyma) == (8 / 36, 8 / 32, 8 / 28)
    assert found.tumor_in_organ == 0.5


def test_recist_takes_the_two_longest_measurable_lesions_of_the_organ() -> None:
    assert targets([9.9, 30.0, 12.0, 25.0], 2.5) == [1, 3]
    assert targets([9.9, 8.0], 2.5) == []
    assert smallest_measurable_mm(7.0) == 14.0
    assert targets([13.0, 14.0], 7.0) == [1]


def test_patients_are_chosen_by_number_range_and_id() -> None:
    chosen = wanted("1,3-5,ward B")
    assert [chosen.takes(name) for name in ("3Dircadb1.1", "3Dircadb1.2", "p04", "ward B", "x15")] == [
        True,
        False,
        True,
        True,
        False,
    ]
    assert wanted("").takes("anything")
    with pytest.raises(SettingsError, match="backwards"):
        wanted("5-3")


def test_wrong_settings_say_what_is_allowed(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SettingsError, match="organ, lesion, extra-hepatic, other"):
        Override.parse("livertumor=malignant")
    with pytest.raises(SettingsError, match="regular expression"):
        TumorSettings(tmp_path, tmp_path / "o", lesion="(")
    assert Override.parse("p1/livertumor=other") == Override("p1", "livertumor", Role.OTHER)
