"""Symphony's own documents and client against the embedded pod, and against the bot: run.py PROGRAM BOT_TEST BDK_PYTHON…

BOT_TEST is the command that lets the bot itself do its work through the proxies.

Prism stands between both sides and refuses what the documents do not allow. Nothing is printed but a line at the end, or what
went wrong.
"""
import asyncio
import json
import os
import shlex
import sys
import time
from pathlib import Path

import aiohttp
import jwt
from aiohttp import web

import documents
import examples
from frames import Checker, Recorder, planted
from proof import PROJECT, Failure, Proof, listed, proven

HERE = Path(__file__).resolve().parent
CONTRACTS = PROJECT.parent / "shared" / "contracts" / "symphony"
EXAMPLES = HERE.parent / "symphony_documents" / "documents.json"
# Each with its copy of a document; the BDK 2.11.4 needs copies of its own.
PROXIES = ["agent", "pod", "agent-bdk-2", "pod-bdk-2"]
STORY_SECONDS = 90

# What a bot may want of a pod, all of which each BDK must have called.
WANTED_OF_A_BDK = """
POST /login/pubkey/authenticate | POST /relay/pubkey/authenticate | GET /pod/v2/sessioninfo | GET /pod/v3/users
GET /agent/v5/datafeeds | POST /agent/v5/datafeeds | POST /agent/v5/datafeeds/{datafeedId}/read
POST /agent/v4/stream/{sid}/message/create | POST /agent/v4/stream/{sid}/message/{mid}/update
GET /agent/v4/stream/{sid}/message | GET /agent/v1/message/{id} | GET /agent/v1/stream/{sid}/attachment
GET /agent/v1/info | GET /agent/v3/health | GET /agent/v3/health/extended
POST /pod/v1/im/create | POST /pod/v3/room/create | POST /pod/v3/room/{id}/update | GET /pod/v3/room/{id}/info
POST /pod/v3/room/search | POST /pod/v1/room/{id}/setActive | GET /pod/v2/room/{id}/membership/list
POST /pod/v1/room/{id}/membership/add | POST /pod/v1/room/{id}/membership/remove
POST /pod/v1/room/{id}/membership/promoteOwner | POST /pod/v1/room/{id}/membership/demoteOwner
POST /pod/v1/streams/list | GET /pod/v2/streams/{sid}/info
POST /pod/v1/connection/create | POST /pod/v1/connection/accept | GET /pod/v1/connection/list
POST /pod/v1/admin/messagesuppression/{id}/suppress
"""
# What a whole onboarding needs of the platform.
WANTED_OF_THE_BOT = """
POST /login/pubkey/authenticate | POST /relay/pubkey/authenticate | GET /pod/v2/sessioninfo | GET /pod/v3/users
GET /agent/v1/info | GET /agent/v4/stream/{sid}/message | POST /agent/v4/stream/{sid}/message/create
POST /pod/v1/im/create | POST /pod/v3/room/create | POST /pod/v3/room/search | GET /pod/v2/room/{id}/membership/list
POST /pod/v1/room/{id}/membership/add | POST /pod/v1/room/{id}/membership/remove
POST /pod/v1/room/{id}/membership/promoteOwner | POST /pod/v1/room/{id}/membership/demoteOwner
POST /pod/v3/room/{id}/update | POST /pod/v1/room/{id}/setActive
POST /pod/v1/streams/list | POST /pod/v1/connection/accept
"""
# The feeds with which the bot does its work, once each. Prism cannot pass a websocket on, so "websocket" goes to the pod directly;
# "long-poll" is HTTP and goes through the proxies as well.
FEEDS = ["websocket", "long-poll"]
# Every type of event that the embedded pod knows.
EVENTS = {
    "MESSAGESENT", "MESSAGESUPPRESSED", "SYMPHONYELEMENTSACTION", "INSTANTMESSAGECREATED", "ROOMCREATED", "ROOMUPDATED",
    "ROOMDEACTIVATED", "ROOMREACTIVATED", "USERJOINEDROOM", "USERLEFTROOM", "ROOMMEMBERPROMOTEDTOOWNER",
    "ROOMMEMBERDEMOTEDFROMOWNER", "CONNECTIONREQUESTED", "CONNECTIONACCEPTED",
}  # fmt: skip


