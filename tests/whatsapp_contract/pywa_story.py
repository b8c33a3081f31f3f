"""One bot on pywa, a client that others wrote: what such a bot may want of WhatsApp, once, and all the webhooks that come.

pywa_story.py, in pywa's own environment. It writes the address of its webhook; with a line `GRAPH_URL PAGE_URL` it begins, and
writes one JSON object when it is through; with the next line it writes what came of the webhooks, and ends.
"""
import json
import logging
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import httpx
from pywa import WhatsApp, errors, types
from pywa.types import templates

LINE, ACCOUNT, TOKEN, SECRET = "100000000000001", "200000000000001", "sandbox-token", "sandbox-secret"
EVA = "+442071234567"
API_VERSION = 25.0
# The longest wait for anything; the machine may be busy.
PATIENCE = 30
# Prism hands bodies on as text, so a file of bytes would not come through it whole.
WORDS = b"plain words"


class Received:
    """What pywa made of the webhooks, and what it could make nothing of."""

    def __init__(self, client):
        self.client, self.updates, self.statuses, self.complaints = client, [], {}, []
        self.changed = threading.Condition()

    def post(self, body, signature):
        """As pywa's own servers do it: the signature first, then the update."""
        refused = self.client.webhook_update_validator(body, signature)
        said, status = refused or self.client.webhook_update_handler(body)
        self.statuses[status] = self.statuses.get(status, 0) + 1
        return said, status

    def note(self, _client, update):
        with self.changed:
            self.updates.append(update)
            self.changed.notify_all()

    def until(self, what, fits):
        with self.changed:
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:
                found = next((update for update in self.updates if fits(update)), None)
                if found is not None:
                    return found
                self.changed.wait(0.5)
        raise AssertionError(f"{what} never came; there is {[type(update).__name__ for update in self.updates]}")

    def of(self, kind, **fields):
        def fits(update):
            return isinstance(update, kind) and all(getattr(update, name) == value for name, value in fields.items())

        return self.until(f"{kind.__name__} with {fields}", fits)


class Complaints(logging.Handler):
    """pywa answers 200 whatever it makes of an update; only its log tells of one that it could not read."""

    def __init__(self, kept):
        super().__init__(logging.ERROR)
        self.kept = kept

    def emit(self, record):
        cause = record.exc_info[1] if record.exc_info else None
        self.kept.append(f"{record.getMessage()}: {cause!r}")


def listening(received):
    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            said, status = received.post(body, self.headers.get("X-Hub-Signature-256"))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}/"


def page(url, path, **body):
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.load(answer)


def refused(kind, call):
    try:
        call()
    except kind:
        return
    raise AssertionError(f"that was not refused with {kind.__name__}")


def template(wa, received):
    """Made, reviewed, listed, sent out of the window, tapped."""
    hello = templates.Template(
        name="pywa_hello",
        language=templates.TemplateLanguage.ENGLISH_US,
        category=templates.TemplateCategory.UTILITY,
        parameter_format=templates.ParamFormat.POSITIONAL,
        components=[
            body := templates.BodyText("Hello {{1}}, your appointment is at {{2}} today.", "Eva", "noon"),
            templates.FooterText(text="Acme Wealth"),
            templates.Buttons(buttons=[yes := templates.QuickReplyButton(text="Yes"), no := templates.QuickReplyButton(text="No")]),
        ],
    )
    made = wa.create_template(hello)
    received.of(types.TemplateStatusUpdate, template_name="pywa_hello", new_status=templates.TemplateStatus.APPROVED)
    assert "pywa_hello" in [one.name for one in wa.get_templates()]
    assert wa.get_template(made.id).name == "pywa_hello"
    short = templates.BodyText("Hello {{1}}, all is well.", "Eva")
    taps = [yes.params(callback_data="pywa:yes", index=0), no.params(callback_data="pywa:no", index=1)]
    language = templates.TemplateLanguage.ENGLISH_US
    refused(errors.TemplateParamCountMismatch, lambda: wa.send_template(EVA, "pywa_hello", language, [short.params("Eva")]))
    refused(errors.TemplateNotExists, lambda: wa.send_template(EVA, "no_such_thing", language, []))
    sent = wa.send_template(EVA, "pywa_hello", language, [body.params("Eva", "one"), *taps], tracker="t-1")
    status = received.of(types.MessageStatus, id=sent.id, status=types.MessageStatusType.DELIVERED)
    assert status.tracker == "t-1" and status.pricing is not None, status


