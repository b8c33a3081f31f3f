"""What the documents say by example, for the readers' own test.

PYTHONPATH=../contracts examples.py SOURCE_FOLDER > ../symphony_documents/documents.json

The documents hold examples of the pod's answers. Of events they hold only the schemas, so one event of each type is made of
those, with every field that they name, each with a value of its own.
"""
import json
import re
import sys
import zlib

import openapi

SOURCE = "https://github.com/finos/symphony-api-spec at cae97040ff4a53bc991f90c6bbcf9a356fd85739, Apache-2.0"
# Answers that the bot reads, with the names under which the readers' test knows them.
ANSWERS = [
    ("session", "/v2/sessioninfo", "get"),
    ("users", "/v3/users", "get"),
    ("im", "/v1/im/create", "post"),
    ("room", "/v3/room/create", "post"),
    ("room", "/v3/room/{id}/info", "get"),
    ("rooms", "/v3/room/search", "post"),
    ("members", "/v2/room/{id}/membership/list", "get"),
    ("connections", "/v1/connection/list", "get"),
    ("connection", "/v1/connection/accept", "post"),
    ("streams", "/v1/streams/list", "post"),
]
# What a schema only describes in words.
GIVEN = {
    ("string", "streamType"): "ROOM",
    ("string", "message"): '<div data-format="PresentationML" data-version="2.0">words of <b>{place}</b></div>',
    ("string", "data"): "{}",
    ("object", "formValues"): {"action": "send", "amount": "3", "sure": ["a", "b"], "whom": [123]},
    ("object", "parameters"): {"any": {"thing": 1}},
}


def made(schema, schemas, place, above=()):
    """A value with every field of the schema; one that holds itself is left out at the second time."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return None if name in above else made(schemas[name], schemas, place, (*above, name))
    kind = schema.get("type", "object")
    given = GIVEN.get((kind, place[-1]))
    if given is not None:
        return given.replace("{place}", ".".join(place)) if kind == "string" else given
    if schema.get("enum"):
        return schema["enum"][0]
    if kind == "array":
        item = made(schema["items"], schemas, place, above)
        return [] if item is None else [item]
    if kind == "object":
        fields = {key: made(value, schemas, (*place, key), above) for key, value in schema.get("properties", {}).items()}
        return {key: value for key, value in fields.items() if value is not None}
    # Below 2^31, since some are int32.
    number = zlib.crc32(".".join(place).encode()) >> 1
    return {"integer": number, "number": number / 2, "boolean": True}.get(kind, ".".join(place))


def events(agent):
    schemas = agent["components"]["schemas"]
    listed = re.findall(r"- ([A-Z]+)", schemas["V4Event"]["properties"]["type"]["description"])
    payloads = schemas["V4Payload"]["properties"]
    if sorted(listed) != sorted(key.upper() for key in payloads):
        raise SystemExit("the listed types and the payloads differ")
    for key, schema in payloads.items():
        kind = key.upper()
        event = made({"$ref": "#/V4Event"}, {**schemas, "V4Payload": {"type": "string"}}, (kind,))
        event.pop("diagnostic")
        yield {**event, "type": kind, "payload": {key: made(schema, schemas, (kind, key))}}


def example(schema, schemas, above=()):
    """The document's example of a schema, put together from those of its fields where it has none of its own."""
    if "example" in schema:
        return schema["example"]
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return None if name in above else example(schemas[name], schemas, (*above, name))
    if "allOf" in schema:
        parts = [example(part, schemas, above) for part in schema["allOf"]]
        return {key: value for part in parts if isinstance(part, dict) for key, value in part.items()} or None
    if schema.get("type") == "array":
        item = example(schema["items"], schemas, above)
        return None if item is None else [item]
    fields = {key: example(value, schemas, above) for key, value in schema.get("properties", {}).items()}
    return {key: value for key, value in fields.items() if value is not None} or None


def answers(pod):
    for name, path, method in ANSWERS:
        answer = pod["paths"][path][method]["responses"]["200"]
        written = answer.get("examples", {}).get("application/json")
        found = written if written is not None else example(answer["schema"], pod["definitions"])
        if found is None:
            raise SystemExit(f"no example of {method} {path}")
        yield {"read_as": name, "call": f"{method.upper()} {path}", "body": found}


def excerpt(folder):
    agent, pod = openapi.read(folder, "agent-api-public.yaml"), openapi.read(folder, "pod-api-public.yaml")
    whole = {"source": SOURCE, "events": list(events(agent)), "answers": list(answers(pod))}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(excerpt(sys.argv[1]))
