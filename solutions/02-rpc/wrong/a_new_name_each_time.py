# caught by: test_two_clients_share_a_list
# replaces: references.py
# Every result that is an object gets a new name. The table grows, and two names for one page look like two pages.
from typing import TYPE_CHECKING, Any
if TYPE_CHECKING:
    from client_stub import Client
COPIED = (type(None), bool, int, float, str, list, dict)

def sent_from_here(objects, value):
    if isinstance(value, COPIED):
        return value
    name = f'object-{len(objects)}'
    objects[name] = value
    return {'ref': name}

def meant_here(objects, value):
    if not isinstance(value, dict) or list(value) != ['ref']:
        return value
    return objects[value['ref']]

def got_from_server(client, value):
    if not isinstance(value, dict) or list(value) != ['ref']:
        return value
    return client.stub(value['ref'])

def sent_to_server(value):
    if isinstance(value, COPIED):
        return value
    return {'ref': value._name}
