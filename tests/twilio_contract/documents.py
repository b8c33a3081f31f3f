"""Makes the test's copy of Twilio's document: the trimmed one with the paths that it lacks, mended, and closed to unknown fields.

documents.py SOURCE_FOLDER TARGET_FOLDER
"""
import json
import sys
from pathlib import Path

from openapi import patched, references
from patches import BORROWED, PATCHES, UNAVAILABLE

TRIMMED = "twilio_api_v2010.sms-voice.prism.json"
WHOLE = "twilio_api_v2010.json"
REFUSED = ["400", "401", "404", "429", "500"]


def api(folder):
    document, whole = (json.loads((Path(folder) / name).read_text(encoding="utf-8")) for name in [TRIMMED, WHOLE])
    some = next(iter(document["paths"].values()))["get"]["responses"]
    for path in BORROWED:
        document["paths"][path] = {"get": relative(whole["paths"][path]["get"])}
        document["paths"][path]["get"]["responses"] |= {status: some[status] for status in REFUSED}
        adopt(document["components"]["schemas"], document["paths"][path], whole["components"]["schemas"])
    document["servers"] = [{"url": "/"}]
    for operations in document["paths"].values():
        # Prism would look for the path behind the host that stands here.
        operations.pop("servers", None)
        for operation in operations.values():
            if isinstance(operation, dict) and "500" in operation.get("responses", {}):
                operation["responses"] |= {status: operation["responses"]["500"] for status in UNAVAILABLE}
    return shut(patched("api", document, PATCHES))


def relative(node):
    """As P2 does it: what Twilio calls an address in its answers has no host."""
    return json.loads(json.dumps(node).replace('"format": "uri"', '"format": "uri-reference"'))


def adopt(schemas, node, known):
    """What a borrowed operation refers to comes along."""
    todo = [node]
    while todo:
        for name in references(todo.pop()):
            if name in known and name not in schemas:
                schemas[name] = relative(known[name])
                todo.append(schemas[name])


def shut(document):
    """Nothing takes fields that it does not name, forms too; here `allOf` adds conditions to an object and no fields."""
    todo = [document["components"]["schemas"], document["paths"]]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            if isinstance(node.get("properties"), dict) and node.get("type") == "object":
                node.setdefault("additionalProperties", False)
            todo += [value for key, value in node.items() if key not in ("example", "examples")]
        elif isinstance(node, list):
            todo += node
    return document


def main(source, target):
    (Path(target) / "api.json").write_text(json.dumps(api(source)), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
