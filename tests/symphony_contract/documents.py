"""Makes the test's copies of Symphony's documents: mounted where the real paths are, mended where they are known to be wrong.

documents.py SOURCE_FOLDER TARGET_FOLDER
"""
import json
import sys
from pathlib import Path

from openapi import closed, patched, read, references
from patches import PATCHES, PATCHES_FOR_BDK_2


def mounted(paths, mount):
    return {mount + path: operations for path, operations in paths.items()}


def renamed(node, old, new):
    """The same document with another name for one of its schemas."""
    text = json.dumps(node).replace(json.dumps(f"#/definitions/{old}"), json.dumps(f"#/definitions/{new}"))
    document = json.loads(text)
    document["definitions"][new] = document["definitions"].pop(old)
    return document


def schemas_of_requests(document):
    """Names of the schemas that a request's body is made of."""
    schemas = document.get("definitions") or document["components"]["schemas"]
    names, todo = set(), []
    for operations in document["paths"].values():
        for operation in operations.values():
            if isinstance(operation, dict):
                todo.append(operation.get("requestBody"))
                todo += [parameter for parameter in operation.get("parameters", []) if parameter.get("in") == "body"]
    while todo:
        for name in references(todo.pop()):
            if name not in names:
                names.add(name)
                todo.append(schemas[name])
    return names, schemas


def nulls_allowed(document):
    """Null for an optional field of a request, which is how one client says that it is not there."""
    names, schemas = schemas_of_requests(document)
    word = "x-nullable" if "swagger" in document else "nullable"
    for name in names:
        for schema in [schemas[name], *schemas[name].get("allOf", [])]:
            for field, value in schema.get("properties", {}).items():
                if field not in schema.get("required", []):
                    target = schemas[value["$ref"].rsplit("/", 1)[1]] if "$ref" in value else value
                    schema["properties"][field] = {**target, word: True}
    return document


def agent(folder, patches):
    document = patched("agent", read(folder, "agent-api-public.yaml"), patches)
    document["paths"] = mounted(document["paths"], "/agent")
    document["servers"] = [{"url": "/"}]
    return document


def pod(folder, patches):
    """The pod, the log-in that is mounted beside it, and the same log-in of the key manager."""
    document = patched("pod", read(folder, "pod-api-public.yaml"), patches)
    login = renamed(patched("login", read(folder, "login-api-public.yaml"), patches), "Error", "LoginError")
    shared = set(document["definitions"]) & set(login["definitions"])
    if shared:
        raise SystemExit(f"two schemas of one name in pod and login: {shared}")
    document["definitions"].update(login["definitions"])
    document["paths"] = mounted(document["paths"], "/pod")
    for mount in ["/login", "/relay"]:
        document["paths"].update(mounted(login["paths"], mount))
    document["basePath"] = "/"
    return document


def main(source, target):
    for name, make in [("agent", agent), ("pod", pod)]:
        strict = closed(make(source, PATCHES))
        for_bdk_2 = nulls_allowed(closed(make(source, PATCHES + PATCHES_FOR_BDK_2)))
        (Path(target) / f"{name}.json").write_text(json.dumps(strict), encoding="utf-8")
        (Path(target) / f"{name}-bdk-2.json").write_text(json.dumps(for_bdk_2), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
