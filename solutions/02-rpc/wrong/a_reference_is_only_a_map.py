# caught by: test_references_come_home
# replaces: references.py
# What arrives is passed on as it came. The procedure wanted a page and gets a map with a name in it.
from typing import TYPE_CHECKING, Any
if TYPE_CHECKING:
    from client_stub import Client
COPIED = (type(None), bool, int, float, str, list, dict)

def sent_from_here(objects, value):
    if isinstance(value, COPIED):
        return value
    name = next((name for name, known in objects.items() if known is value), None)
    if name is None:
        name = f'object-{len(objects)}'
        objects[name] = value
    return {'ref': name}

def meant_here(objects, value):
    if not isinstance(value, dict) or list(value) != ['ref']:
        return value
    return value

def got_from_server(client, value):
    if not isinstance(value, dict) or list(value) != ['ref']:
        return value
    return client.stub(value['ref'])

def sent_to_server(value):
    if isinstance(value, COPIED):
        return value
    return {'ref': value._name}
