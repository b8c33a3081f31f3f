"""A full day of an advisor and her clients, by the control calls of the sandbox: everything that the bot may want of WhatsApp."""
import aiohttp

from page import Page

ANN, BOB, PAUL, STRANGER = "+4915110770001", "+12025550177", "+33612345678", "+4915110770002"


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
        page = Page(page_url, http, "whatsapp")
        room = await consent(page)
        await conversation(page, room)
        await refusals(page, room)
        await stranger(page)
        await opt_out(page)
        await not_on_whatsapp(page)
        await closed_window(page, room)
