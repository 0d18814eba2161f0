"""Finds the object that a user's string, class or configuration names, and writes configurations.

Here belongs what initializers, losses, optimizers and their kin share: one table per kind, one rule
for what an identifier may be. The tables themselves stand in the modules of their kind.
"""

import inspect
from collections.abc import Collection, Mapping
from typing import Any

__all__ = ["Lookup"]


class Lookup:
    """A table of names of one kind, for example of initializers.

    Args:
        kind: Word for messages: ``"initializer"``.
        module: Where Keras keeps this kind, written into configurations: ``"keras.initializers"``.
        entries: Classes and functions by every name users write.
        later: Names that Keras has and a later release will bring.
        ignore_case: Whether ``"SGD"``, ``"sgd"`` and ``"Sgd"`` are the same name. Default False.
    """

    def __init__(
        self,
        kind: str,
        module: str,
        entries: Mapping[str, Any],
        later: Collection[str] = (),
        ignore_case: bool = False,
    ) -> None:
        self.kind = kind
        self.module = module
        self.ignore_case = ignore_case
        self.entries = {self._key(name): entry for name, entry in entries.items()}
        self.later = frozenset(self._key(name) for name in later)

    def _key(self, name: str) -> str:
        return name.lower() if self.ignore_case else name

    def add(self, name: str, entry: Any) -> None:
        """Adds a class or function that a module above the table's own defines."""
        self.entries[self._key(name)] = entry

    def named(self, name: str) -> Any:
        """Returns the class or function of that name.

        Raises:
            NotImplementedError: If a later release will have it.
            ValueError: If nothing has that name.
        """
        key = self._key(name)
        if key in self.entries:
            return self.entries[key]
        if key in self.later:
            raise NotImplementedError(f"{self.kind}: {name!r} is not implemented yet")
        known = ", ".join(sorted(self.entries))
        raise ValueError(f"{self.kind}: expected one of {known}, got {name!r}")

    def get(self, identifier: Any) -> Any:
        """Resolves a name, a class (created without arguments), a configuration or a finished object.

        Args:
            identifier: String, class, dict with ``class_name`` and ``config``, callable or None.

        Returns:
            The object; None for None.

        Raises:
            ValueError: If the name is unknown or the value of another kind.
            NotImplementedError: If the name belongs to a later release.
        """
        if identifier is None:
            return None
        if isinstance(identifier, str):
            found = self.named(identifier)
            return found() if inspect.isclass(found) else found
        if isinstance(identifier, Mapping):
            return self.from_configuration(identifier)
        if inspect.isclass(identifier):
            return identifier()
        if callable(identifier) or hasattr(identifier, "get_config"):
            return identifier
        raise ValueError(f"{self.kind}: expected a name, a class, an object or a dict, got {identifier!r}")

    def from_configuration(self, configuration: Mapping[str, Any]) -> Any:
        """Builds the object that ``serialize`` wrote down.

        Raises:
            ValueError: If there is no class_name, or it is unknown.
        """
        if not isinstance(configuration, Mapping) or "class_name" not in configuration:
            raise ValueError(f"{self.kind}: expected a dict with 'class_name', got {configuration!r}")
        name = configuration["class_name"]
        config = configuration.get("config")
        if name == "function":
            return self.named(str(config))
        found = self.named(str(name))
        if not inspect.isclass(found):
            return found
        settings = dict(config or {})
        return found.from_config(settings) if hasattr(found, "from_config") else found(**settings)

    def serialize(self, value: Any) -> Any:
        """Writes an object down as Keras does.

        Returns:
            None for None, the name of a known function, or a dict of module, class name and config.
        """
        if value is None:
            return None
        if inspect.isfunction(value):
            return value.__name__
        if not hasattr(value, "get_config"):
            return repr(value)
        return {
            "module": self.module,
            "class_name": type(value).__name__,
            "config": value.get_config(),
            "registered_name": None,
        }
