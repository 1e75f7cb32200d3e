"""Subresources: the words in a query that make a request one about something else.

``GET /bucket`` lists the bucket's keys; ``GET /bucket?versioning`` tells a property of the bucket. Here is
every such word that S3 has, those of which this store has nothing among them: to overlook one would do harm,
as ``DELETE /bucket?metrics&id=x`` shall not delete the bucket. A word that S3 does not know is ignored, as
there: clients write ``x-id=GetObject``, and what they like, into the query. (`auth_v2._SIGNED_QUERY` is
another list, and stays as it is: Signature V2 says which words it signs, and knows none that came later.)

Source: Amazon S3 API Reference, the request syntax of all actions.
"""

from __future__ import annotations

BUCKET_SERVED = frozenset({"acl", "delete", "location", "tagging", "uploads", "versioning", "versions"})

BUCKET_ABSENT = {
    "policy": "NoSuchBucketPolicy",
    "cors": "NoSuchCORSConfiguration",
    "lifecycle": "NoSuchLifecycleConfiguration",
    "website": "NoSuchWebsiteConfiguration",
    "replication": "ReplicationConfigurationNotFoundError",
    "encryption": "ServerSideEncryptionConfigurationNotFoundError",
    "object-lock": "ObjectLockConfigurationNotFoundError",
    "ownershipControls": "OwnershipControlsNotFoundError",
    "publicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
    "policyStatus": "NoSuchBucketPolicy",
}
"""What no bucket has: the word, and the error that says so."""

BUCKET_EMPTY = {
    "accelerate": ("AccelerateConfiguration", ()),
    "logging": ("BucketLoggingStatus", ()),
    "notification": ("NotificationConfiguration", ()),
    "requestPayment": ("RequestPaymentConfiguration", (("Payer", "BucketOwner"),)),
}
"""What every bucket has as it was when the bucket was made: the word, and the document that says so."""

BUCKET_REFUSED = frozenset({
    *("abac", "analytics", "intelligent-tiering", "inventory", "metadataAnnotationTable"),
    *("metadataConfiguration", "metadataInventoryTable", "metadataJournalTable", "metadataTable", "metrics"),
    *("session",),
})  # fmt: skip

OBJECT_SERVED = frozenset({"acl", "attributes", "tagging", "uploads"})
OBJECT_REFUSED = frozenset({
    *("annotation", "encryption", "renameObject", "restore", "select", "torrent"),
})  # fmt: skip

OBJECT_LOCKS = frozenset({"legal-hold", "retention"})
"""What can be asked and said of objects in a bucket with object lock, which no bucket here has."""

OF_BUCKETS = BUCKET_SERVED | BUCKET_ABSENT.keys() | BUCKET_EMPTY.keys() | BUCKET_REFUSED
OF_OBJECTS = OBJECT_SERVED | OBJECT_REFUSED | OBJECT_LOCKS
"""An object's parts have none of these words: they are told by ``uploadId``, which has a value."""
