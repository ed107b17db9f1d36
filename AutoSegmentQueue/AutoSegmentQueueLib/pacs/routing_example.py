"""The routing file that ``queue route --init`` writes: every key, explained."""

from __future__ import annotations

EXAMPLE = """\
# What the queue does with series that arrive from a PACS (DICOM node, STOW-RS, pull).
#
# Rules are tried from the top; the first whose conditions all hold decides.
# `queue route --modality CT --body-part CHEST` says which one that would be; so does `queue route FOLDER`.
#
# Conditions in [rule.match]; what is not written is not asked:
#   modality, series_description, study_description, body_part, calling_ae
#       a pattern or a list of patterns; * stands for any letters, ? for one; small and capital letters are alike
#   minimal_slices
#       at least so many slices (or frames)
# What is done, in [rule.do]; what is not written is as `queue serve` was told:
#   engine, task, quality, structures     as the options of `queue serve`
#   priority                              higher ones come first
#   destinations                          where results are sent: "AET@HOST:PORT" or a DICOMweb address
#   ignore = true                         nothing is done; the series is removed after a while

[[rule]]
name = "localizers"
[rule.match]
series_description = ["*scout*", "*localizer*", "*topogram*"]
[rule.do]
ignore = true

[[rule]]
name = "chest CT"
[rule.match]
modality = "CT"
body_part = ["CHEST", "THORAX"]
minimal_slices = 20
[rule.do]
task = "total"
quality = "fast"
priority = 5

# What no rule has taken. Without this table: CT, MR, PT and NM as `queue serve` was told, everything else is ignored.
# [default]
# ignore = true
"""
