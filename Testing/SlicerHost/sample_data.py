"""``SampleData`` of the host: a registry, and the loading of sources that make their data themselves."""

from __future__ import annotations

from typing import Any

import slicer


class SampleDataSource:
    """One entry of the Sample Data module."""

    def __init__(self, **what: Any) -> None:
        vars(self).update(what)


def _sources() -> dict[str, list[SampleDataSource]]:
    if not hasattr(slicer.modules, "sampleDataSources"):
        slicer.modules.sampleDataSources = {}
    return slicer.modules.sampleDataSources


class SampleDataLogic:
    """What a module calls to register its data, and a test to load them."""

    categories: dict[str, str] = {}  # noqa: RUF012 - shared by all, as in Slicer

    def __init__(self, logMessage: Any = None) -> None:
        self.messages: list[str] = []

    @staticmethod
    def registerCustomSampleDataCategory(category: str, title: str) -> None:
        """Name a category as the user reads it."""
        SampleDataLogic.categories[category] = title

    @staticmethod
    def categoryTitle(category: str) -> str:
        """Return a category as the user reads it."""
        return SampleDataLogic.categories.get(category, category)

    @staticmethod
    def registerCustomSampleDataSource(
        category: str = "Custom",
        sampleName: Any = None,
        uris: Any = None,
        fileNames: Any = None,
        nodeNames: Any = None,
        customDownloader: Any = None,
        thumbnailFileName: Any = None,
        loadFileTypes: Any = None,
        loadFiles: Any = None,
        loadFileProperties: Any = {},  # noqa: B006 - Slicer's signature
        checksums: Any = None,
        loadFileType: Any = None,
    ) -> None:
        """Add an entry."""
        what = {name: value for name, value in locals().items() if name != "category"}
        _sources().setdefault(category, []).append(SampleDataSource(category=category, **what))

    @staticmethod
    def sampleDataSourcesByCategory(category: str | None = None) -> Any:
        """Return the entries of one category, or all by category."""
        return _sources() if category is None else _sources().get(category, [])

    @staticmethod
    def isSampleDataSourceRegistered(category: str, sampleDataSource: SampleDataSource) -> bool:
        """Say whether an entry is there."""
        return any(vars(source) == vars(sampleDataSource) for source in _sources().get(category, []))

    def sourceForSampleName(self, sampleName: str) -> SampleDataSource | None:
        """Return an entry by its name."""
        every = (source for sources in _sources().values() for source in sources)
        return next((source for source in every if source.sampleName == sampleName), None)

    def logMessage(self, message: str, logLevel: int = 10) -> None:
        """Keep a message."""
        self.messages.append(message)

    def downloadFromSource(
        self, source: SampleDataSource, maximumAttemptsCount: int = 3, forceDownload: bool = False
    ) -> Any:
        """Run the source's own function; nothing comes from the network here."""
        if source.customDownloader is None:
            raise RuntimeError(f"sample data {source.sampleName} would be downloaded: the host has no network")
        return source.customDownloader(source)

    def downloadSample(self, sampleName: str) -> Any:
        """Make and load the data of an entry; the first node where there are several."""
        loaded = self.downloadSamples(sampleName)
        return loaded[0] if isinstance(loaded, list) and loaded else loaded

    def downloadSamples(self, sampleName: str) -> Any:
        """Make and load the data of an entry."""
        source = self.sourceForSampleName(sampleName)
        if source is None:
            raise RuntimeError(f"sample data {sampleName} is not registered")
        return self.downloadFromSource(source)


def downloadSample(sampleName: str) -> Any:
    """Make and load the data of an entry."""
    return SampleDataLogic().downloadSample(sampleName)


def downloadSamples(sampleName: str) -> Any:
    """Make and load the data of an entry."""
    return SampleDataLogic().downloadSamples(sampleName)
