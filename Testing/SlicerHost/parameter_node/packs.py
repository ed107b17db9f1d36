"""The decorator ``parameterPack``: several values as one parameter."""

from __future__ import annotations

import typing
from dataclasses import dataclass, field
from typing import Any

from SlicerHost.parameter_node.annotations import Default, split_annotations


def parameterPack(classtype: Any) -> Any:
    """Make a dataclass of a class of annotated names; ``Default`` in an annotation gives the field's default."""
    for name, kind in typing.get_type_hints(classtype, include_extras=True).items():
        if not hasattr(classtype, name):
            setattr(classtype, name, field(default_factory=_default_of(kind)))
    classtype._is_parameter_pack = True
    return dataclass(classtype)


def _default_of(kind: Any) -> Any:
    bare, annotations = split_annotations(kind)
    given = next((note for note in annotations if isinstance(note, Default)), None)
    return (lambda: given.value) if given is not None else bare
