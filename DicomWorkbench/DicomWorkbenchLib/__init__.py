"""The common room of DicomWorkbench: what more than one workflow needs.

Import the module you need (``from DicomWorkbenchLib import series``); this file stays light so that the command starts at once.
"""

__version__ = "0.1.0"
