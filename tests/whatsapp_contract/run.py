"""Meta's own documents and clients that others wrote against the embedded WhatsApp, and against the bot:
run.py PROGRAM PYWA_PYTHON GROUPS, the last being the command that runs the test of groups

Prism stands between both sides and refuses what the documents do not allow. Nothing is printed but a line at the end, or what
went wrong.
"""
import asyncio
import hashlib
import hmac
import json
import os
import shlex
import sys
from collections import Counter
from pathlib import Path

import aiohttp
from aiohttp import web

import day
import documents
from patches import ACCOUNT, ALLOWANCES, LINE, NOT_ASKED, NOT_DESCRIBED, WITHOUT_CONTACTS, allowed
from proof import PROJECT, Failure, Proof, listed, proven

HERE = Path(__file__).resolve().parent
CONTRACTS = PROJECT.parent / "shared" / "contracts" / "whatsapp"
GRAPH = "LIAISON__WHATSAPP__GRAPH_URL"
DOCTOR_SECONDS = 60
STORY_SECONDS = 90
# It may have to be built first.
GROUPS_SECONDS = 900
APP_SECRET = b"sandbox-secret"
TOOLS = PROJECT / "tests" / "contracts"

# What a day and a look by the doctor need of WhatsApp.
WANTED_OF_THE_BOT = f"""
POST /{{Version}}/{{Phone-Number-ID}}/messages | GET /{{Version}}/{LINE} | GET /{{Version}}/{{WABA-ID}}/message_templates
GET /{{Version}}/{{WABA-ID}}/subscribed_apps
"""
# Every call about groups that the bot may make, and two that it does not.
WANTED_OF_GROUPS = """
POST /{Version}/{Phone-Number-ID}/groups | GET /{Version}/{Phone-Number-ID}/groups | POST /{Version}/{Object-ID}
GET /{Version}/{Object-ID} | DELETE /{Version}/{Object-ID}
GET /{Version}/{group_id}/invite_link | POST /{Version}/{group_id}/invite_link | GET /{Version}/{group_id}/join_requests
POST /{Version}/{group_id}/join_requests | DELETE /{Version}/{group_id}/join_requests
DELETE /{Version}/{group_id}/participants | POST /{Version}/{Phone-Number-ID}/messages
"""
# What the webhooks of that story must have told.
NEWS = {
    "group_create", "group_delete", "group_join_request_created", "group_participants_add", "group_participants_remove",
    "group_settings_update",
}
# A message as it should be.
TEXT = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": day.ANN, "type": "text", "text": {"body": "x"}}
# Messages of each kind that the day must have seen.
KINDS = {"text", "template", "interactive"}


