"""What the documents get wrong or leave out, mended in the test's copies only: the place, what is put there, and why."""
from openapi import REMOVE

# Defects that touch none of the traffic here are left alone: examples that contradict their schemas (only a mock serves them), the
# description of `V5Datafeed.type` (no rule, only words) and the `sids` of a blast (nobody here sends one).

# Each entry: document, path to the place (a step into a list is the `name` of its item), what to put there, reason.
PATCHES = [
    (
        "agent",
        ["paths", "/v5/datafeeds/{datafeedId}", "delete", "responses", "204", "content"],
        REMOVE,
        "A 204 never has a body, and the real agent sends none; the document wants a V2Error there.",
    ),
]

ANY_BOOLEAN = {"type": "string", "enum": ["true", "false", "True", "False"]}
WRITES_TRUE = "It writes booleans in queries as Python does, `True`, and real pods read that."

# Only in the copies through which the BDK for Python 2.11.4 is led: where that client departs from the documents and real pods
# bear with it. It also writes null for every optional field of a body that it does not use; see `nulls_allowed` in documents.py.
PATCHES_FOR_BDK_2 = [
    (
        "pod",
        ["paths", "/v3/users", "get", "parameters", "local"],
        {"name": "local", "in": "query", "required": False, **ANY_BOOLEAN},
        WRITES_TRUE,
    ),
    (
        "pod",
        ["paths", "/v3/users", "get", "parameters", "active"],
        {"name": "active", "in": "query", "required": False, **ANY_BOOLEAN},
        WRITES_TRUE,
    ),
    (
        "pod",
        ["paths", "/v3/room/search", "post", "parameters", "includeNonDiscoverable"],
        {"name": "includeNonDiscoverable", "in": "query", "required": False, **ANY_BOOLEAN},
        WRITES_TRUE,
    ),
    (
        "pod",
        ["paths", "/v1/room/{id}/setActive", "post", "parameters", "active"],
        {"name": "active", "in": "query", "required": True, **ANY_BOOLEAN},
        WRITES_TRUE,
    ),
]
