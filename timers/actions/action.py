"""What every kind of action has, and the registry of kinds.

A kind is a subclass of Action that is decorated with `register`, in this package or in the `timer_handlers.py` of any
installed app: that module is imported in every process. All nodes and web processes must have it before it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self, TypeVar

from timers.domain.errors import ErrorCollector
from timers.handlers import Handler


class Action:
    """What runs when a timer fires. Instances are values: frozen, and equal if their JSON forms are.

    No ABC, because the engine tests the class of each execution's action, which takes several times as long for one.
    """

    __slots__ = ()

    kind: ClassVar[str]
    """Its name in the JSON form."""
    other_names: ClassVar[tuple[str, ...]] = ()
    """Names of the kind in earlier versions, which are still read."""
    summary: ClassVar[str]
    """What it does, in a few words, for the API's description."""
    example: ClassVar[Mapping[str, Any]]
    """A JSON form of it."""

    @classmethod
    def read(cls, spec: Mapping[str, Any], mistakes: ErrorCollector) -> Self | None:
        """Read the JSON form as far as possible; errors are collected."""
        raise NotImplementedError

    def to_spec(self) -> dict[str, Any]:
        """Return the JSON form that `read` reads."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """Name for statistics: executions that do the same are grouped together."""
        raise NotImplementedError

    @property
    def words(self) -> str:
        """Short description of the action."""
        return self.name

    @property
    def handler(self) -> str | None:
        """Name of the handler that the claiming worker must know; None: any worker can run it."""
        return None

    @property
    def lane(self) -> str | None:
        """Target whose concurrent calls are limited (see TIMERS_HTTP_PER_TARGET); None: it makes no calls."""
        return None

    @property
    def is_async(self) -> bool:
        """Whether an execution takes a place on a worker's event loop, not a thread."""
        return False

    def resolve(self) -> Action | Handler | str:
        """Return what a worker runs with the settings of this process, or the reason why it cannot.

        Returns:
            A handler to call with the Fire; an HttpAction; a ChainAction; or the reason, as text.
        """
        return f"actions of kind {self.kind} are not run by workers"


KINDS: Final[dict[str, type[Action]]] = {}
"""The kinds by name, in the order in which they were registered."""
_BY_ANY_NAME: Final[dict[str, type[Action]]] = {}

ActionClass = TypeVar("ActionClass", bound=type[Action])


def register(kind: ActionClass) -> ActionClass:
    """Add a kind of action; a class decorator.

    Raises:
        ValueError: another kind has that name.
    """
    names = (kind.kind, *kind.other_names)
    for name in names:
        if _BY_ANY_NAME.get(name, kind) is not kind:
            raise ValueError(f"two kinds of actions have the name {name}")
    _BY_ANY_NAME.update(dict.fromkeys(names, kind))
    KINDS[kind.kind] = kind
    return kind


def kind_named(name: object) -> type[Action] | None:
    """Return the kind of that name, also under an earlier one; None if there is none."""
    return _BY_ANY_NAME.get(name) if isinstance(name, str) else None
