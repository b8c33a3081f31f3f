"""Twilio's own document, its own client and a Twilio that others wrote, against ours and against the bot: run.py PROGRAM TWILIO_PYTHON

Prism stands between both sides and refuses what the document does not allow. Nothing is printed but a line at the end, or what
went wrong.
"""
import asyncio
import json
import os
import re
import sys
from pathlib import Path

import aiohttp
from aiohttp import web

import day
import documents
import stand_in
from meter import HOP, Meter
from patches import ACCOUNT, LINE, NOT_DESCRIBED
from proof import PROJECT, SANDBOX_PORTS, Failure, Proof, free_ports, listed, proven

HERE = Path(__file__).resolve().parent
CONTRACTS = PROJECT.parent / "shared" / "contracts" / "twilio"
API = "LIAISON__SMS__API_URL"
DOCTOR_SECONDS = 60
STORY_SECONDS = 90

# What a day and a look by the doctor need of Twilio.
OF_ACCOUNT = "/2010-04-01/Accounts/{AccountSid}"
WANTED_OF_THE_BOT = f"""
POST {OF_ACCOUNT}/Messages.json | GET {OF_ACCOUNT}/Messages.json | GET {OF_ACCOUNT}/IncomingPhoneNumbers.json
GET /2010-04-01/Accounts/{{Sid}}.json
"""
# Kinds of webhooks that must have come, and how many are forged by order.
WEBHOOKS, FORGED = {"SMS", "MMS", "status", "voice"}, 2
MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
# A message as it should be.
TEXT = {"To": day.MIA, "From": LINE, "Body": "x", "StatusCallback": "http://127.0.0.1/status?m=m-1"}
TOKEN = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, "sandbox-token")}


class Front(Meter):
    """Leads files past Prism: the document does not describe them, and Prism would take them for text."""

    twilio, files = None, 0

    async def relay(self, request):
        if not re.search(NOT_DESCRIBED, request.path):
            return await super().relay(request)
        self.files += 1
        headers = {key: value for key, value in request.headers.items() if key.lower() not in HOP}
        async with self.http.get(self.twilio + request.raw_path, headers=headers, allow_redirects=False) as answer:
            passed = {key: value for key, value in answer.headers.items() if key.lower() not in HOP}
            return web.Response(status=answer.status, headers=passed, body=await answer.read())


