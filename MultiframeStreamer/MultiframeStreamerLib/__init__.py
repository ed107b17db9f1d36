"""Compressed multi-frame DICOM of any size, opened at once and read frame by frame.

``open_frames(path)`` is a sequence of decoded arrays over a local file, a concatenation or an http(s) address.
"""

from MultiframeStreamerLib.frames import Frames, open_frames

IMPLEMENTATION_UID = "2.25.215634874362981246514028352914716201853"

__all__ = ["IMPLEMENTATION_UID", "Frames", "open_frames"]
