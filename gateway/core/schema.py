"""What a JSON Schema asks of an answer: whether one fits, and how it would have a decision worded.

A schema is a graph's own or of somebody behind it, so nothing is fetched for it, nothing in it is trusted to
be well-formed, and one that could take long to hold an answer against is not used at all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

APPROVING = ("approve", "approved", "accept", "accepted", "allow", "allowed", "confirm", "confirmed")
REFUSING = ("reject", "rejected", "deny", "denied", "decline", "declined", "refuse", "refused")
RESPONDING = ("respond", "response", "answer", "reply")
_REMARKS = ("message", "feedback", "comment", "reason", "note", "text", "response", "answer")
_DEEPEST = 8
_LONGEST = 300
_MOST_PARTS = 1_000
_DEEPEST_PART = 40
_KEYWORDS = frozenset(
    {"$schema", "$id", "$ref", "$defs", "$comment", "definitions", "title", "description", "default"}
    | {"examples", "deprecated", "readOnly", "writeOnly", "discriminator", "format", "nullable"}
    | {"type", "enum", "const", "properties", "required", "additionalProperties", "items", "anyOf", "oneOf"}
    | {"minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
    | {"multipleOf", "minItems", "maxItems", "minProperties", "maxProperties", "enumNames"}
)
_NONE = object()


def problem(schema: Any, value: Any) -> str:
    """Say why `value` does not fit `schema`; empty where it does. Never raises."""
    # Here, because commands that only look must start quickly, and they load this module.
    if why := unusable(schema):
        return why
    from jsonschema import Draft202012Validator  # noqa: PLC0415
    from jsonschema.exceptions import best_match  # noqa: PLC0415
    from referencing import Registry  # noqa: PLC0415

    try:
        # With a registry of its own, a reference to another document is an error and not a download.
        validator = Draft202012Validator(schema, registry=Registry())
        found = best_match(validator.iter_errors(value))
    except Exception as error:  # noqa: BLE001 - a broken schema raises whatever it likes
        return f"the schema of the answer cannot be used: {type(error).__name__}"
    return f"{_place(found.absolute_path)}{found.message}"[:_LONGEST] if found else ""


def unusable(schema: Any) -> str:
    """Say why a schema is not used, if it is not: it is too large written out, or has a costly keyword.

    Patterns, and schemas that hold for the same value side by side, can take for ever on a short answer.
    """
    try:
        _written_out(schema, schema, 0, [_MOST_PARTS])
    except _UnusableError as error:
        return f"the schema of the answer is not used: {error}"
    return ""


class _UnusableError(ValueError):
    """The message says what there is too much of."""


def _written_out(schema: Any, root: Any, depth: int, left: list[int]) -> None:
    """Walk a schema with every reference followed, wherever it stands; `left` counts what may still come."""
    left[0] -= 1
    if left[0] < 0 or depth > _DEEPEST_PART:
        raise _UnusableError("it is too large")
    if isinstance(schema, bool):
        return
    if not isinstance(schema, Mapping):
        raise _UnusableError("it is no JSON Schema")
    if strange := sorted(map(str, schema.keys() - _KEYWORDS)):
        raise _UnusableError(f"it has {strange[0]!r}")
    if "$ref" in schema:
        _written_out(_referred(str(schema["$ref"]), root), root, depth + 1, left)
    for name in ("anyOf", "oneOf"):
        for each in schema.get(name) or ():
            _written_out(each, root, depth + 1, left)
    properties = schema.get("properties") or {}
    inner = properties.values() if isinstance(properties, Mapping) else ()
    for each in (*inner, schema.get("items", True), schema.get("additionalProperties", True)):
        _written_out(each, root, depth + 1, left)


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What is to be worded: the words for it, how a switch is set for it, and the message that goes along."""

    words: tuple[str, ...]
    switch: bool | None
    message: str


def approving(schema: Any, message: str = "") -> tuple[Any, ...]:
    """Word an approval as `schema` has it; empty where that is not the one thing it can mean."""
    return _worded(schema, _Meaning(APPROVING, switch=True, message=message))


def refusing(schema: Any, message: str = "") -> tuple[Any, ...]:
    """Word a refusal as `schema` has it; empty where that is not the one thing it can mean."""
    return _worded(schema, _Meaning(REFUSING, switch=False, message=message))


