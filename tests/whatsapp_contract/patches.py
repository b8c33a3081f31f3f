"""What the documents get wrong or leave out, each place with its reason.

It is mended in the test's copy of the profile, and allowed for before the official document is asked. What the profile itself
mends stands beside it, in `bot-profile.patch.json`.
"""
import copy

LINE, ACCOUNT = "100000000000001", "200000000000001"

# Each entry: a path of the official document whose GET the profile left out, and the address at which the copy has it. Fifteen
# official paths have the shape of the first; only an address that names the object tells a router which of them is meant.
BORROWED = [
    ("/{Version}/{Phone-Number-ID}", f"/{{Version}}/{LINE}"),
    ("/{Version}/{WABA-ID}", f"/{{Version}}/{ACCOUNT}"),
    ("/{Version}/{WABA-ID}/phone_numbers", f"/{{Version}}/{ACCOUNT}/phone_numbers"),
]

# What else has that shape here, with the fields that tell it apart; only of a group anything can be changed there.
OBJECT = "/{Version}/{Object-ID}"
GROUP = "/{Version}/{group_id}"
OBJECTS = [
    ("/{Version}/{Media-ID}", ["id", "url", "mime_type"]),
    ("/{Version}/{TEMPLATE_ID}", ["id", "name", "status"]),
    (GROUP, ["id", "subject", "participants"]),
]

# In cards pywa writes null for each optional field that it does not use. Nothing else here sends cards but Kapso's client.
NULLS_OF_PYWA = ["ContactObject", "NameObject", "PhoneObject"]

# The document knows refusals of a few operations only, without `error_data`, in which Meta's page of error codes (served
# 2026-09-11) puts the details that a client shall build on.
REFUSED = ["4XX", "5XX"]
REFUSAL = {
    "type": "object",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "code", "fbtrace_id"],
            "additionalProperties": False,
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "code": {"type": "integer"},
                "error_subcode": {"type": "integer"},
                "is_transient": {"type": "boolean"},
                "error_data": {
                    "type": "object",
                    "required": ["messaging_product", "details"],
                    "additionalProperties": False,
                    "properties": {"messaging_product": {"const": "whatsapp"}, "details": {"type": "string"}},
                },
                "fbtrace_id": {"type": "string"},
            },
        }
    },
}

# Each entry: document, path to the place (a step into a list is the `name` of its item), what to put there, reason.
PLACE = ["components", "schemas", "LocationMessage", "allOf", 1, "properties", "location", "properties"]
ANSWER = ["paths", OBJECT, "get", "responses", "200", "content", "application/json", "schema", "anyOf", 0, "properties"]
NUMBER = {"type": ["number", "string"]}
PATCHES = [
    ("profile", [*PLACE, "latitude"], NUMBER, "A number in Meta's webhooks, and both clients send it as one."),
    ("profile", [*PLACE, "longitude"], NUMBER, "The same."),
    (
        "profile",
        ["components", "schemas", "WhatsAppPhoneNumberStatus", "enum"],
        ["CONNECTED", "PENDING", "LINKED", "UNLINKED", "DELETED", "MIGRATED", "BANNED", "RESTRICTED", "RATE_LIMITED", "FLAGGED"],
        "Providers that pass Meta's answer on show a working number as CONNECTED, and FLAGGED and RATE_LIMITED ones.",
    ),
    (
        "profile",
        ["components", "schemas", "Pricing", "properties", "type", "enum"],
        ["regular", "free_customer_service", "free_entry_point", "free_group_customer_service"],
        "Meta's page on statuses has a fourth, for what is said within a group's window.",
    ),
    (
        "profile",
        ["components", "parameters", "ContentType", "schema"],
        {"type": "string", "pattern": "^(application/(json|x-www-form-urlencoded)|multipart/form-data; boundary=.+)$"},
        "A form names what stands between its parts; as the document has it none could be sent.",
    ),
    ("profile", [*ANSWER, "file_size"], NUMBER, "A text on Meta's page, a number in what users have captured."),
]