class Run(Proof):
    # The first is led to WhatsApp; behind the others somebody repeats what WhatsApp said, or that all is well.
    proxies = ["profile", "official", "hooks"]

    def __init__(self, scratch, program, pywa_python, groups):
        super().__init__(scratch, program)
        self.pywa_python, self.groups_command = pywa_python, groups
        self.graph = f"http://127.0.0.1:{self.first + 2}"
        self.echo, self.hub = Echo(), Hub()

    async def story(self):
        documents.main(CONTRACTS, self.scratch)
        profile, official = self.scratch / "profile.json", self.scratch / "official.json"
        echo = await self.echo.start()
        await asyncio.gather(
            self.proxy("profile", profile, self.graph), self.proxy("official", official, echo), self.proxy("hooks", profile, echo)
        )
        try:
            others = [await self.other(name, command) for name, command in self.others()]
            await self.bot([where for _, where in others])
            await self.groups()
            await self.official()
            await self.clients([story for story, _ in others])
            await self.sees_wrong_requests()
            await self.sees_wrong_answers()
        finally:
            await self.hub.stop()
            await self.echo.stop()

    # ---- (a): the bot

    async def bot(self, others):
        hub = await self.hub.start([self.url("hooks") + "/whatsapp/webhooks", *others])
        environment = os.environ | {GRAPH: self.url("profile")}
        sandbox, page, data = await self.sandbox("day", "--whatsapp-callback", hub, environment=environment)
        await day.story(page)
        await self.doctor(data, environment)
        await self.hub.settled()
        await sandbox.end()
        missing = listed(WANTED_OF_THE_BOT) - self.take("of the bot", ["profile"])
        if missing:
            raise Failure(f"the bot never called {sorted(missing)}")
        bodies = [json.loads(one.body) for one in self.meters["profile"].kept if one.method == "POST"]
        if KINDS - {body["type"] for body in bodies}:
            raise Failure(f"the bot sent only {Counter(body['type'] for body in bodies)}")
        self.hooks("webhooks of its day")
        self.hub_at = hub

    async def groups(self):
        """The bot's own adapter makes a group and does all that can be done with it; phones join, write and leave."""
        before = len(self.hub.kept)
        sandbox, page, _ = await self.sandbox("groups", "--whatsapp-callback", self.hub_at)
        environment = os.environ | {
            "CONTRACT_GRAPH_URL": self.url("profile"), "CONTRACT_WHATSAPP_URL": self.graph, "CONTRACT_PAGE_URL": page,
        }
        story = await self.child("groups", self.groups_command, talks=False, environment=environment)
        if await asyncio.wait_for(story.process.wait(), GROUPS_SECONDS):
            raise Failure(f"the story of a group fails:\n{story.told()}")
        await self.hub.settled()
        await sandbox.end()
        missing = listed(WANTED_OF_GROUPS) - self.take("of groups", ["profile"])
        if missing:
            raise Failure(f"nobody called {sorted(missing)}")
        news = {one["type"] for hook, _ in self.hub.kept[before:] for one in told(hook).get("groups", [])}
        if news != NEWS:
            raise Failure(f"of groups WhatsApp told {sorted(news)}")
        settings = [one for hook, _ in self.hub.kept[before:] for one in told(hook).get("groups", []) if "profile_picture" in one]
        if [one["profile_picture"]["update_successful"] for one in settings] != [True]:
            raise Failure(f"of the picture WhatsApp told {settings}")
        self.hooks("webhooks of groups")

    async def doctor(self, data, environment):
        command = [self.program, "doctor", "--config", data / "bot-config.toml"]
        doctor = await self.child("doctor", command, talks=False, environment=environment)
        if await asyncio.wait_for(doctor.process.wait(), DOCTOR_SECONDS):
            raise Failure("the doctor is not content")

    def hooks(self, part):
        self.take(part, ["hooks"])
        self.violations += [f"{part}: {refused}" for refused in self.hub.refused]
        self.hub.refused = []

    # ---- the untouched document

    async def official(self):
        """The same requests and their answers once more; the requests without what the document is known to refuse."""
        asked = [one for one in self.meters["profile"].kept if one.name not in NOT_ASKED]
        tried, needed = set(), set()
        async with aiohttp.ClientSession(skip_auto_headers=("User-Agent",)) as http:
            for one in asked:
                body, names = allowed(json.loads(one.body)) if one.body else (None, [])
                if one.status >= 400:
                    # It knows no refusals; what it says of the request is what counts here.
                    one = one._replace(status=200, content_type="application/json", content=b"{}")
                await self.again(http, one, body)
                for name in names:
                    if (name, body["type"]) not in tried and await self.needs(http, one, name):
                        needed.add(name)
                    tried.add((name, body["type"]))
        self.take("of the same with the untouched document", ["official"])
        if needed != {allowance.__name__ for allowance in ALLOWANCES}:
            raise Failure(f"only {needed} were needed of the allowances")
        self.faults_seen += len(needed)

    async def again(self, http, one, body):
        self.echo.answer = web.Response(status=one.status, body=one.content, headers={"Content-Type": one.content_type})
        url = self.url("official") + one.path
        async with http.request(one.method, url, headers=one.headers, data=json.dumps(body) if body else None):
            pass

    async def needs(self, http, one, name):
        """Whether the document refuses without this allowance; one that it never needs would only hide something."""
        meter = self.meters["official"]
        before = meter.operations, meter.violations
        meter.reset()
        others = [allowance for allowance in ALLOWANCES if allowance.__name__ != name]
        body, _ = allowed(json.loads(one.body), others)
        await self.again(http, one, body)
        refused = bool(meter.violations)
        meter.operations, meter.violations = before
        return refused

    # ---- (b): clients that others wrote

    def others(self):
        yield "pywa", [self.pywa_python, HERE / "pywa_story.py"]
        yield "kapso", ["node", HERE / "kapso_story.mjs", TOOLS]

    async def other(self, name, command):
        """Both take webhooks from the beginning, those of the bot's day too."""
        story = await self.child(name, command)
        return story, await story.line(STORY_SECONDS)

    async def clients(self, stories):
        sandbox, page, _ = await self.sandbox("others", "--whatsapp-callback", self.hub_at)
        for story in stories:
            story.process.stdin.write(f"{self.url('profile')} {page}\n".encode())
            said = json.loads(await story.line(STORY_SECONDS))
            self.take("of " + " ".join(said.popitem()), ["profile"])
        await self.hub.settled()
        await sandbox.end()
        self.hooks("webhooks of theirs")
        await self.others_see_wrong_webhooks()
        reports = []
        for story in stories:
            story.process.stdin.write(b"end\n")
            reports.append(json.loads(await story.line(STORY_SECONDS)))
        self.understood(*reports)

    async def others_see_wrong_webhooks(self):
        """Nothing is taken without its signature; and where it fits, pywa says of nonsense that it is."""
        for where in self.hub.targets[1:]:
            for hook, headers in self.hub.wrong():
                if not await self.hub.refuses(where, hook, headers):
                    raise Failure(f"{where} took a webhook with a wrong signature")
                self.faults_seen += 1
        nonsense = next(hook for hook, _ in self.hub.wrong() if b'"messages"' in hook and b'"timestamp"' not in hook)
        if await self.hub.refuses(self.hub.targets[1], nonsense, {"X-Hub-Signature-256": signature(nonsense)}):
            raise Failure("pywa refuses a webhook with the right signature")

    def understood(self, pywa, kapso):
        """Each has taken every webhook, the signature checked; pywa's log tells what it could not read, the last of it planted."""
        count = len(self.hub.kept)
        if pywa["answered"].get("200") != count + 1 or kapso["verified"] != count:
            raise Failure(f"of {count} webhooks pywa took {pywa['answered']}, kapso {kapso}")
        if not all(kapso[kind] for kind in ["messages", "statuses", "calls"]):
            raise Failure(f"kapso saw only {kapso}")
        if not pywa["complaints"]:
            raise Failure("pywa does not say what it cannot read")
        self.faults_seen += 1
        excused = [complaint for complaint in pywa["complaints"][:-1] if WITHOUT_CONTACTS in complaint]
        bare = [hook for hook, _ in self.hub.kept if "statuses" in told(hook) and "contacts" not in told(hook)]
        if len(excused) != len(bare):
            raise Failure(f"pywa misses contacts in {len(excused)} webhooks, {len(bare)} have none")
        self.violations += [f"pywa: {complaint}" for complaint in pywa["complaints"][:-1] if complaint not in excused]

    # ---- that a mistake would be seen

    async def sees_wrong_requests(self):
        token = {"Authorization": "Bearer sandbox-token"}
        messages = f"/v25.0/{LINE}/messages"
        wrong = [
            ("POST", messages, {"json": {**TEXT, "invented": 1}, "headers": token}),
            ("POST", messages, {"json": {**TEXT, "text": {"body": 7}}, "headers": token}),
            ("POST", messages, {"json": {**TEXT, "text": {}}, "headers": token}),
            ("POST", messages, {"json": {**TEXT, "type": "words"}, "headers": token}),
            ("POST", messages, {"json": {**TEXT, "to": 4915}, "headers": token}),
            ("POST", messages, {"json": {**TEXT, "messaging_product": "chat"}, "headers": token}),
            ("POST", messages, {"json": TEXT}),
            ("POST", "/v25.0/a-group", {"data": form(messaging_product="whatsapp", invented="1"), "headers": token}),
            ("POST", "/v25.0/a-group", {"data": form(messaging_product="chat"), "headers": token}),
            ("POST", f"/v25.0/{LINE}/nothing", {"json": TEXT, "headers": token}),
            ("GET", f"/v25.0/{ACCOUNT}/message_templates", {}),
        ]
        async with aiohttp.ClientSession() as http:
            for method, path, more in wrong:
                async with http.request(method, self.url("profile") + path, **more):
                    self.seen("profile", f"{method} {path} {more.get('json')}")
            for hook, headers in self.hub.wrong():
                async with http.post(self.url("hooks") + "/whatsapp/webhooks", data=hook, headers=headers):
                    self.seen("hooks", f"the webhook {hook}")

    async def sees_wrong_answers(self):
        """At the place of WhatsApp, which is gone by now, somebody answers what it never would."""
        wrong = [
            ("POST", f"/v25.0/{LINE}/messages", 200, {"messages": "wamid"}),
            ("POST", f"/v25.0/{LINE}/messages", 200, {"messages": [{"id": 7}]}),
            ("POST", f"/v25.0/{LINE}/messages", 400, {"error": {"code": "131047"}}),
            ("POST", f"/v25.0/{LINE}/messages", 302, {}),
            ("GET", f"/v25.0/{ACCOUNT}/message_templates", 200, {"data": {}}),
            ("GET", f"/v25.0/{LINE}", 200, {"id": LINE, "quality_rating": "MAUVE"}),
            ("GET", f"/v25.0/{LINE}", 200, {"id": LINE, "invented": True}),
            ("POST", f"/v25.0/{LINE}/messages", 200, {"messages": [{"id": "wamid.x", "invented": True}]}),
        ]
        stand_in = Echo()
        await stand_in.start(self.first + 2)
        headers = {"Authorization": "Bearer sandbox-token"}
        async with aiohttp.ClientSession() as http:
            for method, path, status, body in wrong:
                stand_in.answer = web.json_response(body, status=status)
                sent = {"json": TEXT} if method == "POST" else {}
                async with http.request(method, self.url("profile") + path, headers=headers, **sent):
                    self.seen("profile", f"the answer {status} {body}")
        await stand_in.stop()


