"""Makes the test's copies of WhatsApp's documents: Meta's own, untouched, and the bot's profile of it, completed and closed.

documents.py SOURCE_FOLDER TARGET_FOLDER
"""
import copy
import json
import sys
from pathlib import Path

from openapi import closed, patched, read, references
from patches import BORROWED, GROUP, NULLS_OF_PYWA, OBJECT, OBJECTS, PATCHES, REFUSAL, REFUSED, UNNAMED

OFFICIAL = "business-messaging-api_v23.0.yaml"
PROFILE = "bot-profile.openapi.json"
CALLS = ("get", "post", "delete", "put")


def official(folder):
    """As it is, but JSON, which Prism reads faster."""
    return read(folder, OFFICIAL)


def profile(folder):
    document = json.loads((Path(folder) / PROFILE).read_text(encoding="utf-8"))
    whole = official(folder)
    for path, place in BORROWED:
        document["paths"][place] = {"get": addressed(whole["paths"][path]["get"], path, place)}
        adopt(document, document["paths"][place], whole)
    objects(document, whole)
    document["components"]["schemas"]["Refusal"] = REFUSAL
    for operations in document["paths"].values():
        for call in CALLS & operations.keys():
            refusable(operations[call])
    for name in NULLS_OF_PYWA:
        nullable(document["components"]["schemas"][name])
    return closed(patched("profile", document, [*PATCHES, *unnamed()]))


def unnamed():
    """Patches for the fields that the document does not name; they must be known before its objects are closed to all others."""
    for place, fields, why in UNNAMED:
        for name, schema in fields.items():
            yield "profile", [*place, "properties", name], schema, why


def objects(document, whole):
    """What stands at an address that names nothing but an object: the answer tells which of them it is."""
    changed = addressed(document["paths"].pop(GROUP)["post"], GROUP, OBJECT)
    get, delete = (copy.deepcopy(whole["paths"]["/{Version}/{Media-ID}"][call]) for call in ["get", "delete"])
    kinds = []
    for path, required in OBJECTS:
        answer = whole["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        kinds.append({**copy.deepcopy(answer), "required": required})
    get["responses"]["200"]["content"]["application/json"] = {"schema": {"anyOf": kinds}}
    document["paths"][OBJECT] = {"get": get, "delete": delete, "post": changed}
    adopt(document, document["paths"][OBJECT], whole)


def addressed(operation, path, place):
    """The operation at an address that names the object itself; the parameter for it is gone."""
    operation = copy.deepcopy(operation)
    gone = [part[1:-1] for part in path.split("/") if part.startswith("{") and part not in place]
    operation["parameters"] = [one for one in operation.get("parameters", []) if one.get("name") not in gone]
    return operation


def adopt(document, node, whole):
    """What the borrowed operation refers to comes along, unless the profile has it already."""
    schemas, todo = document["components"]["schemas"], [node]
    known = {"responses", "parameters", "headers"}
    for kind in known:
        document["components"].setdefault(kind, {})
        for name, value in whole["components"].get(kind, {}).items():
            document["components"][kind].setdefault(name, value)
    while todo:
        for name in references(todo.pop()):
            found = whole["components"]["schemas"].get(name)
            if found is not None and name not in schemas:
                schemas[name] = found
                todo.append(found)


def refusable(operation):
    """Any call may be refused, and with the same shape; the document says so of some only."""
    for status in [code for code in operation["responses"] if str(code)[0] in "45"]:
        del operation["responses"][status]
    for status in REFUSED:
        content = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
        operation["responses"][status] = {"description": "Refused", "content": content}


def nullable(schema):
    required = schema.get("required", [])
    for field, value in schema["properties"].items():
        if field not in required:
            schema["properties"][field] = {"anyOf": [value, {"type": "null"}]}


def main(source, target):
    for name, make in [("official", official), ("profile", profile)]:
        (Path(target) / f"{name}.json").write_text(json.dumps(make(source)), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
