"""AutoSegmentQueue in a browser: server, pages, three-dimensional view."""
