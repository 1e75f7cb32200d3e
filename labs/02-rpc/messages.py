"""What travels: the messages of MessagePack-RPC, each a list. Nothing to be filled in.

::

    request       [REQUEST, id, method, params]                                          step 2.2
                  [REQUEST, id, method, params, [session, number, acknowledged]]         step 2.4
    response      [RESPONSE, id, error, result]           error is nil, or result is
    notification  [NOTIFICATION, method, params]                                         step 2.6

The method is ``object.method``, the params are a list, the id is any number below 2 to the power of 32. An
error is a list, ``[code, message, data]``.
"""

REQUEST, RESPONSE, NOTIFICATION = 0, 1, 2
