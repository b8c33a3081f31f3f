"""Twilio's own client for Python: what a bot may want of Twilio, once, and all the webhooks that come.

twilio_story.py, in an environment with the client. It writes the address of its webhooks; with a line `API_URL FILES_URL PAGE_URL`
it begins, and writes one JSON object when it is through; with the next line it writes what came of the webhooks, and ends.
"""
import json
import sys
import threading
import time
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from urllib.parse import parse_qsl

import requests
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio.twiml.messaging_response import MessagingResponse
from twilio.twiml.voice_response import VoiceResponse

ACCOUNT, TOKEN = "AC00000000000000000000000000000001", "sandbox-token"
KEY, SECRET = "SK00000000000000000000000000000001", "sandbox-secret"
LINE, BOB, EVA = "+12025550143", "+12025550123", "+442071234567"
# What must come through signing and parsing whole: letters of all kinds, names and values twice, nothing, blanks and lines.
WORDS = ' "Hello" <twilio> & 100 % + ü 😀\n second line '
# The longest wait for anything; the machine may be busy.
PATIENCE = 30


class Form(dict):
    """A form whose names may come more than once, as the validator wants it."""

    def __init__(self, pairs):
        super().__init__()
        for name, value in pairs:
            self.setdefault(name, []).append(value)

    def getlist(self, name):
        return self[name]


def kind(form):
    """What it is that a webhook tells."""
    if "MessageStatus" in form:
        return "status"
    if "CallSid" in form:
        return "voice"
    return "MMS" if form["NumMedia"] != ["0"] else "SMS"


class Received:
    """The webhooks, each with the validator's word."""

    def __init__(self):
        self.validator = RequestValidator(TOKEN)
        self.hooks, self.refused = [], []
        self.changed = threading.Condition()

    def take(self, url, body, signature):
        """Whether the signature is good, and the form."""
        pairs = parse_qsl(body.decode(), keep_blank_values=True)
        good = self.validator.validate(url, Form(pairs), signature)
        with self.changed:
            (self.hooks if good else self.refused).append((url, pairs, signature))
            self.changed.notify_all()
        return good, Form(pairs)

    def until(self, what, path, **fields):
        """Of those at a path one with these fields."""

        def fits(hook):
            form = Form(hook[1])
            return path in hook[0] and all(form.get(name) == [value] for name, value in fields.items())

        with self.changed:
            found = lambda: next((Form(hook[1]) for hook in self.hooks if fits(hook)), None)
            self.changed.wait_for(found, PATIENCE)
            if found() is None:
                raise AssertionError(f"{what} never came; there is {self.counts()} and refused {self.refused}")
            return found()

    def counts(self):
        return Counter(kind(Form(pairs)) for _, pairs, _ in self.hooks)

    def faults_seen(self):
        """One webhook of each kind, spoilt in each way; the validator must take it as it came and no spoilt one."""
        seen = 0
        for url, pairs, signature in {kind(Form(hook[1])): hook for hook in self.hooks}.values():
            assert self.validator.validate(url, Form(pairs), signature)
            for spoilt_url, spoilt, spoilt_signature in spoilings(url, pairs, signature):
                if self.validator.validate(spoilt_url, Form(spoilt), spoilt_signature):
                    raise AssertionError(f"the validator takes {spoilt_url} {spoilt} for {pairs}")
                seen += 1
            if RequestValidator("other-token").validate(url, Form(pairs), signature):
                raise AssertionError("the validator takes any token")
            seen += 1
        return seen


def spoilings(url, pairs, signature):
    (name, value), *rest = pairs
    yield url, [(name, value + "x"), *rest], signature
    yield url, [(name + "x", value), *rest], signature
    yield url, [*pairs, ("Invented", "1")], signature
    yield url, rest if value else pairs[:-1], signature
    yield url + "x", pairs, signature
    yield url.replace("http:", "https:"), pairs, signature
    yield url, pairs, signature[:-2] + ("A" if signature[-2] != "A" else "E") + "="
    yield url, pairs, ""


