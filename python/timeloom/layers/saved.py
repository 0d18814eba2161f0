"""Configurations of layers that hold other layers or cells."""

from collections.abc import Mapping
from typing import Any

from timeloom import layers

__all__ = ["classes_of", "restored", "saved"]


def saved(part: Any) -> dict[str, Any]:
    """Writes a layer or cell down as Keras does.

    Raises:
        NotImplementedError: If it has no get_config.
    """
    if not hasattr(part, "get_config"):
        raise NotImplementedError(
            f"{type(part).__name__}: expected a method get_config, to write it down, got none"
        )
    written: dict[str, Any] = layers.serialize(part)
    return written


def restored(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Builds what `saved` wrote; a finished object stays as it is.

    Args:
        config: Dict with class_name and config.
        custom_objects: Classes of the user's own by name. Default None.

    Raises:
        ValueError: If the class is unknown.
    """
    if not isinstance(config, Mapping):
        return config
    own = dict(custom_objects or {})
    name = str(config.get("class_name"))
    kind = own.get(name) or layers._LOOKUP.named(name)
    settings = dict(config.get("config") or {})
    if not hasattr(kind, "from_config"):
        return kind(**settings)
    if own and _takes_custom_objects(kind):
        return kind.from_config(settings, custom_objects=own)
    return kind.from_config(settings)


def _takes_custom_objects(kind: Any) -> bool:
    code = getattr(kind.from_config, "__code__", None)
    return code is not None and "custom_objects" in code.co_varnames[: code.co_argcount]


def classes_of(part: Any) -> dict[str, Any]:
    """The classes of a layer and of what it holds, by name: custom_objects for `restored`."""
    found = {type(part).__name__: type(part)}
    for inner in (getattr(part, "cell", None), *(getattr(part, "cells", None) or ())):
        if inner is not None:
            found |= classes_of(inner)
    return found
