"""What Twilio's document leaves out or gets wrong, each place with its reason; mended in the test's copy only.

What the trimmed document beside it mends already (P1 to P3) stands in that folder's `SOURCES.md`.
"""
ACCOUNT, LINE = "AC00000000000000000000000000000001", "+12025550143"

# Paths of the whole document that the trimmed one left out: the doctor asks for the account, clients list recordings.
BORROWED = [
    "/2010-04-01/Accounts/{Sid}.json",
    "/2010-04-01/Accounts/{AccountSid}/Recordings.json",
]
# P3 has no such answer, which Twilio's page of error codes does (20503, "Service is temporarily unavailable").
UNAVAILABLE = ["503"]
# What the document does not have at all: files are led to another host, and recordings are sound.
NOT_DESCRIBED = r"/Messages/[^/]+/Media/ME[^/.]+$|/Recordings/RE[^/.]+\.(mp3|wav)$"

ACCOUNTS = "/2010-04-01/Accounts/{AccountSid}"
FORM = ["post", "requestBody", "content", "application/x-www-form-urlencoded", "schema"]
MESSAGE = ["paths", f"{ACCOUNTS}/Messages.json", *FORM]
CALL = ["paths", f"{ACCOUNTS}/Calls.json", *FORM]
LIST = ["paths", f"{ACCOUNTS}/Messages.json", "get", "parameters"]

PHONE = {"type": "string", "pattern": r"^\+[1-9][0-9]{6,14}$"}
PHONES = "Prism checks no `format: phone-number`; E.164 is all that anybody here sends (pages on Messages and Calls)."
# Of each of these one must be given; the document says so in a field that no validator knows.
SENDER = {"anyOf": [{"required": [name]} for name in ["From", "MessagingServiceSid"]]}
CONTENT = {"anyOf": [{"required": [name]} for name in ["Body", "MediaUrl", "ContentSid"]]}
INSTRUCTIONS = [{"required": [name]} for name in ["Url", "Twiml", "ApplicationSid"]]
CONDITIONAL = "`x-twilio.conditional` of the operation, in words that validators know."

# Each entry: document, path to the place (a step into a list is the `name` of its item), what to put there, reason.
PATCHES = [
    ("api", [*MESSAGE, "properties", "To"], PHONE, PHONES),
    ("api", [*MESSAGE, "properties", "From"], PHONE, PHONES),
    ("api", [*CALL, "properties", "To"], PHONE, PHONES),
    ("api", [*CALL, "properties", "From"], PHONE, PHONES),
    ("api", [*LIST, "To", "schema"], PHONE, PHONES),
    ("api", [*LIST, "From", "schema"], PHONE, PHONES),
    ("api", [*MESSAGE, "allOf"], [SENDER, CONTENT], CONDITIONAL),
    ("api", [*CALL, "anyOf"], INSTRUCTIONS, CONDITIONAL),
    ("api", [*MESSAGE, "properties", "Body", "maxLength"], 1600, "The page on the Message resource: 21617 beyond it."),
]
