"""A Twilio that others wrote, `emulate`, and what happens when the bot lives with it: both onboardings, by hand and on the fly.

What it does otherwise than Twilio: it calls back for the first status too, and before it answers the request that made it.
"""
import json
import shutil
from pathlib import Path

import aiohttp

from page import Page
from patches import ACCOUNT, LINE

MODULES = Path(__file__).resolve().parent / "node_modules"
TOKEN = aiohttp.encode_basic_auth(ACCOUNT, "sandbox-token")
MIA, TEXTER, CALLER = "+19175550148", "+12025550168", "+12125550169"
# Of webhooks that were refused; it is not shown before there is one.
FAILURES = 'liaison_signature_failures_total{provider="twilio"}'


def command(port, seed):
    """With the Node.js that it needs, or with the machine's own where there is no package of that."""
    packed = next(MODULES.glob("node-*/bin/node"), None)
    return [packed or shutil.which("node"), MODULES / "emulate/dist/index.js", "start", "--service", "twilio", "--port", port, "--seed", seed]


def seed(bot, auth_token="sandbox-token"):
    hook = lambda path: f"{bot}/webhooks/twilio/{path}"
    number = {"phone_number": LINE, "sms_url": hook("sms"), "voice_url": hook("voice"), "status_callback": hook("status")}
    return json.dumps({"twilio": {"account": {"sid": ACCOUNT, "auth_token": auth_token}, "phone_numbers": [number]}})


class Twilio:
    """What is asked of it, and what people with phones do."""

    def __init__(self, url, page, token=TOKEN):
        self.url, self.page, self.headers = url, page, {"Authorization": token}

    async def call(self, method, path, **form):
        async with self.page.http.request(method, self.url + path, data=form or None, headers=self.headers) as answer:
            said = await answer.json()
            if answer.status >= 300:
                raise AssertionError(f"{path} {form}: {said}")
            return said

    async def simulate(self, what, **form):
        return await self.call("POST", f"/_twilio/simulate/{what}", **form)

    async def writes(self, number, text):
        await self.simulate("inbound-message", To=LINE, From=number, Body=text)

    async def sent(self, number):
        """What left for a phone, oldest first."""
        listed = await self.call("GET", f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json?To=%2B{number[1:]}")
        return [one for one in reversed(listed["messages"]) if one["from"] == LINE]

    async def gets(self, number, text):
        async def look():
            return next((one for one in await self.sent(number) if text in one["body"]), None)

        return await self.page.until(f"{text!r} for {number}", look)


async def listening(child, page, url):
    async def look():
        if child.process.returncode is not None:
            raise AssertionError(child.told())
        try:
            async with page.http.get(url) as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    await page.until("the Twilio that others wrote", look)


async def by_hand(page, twilio):
    """Contact, room, welcome; the first text to a US number is held, the question leaves, and the yes releases it."""
    await page.asks("", f"/contact add Mia Cole phone={MIA} channel=sms", "answer")
    welcome = await twilio.gets(MIA, "STOP")
    for status in ["sent", "delivered"]:
        await twilio.simulate("message-status", MessageSid=welcome["sid"], Status=status)
    room = "Mia Cole"
    await page.asks(room, "Good morning Mia & all", "held")
    await twilio.gets(MIA, "Reply YES to agree")
    if any("Good morning" in one["body"] for one in await twilio.sent(MIA)):
        raise AssertionError("what was held has left")
    await twilio.writes(MIA, "YES")
    await page.reads(room, "consent_yes")
    await twilio.gets(MIA, "Good morning Mia & all")
    await twilio.writes(MIA, "Good morning Jane <3")
    await page.reads(room, "client_message", "Good morning Jane <3")
    failing = await page.says(room, "This one fails.")
    sent = await twilio.gets(MIA, "This one fails.")
    await twilio.simulate("message-status", MessageSid=sent["sid"], Status="undelivered")
    await page.reads(room, "failed", after=failing)


async def on_the_fly(page, twilio):
    """Whoever writes or calls becomes an incomplete contact in a room with his welcome and a line of what he did."""
    await twilio.writes(TEXTER, "Is this Jane?")
    await page.reads(TEXTER, "client_message", "Is this Jane?")
    call = await twilio.simulate("inbound-call", To=LINE, From=CALLER)
    await twilio.simulate("call-status", CallSid=call["sid"], Status="completed")
    await page.reads(CALLER, "info", f"Call from {CALLER}")
    for number in [TEXTER, CALLER]:
        await twilio.gets(number, "STOP")
        await page.reads("", "answer", "INCOMPLETE", after=await page.says("", f"/contact show {number}"))


async def failures(page, ops):
    async with page.http.get(ops + "/metrics") as answer:
        found = [line for line in (await answer.text()).splitlines() if line.startswith(FAILURES)]
    return sum(int(line.split()[-1]) for line in found)


async def story(page_url, url, ops, child):
    async with aiohttp.ClientSession() as http:
        page = Page(page_url, http, "sms")
        await listening(child, page, url + "/")
        twilio = Twilio(url, page)
        await by_hand(page, twilio)
        await on_the_fly(page, twilio)
        if await failures(page, ops):
            raise AssertionError("the bot refused a webhook")


async def forged_story(page_url, url, ops, child):
    """The same Twilio with another token: the bot takes nothing of it."""
    async with aiohttp.ClientSession() as http:
        page = Page(page_url, http, "sms")
        await listening(child, page, url + "/")
        twilio = Twilio(url, page, aiohttp.encode_basic_auth(ACCOUNT, "other-token"))
        before = await failures(page, ops)
        await twilio.writes(MIA, "Forged")
        await twilio.simulate("inbound-call", To=LINE, From=CALLER)
        if await failures(page, ops) != before + 2:
            raise AssertionError("the bot takes webhooks with a wrong signature")
        return 2
