# caught by: test_put_get_head_delete, test_done_twice, test_what_goes_wrong, test_boto3, test_killed_under_load
# replaces: object_server.py
# 200 is what a check wants to see, so 200 is what it gets, whatever was asked.
import hashlib
import sys

from given.messages import Response
from given.server import serve


def answer(request):
    data = b"".join(request.body)
    return Response(
        200, {"ETag": f'"{hashlib.md5(data).hexdigest()}"', "Allow": "GET, HEAD, PUT, DELETE"}, data
    )


serve(sys.argv[1], answer)
