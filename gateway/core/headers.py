"""Header classes of the standard library's email package, made once."""

from email.headerregistry import HeaderRegistry
from typing import Any


class RememberingRegistry(HeaderRegistry):
    """The default registry makes a new class for every header it meets; this one keeps them by name."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        """Return the class for headers of this name."""
        key = name.lower()
        if key not in self._made:
            self._made[key] = super().__getitem__(name)
        return self._made[key]
