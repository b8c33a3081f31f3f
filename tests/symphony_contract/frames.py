"""The datafeed's websocket frames, recorded and held against the agent document's V5EventList."""
import asyncio
import copy
import json
import time

import aiohttp
import jsonschema

LAST_EVENT_SECONDS = 10


def as_json_schema(node):
    """OpenAPI 3.0 schemas are JSON Schema draft 4 but for `nullable`; what draft 4 does not know (`discriminator`, `example`) says
    nothing about the value."""
    if isinstance(node, list):
        return [as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    schema = {key: as_json_schema(value) for key, value in node.items() if key not in ("example", "examples")}
    if schema.pop("nullable", False) is True:
        return {"anyOf": [schema, {"type": "null"}]}
    return schema


class Checker:
    """`$ref`s point into the document itself, so the whole of its schemas goes along."""

    def __init__(self, document):
        schemas = json.loads(document.read_text(encoding="utf-8"))["components"]["schemas"]
        whole = {"$ref": "#/components/schemas/V5EventList", "components": {"schemas": as_json_schema(schemas)}}
        whole["components"]["schemas"]["V5EventList"]["required"] = ["events", "ackId"]
        jsonschema.Draft4Validator.check_schema(whole)
        self.validator = jsonschema.Draft4Validator(whole)

    def faults(self, frame):
        listed = {"events": frame.get("events"), "ackId": frame.get("ackId")}
        return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in self.validator.iter_errors(listed)]


def planted(frame):
    """Copies of a good frame, each with one thing wrong that must be seen."""

    def wrong(change):
        bad = copy.deepcopy(frame)
        change(bad)
        return bad

    yield wrong(lambda bad: bad["events"][0].update(timestamp="yesterday"))
    yield wrong(lambda bad: bad["events"][0].update(type=7))
    yield wrong(lambda bad: bad["events"][0]["initiator"]["user"].update(userId="one"))
    yield wrong(lambda bad: bad["events"][0].update(invented=True))
    yield wrong(lambda bad: bad["events"][0]["payload"].update({next(iter(bad["events"][0]["payload"])): []}))
    yield wrong(lambda bad: bad.update(events={}))
    yield wrong(lambda bad: bad.update(ackId=None))


class Recorder:
    """A second feed of the guest's, over the websocket: keeps every `events` frame and acknowledges it."""

    def __init__(self, url, tokens):
        self.url, self.tokens, self.frames = url, tokens, []

    async def start(self):
        self.http = aiohttp.ClientSession()
        headers = {"sessionToken": self.tokens[0], "keyManagerToken": self.tokens[1]}
        self.socket = await self.http.ws_connect(self.url, headers=headers, protocols=["symphony-datafeed.v1"])
        await self.socket.send_json({"type": "open", "id": 1, "tag": "recorder", "ackId": ""})
        opened = asyncio.get_running_loop().create_future()
        self.reading = asyncio.create_task(self.read(opened))
        await asyncio.wait_for(opened, 10)

    async def read(self, opened):
        async for message in self.socket:
            frame = message.json()
            if frame["type"] == "opened":
                opened.set_result(None)
            if frame["type"] == "events":
                self.frames.append(frame)
                await self.socket.send_json({"type": "ack", "ackId": frame["ackId"]})

    async def stop(self, wanted):
        """Once every wanted type has come, or it is clear that some never will."""
        end = time.monotonic() + LAST_EVENT_SECONDS
        while not wanted <= {event["type"] for frame in self.frames for event in frame["events"]} and time.monotonic() < end:
            await asyncio.sleep(0.05)
        await self.socket.close()
        await self.reading
        await self.http.close()
        return self.frames
