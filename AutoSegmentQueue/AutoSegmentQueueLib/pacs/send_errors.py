"""Why sending fails, and what each reason means for the next attempt; see PS3.4 B.2.3 for the codes of C-STORE."""

from __future__ import annotations

from DicomWorkbenchLib.errors import ProcessError


class SendError(ProcessError):
    """An object was not taken; it may be the next time."""


class Unreachable(SendError):
    """The destination is not there: everything for it waits, and the attempt does not count."""


class Refused(SendError):
    """The destination does not talk to us: everything for it waits."""


class Unconfirmed(SendError):
    """The objects were taken, but the destination has not said that it keeps them."""


class Missing(Unconfirmed):
    """The destination does not have all of them: they are sent again."""


class Permanent(SendError):
    """It will never be taken; trying again is no use."""


OUT_OF_RESOURCES, NO_MATCH, CANNOT_UNDERSTAND = 0xA700, 0xA900, 0xC000
_CLASS_NOT_SUPPORTED, _NOT_AUTHORISED, _DUPLICATE = 0x0122, 0x0124, 0x0111
_WARNINGS = (0xB000, 0xB006, 0xB007)  # taken, with a remark


def check_status(status: int | None, destination: object) -> None:
    """See what a C-STORE status, or the failure reason of STOW-RS, means.

    Raises
    ------
    Permanent : the object will never be taken (0xA9xx, 0xCxxx, 0x0122).
    SendError : it was not taken this time (0xA7xx and everything else, or no answer).
    """
    if status in (0, _DUPLICATE, *_WARNINGS):
        return
    if status is None:
        raise SendError(f"{destination} ended the connection in the middle")
    code = f"0x{status:04X}"
    if status & 0xFF00 == OUT_OF_RESOURCES:
        raise SendError(f"{destination} is out of resources ({code})")
    if status & 0xFF00 == NO_MATCH:
        raise Permanent(f"{destination} says that the object does not match its SOP class ({code})")
    if status & 0xF000 == CANNOT_UNDERSTAND:
        raise Permanent(f"{destination} cannot understand the object ({code})")
    if status == _CLASS_NOT_SUPPORTED:
        raise Permanent(f"{destination} does not take objects of this SOP class ({code})")
    if status == _NOT_AUTHORISED:
        raise SendError(f"{destination} says that we may not send ({code})")
    raise SendError(f"{destination} did not take an object ({code})")
