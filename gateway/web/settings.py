"""What the pages and the API are told about the installation."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """A program that may use the API; it approves only as its `reviewer`, and not at all without one."""

    name: str
    secret: str = field(repr=False)
    may: frozenset[str]
    reviewer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """One installation as its pages show it; `graphs` are those that may be started."""

    name: str
    base_url: str
    timezone: str
    tokens: tuple[ApiToken, ...] = ()
    graphs: tuple[str, ...] = ("builtin",)
