"""Compressed multi-frame DICOM of any size, opened at once and read frame by frame.

``open_frames(path)`` is a sequence of decoded arrays over a local file, a concatenation or an http(s) address.
"""

from MultiframeStreamerLib.frames import Frames, open_frames

__all__ = ["Frames", "open_frames"]
