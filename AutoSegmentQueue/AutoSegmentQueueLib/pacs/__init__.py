"""The queue in the clinic: scans in from a PACS, results out to it."""
