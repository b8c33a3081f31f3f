"""Makes the test's copies of Symphony's documents: mounted where the real paths are, mended where they are known to be wrong.

documents.py SOURCE_FOLDER TARGET_FOLDER
"""
import json
import sys
from pathlib import Path

import yaml

from patches import PATCHES, PATCHES_FOR_BDK_2, REMOVE


class Loader(yaml.CSafeLoader):
    """Dates stay the texts that they are in JSON."""


Loader.yaml_implicit_resolvers = {
    first: [rule for rule in rules if rule[0] != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def read(folder, name):
    document = yaml.load((Path(folder) / name).read_text(encoding="utf-8"), Loader)
    # Through JSON, in which every key is a text: the documents write some status codes as numbers.
    return json.loads(json.dumps(document))


def step(place, key):
    """Where a key leads in an object, or the name of an item in a list; None where there is no such thing."""
    if isinstance(place, list):
        return next((index for index, item in enumerate(place) if item.get("name") == key), None)
    return key if key in place else None


def patched(name, document, patches):
    """A patch that no longer finds its place is a mistake: the document was mended, or the patch is wrong."""
    for where, path, value, why in patches:
        if where != name:
            continue
        *way, last = path
        place = document
        for key in way:
            found = step(place, key)
            if found is None:
                raise SystemExit(f"the patch of {name} at {' '.join(path)} finds nothing at {key} ({why})")
            place = place[found]
        if value is REMOVE:
            del place[last]
        else:
            place[step(place, last) if isinstance(place, list) else last] = value
    return document


def mounted(paths, mount):
    return {mount + path: operations for path, operations in paths.items()}


def renamed(node, old, new):
    """The same document with another name for one of its schemas."""
    text = json.dumps(node).replace(json.dumps(f"#/definitions/{old}"), json.dumps(f"#/definitions/{new}"))
    document = json.loads(text)
    document["definitions"][new] = document["definitions"].pop(old)
    return document


def closed(document):
    """Objects with named fields take no others: the real pod refuses them in requests, and ours must not invent any in answers.

    Parts of an `allOf` stay open, since each part knows only its own fields.
    """
    schemas = document.get("definitions") or document["components"]["schemas"]
    open_ones = [schemas[name] for name in parts(document)]
    close(document, open_ones)
    return document


def parts(node):
    """Names of the schemas that are a part of an `allOf` anywhere."""
    if isinstance(node, list):
        return {name for item in node for name in parts(item)}
    if not isinstance(node, dict):
        return set()
    own = {name for part in node.get("allOf", []) if "$ref" in part for name in references(part)}
    return own.union(*[parts(value) for value in node.values()])


def close(node, open_ones):
    if isinstance(node, list):
        for item in node:
            close(item, open_ones)
    elif isinstance(node, dict):
        fields = node.get("properties")
        for key, value in node.items():
            if key == "properties" and isinstance(fields, dict):
                # A map of names, one of which may itself be "properties".
                close(list(fields.values()), open_ones)
            elif key not in ("example", "examples", "allOf"):
                close(value, open_ones)
        if isinstance(fields, dict) and "allOf" not in node and not any(node is one for one in open_ones):
            node.setdefault("additionalProperties", False)


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


def references(node):
    if isinstance(node, list):
        return [name for item in node for name in references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"].rsplit("/", 1)[1]] if isinstance(node.get("$ref"), str) else []
    return own + [name for value in node.values() for name in references(value)]


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