def twiml(path):
    """What the firm answers, by Twilio's own builder."""
    answer = VoiceResponse() if path.startswith("/voice") else MessagingResponse()
    if path == "/voice?from=story":
        answer.say("Hello <caller> & all", language="en-US")
        answer.record(max_length=30, action="/voice?after=record", recording_status_callback="/voice?recording=1")
    elif path.startswith("/sms"):
        answer.message("Thank <you> & goodbye")
    return str(answer)


def listening(received):
    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            url = f"http://{self.headers['Host']}{self.path}"
            good, _ = received.take(url, body, self.headers.get("X-Twilio-Signature", ""))
            said = twiml(self.path).encode()
            self.send_response(200 if good else 403)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def page(url, path, **body):
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=PATIENCE) as answer:
        return json.load(answer)


def refused(code, call):
    try:
        call()
    except TwilioRestException as error:
        assert error.code == code, error
        return error
    raise AssertionError(f"that was not refused with {code}")


def client(api, *credentials):
    http = TwilioHttpClient(timeout=PATIENCE)
    http.session.trust_env = False
    made = Client(*credentials, http_client=http)
    made.api.base_url = api
    return made


def eventually(look):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError("that never came about")


def messages(token, key, received, hooks):
    """Sent with the token and with the key, told of twice each, fetched, listed page by page, redacted, deleted."""
    callback = f"{hooks}/status?m=a%2Bb"
    sent = [token.messages.create(to=BOB, from_=LINE, body=f"{WORDS}{nth}", status_callback=callback) for nth in range(4)]
    sent.append(key.messages.create(to=EVA, from_=LINE, body="By key", status_callback=callback))
    assert {one.status for one in sent} == {"queued"} and {one.direction for one in sent} == {"outbound-api"}
    for one in sent:
        for status in ["sent", "delivered"]:
            received.until(f"{status} of {one.sid}", "/status?m=a%2Bb", MessageSid=one.sid, MessageStatus=status)
    fetched = key.messages(sent[0].sid).fetch()
    assert (fetched.status, fetched.body, fetched.to) == ("delivered", f"{WORDS}0", BOB), fetched
    listed = [one.sid for one in token.messages.stream(to=BOB, page_size=2)]
    assert listed[:4] == [one.sid for one in reversed(sent[:4])], listed
    assert len(token.messages.list(to=BOB, limit=3, page_size=3)) == 3
    assert token.messages.list(from_=LINE, date_sent_after=fetched.date_sent, limit=1)
    assert token.messages(sent[0].sid).update(body="").body == ""
    assert token.messages(sent[1].sid).delete()
    refused(20404, lambda: token.messages(sent[1].sid).fetch())


def refusals(api, token, url, received, hooks):
    """Each shape of a refusal, at once and later."""
    refused(21211, lambda: token.messages.create(to="+15005550001", from_=LINE, body="x"))
    refused(21606, lambda: token.messages.create(to=BOB, from_="+15005550007", body="x"))
    assert refused(20003, lambda: client(api, ACCOUNT, "wrong").messages("SM" + "0" * 32).fetch()).status == 401
    refused(20003, lambda: client(api, KEY, TOKEN, ACCOUNT).messages("SM" + "0" * 32).fetch())
    for code in [20429, 20503, 21610]:
        page(url, "/api/trouble", provider="twilio", code=str(code), times=1)
        refused(code, lambda: token.messages.create(to=BOB, from_=LINE, body="x"))
    page(url, "/api/trouble", provider="twilio", code="30006-later", times=1)
    sent = token.messages.create(to=BOB, from_=LINE, body="x", status_callback=f"{hooks}/status")
    received.until("the failure", "/status", MessageSid=sent.sid, ErrorCode="30006")
    assert token.messages(sent.sid).fetch().error_code == 30006


def number(token, hooks):
    found = token.incoming_phone_numbers.list(phone_number=LINE)
    assert [one.phone_number for one in found] == [LINE]
    theirs = token.incoming_phone_numbers(found[0].sid)
    changed = theirs.update(sms_url=f"{hooks}/sms?tenant=a%2Bb", voice_url=f"{hooks}/voice?from=story")
    assert changed.sms_url == f"{hooks}/sms?tenant=a%2Bb" and theirs.fetch().voice_url == f"{hooks}/voice?from=story"


