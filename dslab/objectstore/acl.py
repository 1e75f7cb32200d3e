"""Canned ACLs as documents: a list of grants, of which S3's clients read who may do what.

Only what a canned ACL says can be said. Other grants are refused rather than taken and forgotten.

Source: Amazon S3 User Guide, Access control list (ACL) overview.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias
from xml.etree.ElementTree import Element, SubElement, tostring

from dslab.objectstore.access import OWNER, check_acl, check_no_grants
from dslab.objectstore.documents import NAMESPACE, read
from dslab.objectstore.errors import S3Error

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_ALL = "http://acs.amazonaws.com/groups/global/AllUsers"
_AUTHENTICATED = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"

_LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery"
_GROUPS = (_ALL, _AUTHENTICATED, _LOG_DELIVERY)

_EC2 = "6aa5a366c34c1cbe25dc49211496e913e0351eb0e8c37aa3477e40942ec6b97c"
_NAMES = {OWNER: OWNER, _EC2: "za-team"}
"""Accounts that a canned ACL names, and what they are called.

That of Amazon EC2 has no key here, and the group that delivers logs no member: what is granted to them is
told, and opens nothing to anybody.
"""

Grants: TypeAlias = frozenset[tuple[str, str]]
"""To whom, an account or a group, and what."""

_TO_OWNER: Grants = frozenset({(OWNER, "FULL_CONTROL")})
_TO_OTHERS: Mapping[str, Grants] = {
    "private": frozenset(),
    "public-read": frozenset({(_ALL, "READ")}),
    "public-read-write": frozenset({(_ALL, "READ"), (_ALL, "WRITE")}),
    "authenticated-read": frozenset({(_AUTHENTICATED, "READ")}),
    "log-delivery-write": frozenset({(_LOG_DELIVERY, "WRITE"), (_LOG_DELIVERY, "READ_ACP")}),
    "aws-exec-read": frozenset({(_EC2, "READ")}),
}
"""What a canned ACL grants beside everything to the owner. The others name the bucket's: the same."""


def document(acl: str) -> bytes:
    """Write the grants of a canned ACL, the owner's last.

    S3 promises no order. Some clients sort by who is named, and only if the first one is: groups are not.
    """
    root = Element("AccessControlPolicy", {"xmlns": NAMESPACE, "xmlns:xsi": _XSI})
    _name(SubElement(root, "Owner"), OWNER)
    grants = SubElement(root, "AccessControlList")
    for grantee, permission in (*sorted(_TO_OTHERS.get(acl, frozenset())), *_TO_OWNER):
        grant = SubElement(grants, "Grant")
        kind = "CanonicalUser" if grantee in _NAMES else "Group"
        _name(SubElement(grant, "Grantee", {"xsi:type": kind}), grantee)
        SubElement(grant, "Permission").text = permission
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root)


def wanted(headers: Mapping[str, str], body: bytes) -> str:
    """Read which canned ACL a request wants: in a header, or as grants.

    Raises:
        S3Error: MalformedACLError, MalformedXML; InvalidArgument or UnresolvableGrantByEmailAddress, there is
            no such account; NotImplemented, no canned ACL grants that, no more and no less.
    """
    check_no_grants(headers)
    if "x-amz-acl" in headers:
        return check_acl(headers["x-amz-acl"])
    if not body.strip():
        raise S3Error("MissingSecurityHeader", "An ACL is neither in the headers nor in the body.")
    root = read(body, "AccessControlPolicy")
    owner = root.findtext("Owner/ID")
    if owner not in (None, OWNER):
        raise S3Error("AccessDenied")
    grants = {_granted(grant) for grant in root.findall("AccessControlList/Grant")}
    for acl, to_others in _TO_OTHERS.items():
        if grants == to_others | _TO_OWNER:
            return acl
    names = ", ".join(_TO_OTHERS)
    message = f"Only grants of a canned ACL are implemented: FULL_CONTROL to the owner, and those of {names}."
    raise S3Error("NotImplemented", message)


def _granted(grant: Element) -> tuple[str, str]:
    """Read to whom one grant is, and what it grants."""
    permission = grant.findtext("Permission")
    if permission not in ("FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP"):
        raise S3Error("MalformedACLError")
    group = grant.findtext("Grantee/URI")
    if group is not None:
        if group not in _GROUPS:
            message = "Invalid group uri"
            raise S3Error("InvalidArgument", message, ArgumentName="Group/URI", ArgumentValue=group)
        return group, permission
    if grant.find("Grantee/EmailAddress") is not None:
        raise S3Error("UnresolvableGrantByEmailAddress")
    account = grant.findtext("Grantee/ID", "")
    if account not in _NAMES:
        message = "Invalid id: all keys of this store are of one account."
        raise S3Error("InvalidArgument", message, ArgumentName="CanonicalUser/ID", ArgumentValue=account)
    return account, permission


def _name(element: Element, grantee: str) -> None:
    """Say who it is: an account or a group."""
    if grantee in _NAMES:
        SubElement(element, "ID").text = grantee
        SubElement(element, "DisplayName").text = _NAMES[grantee]
    else:
        SubElement(element, "URI").text = grantee
