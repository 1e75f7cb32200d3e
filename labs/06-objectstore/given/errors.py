"""Why storage did not do what it was asked to. The names are those of S3, but for the last one."""


class NoSuchBucket(Exception):
    """There is no bucket of that name."""


class NoSuchKey(Exception):
    """There is no object under that key."""


class BucketNotEmpty(Exception):
    """A bucket with objects in it is not removed."""


class Changed(Exception):
    """The object is not, or no longer, the one that was expected. Nothing was done."""
