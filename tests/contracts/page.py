"""The control calls of the sandbox, by which people act, and what they see."""
import asyncio
import time

JANE = "jane.doe@acme.com"
# The longest wait for anything; the machine may be busy.
PATIENCE = 30
# Who stands behind a channel.
PROVIDERS = {"whatsapp": "whatsapp", "sms": "twilio"}


class Page:
    """Jane's, and that of the clients on one channel."""

    def __init__(self, url, http, channel):
        self.url, self.http, self.channel = url, http, channel

    async def post(self, path, **body):
        async with self.http.post(self.url + path, json=body) as answer:
            said = await answer.json()
            if answer.status != 200:
                raise AssertionError(f"{path} {body}: {said}")
            return said

    async def get(self, path):
        async with self.http.get(self.url + path) as answer:
            return await answer.json()

    async def until(self, what, look):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = await look()
            if found:
                return found
            await asyncio.sleep(0.05)
        raise AssertionError(f"{what} never came")

    async def advance(self, span):
        await self.post("/api/clock", advance=span)

    async def trouble(self, code):
        await self.post("/api/trouble", provider=PROVIDERS[self.channel], code=code, times=1)

    async def lines(self, room):
        listed = await self.get(f"/api/rooms?user={JANE}")
        found = next((one for one in listed if one["name"] == room), None)
        return [] if found is None else await self.get(f"/api/rooms/{found['id']}/messages?user={JANE}")

    async def says(self, room, text):
        return (await self.post(f"/api/users/{JANE}/messages", room=room, text=text))["id"]

    async def reads(self, room, code, text="", after=None):
        """Jane, the bot's first line of that code and text, after a message of her own if one is given."""

        async def look():
            lines = await self.lines("Liaison" if room == "" else room)
            ids = [line["id"] for line in lines]
            later = lines[ids.index(after) + 1 :] if after in ids else lines if after is None else []
            ours = [line for line in later if (line.get("data") or {}).get("liaison", {}).get("code") == code]
            return next((line for line in ours if text in line["text"]), None)

        return await self.until(f"{code} with {text!r} in {room!r}", look)

    async def asks(self, room, text, code):
        """Jane writes, and the bot says something of that code to it."""
        return await self.reads(room, code, after=await self.says(room, text))

    async def presses(self, room, line, form, **values):
        await self.post(f"/api/users/{JANE}/forms", room=room, message=line["id"], form=form, values=values)

    async def writes(self, number, text):
        await self.post(f"/api/phones/{number}/messages", channel=self.channel, text=text)

    async def taps(self, number, payload):
        await self.post(f"/api/phones/{number}/messages", channel=self.channel, payload=payload)

    async def gets(self, number, text):
        """The client, a message with this text or of this template."""

        async def look():
            there = [one for one in await self.get(f"/api/phones/{number}/messages") if one["direction"] == "in"]
            return next((one for one in there if text in one["text"] or text == one["template"]), None)

        return await self.until(f"{text!r} on {number}", look)
