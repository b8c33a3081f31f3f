"""One bot on the official Python BDK: everything that a bot of somebody else may want from a pod, once.

bdk_story.py POD_PORT AGENT_PORT KEYS_FOLDER PAGE_URL, in the BDK's own environment. It writes "feed" when its feed is read and goes
on when it gets a line; at the end it writes what it has seen as one JSON object.
"""
import asyncio
import io
import json
import logging
import sys
from importlib.metadata import version

import aiohttp
from symphony.bdk.core.config.model.bdk_config import BdkConfig
from symphony.bdk.core.service.connection.model.connection_status import ConnectionStatus
from symphony.bdk.core.service.datafeed.real_time_event_listener import RealTimeEventListener
from symphony.bdk.core.service.message.model import Message
from symphony.bdk.core.symphony_bdk import SymphonyBdk
from symphony.bdk.gen.pod_model.stream_filter import StreamFilter
from symphony.bdk.gen.pod_model.stream_type import StreamType
from symphony.bdk.gen.pod_model.v2_room_search_criteria import V2RoomSearchCriteria
from symphony.bdk.gen.pod_model.v3_room_attributes import V3RoomAttributes

BDK = version("symphony-bdk-python")
JANE, SAM, NINA = "jane.doe@acme.com", "sam.lee@acme.com", "nina.roy@acme.com"
# The longest wait for anything; the machine may be busy.
PATIENCE = 25
FORM = """<form id="order"><text-field name="amount" required="true" placeholder="How much"/><textarea name="why"/>
<select name="kind"><option value="buy">Buy</option><option value="sell" selected="true">Sell</option></select>
<checkbox name="sure" value="yes">Sure</checkbox><button name="send" type="action">Send</button></form>"""


class Page:
    """The control calls by which people act."""

    def __init__(self, url, http):
        self.url, self.http = url, http

    async def post(self, path, **body):
        async with self.http.post(self.url + path, json=body) as answer:
            said = await answer.json()
            assert answer.status == 200, f"{path}: {said}"
            return said

    async def get(self, path):
        async with self.http.get(self.url + path) as answer:
            said = await answer.json()
            assert answer.status == 200, f"{path}: {said}"
            return said

    async def reads(self, who, room, text):
        """Waits until a person sees a message with this text."""
        for _ in range(PATIENCE * 10):
            for message in await self.get(f"/api/rooms/{room}/messages?user={who}"):
                if text in message["text"]:
                    return message
            await asyncio.sleep(0.1)
        raise AssertionError(f"{who} never read {text!r}")


class Listener(RealTimeEventListener):
    """Answers a ping and a pressed form, and notes every type of event that the BDK handed on."""

    def __init__(self, bdk):
        self.bdk, self.seen, self.forms = bdk, [], []
        self.changed = asyncio.Event()

    def note(self, kind):
        self.seen.append(kind)
        self.changed.set()

    async def is_accepting_event(self, event, bot_info):
        return True

    async def on_message_sent(self, initiator, event):
        self.note("MESSAGESENT")
        text = event.message.message
        if "ping" in text:
            stream = event.message.stream.stream_id
            await self.bdk.messages().send_message(stream, "<b>pong</b> " + text.split("ping")[1].split("<")[0])

    async def on_symphony_elements_action(self, initiator, event):
        self.forms.append((event.form_id, event.form_values))
        self.note("SYMPHONYELEMENTSACTION")

    async def until(self, what):
        async def wait():
            while what not in self.seen:
                self.changed.clear()
                await self.changed.wait()

        await asyncio.wait_for(wait(), PATIENCE)


def noting(kind):
    async def noted(self, initiator, event):
        self.note(kind)

    return noted


for kind, method in {
    "INSTANTMESSAGECREATED": "on_instant_message_created",
    "ROOMCREATED": "on_room_created",
    "ROOMUPDATED": "on_room_updated",
    "ROOMDEACTIVATED": "on_room_deactivated",
    "ROOMREACTIVATED": "on_room_reactivated",
    "USERJOINEDROOM": "on_user_joined_room",
    "USERLEFTROOM": "on_user_left_room",
    "ROOMMEMBERPROMOTEDTOOWNER": "on_room_member_promoted_to_owner",
    "ROOMMEMBERDEMOTEDFROMOWNER": "on_room_demoted_from_owner",
    "CONNECTIONREQUESTED": "on_connection_requested",
    "CONNECTIONACCEPTED": "on_connection_accepted",
    "MESSAGESUPPRESSED": "on_message_suppressed",
}.items():
    setattr(Listener, method, noting(kind))


