"""Whether a call fits a Python function of Slicer, by the signatures in the API table."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any

_Kind = inspect.Parameter


def signature_of(text: str, *, bound: bool = False) -> inspect.Signature:
    """Read a signature as the table writes it; ``bound`` leaves out ``self``."""
    readable = re.sub(r"=\s*<.*?>(?=[,)])", "=None", text)  # defaults that are objects
    function = ast.parse(f"def f{readable}: ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    parameters = list(_parameters(function.args))
    if bound and parameters and parameters[0].name == "self":
        parameters = parameters[1:]
    return inspect.Signature(parameters)


def _parameters(arguments: ast.arguments) -> Any:
    positional = [(arg, _Kind.POSITIONAL_ONLY) for arg in arguments.posonlyargs]
    positional += [(arg, _Kind.POSITIONAL_OR_KEYWORD) for arg in arguments.args]
    first_default = len(positional) - len(arguments.defaults)
    for index, (arg, kind) in enumerate(positional):
        yield _Kind(arg.arg, kind, default=None if index >= first_default else _Kind.empty)
    if arguments.vararg:
        yield _Kind(arguments.vararg.arg, _Kind.VAR_POSITIONAL)
    for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _Kind(arg.arg, _Kind.KEYWORD_ONLY, default=_Kind.empty if default is None else None)
    if arguments.kwarg:
        yield _Kind(arguments.kwarg.arg, _Kind.VAR_KEYWORD)


def problem_of_call(call: ast.Call, signature: inspect.Signature) -> str:
    """Return why a call does not fit, or ""; with ``*args`` or ``**kwargs`` only the names are looked at."""
    keywords = {keyword.arg: None for keyword in call.keywords if keyword.arg}
    is_open = any(isinstance(argument, ast.Starred) for argument in call.args) or len(keywords) < len(call.keywords)
    try:
        if is_open:
            signature.bind_partial(**keywords)
        else:
            signature.bind(*call.args, **keywords)
    except TypeError as error:
        return str(error)
    return ""


def callable_signature(what: Any) -> inspect.Signature | None:
    """Return the signature of a function of the table, or of a class through its ``__init__``."""
    if isinstance(what, str):
        return signature_of(what) if what.startswith("(") else None
    if isinstance(what, dict):
        return signature_of(what["__init__"], bound=True) if "__init__" in what else None
    return None