def told(hook):
    return json.loads(hook)["entry"][0]["changes"][0]["value"]


def form(**fields):
    """As a group's picture is sent."""
    made = aiohttp.FormData(fields)
    made.add_field("file", b"bytes", filename="family.jpg", content_type="image/jpeg")
    return made


def signature(body):
    return "sha256=" + hmac.new(APP_SECRET, body, hashlib.sha256).hexdigest()


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
    """Answers whatever it was told to, by default that all is well."""

    answer = None

    async def start(self, port=0):
        return await self.listen(self.answered, port)

    async def answered(self, request):
        answer, self.answer = self.answer, None
        return answer or web.Response()


class Hub(Server):
    """Takes the webhooks and hands each to everybody who looks at them, as it came."""

    def __init__(self):
        self.kept, self.refused, self.under_way = [], [], 0

    async def start(self, targets):
        self.targets, self.http = targets, aiohttp.ClientSession()
        return await self.listen(self.taken)

    async def stop(self):
        await super().stop()
        if http := getattr(self, "http", None):
            await http.close()

    async def taken(self, request):
        body = await request.read()
        headers = {name: request.headers[name] for name in ["Content-Type", "X-Hub-Signature-256"] if name in request.headers}
        self.kept.append((body, headers))
        field = json.loads(body)["entry"][0]["changes"][0]["field"]
        for target in [target for target in self.targets if field not in NOT_DESCRIBED or "/whatsapp/webhooks" not in target]:
            if why := await self.refuses(target, body, headers):
                self.refused.append(f"{target} said {why} to {body.decode()}")
        return web.Response()

    async def refuses(self, target, body, headers):
        """What it says instead of a 200."""
        async with self.http.post(target, data=body, headers=headers) as answer:
            return None if answer.status == 200 else f"{answer.status} {(await answer.text())[:600]}"

    async def settled(self):
        """Once no webhook has come for a second."""
        count = -1
        while count != len(self.kept):
            count = len(self.kept)
            await asyncio.sleep(1)

    def wrong(self):
        """Copies of a good webhook, each with one thing wrong that must be seen."""
        body, headers = next(one for one in self.kept if b'"messages":[' in one[0] and b'"type":"text"' in one[0])
        status, _ = next(one for one in self.kept if b'"statuses":[' in one[0])
        yield body, {"Content-Type": "application/json"}
        for good, change in [
            (body, lambda hook, value: hook.pop("object")),
            (body, lambda hook, value: hook.update(entry={})),
            (body, lambda hook, value: value["messages"][0].update(timestamp=7)),
            (body, lambda hook, value: value["messages"][0].update(text="words")),
            (body, lambda hook, value: value["messages"][0].pop("id")),
            (body, lambda hook, value: value["messages"][0].pop("timestamp")),
            (body, lambda hook, value: value.update(contacts={})),
            (status, lambda hook, value: value["statuses"][0].update(status="seen")),
            (status, lambda hook, value: value["statuses"][0].pop("id")),
            (status, lambda hook, value: value["statuses"][0].update(invented=True)),
            (status, lambda hook, value: value.update(invented=True)),
            (body, lambda hook, value: value["contacts"][0].update(invented=True)),
        ]:
            hook = json.loads(good)
            change(hook, hook["entry"][0]["changes"][0]["value"])
            yield json.dumps(hook).encode(), headers


def main(program, pywa_python, groups):
    program, pywa_python = Path(program).resolve(), Path(pywa_python).absolute()
    proven("WhatsApp's documents", lambda scratch: Run(scratch, program, pywa_python, shlex.split(groups)), CONTRACTS)


if __name__ == "__main__":
    main(*sys.argv[1:])
