"""Who is in the liver cohort: 20 invented patients, each with the trap it is there for.

Structure names and traps are those seen in public liver data sets whose patients come as zipped folders of slices without suffix.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Bodies = dict[str, tuple[float, ...]]  # mask folder: radii in mm of the separate bodies in it


@dataclass(frozen=True)
class PatientPlan:
    """One patient.

    Attributes
    ----------
    number : 1 to 20.
    tumors : mask folders that are liver tumours, and the bodies in each.
    outside : masses outside the liver by mask folder: radius in mm and side (-1 right, 1 left).
    other : further structures in the liver that are no tumours: mask folder and radius in mm.
    mask_value : what a mask holds inside, 255 or 1.
    doubled : PATIENT_DICOM/PATIENT_DICOM in the archive, and a __MACOSX folder beside it.
    top_first : image_0 is the uppermost slice, in the scan and in the masks.
    masks_reversed : the masks count from the other end than the scan; only their positions tell.
    masks_without_position : the masks have no Image Plane attributes at all.
    corner : the tumour is two blocks that touch in one corner: one component with 26 neighbours, two with 6.
    touching : the two tumour folders are the halves of one mass.
    bulging : the tumour sticks out of the liver.
    lungs_and_kidneys_as_one : mask folders "lungs" and "kidneys" instead of left and right.
    rotation_deg : the scan is oblique.
    folder : name of the patient's folder.
    """

    number: int
    tumors: Bodies = field(default_factory=dict)
    outside: dict[str, tuple[float, int]] = field(default_factory=dict)
    other: dict[str, float] = field(default_factory=dict)
    mask_value: int = 255
    doubled: bool = False
    top_first: bool = False
    masks_reversed: bool = False
    masks_without_position: bool = False
    corner: bool = False
    touching: bool = False
    bulging: bool = False
    lungs_and_kidneys_as_one: bool = False
    rotation_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    folder: str = ""

    @property
    def folder_name(self) -> str:
        """Name of the folder."""
        return self.folder or f"patient{self.number}"

    @property
    def traits(self) -> list[str]:
        """Names of what is unusual about this patient."""
        flags = (
            "doubled",
            "top_first",
            "masks_reversed",
            "masks_without_position",
            "corner",
            "touching",
            "bulging",
            "lungs_and_kidneys_as_one",
        )
        found = [name for name in flags if getattr(self, name)]
        found += ["oblique"] if any(self.rotation_deg) else []
        found += ["masks_0_1"] if self.mask_value == 1 else []
        return found + (["non_ascii_name"] if not self.folder_name.isascii() else [])


PLANS = (
    PatientPlan(1, {f"livertumor0{n}": (radius,) for n, radius in enumerate((16, 9, 12, 8, 14, 10, 8.5), 1)}),
    PatientPlan(2, {"livertumor": (13,)}, doubled=True),
    PatientPlan(3, {"livertumor": (11,)}, other={"livercyst": 9}, mask_value=1),
    PatientPlan(4, {"livertumor": (9, 8, 10, 8, 7.5, 9, 12)}, top_first=True),
    PatientPlan(5, outside={"leftsurretumor": (9.5, 1), "rightsurretumor": (8.5, -1)}),
    PatientPlan(6, {"livertumor": (36, 14, 11, 18, 9)}, mask_value=1, doubled=True),
    PatientPlan(7, outside={"tumor": (34, 1)}, lungs_and_kidneys_as_one=True),
    PatientPlan(8, {"livertumor01": (9,), "livertumor02": (8,), "livertumor03": (10,)}),
    PatientPlan(9, {"livertumor": (19,)}, top_first=True, doubled=True),
    PatientPlan(10, {"livertumor": (8, 9, 7.5, 10, 8, 8.5, 9, 8)}, masks_reversed=True),
    PatientPlan(11, other={"liverkyste": 11}),
    PatientPlan(12, {"livertumor": (26,)}, rotation_deg=(12.0, -6.0, 3.0), mask_value=1),
    PatientPlan(13, {"livertumor": (14, 12, 9)}, folder="patient13_Größe_é"),
    PatientPlan(14, other={"metastasectomie": 15}),
    PatientPlan(15, {"livertumor": (8, 8)}, masks_without_position=True),
    PatientPlan(16, {"livertumor": (6,)}, corner=True),
    PatientPlan(17, {"livertumor1": (24,), "livertumor2": (24,)}, touching=True),
    PatientPlan(18, {"LiverTumour": (14,)}, bulging=True, lungs_and_kidneys_as_one=True),
    PatientPlan(19, {"livertumors": (8, 9, 10, 8, 12, 8, 9, 7.5, 8, 10, 8, 9)}, other={"livercyst": 8}),
    PatientPlan(20, other={"livercyst": 12}, doubled=True),
)
