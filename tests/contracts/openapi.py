"""OpenAPI documents as tests want them: read as JSON, mended at named places, closed to fields that they do not name."""
import json
from pathlib import Path

import yaml

# Takes the last key of a patch's path away.
REMOVE = object()


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
    """Where a key leads in an object, or the name or number of an item in a list; None where there is no such thing."""
    if isinstance(place, list) and isinstance(key, int):
        return key if key < len(place) else None
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
                raise SystemExit(f"the patch of {name} at {' '.join(map(str, path))} finds nothing at {key} ({why})")
            place = place[found]
        if value is REMOVE:
            del place[last]
        else:
            place[step(place, last) if isinstance(place, list) else last] = value
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


def references(node):
    if isinstance(node, list):
        return [name for item in node for name in references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"].rsplit("/", 1)[1]] if isinstance(node.get("$ref"), str) else []
    return own + [name for value in node.values() for name in references(value)]
