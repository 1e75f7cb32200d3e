"""Step 2.3. Copies and references: what becomes of a value that crosses the network.

A number, a text, a list ... travels as itself: the other side gets a copy, and what it does with the copy,
nobody here will notice (copy-in/copy-out). An object travels as a reference, ``{"ref": name}``: it stays
where it is, and whoever has the reference can call its methods, ``name.method``.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from client_stub import Client

COPIED = (type(None), bool, int, float, str, list, dict)
"""The types of values that travel as themselves."""


def sent_from_here(objects: dict[str, object], value: Any) -> Any:
    """At the server: what travels of a result. An object gets a name, one for all times, in `objects`."""
    if isinstance(value, COPIED):
        return value
    # BEGIN SOLUTION step-2.3 "the name that it has in objects, or a new one"
    name = next((name for name, known in objects.items() if known is value), None)
    if name is None:
        name = f"object-{len(objects)}"
        objects[name] = value
    return {"ref": name}
    # END SOLUTION


def meant_here(objects: dict[str, object], value: Any) -> Any:
    """At the server: what an argument means. A reference means the object itself.

    Raises:
        LookupError: There is no such object here.
    """
    if not isinstance(value, dict) or list(value) != ["ref"]:
        return value
    # BEGIN SOLUTION step-2.3 "the object of that name"
    return objects[value["ref"]]
    # END SOLUTION


def got_from_server(client: "Client", value: Any) -> Any:
    """At the client: what a result means. A reference means a stub, through which one calls the object."""
    if not isinstance(value, dict) or list(value) != ["ref"]:
        return value
    # BEGIN SOLUTION step-2.3 "the client's stub of that name"
    return client.stub(value["ref"])
    # END SOLUTION


def sent_to_server(value: Any) -> Any:
    """At the client: what travels of an argument. A stub travels as the reference that it was made of."""
    if isinstance(value, COPIED):
        return value
    # BEGIN SOLUTION step-2.3 "the reference"
    return {"ref": value._name}
    # END SOLUTION
