"""A full day of an advisor and her clients, by the control calls of the sandbox: everything that the bot may want of WhatsApp."""
import asyncio
import time

import aiohttp

JANE = "jane.doe@acme.com"
# The longest wait for anything; the machine may be busy.
PATIENCE = 30
ANN, BOB, PAUL, STRANGER = "+4915110770001", "+12025550177", "+33612345678", "+4915110770002"


class Page:
    """The control calls by which people act, and what they see."""

    def __init__(self, url, http):
        self.url, self.http = url, http

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
        await self.post("/api/trouble", provider="whatsapp", code=code, times=1)

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
        await self.post(f"/api/phones/{number}/messages", channel="whatsapp", text=text)

    async def taps(self, number, payload):
        await self.post(f"/api/phones/{number}/messages", channel="whatsapp", payload=payload)

    async def gets(self, number, text):
        """The client, a message with this text or of this template."""

        async def look():
            there = [one for one in await self.get(f"/api/phones/{number}/messages") if one["direction"] == "in"]
            return next((one for one in there if text in one["text"] or text == one["template"]), None)

        return await self.until(f"{text!r} on {number}", look)


async def invited(page, first, number):
    await page.post("/api/phones", number=number, name=f"{first} Day")
    add = f"/contact add {first} Day phone={number} email={first.lower()}@day.com channel=whatsapp --room"
    await page.asks("", add, "answer")
    await page.gets(number, "liaison_invitation")
    return f"{first} Day"


async def consent(page):
    """Asked by template; free words are answered with the question as buttons; what was held goes out with the yes."""
    room = await invited(page, "Ann", ANN)
    await page.asks(room, "Good morning <Ann> & \"all\" 😀", "held")
    await page.writes(ANN, "Who is this?")

    async def question():
        there = await page.get(f"/api/phones/{ANN}/messages")
        return any(one["buttons"] for one in there if one["direction"] == "in" and not one["template"])

    await page.until("the question as buttons", question)
    await page.taps(ANN, "consent:yes")
    await page.reads(room, "consent_yes")
    await page.gets(ANN, "Good morning <Ann> & \"all\" 😀")
    return room


async def conversation(page, room):
    for nth in range(3):
        await page.writes(ANN, f"Hello Jane, {nth}")
        await page.reads(room, "client_message", f"Hello Jane, {nth}")
        await page.says(room, f"Hello Ann, {nth}\nand a second line")
        await page.gets(ANN, f"Hello Ann, {nth}")


async def refusals(page, room):
    """WhatsApp says no for a while, in each way that has a shape of its own; the message goes out in the end."""
    for code in ["503", "131000", "130429"]:
        await page.trouble(code)
        await page.says(room, f"In spite of {code}.")
        await page.advance("2m")
        await page.gets(ANN, f"In spite of {code}.")


async def closed_window(page, room):
    """By our own clock, and then by WhatsApp's word alone."""
    await page.advance("25h")
    await page.asks(room, "After the day.", "held")
    await page.gets(ANN, "liaison_message_waiting")
    preview = await page.asks(room, "/template send follow_up", "confirm")
    await page.presses(room, preview, "confirm", action="confirm")
    await page.gets(ANN, "follow_up")
    await page.writes(ANN, "I am back")
    await page.gets(ANN, "After the day.")
    await page.trouble("131047")
    await page.asks(room, "Closed for WhatsApp only.", "held")


async def stranger(page):
    await page.writes(STRANGER, "Is anybody there?")
    await page.reads(STRANGER, "client_message", "Is anybody there?")

    async def welcome():
        return [one for one in await page.get(f"/api/phones/{STRANGER}/messages") if one["direction"] == "in"]

    await page.until("the welcome", welcome)
    await page.post(f"/api/phones/{STRANGER}/calls")


async def opt_out(page):
    """Agrees by the button of the template, stops, and is told so."""
    room = await invited(page, "Bob", BOB)
    await page.taps(BOB, "consent:yes")
    await page.reads(room, "consent_yes")
    # WhatsApp tells whole seconds, and within one of them a stop wins over a yes.
    await page.advance("2s")
    await page.writes(BOB, "STOP")
    await page.reads(room, "consent_no")
    await page.gets(BOB, "YES")


async def not_on_whatsapp(page):
    """Accepted, and then failed by a status."""
    add = f"/contact add Paul Roux phone={PAUL} email=paul@roux.com channel=whatsapp --room"
    await page.asks("", add, "answer")
    await page.reads("Paul Roux", "not_on_whatsapp")


async def story(page_url):
    async with aiohttp.ClientSession() as http:
        page = Page(page_url, http)
        room = await consent(page)
        await conversation(page, room)
        await refusals(page, room)
        await stranger(page)
        await opt_out(page)
        await not_on_whatsapp(page)
        await closed_window(page, room)