def responding(schema: Any, message: str) -> tuple[Any, ...]:
    """Word a person's own text as `schema` has it; empty where there is no one place for it."""
    return _worded(schema, _Meaning(RESPONDING, switch=None, message=message))


def _worded(schema: Any, meaning: _Meaning) -> tuple[Any, ...]:
    if unusable(schema):
        return ()
    try:
        found = [
            value
            for branch in _branches(schema, schema, 0)
            if (value := _value(branch, schema, meaning)) is not _NONE
        ]
    except (RecursionError, TypeError, AttributeError, ValueError):
        return ()
    fitting = [value for value in found if not problem(schema, value)]
    return (fitting[0],) if len(fitting) == 1 else ()


def _branches(schema: Any, root: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    """List the alternatives of a schema, references followed."""
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return
    if "$ref" in schema:
        yield from _branches(_referred(str(schema["$ref"]), root), root, depth + 1)
        return
    alternatives = schema.get("oneOf") or schema.get("anyOf")
    if not isinstance(alternatives, list):
        yield schema
        return
    for each in alternatives:
        yield from _branches(each, root, depth + 1)


def _referred(reference: str, root: Any) -> Any:
    if not reference.startswith("#/"):
        return None
    found = root
    for part in reference.removeprefix("#/").split("/"):
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found


def _value(branch: Mapping[str, Any], root: Any, meaning: _Meaning) -> Any:
    if isinstance(branch.get("properties"), Mapping):
        return _object(branch, root, meaning)
    if (word := _word(branch, meaning.words)) is not None:
        return word
    if meaning.switch is not None:
        return meaning.switch if branch.get("type") == "boolean" else _NONE
    return meaning.message if _is_free_text(branch) else _NONE


def _object(branch: Mapping[str, Any], root: Any, meaning: _Meaning) -> Any:
    """Fill in an object: one property decides, a text takes the message, and nothing else may be needed."""
    properties = {name: _resolved(each, root) for name, each in branch["properties"].items()}
    required = set(branch.get("required") or ())
    deciding = [name for name, each in properties.items() if _decides(name, each)]
    if len(deciding) > 1 or (meaning.switch is not None and not deciding):
        return _NONE
    value = {name: _decision(properties[name], meaning) for name in deciding}
    texts = [name for name, each in properties.items() if name not in deciding and _is_free_text(each)]
    remarks = [name for name in texts if name in required] or [name for name in _REMARKS if name in texts][:1]
    if _NONE in value.values() or (meaning.switch is None and len(remarks) != 1):
        return _NONE
    if meaning.message or required.intersection(remarks):
        value |= dict.fromkeys(remarks, meaning.message)
    # What else is required nobody has been shown, whatever its default.
    return value if required <= value.keys() else _NONE


def _decision(schema: Mapping[str, Any], meaning: _Meaning) -> Any:
    word = _word(schema, meaning.words)
    if word is None and schema.get("type") == "boolean" and meaning.switch is not None:
        return meaning.switch
    return _NONE if word is None else word


def _resolved(schema: Any, root: Any) -> Mapping[str, Any]:
    """Take a property for its one alternative besides null."""
    found = [each for each in _branches(schema, root, 0) if each.get("type") != "null"]
    return found[0] if len(found) == 1 else {}


def _decides(name: str, schema: Mapping[str, Any]) -> bool:
    if schema.get("type") == "boolean":
        return name.lower() in APPROVING
    return any(_word(schema, words) is not None for words in (APPROVING, REFUSING, RESPONDING))


def _word(schema: Mapping[str, Any], words: tuple[str, ...]) -> str | None:
    """Find the one word among the values of an enumeration."""
    listed = schema.get("enum") if isinstance(schema.get("enum"), list) else [schema.get("const")]
    found = [each for each in listed or () if isinstance(each, str) and each.lower() in words]
    return found[0] if len(found) == 1 else None


def _is_free_text(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "string" and not {"enum", "const", "pattern", "format"} & schema.keys()


def _place(path: Any) -> str:
    where = ".".join(map(str, path))
    return f"{where}: " if where else ""