class Run(Proof):
    proxies = ["api"]
    meter = Front

    def __init__(self, scratch, program, twilio_python):
        super().__init__(scratch, program)
        # Beside the sandbox's ports and Prism's one for the Twilio that others wrote.
        self.first = free_ports(SANDBOX_PORTS + len(self.proxies) + 1)
        self.twilio_python = twilio_python
        self.twilio = f"http://127.0.0.1:{self.first + 3}"

    async def story(self):
        documents.main(CONTRACTS, self.scratch)
        await self.proxy("api", self.scratch / "api.json", self.twilio)
        self.meters["api"].twilio = self.twilio
        client = await self.child("twilio", [self.twilio_python, HERE / "twilio_story.py"])
        hooks = await client.line(STORY_SECONDS)
        await self.bot(hooks)
        await self.client(client, hooks)
        await self.stand_in()
        await self.sees_wrong_requests()
        await self.sees_wrong_answers()

    # ---- the bot

    async def bot(self, hooks):
        environment = os.environ | {API: self.url("api")}
        sandbox, page, data = await self.sandbox("day", "--twilio-callback", hooks + "/copy", environment=environment)
        await day.story(page)
        await self.doctor(data, environment)
        await sandbox.end()
        missing = listed(WANTED_OF_THE_BOT) - self.take("of the bot")
        if missing:
            raise Failure(f"the bot never called {sorted(missing)}")
        if not self.meters["api"].files:
            raise Failure("the bot fetched no file")

    async def doctor(self, data, environment):
        command = [self.program, "doctor", "--config", data / "bot-config.toml"]
        doctor = await self.child("doctor", command, talks=False, environment=environment)
        if await asyncio.wait_for(doctor.process.wait(), DOCTOR_SECONDS):
            raise Failure("the doctor is not content")

    # ---- Twilio's own client

    async def client(self, client, hooks):
        """It asks for everything, and its validator sees every webhook of its own story and of the bot's day."""
        sandbox, page, _ = await self.sandbox("client", "--twilio-callback", hooks + "/copy")
        client.process.stdin.write(f"{self.url('api')} {self.twilio} {page}\n".encode())
        said = json.loads(await client.line(STORY_SECONDS))
        self.take("of " + " ".join(said.popitem()))
        await sandbox.end()
        client.process.stdin.write(b"end\n")
        came = json.loads(await client.line(STORY_SECONDS))
        missing = WEBHOOKS - came["accepted"].keys()
        # The last two were forged by order.
        if missing or came["refused"] != FORGED:
            raise Failure(f"of the webhooks the validator says {came}; {missing} never came")
        self.exchanges["webhooks by its validator"] += sum(came["accepted"].values())
        self.faults_seen += came["faults"] + FORGED

    # ---- a Twilio that others wrote

    async def stand_in(self):
        url = f"http://127.0.0.1:{self.first + SANDBOX_PORTS + len(self.proxies)}"
        bot, ops = (f"http://127.0.0.1:{self.first + nth}" for nth in [4, 5])
        twilio = await self.emulate("emulate", url, stand_in.seed(bot))
        sandbox, page, _ = await self.sandbox("stand-in", environment=os.environ | {API: url})
        await stand_in.story(page, url, ops, twilio)
        await twilio.end()
        other = await self.emulate("emulate-other-token", url, stand_in.seed(bot, "other-token"))
        self.faults_seen += await stand_in.forged_story(page, url, ops, other)
        await other.end()
        await sandbox.end()

    async def emulate(self, name, url, seed):
        file = self.scratch / f"{name}.yaml"
        file.write_text(seed, encoding="utf-8")
        return await self.child(name, stand_in.command(url.rsplit(":", 1)[1], file), talks=False)

    # ---- that a mistake would be seen

    async def sees_wrong_requests(self):
        without = lambda name: {key: value for key, value in TEXT.items() if key != name}
        wrong = [
            ("POST", MESSAGES, {"data": {**TEXT, "Invented": "1"}, "headers": TOKEN}),
            ("POST", MESSAGES, {"data": without("To"), "headers": TOKEN}),
            ("POST", MESSAGES, {"data": without("From"), "headers": TOKEN}),
            ("POST", MESSAGES, {"data": without("Body"), "headers": TOKEN}),
            ("POST", MESSAGES, {"data": {**TEXT, "To": "a phone"}, "headers": TOKEN}),
            ("POST", MESSAGES, {"data": {**TEXT, "Body": "x" * 1601}, "headers": TOKEN}),
            ("POST", MESSAGES, {"data": {**TEXT, "StatusCallback": "nowhere"}, "headers": TOKEN}),
            ("POST", MESSAGES, {"data": {**TEXT, "ValidityPeriod": "long"}, "headers": TOKEN}),
            ("POST", MESSAGES, {"data": {**TEXT, "MessagingServiceSid": "MG1"}, "headers": TOKEN}),
            ("POST", MESSAGES, {"json": TEXT, "headers": TOKEN}),
            ("POST", MESSAGES, {"data": TEXT}),
            ("POST", MESSAGES.replace(ACCOUNT, "AC1"), {"data": TEXT, "headers": TOKEN}),
            ("POST", MESSAGES.removesuffix(".json"), {"data": TEXT, "headers": TOKEN}),
            ("PUT", MESSAGES, {"data": TEXT, "headers": TOKEN}),
            ("GET", MESSAGES + "?PageSize=1001", {"headers": TOKEN}),
            ("GET", MESSAGES + "?To=somebody", {"headers": TOKEN}),
            ("GET", MESSAGES + "?DateSent%3E=yesterday", {"headers": TOKEN}),
        ]
        async with aiohttp.ClientSession() as http:
            for method, path, more in wrong:
                async with http.request(method, self.url("api") + path, **more):
                    self.seen("api", f"{method} {path} {more.get('data')}")

    async def sees_wrong_answers(self):
        """At the place of Twilio, which is gone by now, somebody answers what it never would."""
        sid = "SM" + "0" * 32
        wrong = [
            ("POST", 201, {"sid": 7}),
            ("POST", 201, {"sid": "XX1"}),
            ("POST", 201, {"sid": sid, "status": "flying"}),
            ("POST", 201, {"sid": sid, "num_segments": 1}),
            ("POST", 201, {"sid": sid, "invented": True}),
            ("POST", 302, {}),
            ("POST", 400, {"code": "21211", "message": "x", "more_info": "x", "status": 400}),
            ("POST", 400, {"code": 21211}),
            ("GET", 200, {"messages": {}}),
            ("GET", 200, {"messages": [{"direction": "sideways"}]}),
            ("GET", 200, {"messages": [], "invented": True}),
        ]
        stand_in = Echo()
        await stand_in.listen(stand_in.answered, self.first + 3)
        async with aiohttp.ClientSession() as http:
            for method, status, body in wrong:
                stand_in.answer = web.json_response(body, status=status)
                sent = {"data": TEXT} if method == "POST" else {}
                async with http.request(method, self.url("api") + MESSAGES, headers=TOKEN, **sent, allow_redirects=False):
                    self.seen("api", f"the answer {status} {body}")
        await stand_in.stop()


class Server:
    """One that listens on loopback until it is stopped."""

    async def listen(self, answer, port=0):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        self.runner = web.AppRunner(app, access_log=None)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", port).start()
        return f"http://127.0.0.1:{self.runner.addresses[0][1]}"

    async def stop(self):
        if runner := getattr(self, "runner", None):
            await runner.cleanup()


class Echo(Server):
    """Answers what it was told to."""

    answer = None

    async def answered(self, _request):
        answer, self.answer = self.answer, None
        return answer


def main(program, twilio_python):
    program, twilio_python = Path(program).resolve(), Path(twilio_python).absolute()
    proven("Twilio's document", lambda scratch: Run(scratch, program, twilio_python), CONTRACTS)


if __name__ == "__main__":
    main(*sys.argv[1:])
