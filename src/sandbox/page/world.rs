//! What the page needs of the world behind it; the sandbox puts its pod and its phones together to be one.
use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::sandbox::group_views::{GroupMessageView, GroupView, NoEntry};
use crate::sandbox::twilio::{CallPlan, Texted};
use crate::sandbox::views::{Given, MessageView, PhoneMessageView, PhoneView, RoomView, UserView};

const NO_GROUPS: &str = "There are no groups in this world.";
const NO_FILES: &str = "There are no files in this world.";
const NO_SMS: &str = "There is no SMS in this world.";

/// Calls are short and do not wait for the bot; an `Err` is a sentence for the person at the page.
pub trait World: Send + Sync + 'static {
    /// The sandbox's time, milliseconds since 1970.
    fn now_ms(&self) -> i64;
    /// Moves the clock forward by so many milliseconds.
    fn advance(&self, ms: i64);

    /// Everybody in the pod, service accounts included.
    fn users(&self) -> Vec<UserView>;
    /// The user id of Liaison itself.
    fn bot_id(&self) -> u64;
    fn rooms_of(&self, user: u64) -> Vec<RoomView>;
    fn all_rooms(&self) -> Vec<RoomView>;
    /// Oldest first; what `as_user` sees, `submitted` being his own, or the whole conversation, `submitted` being anybody's.
    fn chat_messages(&self, stream: &str, as_user: Option<u64>) -> Vec<MessageView>;
    /// The stream of the 1:1 chat between two users, opened if there is none.
    fn im(&self, a: u64, b: u64) -> String;
    /// Posts plain text; `@` followed by a user's e-mail address is a mention of that user.
    fn post_as(&self, user: u64, stream: &str, text: &str) -> Result<MessageView, String>;
    /// The same with files beside the text, which may be empty.
    fn post_files_as(&self, _user: u64, _stream: &str, _text: &str, _files: Vec<Given>) -> Result<MessageView, String> {
        Err(NO_FILES.to_owned())
    }
    /// Type and bytes of a file in a message.
    fn chat_file(&self, _message: &str, _file: &str) -> Option<(String, Bytes)> {
        None
    }
    fn submit_form(&self, user: u64, stream: &str, message: &str, form: &str, values: Map<String, Value>) -> Result<(), String>;

    fn phones(&self) -> Vec<PhoneView>;
    fn add_phone(&self, number: &str, name: &str, on_whatsapp: bool) -> Result<(), String>;
    /// Oldest first.
    fn phone_messages(&self, number: &str) -> Vec<PhoneMessageView>;
    /// The client looks at the phone: what had arrived by WhatsApp, in groups too, is read. Tells how many that were.
    fn phone_looks(&self, _number: &str) -> Result<usize, String> {
        Ok(0)
    }
    /// What the client does on WhatsApp: writes `text`, or taps the quick reply with `payload`.
    fn phone_send(&self, number: &str, text: Option<&str>, payload: Option<&str>) -> Result<PhoneMessageView, String>;
    /// The client writes by SMS, perhaps with files.
    fn phone_text(&self, _number: &str, _texted: Texted) -> Result<PhoneMessageView, String> {
        Err(NO_SMS.to_owned())
    }
    /// The client sends a file on WhatsApp: `kind` is image, document, audio, video or sticker.
    fn phone_send_file(
        &self,
        _number: &str,
        _kind: &str,
        _given: Given,
        _caption: Option<&str>,
    ) -> Result<PhoneMessageView, String> {
        Err(NO_FILES.to_owned())
    }
    /// Type and bytes of a file on a phone.
    fn phone_file(&self, _file: &str) -> Option<(String, Bytes)> {
        None
    }
    /// The WhatsApp groups that the phone has to do with, the newest first.
    fn phone_groups(&self, _number: &str) -> Vec<GroupView> {
        Vec::new()
    }
    /// The client follows the link of a group and asks to join.
    fn phone_joins(&self, _number: &str, _link: &str) -> Result<GroupView, NoEntry> {
        Err(NoEntry::from(NO_GROUPS.to_owned()))
    }
    /// The client leaves a group, or takes his request back.
    fn phone_leaves(&self, _number: &str, _group: &str) -> Result<GroupView, String> {
        Err(NO_GROUPS.to_owned())
    }
    /// The client writes into a group.
    fn phone_writes_in_group(&self, _number: &str, _group: &str, _text: &str) -> Result<GroupMessageView, String> {
        Err(NO_GROUPS.to_owned())
    }
    /// The client sends a file into a group.
    fn phone_sends_in_group(
        &self,
        _number: &str,
        _group: &str,
        _kind: &str,
        _given: Given,
        _caption: Option<&str>,
    ) -> Result<GroupMessageView, String> {
        Err(NO_GROUPS.to_owned())
    }
    /// The client calls on WhatsApp.
    fn phone_call(&self, number: &str) -> Result<(), String>;
    /// The client calls by telephone.
    fn phone_ring(&self, _number: &str, _plan: CallPlan) -> Result<PhoneMessageView, String> {
        Err(NO_SMS.to_owned())
    }

    /// The next `times` calls to the provider end with `code`.
    fn trouble(&self, provider: &str, code: &str, times: u32) -> Result<(), String>;
    /// At most `limit` entries with a sequence above `after`, oldest first, as `liaison journal --json` prints them.
    fn journal(&self, after: u64, limit: usize) -> Vec<Value>;
    /// Rises whenever something that the page shows has changed.
    fn changes(&self) -> watch::Receiver<u64>;
}
