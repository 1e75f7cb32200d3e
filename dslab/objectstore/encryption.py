"""Server-side encryption: this store has none, and keeps nothing in the clear that was to be encrypted.

S3 encrypts with a key of its own, with one of AWS KMS, or with one that the client sends (SSE-C)::

    x-amz-server-side-encryption                        AES256, aws:kms, aws:kms:dsse
    ...-aws-kms-key-id, -context, -bucket-key-enabled   more about the second
    ...-customer-algorithm, -key, -key-md5              the third

Who writes an object may send any of them; who writes a part, reads, or names the source of a copy
(``x-amz-copy-source-server-side-encryption-customer-...``) sends only the third. What S3 would refuse is
refused as there, so that a client is told its mistake; all else that asks for encryption is not implemented.

Source: Amazon S3 User Guide, Protecting data with server-side encryption; Amazon S3 API Reference, Error
responses. Of S3's words, those that it does not document are as it was seen to answer.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from dslab.objectstore.errors import S3Error

Headers = Mapping[str, str]

METHOD = "x-amz-server-side-encryption"
METHODS = ("AES256", "aws:kms", "aws:kms:dsse")
KEY_BYTES = 32

_ONLY_KMS = (f"{METHOD}-aws-kms-key-id", f"{METHOD}-context")
_BY_SERVER = (METHOD, *_ONLY_KMS, f"{METHOD}-bucket-key-enabled")
_CUSTOMER = tuple(f"{METHOD}-customer-{each}" for each in ("algorithm", "key", "key-md5"))
_OF_SOURCE = tuple(name.replace("x-amz-", "x-amz-copy-source-") for name in _CUSTOMER)
_ALL = frozenset({*_BY_SERVER, *_CUSTOMER})
_ALL_OF_SOURCE = frozenset(_OF_SOURCE)


class CustomerKey(NamedTuple):
    """What a client says of its own key, each as its header has it."""

    algorithm: str | None
    key: str | None
    md5: str | None


def check_write(headers: Headers) -> None:
    """Refuse to write an object that is to be encrypted.

    Raises:
        S3Error: NotImplemented; InvalidArgument, InvalidEncryptionAlgorithmError, S3 would refuse it, too.
    """
    if _ALL.isdisjoint(headers):
        return
    method = headers.get(METHOD)
    by_customer = _has(headers, _CUSTOMER)
    if method is not None and by_customer:
        message = (
            "Server Side Encryption with Customer provided key is incompatible with the encryption method "
            "specified"
        )
        raise _invalid(message, method)
    if method is not None and method not in METHODS:
        raise _invalid("The encryption method specified is not supported", method)
    if method in (None, "AES256") and _has(headers, _ONLY_KMS):
        message = f"Server Side Encryption with AWS KMS managed key requires HTTP header {METHOD} : aws:kms"
        raise _invalid(message, method)
    if by_customer:
        _check_customer(headers, _CUSTOMER)
    raise S3Error("NotImplemented", "Server-side encryption is not implemented.")


def check_part(headers: Headers) -> None:
    """Refuse to write a part that is to be encrypted: its upload is not, or it would not be there.

    Raises:
        S3Error: InvalidRequest; as `_check_other`.
    """
    if not _ALL.isdisjoint(headers):
        _check_other(headers)
        # S3 has these words, too, where the upload has no encryption and the part has.
        message = (
            "The multipart upload initiate requested encryption. Subsequent part requests must include the "
            "appropriate encryption parameters."
        )
        raise S3Error("InvalidRequest", message)


def check_read(headers: Headers) -> None:
    """Refuse to read an object as one that is encrypted.

    Raises:
        S3Error: InvalidRequest; as `_check_other`.
    """
    if not _ALL.isdisjoint(headers):
        _check_other(headers)
        raise _not_applicable()


def check_source(headers: Headers) -> None:
    """Refuse to copy an object as one that is encrypted.

    Raises:
        S3Error: InvalidRequest; as `_check_customer`.
    """
    if not _ALL_OF_SOURCE.isdisjoint(headers):
        _check_customer(headers, _OF_SOURCE)
        raise _not_applicable()


def _check_other(headers: Headers) -> None:
    """Is all well with what is said elsewhere than where an object is written?

    Raises:
        S3Error: InvalidArgument, it is nothing to say there; as `_check_customer`.
    """
    for name in _BY_SERVER:
        if name in headers:
            raise _invalid(f"{name} header is not supported for this operation.", headers[name], name)
    _check_customer(headers, _CUSTOMER)


def _check_customer(headers: Headers, names: tuple[str, ...]) -> None:
    """Is a client's own key one with which S3 would encrypt? Nothing of it is kept, or told.

    Raises:
        S3Error: InvalidArgument, InvalidEncryptionAlgorithmError.
    """
    said = CustomerKey(*map(headers.get, names))
    with_keys = "Requests specifying Server Side Encryption with Customer provided keys must provide"
    if said.algorithm is None:
        raise _invalid(f"{with_keys} a valid encryption algorithm.")
    if said.algorithm != "AES256":
        raise S3Error("InvalidEncryptionAlgorithmError", ArgumentName=METHOD, ArgumentValue=said.algorithm)
    if not said.key:
        raise _invalid(f"{with_keys} an appropriate secret key.")
    key = _bytes_of(said.key)
    if said.md5 is not None and _bytes_of(said.md5) != hashlib.md5(key, usedforsecurity=False).digest():
        raise _invalid("The calculated MD5 hash of the key did not match the hash that was provided.")
    if len(key) != KEY_BYTES:
        raise _invalid("The secret key was invalid for the specified algorithm.")


def _bytes_of(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""  # which is no key, and no MD5 of one


def _has(headers: Headers, names: tuple[str, ...]) -> bool:
    return any(name in headers for name in names)


def _invalid(message: str, value: str | None = None, name: str = METHOD) -> S3Error:
    return S3Error(
        "InvalidArgument", message, ArgumentName=name, ArgumentValue="null" if value is None else value
    )


def _not_applicable() -> S3Error:
    return S3Error("InvalidRequest", "The encryption parameters are not applicable to this object.")
