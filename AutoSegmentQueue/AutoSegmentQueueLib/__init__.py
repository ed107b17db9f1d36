"""A durable queue that segments scans; so far only the settings of one segmentation."""

from AutoSegmentQueueLib.settings import SegmentationSettings

__all__ = ["SegmentationSettings"]
