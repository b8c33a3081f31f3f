"""A full day of an advisor and her clients by SMS and telephone: everything that the bot may want of Twilio."""
import base64

import aiohttp

from page import JANE, Page

MIA, JAN, TEXTER, CALLER = "+19175550148", "+491713920012", "+12025550166", "+12125550167"
# The smallest picture there is: one pixel.
PICTURE = {
    "base64": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=",
    "mime_type": "image/png",
    "filename": "dot.png",
}


async def onboarded(page, first, number):
    """By hand: contact, room, welcome."""
    await page.asks("", f"/contact add {first} Day phone={number} channel=sms", "answer")
    await page.gets(number, "STOP")
    return f"{first} Day"


async def consent(page):
    """A US number: what Jane writes is held, the question goes out, and the yes releases it."""
    room = await onboarded(page, "Mia", MIA)
    await page.asks(room, "Good morning <Mia> & \"all\" 😀 + 5 %", "held")
    await page.gets(MIA, "Reply YES to agree")
    await page.writes(MIA, "YES")
    await page.reads(room, "consent_yes")
    await page.gets(MIA, "Good morning <Mia> & \"all\" 😀 + 5 %")
    return room


async def pictures(page, room):
    """An MMS each way, whole."""
    await page.post(f"/api/users/{JANE}/messages", room=room, text="Look at this", files=[PICTURE])

    async def shown():
        there = await page.get(f"/api/phones/{MIA}/messages")
        return next((one["file"] for one in there if one["direction"] == "in" and one.get("file")), None)

    await same(page, f"/api/phones/files/{(await page.until('the picture on the phone', shown))['id']}")
    await page.post(f"/api/phones/{MIA}/messages", channel="sms", text="And at this", image=PICTURE)
    await page.reads(room, "client_message", "And at this")
    line = await file_in(page, room)
    await same(page, f"/api/rooms/files/{line['id']}/{line['files'][0]['id']}")


async def file_in(page, room):
    """The first line of the bot's that bears a file."""

    async def told():
        return next((line for line in await page.lines(room) if line.get("files") and line["from"]["service"]), None)

    return await page.until(f"a file in {room!r}", told)


async def same(page, path):
    async with page.http.get(page.url + path) as answer:
        if await answer.read() != base64.b64decode(PICTURE["base64"]):
            raise AssertionError(f"{path} is another picture")


async def elsewhere(page):
    """Who does not live in the US is not asked."""
    room = await onboarded(page, "Jan", JAN)
    await page.says(room, "Guten Morgen, Jan")
    await page.gets(JAN, "Guten Morgen, Jan")
    await page.writes(JAN, "Guten Morgen, Jane")
    await page.reads(room, "client_message", "Guten Morgen, Jane")
    return room


async def refusals(page, room):
    """Twilio says no, in each way that has a shape of its own, at once or later."""
    await page.trouble("429")
    await page.says(room, "In spite of 429.")
    await page.advance("2m")
    await page.gets(JAN, "In spite of 429.")
    # After a 500 nobody knows whether it went: the bot looks at the list after a while, does not find it, and sends it.
    await page.trouble("500")
    await page.says(room, "In spite of 500.")

    async def doubtful():
        return any(entry["kind"] == "message.in_doubt" for entry in await page.get("/api/journal"))

    await page.until("the doubt", doubtful)
    await page.advance("31s")
    await page.gets(JAN, "In spite of 500.")
    for code in ["21614", "30006-later"]:
        await page.trouble(code)
        said = await page.says(room, f"Never arrives: {code}")
        await page.reads(room, "failed", after=said)


async def strangers(page):
    """A text, and a call with a voicemail, from numbers that nobody lists."""
    await page.writes(TEXTER, "Is this Jane?")
    await page.reads(TEXTER, "client_message", "Is this Jane?")
    await page.gets(TEXTER, "STOP")
    await page.post(f"/api/phones/{CALLER}/calls", channel="sms", answered=False, voicemail="Please call me back")
    await page.reads(CALLER, "info", f"Call from {CALLER}")
    await file_in(page, CALLER)
    await page.gets(CALLER, "STOP")


async def story(page_url):
    async with aiohttp.ClientSession() as http:
        page = Page(page_url, http, "sms")
        await pictures(page, await consent(page))
        await refusals(page, await elsewhere(page))
        await strangers(page)
