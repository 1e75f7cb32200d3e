"""POST policies: what a web page that was given one may upload.

A server signs a policy and puts it into a form; a browser sends the form, with a file, to the store. The
policy says until when, and what the fields may be::

    {"expiration": "2030-01-01T12:00:00.000Z",
     "conditions": [{"bucket": "photos"}, ["starts-with", "$key", "user/"],
                    ["content-length-range", 1, 1000000]]}

Nothing here reads a clock or a network.

Source: Amazon S3 API Reference, POST Policy.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dslab.objectstore.errors import S3Error
from dslab.objectstore.messages import MAX_PUT_BYTES

_LENGTH = re.compile(r"\d{1,20}", re.ASCII)
_EXEMPT = {"file", "policy", "signature", "awsaccesskeyid", "x-amz-signature"}


@dataclass(frozen=True, slots=True)
class Condition:
    """What one field must be, or begin with.

    Attributes:
        operator: ``eq`` or ``starts-with``.
        operand: ``$`` and the field's name. Without the ``$`` it names none, and such a condition fails.
    """

    operator: str
    operand: str
    value: str

    @property
    def field(self) -> str:
        """The field's name, in lower case; empty if it names none."""
        return self.operand[1:].lower() if self.operand.startswith("$") else ""

    def holds(self, fields: Mapping[str, str]) -> bool:
        """Are the fields of a form as it says?"""
        value = fields.get(self.field, "")
        if not self.field:
            return False
        if self.operator == "eq":
            return value == self.value
        # Of types of content a list may be given, and each of them must begin so.
        values = [one.lstrip() for one in value.split(",")] if self.field == "content-type" else [value]
        return all(one.startswith(self.value) for one in values)

    def __str__(self) -> str:
        return json.dumps([self.operator, self.operand, self.value], ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy, read."""

    expires_s: float
    conditions: tuple[Condition, ...]
    min_bytes: int = 0
    max_bytes: int = MAX_PUT_BYTES

    @classmethod
    def parse(cls, encoded: str) -> Policy:
        """Read one, from base64.

        Raises:
            S3Error: InvalidPolicyDocument.
        """
        document = _document(encoded)
        expires_s = _seconds(document["expiration"])
        if not isinstance(document["conditions"], list):
            raise _invalid("Invalid 'conditions' value: must be a List.")
        conditions: list[Condition] = []
        length = (0, MAX_PUT_BYTES)
        for condition in document["conditions"]:
            match condition:
                case dict():
                    conditions.append(_simple(condition))
                case [str(operator), *operands] if operator.lower() == "content-length-range":
                    length = _lengths(operands)
                case list():
                    conditions.append(_comparison(condition))
                case _:
                    raise _invalid("Invalid condition test: must be a List or Object.")
        return cls(expires_s, tuple(conditions), *length)

    def check(self, fields: Mapping[str, str], now_s: float) -> None:
        """May a form with these fields be taken? Each of them must be mentioned, and so must the bucket.

        Args:
            fields: Names in lower case; ``bucket`` among them.
            now_s: The time.

        Raises:
            S3Error: AccessDenied.
        """
        if now_s > self.expires_s:
            raise _denied("Policy expired.")
        for condition in self.conditions:
            if not condition.holds(fields):
                raise _denied(f"Policy Condition failed: {condition}")
        named = {condition.field for condition in self.conditions} | _EXEMPT
        extra = [name for name in fields if name not in named and not name.startswith("x-ignore-")]
        if extra:
            raise _denied(f"Extra input fields: {', '.join(extra)}")


def _document(encoded: str) -> dict[str, Any]:
    """Read a policy's two members, and see that it has no others."""
    if not encoded:
        raise _invalid("Expecting '{' but found End-of-Input")
    try:
        text = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid("invalid Base64 encoding.") from error
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _invalid("Invalid JSON.") from error
    if not isinstance(document, dict):
        raise _invalid("Invalid JSON.")
    for name in document:
        if name not in ("expiration", "conditions"):
            raise _invalid(f'Unexpected: "{name}"')
    for name in ("expiration", "conditions"):
        if name not in document:
            raise _invalid(f"Policy missing {name}.")
    return document


def _simple(condition: Mapping[str, Any]) -> Condition:
    """Read ``{"bucket": "photos"}``: two fields are two conditions."""
    kind = "Invalid Simple-Condition:"
    if len(condition) != 1:
        raise _invalid(f"{kind} Simple-Conditions must have exactly one property specified.")
    ((name, value),) = condition.items()
    if not isinstance(value, str):
        raise _invalid(f"{kind} value must be a string.")
    return Condition("eq", f"${name}", value)


def _comparison(condition: Sequence[Any]) -> Condition:
    """Read ``["starts-with", "$key", "user/"]``."""
    if not condition:
        raise _invalid("Invalid Condition: missing operation identifier.")
    if not all(isinstance(one, str) for one in condition):
        raise _invalid("Invalid JSON.")
    operator = condition[0].lower()
    if operator not in ("eq", "starts-with"):
        raise _invalid(f"Invalid Condition: unknown operation '{condition[0]}'.")
    if len(condition) != 3:
        raise _invalid(f"Invalid {operator}: wrong number of arguments.")
    return Condition(operator, condition[1], condition[2])


def _lengths(operands: Sequence[Any]) -> tuple[int, int]:
    """Read what follows ``"content-length-range"``: numbers, or texts of digits."""
    if len(operands) != 2:
        raise _invalid("Invalid content-length-range: wrong number of arguments.")
    if any(isinstance(one, bool) or not _LENGTH.fullmatch(str(one)) for one in operands):
        raise _invalid("Invalid JSON.")
    return int(operands[0]), int(operands[1])


def _seconds(text: Any) -> float:
    """Read a time of day, which must say that it is UTC."""
    if not isinstance(text, str):
        raise _invalid("Invalid JSON.")
    refusal = _invalid(f"Invalid 'expiration' value: '{text}'")
    if not text.endswith("Z"):
        raise refusal
    try:
        time = datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError as error:
        raise refusal from error
    if time.tzinfo is not None:
        raise refusal
    return time.replace(tzinfo=UTC).timestamp()


def _invalid(reason: str) -> S3Error:
    return S3Error("InvalidPolicyDocument", f"Invalid Policy: {reason}")


def _denied(reason: str) -> S3Error:
    return S3Error("AccessDenied", f"Invalid according to Policy: {reason}")