class Run(Proof):
    proxies = PROXIES

    def __init__(self, scratch, program, bot_test, pythons):
        super().__init__(scratch, program)
        self.bot_test, self.pythons = bot_test, pythons
        self.pod = f"http://127.0.0.1:{self.first + 1}"

    async def story(self):
        self.examples_are_theirs()
        # All are started together, for each takes seconds to read its document.
        documents.main(CONTRACTS, self.scratch)
        await asyncio.gather(*[self.proxy(name, self.scratch / f"{name}.json", self.pod) for name in PROXIES])
        self.examples_fit()
        for python in self.pythons:
            await self.bdk(python)
        for feed in FEEDS:
            await self.bot(self.bot_test, feed)
        await self.sees_wrong_answers()

    # ---- (d): what the readers' own test reads

    def examples_are_theirs(self):
        if EXAMPLES.read_text(encoding="utf-8") != examples.excerpt(CONTRACTS):
            raise Failure(f"{EXAMPLES} is not what the documents say; make it anew with examples.py")

    def examples_fit(self):
        """What was made of the schemas must fit them."""
        checker = Checker(self.scratch / "agent.json")
        for event in json.loads(EXAMPLES.read_text(encoding="utf-8"))["events"]:
            faults = checker.faults({"events": [event], "ackId": "a"})
            if faults:
                raise Failure(f"the example of {event['type']}: {faults}")

    # ---- (a) and (c): the BDK, and the frames meanwhile

    async def tokens(self, key_file):
        now = int(time.time())
        signed = jwt.encode({"sub": "guest-bot", "exp": now + 240}, key_file.read_text(), algorithm="RS512")
        async with aiohttp.ClientSession() as http:
            found = []
            for place in ["login", "relay"]:
                async with http.post(f"{self.url('pod')}/{place}/pubkey/authenticate", json={"token": signed}) as answer:
                    found.append((await answer.json())["token"])
        return found

    async def bdk(self, python):
        name = python.parent.parent.name
        sandbox, page, data = await self.sandbox(name)
        keys = data / "keys"
        variant = "-bdk-2" if name == "bdk-2" else ""
        ports = [self.ports[f"pod{variant}"], self.ports[f"agent{variant}"]]
        command = [python, HERE / "bdk_story.py", *ports, keys, page]
        story = await self.child(name, command)
        if await story.line(STORY_SECONDS) != "feed":
            raise Failure(f"{name} said something else than that its feed is read")
        tokens = await self.tokens(keys / "guest-bot.pem")
        recorder = Recorder(f"ws://127.0.0.1:{self.first + 1}/agent/v5/datafeeds/ws", tokens)
        await recorder.start()
        story.process.stdin.write(b"go on\n")
        said = json.loads(await story.line(STORY_SECONDS))
        frames = await recorder.stop(EVENTS)
        missing = listed(WANTED_OF_A_BDK) - self.take(f"of the BDK {said['bdk']}")
        if missing:
            raise Failure(f"BDK {said['bdk']} never called {sorted(missing)}")
        if set(said["events"]) != EVENTS:
            raise Failure(f"BDK {said['bdk']} never handed on {sorted(EVENTS - set(said['events']))}")
        self.frames(frames)
        await self.is_able_to_fail(tokens, page)
        await sandbox.end()

    def frames(self, frames):
        checker = Checker(self.scratch / "agent.json")
        kinds = {event["type"] for frame in frames for event in frame["events"]}
        if kinds != EVENTS:
            raise Failure(f"no frame held {sorted(EVENTS - kinds)}")
        for frame in frames:
            self.violations += [f"frame: {fault} in {json.dumps(frame)[:600]}" for fault in checker.faults(frame)]
        for bad in planted(frames[0]):
            if not checker.faults(bad):
                raise Failure(f"a frame that is wrong was taken: {json.dumps(bad)[:600]}")
            self.faults_seen += 1
        self.exchanges["websocket frames"] += len(frames)

    # ---- (b): the bot

    async def bot(self, command, feed):
        environment = os.environ | {
            "CONTRACT_FEED": feed,
            "CONTRACT_POD_LISTEN": f"127.0.0.1:{self.first + 1}",
            "CONTRACT_POD_URL": self.url("pod"),
            "CONTRACT_AGENT_URL": self.url("agent"),
        }
        test = await self.child(f"bot-{feed}", shlex.split(command), talks=False, environment=environment)
        status = await asyncio.wait_for(test.process.wait(), STORY_SECONDS * 2)
        called = self.take(f"of the bot ({feed})")
        if status or "1 passed" not in test.told():
            raise Failure("the bot's own story went wrong")
        wanted = listed(WANTED_OF_THE_BOT)
        if feed == "long-poll":
            wanted |= {"POST /agent/v5/datafeeds", "POST /agent/v5/datafeeds/{datafeedId}/read"}
        missing = wanted - called
        if missing:
            raise Failure(f"the bot never called {sorted(missing)}")

    # ---- that a mistake would be seen

    async def is_able_to_fail(self, tokens, page):
        """Wrong requests and a wrong answer, each of which must be seen as a violation."""
        headers = {"sessionToken": tokens[0], "keyManagerToken": tokens[1]}
        room = "abc"
        wrong = [
            ("agent", "POST", "/agent/v5/datafeeds", {"json": {"tag": 5}, "headers": headers}),
            ("agent", "GET", "/agent/v5/datafeeds", {"headers": {"keyManagerToken": tokens[1]}}),
            ("agent", "POST", "/agent/v5/datafeeds", {"json": {"tag": "a", "invented": 1}, "headers": headers}),
            ("agent", "GET", "/agent/v9/nothing", {"headers": headers}),
            ("pod", "POST", "/pod/v3/room/create", {"json": {"name": "x", "invented": True}, "headers": headers}),
            ("pod", "POST", f"/pod/v1/room/{room}/setActive", {"headers": headers}),
        ]
        async with aiohttp.ClientSession() as http:
            for name, method, path, more in wrong:
                async with http.request(method, self.url(name) + path, **more):
                    self.seen(name, f"{method} {path} {more.get('json')}")
            async with http.post(page + "/api/trouble", json={"provider": "symphony", "code": "502-html", "times": 1}):
                pass
            async with http.get(self.url("pod") + "/pod/v2/sessioninfo", headers=headers):
                self.seen("pod", "an answer in HTML")

    async def sees_wrong_answers(self):
        """At the place of the pod, which is gone by now, somebody answers what no pod may."""
        wrong = [{"onPrem": "yes"}, {"version": 7}, {"invented": True}, []]

        async def answer(request):
            return web.json_response(wrong[int(request.headers["X-Trace-Id"])])

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.first + 1).start()
        async with aiohttp.ClientSession() as http:
            for number, body in enumerate(wrong):
                async with http.get(self.url("agent") + "/agent/v1/info", headers={"X-Trace-Id": str(number)}):
                    self.seen("agent", f"the answer {body}")
        await runner.cleanup()


def main(program, bot_test, *pythons):
    program, pythons = Path(program).resolve(), [Path(python).absolute() for python in pythons]
    proven("Symphony's documents", lambda scratch: Run(scratch, program, bot_test, pythons), CONTRACTS)


if __name__ == "__main__":
    main(*sys.argv[1:])
