"""MXNet's `registry` module: classes that are created by name, by JSON text or by a dict."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from netdef.diag import MXNetError, did_you_mean

Class = TypeVar("Class", bound=type)

_REGISTRIES: dict[type, dict[str, type]] = {}


def get_registry(base_class: type) -> dict[str, type]:
    """The classes registered for `base_class` by name, in a dict of its own."""
    return dict(_REGISTRIES.get(base_class, {}))


def get_register_func(base_class: type, nickname: str) -> Callable[..., Any]:
    """The decorator that registers a subclass of `base_class` under its name in lower case."""
    classes = _REGISTRIES.setdefault(base_class, {})

    def register(klass: Class, name: str | None = None) -> Class:
        if not isinstance(klass, type) or not issubclass(klass, base_class):
            raise MXNetError(
                f"a {nickname} must be a subclass of {base_class.__name__}, which {klass!r} is not"
            )
        key = (name or klass.__name__).lower()
        if classes.get(key, klass) is not klass:
            old, new = classes[key], klass
            warnings.warn(
                f"the {nickname} {key} is {new.__module__}.{new.__name__} from now on, "
                f"not {old.__module__}.{old.__name__}",
                stacklevel=2,
            )
        classes[key] = klass
        return klass

    return register


def get_alias_func(base_class: type, nickname: str) -> Callable[..., Any]:
    """The decorator that registers a class under further names."""
    register = get_register_func(base_class, nickname)

    def alias(*names: str) -> Callable[[Class], Class]:
        def named(klass: Class) -> Class:
            for name in names:
                register(klass, name)
            return klass

        return named

    return alias


def get_create_func(base_class: type, nickname: str) -> Callable[..., Any]:
    """The function that creates an instance.

    It takes a registered name with the arguments of its class, JSON text (`["name", {arguments}]`, or an
    object with the name under the nickname), such an object as a dict, or an instance, which it returns.
    """
    classes = _REGISTRIES.setdefault(base_class, {})

    def create(*args: Any, **kwargs: Any) -> Any:
        if not args and nickname not in kwargs:
            raise MXNetError(f"which {nickname}? legal: {', '.join(sorted(classes))}")
        given, args = (args[0], args[1:]) if args else (kwargs.pop(nickname), ())
        if isinstance(given, str) and given[:1] not in ("[", "{"):
            if given.lower() not in classes:
                hint = did_you_mean(given.lower(), classes) or f"legal: {', '.join(sorted(classes))}"
                raise MXNetError(f"there is no {nickname} {given!r}; {hint}")
            return classes[given.lower()](*args, **kwargs)
        if args or kwargs:
            raise MXNetError(f"{given!r} says everything about the {nickname}; give no arguments beside it")
        if isinstance(given, base_class):
            return given
        name, arguments = _described(given, nickname)
        return create(name, **arguments)

    return create


def _described(given: Any, nickname: str) -> tuple[str, dict[str, Any]]:
    """Name and arguments of JSON text or of a dict."""
    described = given
    if isinstance(given, str):
        try:
            described = json.loads(given)
        except (ValueError, RecursionError):
            raise MXNetError(f"{given!r} names no {nickname} and is no JSON text either") from None
    if isinstance(described, list) and len(described) == 2:
        name, arguments = described
    elif isinstance(described, dict):
        arguments = dict(described)
        name = arguments.pop(nickname, None)
    else:
        name, arguments = None, None
    if not isinstance(name, str) or name[:1] in ("[", "{") or not isinstance(arguments, dict):
        raise MXNetError(
            f'{given!r} is no {nickname}; give a name, an instance, or as JSON ["name", {{arguments}}] '
            f'or {{"{nickname}": "name", arguments}}'
        )
    return name, arguments