def plain(answer):
    """A list is a model of its own in version 2, a list in version 3."""
    return getattr(answer, "value", answer)


async def feed_is_read(bdk):
    for _ in range(PATIENCE * 10):
        if getattr(bdk.datafeed(), "_datafeed_id", None):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("no feed")


async def told_to_go_on():
    print("feed", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


async def conversation(bdk, page, listener):
    """A person opens a chat with the bot and is answered."""
    im = (await page.post(f"/api/users/{JANE}/ims", **{"with": "guest-bot"}))["id"]
    await listener.until("INSTANTMESSAGECREATED")
    await page.post(f"/api/users/{JANE}/messages", room=im, text='ping <one> & "two" 😀')
    await page.reads(JANE, im, "pong")
    return im


async def people(bdk):
    users = bdk.users()
    me = await bdk.sessions().get_session()
    assert me.username == "guest-bot"
    found = await users.list_users_by_emails([JANE, SAM, "nobody@acme.com", "no address"], local=True, active=True)
    ids = {user.email_address: user.id for user in found.users}
    assert set(ids) == {JANE, SAM}
    by_id = await users.list_users_by_ids([ids[JANE], me.id, 1], local=True)
    assert len(by_id.users) == 2
    by_name = await users.list_users_by_usernames(["liaison", "nina.roy"])
    others = {user.username: user.id for user in by_name.users}
    return ids[JANE], ids[SAM], others["nina.roy"], others["liaison"]


async def room(bdk, jane, sam):
    streams = bdk.streams()
    attributes = {"members_can_invite": True, "discoverable": False, "public": False, "view_history": True, "read_only": False}
    made = await streams.create_room(V3RoomAttributes(name="BDK room", description="Made by a BDK", **attributes))
    room = made.room_system_info.id
    await streams.add_member_to_room(jane, room)
    await streams.add_member_to_room(sam, room)
    await streams.promote_user_to_room_owner(jane, room)
    await streams.demote_owner_to_room_participant(jane, room)
    await streams.remove_member_from_room(sam, room)
    await streams.update_room(room, V3RoomAttributes(name="BDK room, renamed", description="Still"))
    members = plain(await streams.list_room_members(room))
    assert {member.id for member in members} >= {jane} and len(members) == 2
    info = await streams.get_room_info(room)
    assert info.room_attributes.name == "BDK room, renamed"
    assert (await streams.get_stream(room)).id == room
    listed = plain(await streams.list_streams(StreamFilter(stream_types=[StreamType(type="ROOM"), StreamType(type="IM")])))
    assert room in [stream.id for stream in listed]
    found = await streams.search_rooms(V2RoomSearchCriteria(query="bdk room"), include_non_discoverable=True)
    assert room in [one.room_system_info.id for one in found.rooms]
    return room


async def messages(bdk, page, listener, room, jane):
    service = bdk.messages()
    rich = f'<mention uid="{jane}"/> <hash tag="news"/> <cash tag="ibm"/> <emoji shortcode="smiley"/><table><tr><td>1</td></tr></table>'
    data = {"order": {"type": "com.acme.order", "version": "1.0", "amount": 3}}
    sent = await service.send_message(room, rich + '<div class="entity" data-entity-id="order">x</div>', data=data)
    await page.reads(JANE, room, "@Jane Doe")
    changed = await service.update_message(room, sent.message_id, "<messageML>changed</messageML>")
    await page.reads(JANE, room, "changed")
    file = io.StringIO("what is in the file")
    file.name = "hello.txt"
    with_file = await service.send_message(room, Message(content="with a file", attachments=[file]))
    attached = with_file.attachments[0]
    got = await service.get_attachment(room, with_file.message_id, attached.id)
    assert got, "the attachment is empty"
    form = await service.send_message(room, FORM)
    values = {"amount": "3", "why": "because", "kind": "sell", "sure": "yes", "action": "send"}
    await page.post(f"/api/users/{JANE}/forms", room=room, message=form.message_id, form="order", values=values)
    await listener.until("SYMPHONYELEMENTSACTION")
    assert listener.forms[0][0] == "order" and listener.forms[0][1]["amount"] == "3", listener.forms
    history = plain(await service.list_messages(room, since=0))
    assert changed.message_id in [message.message_id for message in history]
    again = await service.get_message(form.message_id)
    assert "form" in again.message
    await service.suppress_message(with_file.message_id)
    await listener.until("MESSAGESUPPRESSED")


async def closing(bdk, room):
    await bdk.streams().set_room_active(room, False)
    await bdk.streams().set_room_active(room, True)


async def connections(bdk, other, listener, liaison):
    """Asked for by one account, accepted by the other."""
    me = (await bdk.sessions().get_session()).id
    await bdk.connections().create_connection(liaison)
    await listener.until("CONNECTIONREQUESTED")
    waiting = plain(await other.connections().list_connections(ConnectionStatus.PENDING_INCOMING))
    assert [connection.user_id for connection in waiting] == [me]
    await other.connections().accept_connection(me)
    await listener.until("CONNECTIONACCEPTED")
    listed = plain(await bdk.connections().list_connections())
    assert liaison in [connection.user_id for connection in listed]


async def health(bdk):
    await bdk.health().health_check()
    await bdk.health().health_check_extended()
    assert (await bdk.health().get_agent_info()).version


async def stale_feed(bdk, page, im):
    """The feed goes away while it is read; version 2 makes a new one. Version 3 ends its loop on the empty 204 of its DELETE."""
    loop = bdk.datafeed()
    gone = loop._datafeed_id
    session, key = await bdk.bot_session().session_token, await bdk.bot_session().key_manager_token
    await loop._datafeed_api.delete_datafeed(datafeed_id=gone, session_token=session, key_manager_token=key)
    # A read that is held learns of it at the next change.
    await page.post(f"/api/users/{JANE}/messages", room=im, text="this one is lost with the feed")
    for _ in range(PATIENCE * 10):
        if loop._datafeed_id != gone:
            break
        await asyncio.sleep(0.1)
    await page.post(f"/api/users/{JANE}/messages", room=im, text="ping again")
    await page.reads(JANE, im, "pong  again")


async def story(bdk, other, page):
    listener = Listener(bdk)
    bdk.datafeed().subscribe(listener)
    reading = asyncio.create_task(bdk.datafeed().start())
    try:
        await feed_is_read(bdk)
        await told_to_go_on()
        await health(bdk)
        jane, sam, nina, liaison = await people(bdk)
        im = await conversation(bdk, page, listener)
        opened = plain(await bdk.streams().create_im(nina))
        assert opened.id
        place = await room(bdk, jane, sam)
        await messages(bdk, page, listener, place, jane)
        await connections(bdk, other, listener, liaison)
        await closing(bdk, place)
        await listener.until("ROOMREACTIVATED")
        if BDK.startswith("2."):
            await stale_feed(bdk, page, im)
        assert not reading.done(), f"the feed's loop ended: {reading.exception()}"
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    return sorted(set(listener.seen))


def configured(pod_port, agent_port, username, key_file):
    local = {"scheme": "http", "host": "127.0.0.1"}
    return BdkConfig(
        pod={**local, "port": int(pod_port)},
        agent={**local, "port": int(agent_port)},
        keyManager={**local, "port": int(pod_port)},
        bot={"username": username, "privateKey": {"path": key_file}},
        datafeed={"version": "v2"},
        # A refused call is a finding, not something to be tried again until it is forgotten.
        retry={"maxAttempts": 1},
    )


async def main(pod_port, agent_port, keys, page_url):
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    guest = configured(pod_port, agent_port, "guest-bot", f"{keys}/guest-bot.pem")
    liaison = configured(pod_port, agent_port, "liaison", f"{keys}/bot.pem")
    async with aiohttp.ClientSession() as http, SymphonyBdk(guest) as bdk, SymphonyBdk(liaison) as other:
        seen = await story(bdk, other, Page(page_url, http))
    print(json.dumps({"bdk": BDK, "events": seen}), flush=True)


asyncio.run(main(*sys.argv[1:]))
