"""Canned ACLs as documents: a list of grants, of which S3's clients read who may do what.

Only what a canned ACL says can be said. Other grants are refused rather than taken and forgotten.

Source: Amazon S3 User Guide, Access control list (ACL) overview.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, tostring

from dslab.objectstore.access import OWNER, check_acl
from dslab.objectstore.documents import NAMESPACE, read
from dslab.objectstore.errors import S3Error

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_ALL = "http://acs.amazonaws.com/groups/global/AllUsers"
_AUTHENTICATED = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"

_GRANTS: Mapping[str, frozenset[tuple[str, str]]] = {
    "private": frozenset(),
    "public-read": frozenset({(_ALL, "READ")}),
    "public-read-write": frozenset({(_ALL, "READ"), (_ALL, "WRITE")}),
    "authenticated-read": frozenset({(_AUTHENTICATED, "READ")}),
}


def document(acl: str) -> bytes:
    """Write the grants of a canned ACL, the owner's last.

    S3 promises no order. Some clients sort by who is named, and only if the first one is: groups are not.
    """
    root = Element("AccessControlPolicy", {"xmlns": NAMESPACE, "xmlns:xsi": _XSI})
    owner = SubElement(root, "Owner")
    _owner(owner)
    grants = SubElement(root, "AccessControlList")
    for group, permission in sorted(_GRANTS.get(acl, frozenset())):
        SubElement(_grant(grants, "Group", permission), "URI").text = group
    _owner(_grant(grants, "CanonicalUser", "FULL_CONTROL"))
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root)


def wanted(headers: Mapping[str, str], body: bytes) -> str:
    """Read which canned ACL a request wants: in a header, or as grants.

    Raises:
        S3Error: MalformedACLError, MalformedXML; InvalidArgument or UnresolvableGrantByEmailAddress, there is
            no such account; NotImplemented, no canned ACL says that.
    """
    if any(name.startswith("x-amz-grant-") for name in headers):
        raise S3Error("NotImplemented", "Grants are not implemented; canned ACLs (x-amz-acl) are.")
    if "x-amz-acl" in headers:
        return check_acl(headers["x-amz-acl"])
    if not body.strip():
        raise S3Error("MissingSecurityHeader", "An ACL is neither in the headers nor in the body.")
    root = read(body, "AccessControlPolicy")
    owner = root.findtext("Owner/ID")
    if owner not in (None, OWNER):
        raise S3Error("AccessDenied")
    grants = set()
    for grant in root.findall("AccessControlList/Grant"):
        group, permission = grant.findtext("Grantee/URI"), grant.findtext("Permission")
        if permission not in ("FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP"):
            raise S3Error("MalformedACLError")
        if group is not None:
            grants.add((group, permission))
        elif grant.find("Grantee/EmailAddress") is not None:
            raise S3Error("UnresolvableGrantByEmailAddress")
        elif (account := grant.findtext("Grantee/ID", "")) != OWNER:
            message = "Invalid id: all keys of this store are of one account."
            raise S3Error("InvalidArgument", message, ArgumentName="CanonicalUser/ID", ArgumentValue=account)
    for acl, canned in _GRANTS.items():
        if grants == canned:
            return acl
    raise S3Error("NotImplemented", "No canned ACL says that.")


def _grant(grants: Element, kind: str, permission: str) -> Element:
    grant = SubElement(grants, "Grant")
    grantee = SubElement(grant, "Grantee", {"xsi:type": kind})
    SubElement(grant, "Permission").text = permission
    return grantee


def _owner(element: Element) -> None:
    SubElement(element, "ID").text = OWNER
    SubElement(element, "DisplayName").text = OWNER