SCHEMAS = ["components", "schemas"]
TEXT, ID = {"type": "string"}, {"type": "string", "pattern": r"^[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}$"}
LISTED = ["paths", "/{Version}/{WABA-ID}/message_templates", "get", "responses", "200", "content", "application/json", "schema"]
ITEM = [*LISTED, "properties", "data", "items"]
OBJECT_ANSWER = ["paths", OBJECT, "get", "responses", "200", "content", "application/json", "schema", "anyOf", 1]
MADE = ["paths", "/{Version}/{WABA-ID}/message_templates", "post", "requestBody", "content", "application/json", "schema"]
TEMPLATE_PART = ["properties", "components", "items"]
JUDGED = {"rejected_reason": TEXT, "quality_score": {"type": "object"}}
EXAMPLE = {"type": "object", "additionalProperties": {"type": "array"}}
IDS = "Meta's pages on business-scoped user ids (2026-05-07)."
GROUPS = "Meta's pages on groups (webhooks 2026-02-11, messaging 2025-11-14)."
SETTING = {"type": "object", "properties": {"text": TEXT, "update_successful": {"type": "boolean"}}}
STATUS = "Meta's page on statuses; the document has it nowhere."
TEMPLATES = "Meta's pages on templates (2026-05-05 and 06)."
NUMBERS = "pywa asks for these by name, and providers that pass Meta's answer on show them."
# Each entry: the place of a schema, fields that it does not name, their schemas, and who does. With these the objects of the copy
# are closed: a field that nobody documents is an invention.
UNNAMED = [
    ([*SCHEMAS, "ContactProfile"], {"user_id": ID}, IDS),
    ([*SCHEMAS, "MessageResponsePayload", "properties", "contacts", "items"], {"user_id": ID}, IDS),
    ([*SCHEMAS, "MessageResponsePayload"], {"success": {"const": True}}, "Meta's page on read receipts."),
    ([*SCHEMAS, "Statuses"], {"recipient_user_id": ID}, IDS),
    (
        [*SCHEMAS, "Statuses"],
        {"recipient_type": {"const": "group"}, "recipient_participant_id": TEXT, "recipient_participant_user_id": ID},
        GROUPS,
    ),
    ([*SCHEMAS, "Groups"], {"group_subject": SETTING, "group_description": SETTING}, GROUPS),
    ([*SCHEMAS, "GroupProfilePicture"], {"update_successful": {"type": "boolean"}}, GROUPS),
    ([*SCHEMAS, "GroupParticipant"], {"user_id": ID}, GROUPS),
    ([*SCHEMAS, "MessageResponsePayload", "properties", "messages", "items"], {"group_id": TEXT}, GROUPS),
    ([*SCHEMAS, "SubscribedApp"], {"whatsapp_business_api_data": {"type": "object"}}, "The document's own examples have it."),
    ([*SCHEMAS, "Statuses"], {"biz_opaque_callback_data": TEXT}, STATUS),
    (
        [*SCHEMAS, "StatusMessageValue"],
        {
            "contacts": {
                "type": "array",
                "items": {"type": "object", "properties": {"wa_id": TEXT, "user_id": ID, "profile": {"type": "object"}}},
            }
        },
        "Captured from production, without profile and in failed ones without user id too (pywa issues 188 and 227).",
    ),
    ([*SCHEMAS, "Entry"], {"time": {"type": "integer"}}, "Meta's page on webhooks about templates (2026-09-11)."),
    (LISTED, {"summary": {"type": "object"}}, TEMPLATES),
    (ITEM, {"parameter_format": {"enum": ["NAMED", "POSITIONAL"]}}, TEMPLATES),
    (ITEM, JUDGED, "pywa asks for these by name."),
    ([*ITEM, *TEMPLATE_PART], {"example": EXAMPLE}, TEMPLATES),
    ([*MADE, *TEMPLATE_PART], {"example": EXAMPLE, "format": TEXT}, TEMPLATES),
    (OBJECT_ANSWER, JUDGED, "The same."),
    (OBJECT_ANSWER, {"parameter_format": {"enum": ["NAMED", "POSITIONAL"]}}, TEMPLATES),
    ([*OBJECT_ANSWER, *TEMPLATE_PART], {"example": EXAMPLE}, TEMPLATES),
    ([*SCHEMAS, "MediaObject", "oneOf", 0], {"caption": TEXT, "filename": TEXT}, "Meta's pages on documents and pictures."),
    ([*SCHEMAS, "MediaObject", "oneOf", 1], {"caption": TEXT, "filename": TEXT}, "The same."),
    ([*SCHEMAS, "WhatsAppBusinessAccount"], {"message_template_namespace": TEXT}, "pywa asks for it by name."),
    *[
        (
            [*SCHEMAS, name],
            {
                "status": {"$ref": "#/components/schemas/WhatsAppPhoneNumberStatus"},
                "platform_type": {"enum": ["CLOUD_API", "ON_PREMISE", "NOT_APPLICABLE"]},
                "throughput": {"type": "object"},
                "name_status": TEXT,
                "account_mode": {"enum": ["LIVE", "SANDBOX"]},
                "is_official_business_account": {"type": "boolean"},
                "whatsapp_business_manager_messaging_limit": TEXT,
            },
            NUMBERS,
        )
        for name in ["PhoneNumberInfo", "WhatsAppBusinessAccountPhoneNumber"]
    ],
]


# What the untouched official document refuses although Meta's pages allow it. Each allowance changes a copy of the request so
# that nothing but the named defect is forgiven; it says whether it had to.


def without_callback_data(body):
    """No `biz_opaque_callback_data`, which Meta's pages on messages and statuses have."""
    return body.pop("biz_opaque_callback_data", None) is not None


def with_policy(body):
    """`language.policy` is required; on Meta's page of templates it is not."""
    language = body.get("template", {}).get("language")
    return language is not None and language.setdefault("policy", "deterministic") is not None


def with_other_buttons(body):
    """The pattern of a button's index, `^[2-6, 11-14]$`, leaves out the first button."""
    first = [part for part in body.get("template", {}).get("components", []) if str(part.get("index")) == "0"]
    for part in first:
        part["index"] = "2"
    return bool(first)


ALLOWANCES = [without_callback_data, with_policy, with_other_buttons]

# Operations that the untouched document cannot be asked about.
NOT_ASKED = {
    f"GET /{{Version}}/{LINE}": "Fifteen official paths have the shape /{Version}/{id}, so no router can tell them apart.",
    f"GET /{{Version}}/{ACCOUNT}": "The same.",
    **{f"{call} {OBJECT}": "The same." for call in ["GET", "POST", "DELETE"]},
    "GET /{Version}/{group_id}/invite_link": "Only Meta's page has it.",
    "GET /{Version}/{Phone-Number-ID}/groups": "It wants to know the type of a body that a GET does not have.",
}

# What pywa says of a status without contacts. Meta's page shows a group's message that was sent, or failed, without any.
WITHOUT_CONTACTS = "KeyError('contacts')"

# Fields of webhooks that the documents do not have.
NOT_DESCRIBED = {"calls": "The webhooks of the Calling API are described on Meta's pages only."}

def allowed(body, allowances=ALLOWANCES):
    """The request as the official document wants it, and the names of the allowances that it needed."""
    body = copy.deepcopy(body)
    return body, [allowance.__name__ for allowance in allowances if allowance(body)]