def inbound(token, files, url, received):
    """A text with an answer in TwiML, and a picture."""
    sent = page(url, f"/api/phones/{BOB}/messages", channel="sms", text=WORDS)
    received.until("the text", "/sms?tenant=a%2Bb", MessageSid=sent["id"], Body=WORDS, From=BOB, To=LINE)
    shown = lambda: [one for one in page(url, f"/api/phones/{BOB}/messages") if "Thank <you> & goodbye" in one["text"]]
    eventually(shown)
    picture = {"base64": "cGl4ZWxz", "mime_type": "image/png", "filename": "a.png"}
    sent = page(url, f"/api/phones/{BOB}/messages", channel="sms", text="look", image=picture)
    told = received.until("the picture", "/sms", MessageSid=sent["id"], NumMedia="1", MediaContentType0="image/png")
    [media] = token.messages(sent["id"]).media.list()
    assert media.content_type == "image/png" and told["MediaUrl0"][0].endswith(media.sid), told
    assert token.messages(sent["id"]).media(media.sid).fetch().parent_sid == sent["id"]
    session = requests.Session()
    session.trust_env = False
    place = files + media.uri.removesuffix(".json")
    assert session.get(place, timeout=PATIENCE).status_code == 401
    first = session.get(place, auth=(ACCOUNT, TOKEN), allow_redirects=False, timeout=PATIENCE)
    assert session.get(first.headers["Location"], timeout=PATIENCE).content == b"pixels"


def calls(token, url, received, hooks):
    """One that comes and leaves a voicemail, and one of ours."""
    made = page(url, f"/api/phones/{EVA}/calls", channel="sms", voicemail="Please call back")
    received.until("the call", "/voice?from=story", CallSid=made["id"], CallStatus="ringing", Direction="inbound")
    recorded = received.until("the recording", "/voice?after=record", CallSid=made["id"])
    assert recorded["RecordingSid"][0].startswith("RE"), recorded
    received.until("the recording's status", "/voice?recording=1", CallSid=made["id"])
    fetched = eventually(lambda: (one := token.calls(made["id"]).fetch()).status == "completed" and one)
    assert (fetched._from, fetched.to, fetched.direction) == (EVA, LINE, "inbound"), fetched
    assert recorded["RecordingSid"][0] in [one.sid for one in token.recordings.list(call_sid=made["id"])]
    assert token.recordings(recorded["RecordingSid"][0]).fetch().call_sid == made["id"]
    events = ["initiated", "ringing", "answered", "completed"]
    said = VoiceResponse()
    said.say("Hello")
    out = token.calls.create(
        to=EVA, from_=LINE, twiml=said, status_callback=f"{hooks}/voice?out=1", status_callback_event=events
    )
    received.until("its end", "/voice?out=1", CallSid=out.sid, CallStatus="completed")
    assert token.calls.list(to=EVA, limit=1)[0].sid == out.sid
    refused(21220, lambda: token.calls(out.sid).update(status="completed"))


def forged(url, received):
    """What the emulator signs with another key."""
    assert not received.refused, received.refused
    page(url, "/api/trouble", provider="twilio", code="bad-signature", times=1)
    page(url, f"/api/phones/{BOB}/messages", channel="sms", text="Forged")
    # The one at the number's address and the copy.
    eventually(lambda: len(received.refused) == 2)
    assert all(("Body", "Forged") in pairs for _, pairs, _ in received.refused), received.refused


def story(api, files, url, received, hooks):
    token, key = client(api, ACCOUNT, TOKEN), client(api, KEY, SECRET, ACCOUNT)
    assert token.api.accounts(ACCOUNT).fetch().status == "active"
    messages(token, key, received, hooks)
    refusals(api, token, url, received, hooks)
    number(token, hooks)
    inbound(token, files, url, received)
    calls(token, url, received, hooks)
    forged(url, received)


def main():
    received = Received()
    hooks = listening(received)
    print(hooks, flush=True)
    api, files, url = sys.stdin.readline().split()
    story(api, files, url, received, hooks)
    print(json.dumps({"twilio": version("twilio")}), flush=True)
    sys.stdin.readline()
    print(json.dumps({"accepted": received.counts(), "refused": len(received.refused), "faults": received.faults_seen()}), flush=True)


main()
