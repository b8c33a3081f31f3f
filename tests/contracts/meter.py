"""A relay in front of Prism that counts exchanges, sees which operations they were, and keeps what Prism complained of."""
import asyncio
import json
import re
from collections import Counter, namedtuple

import aiohttp
from aiohttp import web
from yarl import URL

# Set anew by the relay itself, or meant for one hop only.
HOP = {"host", "connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding"}
# A message with attachments; Prism itself takes no more.
MAX_BODY = 10 * 1024 * 1024
# Longer than a long poll is held.
CALL_SECONDS = 60

# A request and what came back.
Exchange = namedtuple("Exchange", "name method path headers body status content_type content")


class Meter:
    def __init__(self, document, upstream):
        self.upstream = upstream
        self.operations, self.violations = Counter(), []
        # All of them since the start, for those who want to go through them again.
        self.kept = []
        paths = json.loads(document.read_text(encoding="utf-8"))["paths"]
        # Fixed parts before variable ones, as a router looks.
        ordered = sorted(paths, key=lambda path: path.count("{"))
        self.templates = [(re.compile(re.sub(r"\{[^/}]+\}", "[^/]+", path) + "$"), path) for path in ordered]

    def name(self, method, path):
        found = next((template for pattern, template in self.templates if pattern.match(path)), path)
        return f"{method} {found}"

    def reset(self):
        """What was counted so far, and zero again."""
        counted = self.operations, self.violations
        self.operations, self.violations = Counter(), []
        return counted

    def count(self, method, path, status, headers, body):
        name = self.name(method, path)
        self.operations[name] += 1
        if headers.get("Content-Type", "").startswith("application/problem+json"):
            self.violations.append(f"{name}: {complaint(body)}")
        elif "sl-violations" in headers:
            self.violations.append(f"{name} ({status}): {headers['sl-violations']}")

    async def relay(self, request):
        headers = {key: value for key, value in request.headers.items() if key.lower() not in HOP}
        body = await request.read()
        url = self.upstream + request.raw_path
        call = self.http.request(request.method, URL(url, encoded=True), headers=headers, data=body or None, allow_redirects=False)
        async with call as answer:
            content = await answer.read()
        self.count(request.method, request.path, answer.status, answer.headers, content)
        name, kind = self.name(request.method, request.path), answer.headers.get("Content-Type", "")
        self.kept.append(Exchange(name, request.method, request.raw_path, headers, body, answer.status, kind, content))
        passed = {key: value for key, value in answer.headers.items() if key.lower() not in HOP}
        return web.Response(status=answer.status, headers=passed, body=content or None)

    async def start(self):
        """Listens at a free port and returns it."""
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
        self.http = aiohttp.ClientSession(timeout=timeout, auto_decompress=True, skip_auto_headers=("Content-Type", "User-Agent"))
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self.relay)
        # A client that goes away in the middle of a long poll takes its call along.
        self.runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0, shutdown_timeout=1).start()
        return self.runner.addresses[0][1]

    async def stop(self):
        await self.runner.cleanup()
        await self.http.close()
        await asyncio.sleep(0)


def complaint(body):
    try:
        said = json.loads(body)
    except ValueError:
        return body.decode(errors="replace")
    details = [f"{'.'.join(map(str, one.get('location', [])))} {one.get('message')}" for one in said.get("validation", [])]
    return f"{said.get('title')}: {'; '.join(details) or said.get('detail')}"
