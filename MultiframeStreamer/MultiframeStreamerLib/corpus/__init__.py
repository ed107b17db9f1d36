"""Files that break readers: small multi-frame objects, each wrong or unusual in one way, with what a reader should make of them."""

from MultiframeStreamerLib.corpus.cases import Case, all_cases, write_corpus

__all__ = ["Case", "all_cases", "write_corpus"]