def interactive(wa, received, url):
    buttons = [types.Button("First", "pywa:first"), types.Button("Second", "pywa:second")]
    wa.send_message(EVA, "Which?", header="A question", footer="One of two", buttons=buttons)
    page(url, f"/api/phones/{EVA}/messages", channel="whatsapp", payload="pywa:second")
    tapped = received.of(types.CallbackButton, data="pywa:second")
    rows = [types.SectionRow("Noon", "pywa:noon", "At twelve"), types.SectionRow("Night", "pywa:night")]
    wa.send_message(EVA, "When?", buttons=types.SectionList("Times", [types.Section("Today", rows)]))
    page(url, f"/api/phones/{EVA}/messages", channel="whatsapp", payload="pywa:noon")
    received.of(types.CallbackSelection, data="pywa:noon")
    wa.send_message(EVA, "Where?", buttons=types.URLButton("Map", "https://example.com/map"))
    return tapped


def messages(wa, received, url):
    page(url, f"/api/phones/{EVA}/messages", channel="whatsapp", text="Hello <pywa> & \"all\" 😀")
    said = received.of(types.Message, text="Hello <pywa> & \"all\" 😀")
    wa.mark_message_as_read(said.id)
    wa.indicate_typing(said.id)
    # To the business-scoped user id, which pywa prefers, and as an answer to the message.
    answer = said.reply_text("Hello Eva", quote=True)
    received.of(types.MessageStatus, id=answer.id, status=types.MessageStatusType.SENT)
    sent = wa.send_message(EVA, "A link: https://example.com", preview_url=True, tracker="t-2")
    assert received.of(types.MessageStatus, id=sent.id, status=types.MessageStatusType.DELIVERED).tracker == "t-2"
    wa.send_reaction(EVA, "👍", said.id)
    wa.remove_reaction(EVA, said.id)
    wa.send_location(EVA, 51.5, -0.12, "London", "Westminster")
    jane = types.Contact.Name("Jane Doe", first_name="Jane")
    wa.send_contact(EVA, types.Contact(jane, phones=[types.Contact.Phone("+15550100001")]))
    refused(errors.RecipientCannotBeSender, lambda: wa.send_message("+15550100001", "To myself"))


def media(wa, received):
    kept = wa.upload_media(WORDS, mime_type="text/plain", filename="words.txt")
    found = wa.get_media_url(kept.id)
    assert found.mime_type == "text/plain" and found.file_size == len(WORDS), found
    assert wa.get_media_bytes(url=found.url) == WORDS
    sent = wa.send_document(EVA, kept.id, filename="words.txt", caption="Words")
    received.of(types.MessageStatus, id=sent.id, status=types.MessageStatusType.DELIVERED)
    wa.delete_media(kept.id, phone_id=None)


def account(wa):
    assert wa.get_business_phone_number().verified_name == "Acme Wealth"
    assert [number.id for number in wa.get_business_phone_numbers()] == [LINE]
    assert wa.get_business_account().id == ACCOUNT
    wa.delete_template("pywa_hello")


def story(wa, received, url):
    page(url, "/api/phones", number="+442071230000", name="Nobody yet")
    refused(errors.ReEngagementMessage, lambda: wa.send_message(EVA, "Too early"))
    template(wa, received)
    page(url, f"/api/phones/{EVA}/messages", channel="whatsapp", payload="pywa:yes")
    assert received.of(types.CallbackButton, data="pywa:yes").is_quick_reply
    messages(wa, received, url)
    interactive(wa, received, url)
    media(wa, received)
    account(wa)


def client(session):
    wa = WhatsApp(
        phone_id=LINE, token=TOKEN, session=session, waba_id=ACCOUNT, app_secret=SECRET, verify_token="any", api_version=API_VERSION
    )
    received = Received(wa)
    on = ["message", "callback_button", "callback_selection", "message_status", "template_status_update"]
    for what in on:
        getattr(WhatsApp, f"on_{what}")(wa)(received.note)
    return wa, received


def main():
    session = httpx.Client(trust_env=False, timeout=PATIENCE)
    wa, received = client(session)
    logging.getLogger("pywa").addHandler(Complaints(received.complaints))
    print(listening(received), flush=True)
    graph, url = sys.stdin.readline().split()
    session.base_url = httpx.URL(f"{graph}/v{API_VERSION}")
    story(wa, received, url)
    print(json.dumps({"pywa": version("pywa")}), flush=True)
    sys.stdin.readline()
    print(json.dumps({"answered": received.statuses, "complaints": received.complaints}), flush=True)


main()
