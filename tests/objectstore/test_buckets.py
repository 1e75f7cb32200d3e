"""Buckets and what can be said about them."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from botocore.exceptions import ClientError

from dslab.objectstore.errors import S3Error
from dslab.objectstore.protocol import check_bucket_name
from tests.objectstore.conftest import Serve

GOOD = ["abc", "a-b", "a.b.c", "1-2-3", "a" * 63, "my.bucket-1", "0.0.0.com"]
BAD = [
    "",
    "ab",
    "a" * 64,
    "Abc",
    "a_b",
    "-abc",
    "abc-",
    ".abc",
    "abc.",
    "a..b",
    "a.-b",
    "a-.b",
    "192.168.5.4",
    "a b",
]
BAD += [
    "xn--abc",
    "sthree-abc",
    "abc-s3alias",
    "abc--ol-s3",
    "abc.mrap",
    "amzn-s3-demo-x",
    "b\u00fccket",
    "a/b",
]


@pytest.mark.parametrize("name", GOOD)
def test_good_names(name: str) -> None:
    check_bucket_name(name)


@pytest.mark.parametrize("name", BAD)
def test_bad_names(name: str) -> None:
    with pytest.raises(S3Error) as error:
        check_bucket_name(name)
    assert (error.value.code, error.value.status) == ("InvalidBucketName", 400)


def refused(call: Any, **options: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as error:
        call(**options)
    return error.value.response["Error"]["Code"], error.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_create_is_idempotent(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.create_bucket(Bucket=bucket)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_only_an_empty_bucket_can_be_removed(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert refused(s3.delete_bucket, Bucket=bucket) == ("BucketNotEmpty", 409)
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)
    assert refused(s3.delete_bucket, Bucket=bucket) == ("NoSuchBucket", 404)
    assert refused(s3.head_bucket, Bucket=bucket) == ("404", 404)
    assert refused(s3.get_object, Bucket=bucket, Key="k") == ("NoSuchBucket", 404)
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"") == ("NoSuchBucket", 404)


def test_a_bucket_made_anew_is_empty(s3: Any, bucket: str) -> None:
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "a", "Value": "1"}]})
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    assert refused(s3.get_bucket_tagging, Bucket=bucket) == ("NoSuchTagSet", 404)


def test_location(s3: Any, bucket: str) -> None:
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    s3.create_bucket(Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    assert s3.get_bucket_location(Bucket="far-away")["LocationConstraint"] == "eu-central-1"
    head = s3.head_bucket(Bucket="far-away")
    assert head["BucketRegion"] == "eu-central-1"
    assert head["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/xml"
    there: dict[str, Any] = {"CreateBucketConfiguration": {"LocationConstraint": "eu-central-1"}}
    for name, options in (("far-away", {}), ("far-away", there), (bucket, there)):
        told = refused(s3.create_bucket, Bucket=name, ACL="public-read", **options)
        assert told == ("BucketAlreadyOwnedByYou", 409)
        assert len(s3.get_bucket_acl(Bucket=name)["Grants"]) == 1


def test_buckets_of_a_region(s3: Any) -> None:
    one, two, three = (f"of-region-{number}" for number in (1, 2, 3))
    for name in (one, two):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "ap-south-1"})
    s3.create_bucket(Bucket=three)

    def listed(**options: Any) -> dict[str, str | None]:
        return {each["Name"]: each.get("BucketRegion") for each in s3.list_buckets(**options)["Buckets"]}

    there = {one: "ap-south-1", two: "ap-south-1"}
    assert listed(Prefix="of-region") == {**there, three: "us-east-1"}
    assert listed(BucketRegion="ap-south-1") == there
    assert listed(BucketRegion="us-east-1", Prefix="of-region") == {three: "us-east-1"}
    assert listed(BucketRegion="eu-west-1") == {}
    assert listed(MaxBuckets=1_000)[three] == "us-east-1"
    assert set(listed().values()) == {None}
    page = s3.list_buckets(BucketRegion="ap-south-1", MaxBuckets=1)
    assert [each["Name"] for each in page["Buckets"]] == [one]
    assert listed(BucketRegion="ap-south-1", ContinuationToken=page["ContinuationToken"]) == {
        two: "ap-south-1"
    }


TOO_FEW_OR_MANY = "Argument max-buckets must be an integer between 1 and 10000."
NO_NUMBER = "Provided max-buckets not an integer or within integer range"


@pytest.mark.parametrize(
    ("most", "message"),
    [
        ("0", TOO_FEW_OR_MANY),
        ("-3", TOO_FEW_OR_MANY),
        ("10001", TOO_FEW_OR_MANY),
        ("9" * 5_000, NO_NUMBER),
        ("many", NO_NUMBER),
        ("1.0", NO_NUMBER),
    ],
)
def test_how_many_buckets_can_be_asked_for(serve: Serve, most: str, message: str) -> None:
    answer = httpx.get(f"{serve(anonymous='read').url}/?max-buckets={most}", trust_env=False)
    told = ElementTree.fromstring(answer.content)
    assert (answer.status_code, told.findtext("Code"), told.findtext("Message")) == (
        400,
        "InvalidArgument",
        message,
    )
    assert (told.findtext("ArgumentName"), told.findtext("ArgumentValue")) == ("max-buckets", most)


def test_nothing_in_a_query_is_refused_in_other_words_than_s3_s(serve: Serve) -> None:
    url = serve(anonymous="write").url
    assert httpx.put(f"{url}/bucket", trust_env=False).status_code == 200
    asked = 0
    for path, methods in httpx.get(f"{url}/-/openapi.json", trust_env=False).json()["paths"].items():
        for method, operation in methods.items():
            for one in operation.get("parameters", []):
                if one["in"] == "query" and method == "get":
                    where = path.replace("{bucket}", "bucket").replace("{key}", "key")
                    query = f"{'&' if '?' in where else '?'}{one['name']}=%C3%A9"
                    answer = httpx.get(f"{url}{where}{query}", trust_env=False)
                    assert answer.status_code != 422, (answer.url, answer.text)
                    asked += 1
    assert asked > 20


def test_what_keeps_a_bucket_from_being_removed(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    with pytest.raises(ClientError, match=r"not empty\.$"):
        s3.delete_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.delete_object(Bucket=bucket, Key="k")
    with pytest.raises(ClientError, match=r"not empty\. You must delete all versions in the bucket\.$"):
        s3.delete_bucket(Bucket=bucket)


def test_names_of_regions(s3: Any) -> None:
    def create(name: str, region: str) -> None:
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})

    for number, region in enumerate(("us-gov-east-1", "eusc-de-east-1", "EU")):
        create(f"region-{number}", region)
        assert s3.get_bucket_location(Bucket=f"region-{number}")["LocationConstraint"] == region
    create("region-default", "us-east-1")
    create("region-default", "us-east-1")
    assert s3.get_bucket_location(Bucket="region-default")["LocationConstraint"] is None
    for region in ("nowhere", "eu", "eu-west", "EU-WEST-1", "eu-west-1/"):
        assert refused(create, name="region-none", region=region) == ("InvalidLocationConstraint", 400)


def test_tags(s3: Any, bucket: str) -> None:
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    with pytest.raises(ClientError) as error:
        many = [{"Key": f"k{number}", "Value": ""} for number in range(51)]
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": many})
    told = error.value.response["Error"]
    assert (told["Code"], told["Message"]) == ("InvalidTag", "Bucket tag count cannot be greater than 50")
    s3.delete_bucket_tagging(Bucket=bucket)
    assert refused(s3.get_bucket_tagging, Bucket=bucket) == ("NoSuchTagSet", 404)


def test_a_bucket_may_have_tags_from_the_beginning(s3: Any) -> None:
    def create(name: str, tags: list[tuple[str, str]], **options: Any) -> None:
        told = {"Tags": [{"Key": key, "Value": value} for key, value in tags], **options}
        s3.create_bucket(Bucket=name, CreateBucketConfiguration=told)

    longest = [(f"{number:02}" + "\u65e5" * 126, "\u65e5" * 256) for number in range(50)]
    create("tagged", longest)
    told = s3.get_bucket_tagging(Bucket="tagged")["TagSet"]
    assert [(one["Key"], one["Value"]) for one in told] == longest
    create("tagged", [("a", "1")])  # it is there, and stays as it is
    assert s3.get_bucket_tagging(Bucket="tagged")["TagSet"] == told
    create("tagged-far-away", [("a", "1")], LocationConstraint="eu-central-1")
    assert s3.get_bucket_tagging(Bucket="tagged-far-away")["TagSet"] == [{"Key": "a", "Value": "1"}]
    create("tagged-with-none", [])
    assert refused(s3.get_bucket_tagging, Bucket="tagged-with-none") == ("NoSuchTagSet", 404)
    for tags in ([("a!", "1")], [("a", "1"), ("a", "2")], [*longest, ("a", "1")]):
        assert refused(create, name="tagged-badly", tags=tags) == ("InvalidTag", 400)
    assert refused(s3.head_bucket, Bucket="tagged-badly") == ("404", 404)


def test_acl(s3: Any, bucket: str) -> None:
    for acl, permissions in (
        ("public-read", ["READ"]),
        ("public-read-write", ["READ", "WRITE"]),
        ("private", []),
    ):
        s3.put_bucket_acl(Bucket=bucket, ACL=acl)
        told = s3.get_bucket_acl(Bucket=bucket)
        assert [one["Permission"] for one in told["Grants"]] == [*permissions, "FULL_CONTROL"]
        policy = {"Owner": told["Owner"], "Grants": told["Grants"]}
        s3.put_bucket_acl(Bucket=bucket, AccessControlPolicy=policy)
        assert s3.get_bucket_acl(Bucket=bucket)["Grants"] == told["Grants"]
    assert refused(s3.put_bucket_acl, Bucket=bucket, ACL="everything") == ("InvalidArgument", 400)
    assert refused(s3.put_bucket_acl, Bucket=bucket, GrantRead="id=x") == ("NotImplemented", 501)


NOBODY_HERE = {
    "log-delivery-write": [
        ({"Type": "Group", "URI": "http://acs.amazonaws.com/groups/s3/LogDelivery"}, "READ_ACP"),
        ({"Type": "Group", "URI": "http://acs.amazonaws.com/groups/s3/LogDelivery"}, "WRITE"),
    ],
    "aws-exec-read": [
        (
            {
                "Type": "CanonicalUser",
                "ID": "6aa5a366c34c1cbe25dc49211496e913e0351eb0e8c37aa3477e40942ec6b97c",
                "DisplayName": "za-team",
            },
            "READ",
        )
    ],
    "bucket-owner-read": [],
}


@pytest.mark.parametrize("acl", NOBODY_HERE)
def test_what_is_granted_to_nobody_here_is_told(s3: Any, bucket: str, http: httpx.Client, acl: str) -> None:
    s3.create_bucket(Bucket=bucket, ACL=acl)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL=acl)
    for put, get, where in (
        (s3.put_bucket_acl, s3.get_bucket_acl, {}),
        (s3.put_object_acl, s3.get_object_acl, {"Key": "k"}),
    ):
        for _ in range(2):
            told = get(Bucket=bucket, **where)
            grants = [(one["Grantee"], one["Permission"]) for one in told["Grants"]]
            mine = ({"Type": "CanonicalUser", **told["Owner"]}, "FULL_CONTROL")
            assert grants == [*NOBODY_HERE[acl], mine]
            policy = {"Owner": told["Owner"], "Grants": told["Grants"]}
            put(Bucket=bucket, **where, AccessControlPolicy=policy)
    assert [http.get(f"/{bucket}{path}").status_code for path in ("", "/k")] == [403, 403]
    assert http.put(f"/{bucket}/k", content=b"y").status_code == 403


ME = {"Type": "CanonicalUser", "ID": "dslab"}
ALL = {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/global/AllUsers"}


@pytest.mark.parametrize(
    "grants",
    [
        [],
        *([(ME, permission)] for permission in ("WRITE", "WRITE_ACP", "READ", "READ_ACP")),
        [(ALL, "READ")],
        [(ME, "READ"), (ALL, "READ")],
        [(ME, "FULL_CONTROL"), (ALL, "WRITE")],
        [(ME, "FULL_CONTROL"), (ME, "READ")],
    ],
    ids=lambda grants: " ".join(f"{who['Type']}:{what}" for who, what in grants) or "none",
)
def test_grants_that_no_canned_acl_gives_change_nothing(s3: Any, bucket: str, grants: list[Any]) -> None:
    s3.put_bucket_acl(Bucket=bucket, ACL="authenticated-read")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="authenticated-read")
    told = s3.get_bucket_acl(Bucket=bucket)
    listed = [{"Grantee": grantee, "Permission": permission} for grantee, permission in grants]
    policy = {"Owner": told["Owner"], "Grants": listed}
    for put, get, where in (
        (s3.put_bucket_acl, s3.get_bucket_acl, {}),
        (s3.put_object_acl, s3.get_object_acl, {"Key": "k"}),
    ):
        with pytest.raises(ClientError, match="FULL_CONTROL to the owner, and those of private, public-read"):
            put(Bucket=bucket, **where, AccessControlPolicy=policy)
        assert get(Bucket=bucket, **where)["Grants"] == told["Grants"]


def test_grants_in_headers_are_refused(s3: Any) -> None:
    for name in ("GrantRead", "GrantFullControl"):
        options = {"Bucket": "granted", name: "id=dslab"}
        assert refused(s3.create_bucket, **options) == ("NotImplemented", 501)
    assert refused(s3.head_bucket, Bucket="granted") == ("404", 404)


STRANGERS = [
    ({"Type": "CanonicalUser", "ID": "nobody"}, "InvalidArgument"),
    ({"Type": "Group", "URI": "dslab"}, "InvalidArgument"),
    ({"Type": "AmazonCustomerByEmail", "EmailAddress": "a@b.example"}, "UnresolvableGrantByEmailAddress"),
]


@pytest.mark.parametrize(("grantee", "code"), STRANGERS)
def test_nothing_can_be_granted_to_strangers(
    s3: Any, bucket: str, grantee: dict[str, str], code: str
) -> None:
    told = s3.get_bucket_acl(Bucket=bucket)
    grants = [*told["Grants"], {"Grantee": grantee, "Permission": "READ"}]
    policy = {"Owner": told["Owner"], "Grants": grants}
    assert refused(s3.put_bucket_acl, Bucket=bucket, AccessControlPolicy=policy) == (code, 400)


ABSENT = {
    "get_bucket_policy": "NoSuchBucketPolicy",
    "get_bucket_cors": "NoSuchCORSConfiguration",
    "get_bucket_lifecycle_configuration": "NoSuchLifecycleConfiguration",
    "get_bucket_website": "NoSuchWebsiteConfiguration",
    "get_bucket_replication": "ReplicationConfigurationNotFoundError",
    "get_bucket_encryption": "ServerSideEncryptionConfigurationNotFoundError",
    "get_object_lock_configuration": "ObjectLockConfigurationNotFoundError",
    "get_public_access_block": "NoSuchPublicAccessBlockConfiguration",
}


@pytest.mark.parametrize("name", ABSENT)
def test_what_is_not_there(s3: Any, bucket: str, name: str) -> None:
    assert refused(getattr(s3, name), Bucket=bucket) == (ABSENT[name], 404)


def test_what_is_empty_or_not_implemented(s3: Any, bucket: str) -> None:
    s3.get_bucket_notification_configuration(Bucket=bucket)
    s3.get_bucket_logging(Bucket=bucket)
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    assert refused(s3.put_bucket_policy, Bucket=bucket, Policy="{}") == ("NotImplemented", 501)
    s3.delete_bucket_policy(Bucket=bucket)


def test_methods_that_are_not(http: httpx.Client, bucket: str) -> None:
    assert [http.request(method, f"/{bucket}/k").status_code for method in ("PATCH", "POST")] == [405, 405]


def test_no_page_from_elsewhere_may_use_a_bucket(http: httpx.Client, bucket: str) -> None:
    asks = {"Origin": "http://elsewhere", "Access-Control-Request-Method": "GET"}
    for path in (f"/{bucket}", f"/{bucket}/k"):
        answer = http.options(path, headers=asks)
        assert (answer.status_code, "AccessForbidden" in answer.text) == (403, True)
        assert http.options(path).status_code == 400
        assert http.options(path, headers={"Authorization": "nonsense"}).status_code == 400


def test_the_interface_describes_itself(http: httpx.Client) -> None:
    assert http.get("/-/docs").status_code == 200
    paths = http.get("/-/openapi.json").json()["paths"]
    assert {
        "/",
        "/{bucket}",
        "/{bucket}/{key}",
        "/{bucket}?versioning",
        "/{bucket}/{key}?uploads",
    } <= paths.keys()
