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
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dslab.objectstore.errors import S3Error
from dslab.objectstore.messages import MAX_PUT_BYTES

_LENGTH = re.compile(r"\d{1,20}", re.ASCII)
_EXEMPT = {"file", "policy", "signature", "awsaccesskeyid", "x-amz-signature"}


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy, read.

    Attributes:
        exact: Field: what it must be.
        starts: Field: what it must begin with.
    """

    expires_s: float
    exact: tuple[tuple[str, str], ...]
    starts: tuple[tuple[str, str], ...]
    min_bytes: int = 0
    max_bytes: int = MAX_PUT_BYTES

    @classmethod
    def parse(cls, encoded: str) -> Policy:
        """Read one, from base64.

        Raises:
            S3Error: InvalidPolicyDocument.
        """
        try:
            document = json.loads(base64.b64decode(encoded, validate=True))
            expires_s = _seconds(document["expiration"])
            conditions = document["conditions"]
        except (binascii.Error, ValueError, KeyError, TypeError, RecursionError) as error:
            raise S3Error("InvalidPolicyDocument", "Invalid Policy: it is no JSON of that form.") from error
        if not isinstance(conditions, list):
            raise S3Error(
                "InvalidPolicyDocument", "Invalid Policy: Invalid 'conditions' value: must be a List."
            )
        exact: list[tuple[str, str]] = []
        starts: list[tuple[str, str]] = []
        length = (0, MAX_PUT_BYTES)
        for condition in conditions:
            match condition:
                case dict():
                    exact.append(_simple(condition))
                case [str(operator), str(name), str(value)] if name.startswith("$"):
                    _operation(operator, exact, starts).append((name[1:].lower(), value))
                case [str(operator), least, most] if operator.lower() == "content-length-range":
                    length = (_length(least), _length(most))
                case _:
                    raise S3Error("InvalidPolicyDocument", "Invalid Policy: Invalid condition.")
        return cls(expires_s, tuple(exact), tuple(starts), *length)

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
        for name, value in self.exact:
            if fields.get(name, "") != value:
                raise _denied(f'Policy Condition failed: ["eq", "${name}", "{value}"]')
        for name, value in self.starts:
            if not fields.get(name, "").startswith(value):
                raise _denied(f'Policy Condition failed: ["starts-with", "${name}", "{value}"]')
        named = {name for name, _ in (*self.exact, *self.starts)} | _EXEMPT
        extra = [name for name in fields if name not in named and not name.startswith("x-ignore-")]
        if extra:
            raise _denied(f"Extra input fields: {', '.join(extra)}")


def _simple(condition: Mapping[str, Any]) -> tuple[str, str]:
    """Read ``{"bucket": "photos"}``: two fields are two conditions."""
    kind = "Invalid Policy: Invalid Simple-Condition:"
    if len(condition) != 1:
        message = f"{kind} Simple-Conditions must have exactly one property specified."
        raise S3Error("InvalidPolicyDocument", message)
    ((name, value),) = condition.items()
    if not isinstance(value, str):
        raise S3Error("InvalidPolicyDocument", f"{kind} value must be a string.")
    return name.lower(), value


def _operation(operator: str, exact: list[Any], starts: list[Any]) -> list[tuple[str, str]]:
    match operator.lower():
        case "eq":
            return exact
        case "starts-with":
            return starts
        case _:
            raise S3Error("InvalidPolicyDocument", "Invalid Policy: Invalid condition.")


def _length(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str) or not _LENGTH.fullmatch(str(value)):
        raise S3Error("InvalidPolicyDocument", "Invalid Policy: Invalid content-length-range.")
    return int(value)


def _seconds(text: Any) -> float:
    """Read a time of day, which must say that it is UTC."""
    if not isinstance(text, str) or not text.endswith("Z"):
        raise ValueError(text)
    return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC).timestamp()


def _denied(reason: str) -> S3Error:
    return S3Error("AccessDenied", f"Invalid according to Policy: {reason}")
