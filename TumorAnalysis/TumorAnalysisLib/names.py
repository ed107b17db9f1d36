"""What the name of a mask says about it.

Names come from many hands: ``livertumor01``, ``LiverTumours``, ``Liver_tumor 2``, ``leftsurretumor``. Separators and case do not count.
"""

from __future__ import annotations

import re

from DicomWorkbenchLib.errors import SettingsError

_SUSPICIOUS = re.compile(r"tum|metasta|lesion|cyst|kyst|hyperplas|nodul|carcinom|resection|cancer|neoplas|malign")
_LOBES = re.compile(r"[\s_\-.]+")
_VESSELS = {
    "portal vein": re.compile(r"^portal(vein|veinandsplenicvein)?\d*$|^portale?$"),
    "hepatic vein": re.compile(r"^hepatic(vein|vessel)s?\d*$|^venoussystem\d*$|^livervessels?$"),
}


def plain(name: str) -> str:
    """Lower case without spaces, underscores, hyphens and dots."""
    return _LOBES.sub("", name).casefold()


def lesion_pattern(organ: str, pattern: str = "") -> re.Pattern[str]:
    """Return the pattern that lesion names match: the user's, or organ + "tumor" with its spellings and a number.

    Raises
    ------
    SettingsError : the pattern is no regular expression.
    """
    try:
        return re.compile(pattern or rf"^{re.escape(plain(organ))}tumou?rs?\d*$", re.IGNORECASE)
    except re.error as error:
        raise SettingsError(f'the lesion pattern "{pattern}" is no regular expression: {error}') from error


def is_lesion_name(name: str, pattern: re.Pattern[str]) -> bool:
    """True if the name, as written or plain, matches the pattern."""
    return bool(pattern.search(name) or pattern.search(plain(name)))


def is_organ_name(name: str, organ: str) -> bool:
    """True for the organ's own mask."""
    return plain(name) == plain(organ)


def is_suspicious(name: str) -> bool:
    """True for a name that speaks of a tumour, a cyst, a metastasis or a resection: never silently in or out."""
    return bool(_SUSPICIOUS.search(plain(name)))


def vessel_of(name: str) -> str:
    """Return "portal vein" or "hepatic vein" for a mask of one, else nothing."""
    return next((vessel for vessel, pattern in _VESSELS.items() if pattern.search(plain(name))), "")


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key that puts ``patient 2`` before ``patient 10``."""
    return tuple((0, int(p)) if p.isdigit() else (1, p.casefold()) for p in re.split(r"(\d+)", name) if p)
