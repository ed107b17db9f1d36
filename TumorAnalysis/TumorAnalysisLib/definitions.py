"""What the columns mean and where the definitions come from; printed in the workbook and in the report."""

from __future__ import annotations

DEFINITIONS: tuple[tuple[str, str, str], ...] = (
    (
        "lesion",
        "A mask with the name of a liver tumour (liver + tumor or tumour, plural, number) of which at least "
        "50 % of the voxels lie in the liver dilated by 5 mm. Where masks are kept apart, a mask is a lesion, "
        "so that lesions that touch stay separate; in a label map (LiTS) each connected piece is one.",
        "this project",
    ),
    (
        "components",
        "Connected pieces inside the lesion masks, summed: across faces, edges and corners (26) or faces only (6).",
        "this project",
    ),
    (
        "extra-hepatic",
        "Other masks that speak of a tumour, cyst, metastasis or resection, or lesion names without enough "
        "overlap: for review, not counted.",
        "this project",
    ),
    (
        "volume",
        "Number of voxels times the determinant of the voxel matrix. Surfaces are for display only.",
        "this project",
    ),
    (
        "longest diameter",
        "Longest chord of the 0.5-level contour in the axial slice in which it is longest, corrected for the "
        "excess that digitised outlines have; it never bridges parts that do not touch in the slice. Lower "
        "and upper bound: extent of the pixel centres and of the pixel corners.",
        "RECIST 1.1: Eisenhauer et al., Eur J Cancer 45 (2009) 228-247",
    ),
    (
        "short axis",
        "Longest chord perpendicular to the longest diameter, inside the contour of the same slice.",
        "RECIST 1.1, as above",
    ),
    (
        "WHO product",
        "Longest diameter times short axis.",
        "WHO handbook for reporting results of cancer treatment, 1979",
    ),
    (
        "RECIST measurable",
        "Longest diameter of at least 10 mm with slices up to 5 mm thick, of at least twice the thickness "
        "with thicker ones. The thickness is that of the header, else the slice spacing. Targets: the two "
        "longest measurable lesions. A baseline sum; one scan allows no claim of response.",
        "RECIST 1.1, as above",
    ),
    (
        "Feret",
        "Largest distance between two points of the lesion's surface in any direction.",
        "this project",
    ),
    (
        "sphericity",
        "Surface of the sphere of equal volume over the surface of the lesion; surface by the Cauchy-Crofton "
        "formula with 13 directions weighted in millimetres. Unreliable below about 8 mm.",
        "Wadell, J Geology 43 (1935); Lehmann and Legland, Insight Journal 2012",
    ),
    (
        "distance to surface",
        "Smallest distance between the surface of the lesion and that of liver and lesions together, holes "
        "closed; 0 is subcapsular.",
        "this project",
    ),
    (
        "nearest lesion",
        "Smallest distance between the surfaces of two lesions.",
        "this project",
    ),
    (
        "contrast",
        "Mean of the lesion minus mean of the liver without all lesions; contrast to noise divides by the SD "
        "of the latter.",
        "this project",
    ),
    (
        "burden",
        "Primary: tumour over the union of liver and tumour. Also given: over the liver mask as supplied, and "
        "over the liver without tumour.",
        "this project",
    ),
    (
        "liver overlap",
        "Fraction of a mask's voxels inside the liver mask as supplied; dilated: inside the liver with holes "
        "closed or within 5 mm of it.",
        "this project",
    ),
    (
        "slice ratio",
        "Tumour area over liver area in one slice. Not the burden: it reaches 1 on the first and last slices.",
        "this project",
    ),
    (
        "tiny",
        "Fewer than 3 voxels or an equivalent diameter below 3 mm. Flagged and counted, never removed.",
        "this project",
    ),
)
