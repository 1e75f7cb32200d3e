"""Which codecs there are. A peer chooses one by its name; both write the same messages.

Source: ch. 4, Parameter passing.
"""

from __future__ import annotations

from dslab.kit.errors import UsageError
from dslab.rpc.json_rpc import JsonCodec
from dslab.rpc.messages import Codec, Marshal, Unmarshal, by_value_only, same
from dslab.rpc.msgpack_rpc import MsgpackCodec

CODECS = ("msgpack", "json")


def codec_named(name: str, marshal: Marshal = by_value_only, unmarshal: Unmarshal = same) -> Codec:
    """Give a codec.

    Raises:
        UsageError: There is none of that name.
    """
    match name:
        case "msgpack":
            return MsgpackCodec(marshal, unmarshal)
        case "json":
            return JsonCodec(marshal, unmarshal)
        case _:
            raise UsageError(f"There is no codec {name!r}.", remedy=f"There are {', '.join(CODECS)}.")
