//! Sealing: a key per contact, kept apart from what it seals, so that zeroing 64 bytes makes all of it unreadable.
//!
//! `keys/contacts.keys` is slots of 64 bytes: name 24 | key 32 | zeros 4 | CRC-32 4. Slot 0 is the firm's own, for content
//! that belongs to no contact yet. A slot of zeros is erased. A sealed value is `1 | slot u32 | nonce 12 | ciphertext and tag`.
use super::{disk_failed, sync_folder, trouble, write_whole};
use crate::domain::commit::Key;
use crate::domain::ids::ContactId;
use crate::ports::StoreError;
use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hmac, rand};
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

const SLOT_BYTES: usize = 64;
const NAME_BYTES: usize = 24;
const KEY_BYTES: usize = 32;
const FIRM_SLOT: u32 = 0;
const FIRM_NAME: &str = "firm";
const FORMAT: u8 = 1;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const HEADER_BYTES: usize = 1 + 4 + NONCE_BYTES;
/// Half of the keys kept ready; a key is about 600 bytes expanded.
const CACHED_KEYS: usize = 5_000;
const KEYS_ARE_LOST: &str = "Restore the keys folder from its backup; without it nothing that was sealed can be read.";

type Slot = [u8; SLOT_BYTES];
type Name = [u8; NAME_BYTES];

pub struct KeyRing {
    path: PathBuf,
    file: File,
    pepper: hmac::Key,
    ring: Mutex<Ring>,
    /// A slot was written and may not be durable yet.
    unsynced: AtomicBool,
    /// A slot could not be written.
    failed: AtomicBool,
}

#[derive(Default)]
struct Ring {
    slots: HashMap<Name, u32>,
    erased: HashSet<u32>,
    next: u32,
    young: HashMap<u32, Arc<RandomizedNonceKey>>,
    old: HashMap<u32, Arc<RandomizedNonceKey>>,
}

impl KeyRing {
    /// Opens the keys for writing. They are made only where the journal is empty: new keys for an old journal read nothing.
    pub fn open(folder: &Path, journal_is_empty: bool) -> Result<KeyRing, StoreError> {
        if journal_is_empty {
            make(folder)?;
        }
        let keys = KeyRing::open_file(folder, OpenOptions::new().read(true).write(true))?;
        keys.load()?;
        Ok(keys)
    }

    /// Opens the keys beside a running bot: opens what is sealed, seals nothing.
    pub fn open_to_read(folder: &Path) -> Result<KeyRing, StoreError> {
        KeyRing::open_file(folder, OpenOptions::new().read(true))
    }

    fn open_file(folder: &Path, options: &OpenOptions) -> Result<KeyRing, StoreError> {
        let path = keys_path(folder);
        let file = options.open(&path).map_err(|error| lost(&path, error))?;
        let pepper = std::fs::read(pepper_path(folder)).map_err(|error| lost(&pepper_path(folder), error))?;
        if pepper.len() != KEY_BYTES {
            return Err(trouble(format!("{} is not {KEY_BYTES} bytes long.", pepper_path(folder).display()), KEYS_ARE_LOST));
        }
        let pepper = hmac::Key::new(hmac::HMAC_SHA256, &pepper);
        Ok(KeyRing {
            path,
            file,
            pepper,
            ring: Mutex::default(),
            unsynced: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        })
    }

    /// Reads which contact has which slot. A slot that a power cut left unfinished was never used: frames wait for it.
    fn load(&self) -> Result<(), StoreError> {
        // A killed process may have left slots that only the page cache holds.
        self.file.sync_all().map_err(|error| disk_failed("cannot write", &self.path, error))?;
        let bytes = std::fs::read(&self.path).map_err(|error| lost(&self.path, error))?;
        let mut ring = self.ring();
        for (number, slot) in (0u32..).zip(bytes.chunks_exact(SLOT_BYTES)) {
            match read_slot(slot.try_into().expect("chunks are slots")) {
                SlotState::Erased => drop(ring.erased.insert(number)),
                SlotState::Held { name, .. } => drop(ring.slots.insert(name, number)),
                SlotState::Damaged => {}
            }
        }
        ring.next = (bytes.len() / SLOT_BYTES) as u32;
        if !matches!(ring.slots.remove(&name_of(FIRM_NAME)?), Some(FIRM_SLOT)) {
            return Err(trouble(format!("{} has no key of the firm in its first slot.", self.path.display()), KEYS_ARE_LOST));
        }
        Ok(())
    }

    /// The name under which a store keeps a record: personal names only as a keyed hash.
    pub fn stored_name(&self, key: &Key) -> String {
        if !key.is_personal() {
            return key.as_str().to_owned();
        }
        let (kind, name) = key.as_str().split_once('/').expect("personal kinds end with a slash");
        let tag = hmac::sign(&self.pepper, name.as_bytes());
        format!("{kind}/{}", hex::encode(&tag.as_ref()[..16]))
    }

    /// Seals under the contact's key, which is made on first use; without a contact under the firm's. `context` must be
    /// the same when it is opened: a value that was moved elsewhere does not open.
    pub fn seal(&self, contact: Option<&ContactId>, context: &str, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (slot, key) = match contact {
            Some(contact) => self.key_for(contact)?,
            None => (FIRM_SLOT, self.key_in(FIRM_SLOT)?.expect("nobody erases the firm's key")),
        };
        let mut body = Vec::with_capacity(plain.len() + TAG_BYTES);
        body.extend_from_slice(plain);
        let nonce = key.seal_in_place_append_tag(Aad::from(context.as_bytes()), &mut body);
        let nonce = nonce.expect("sealing fails only for inputs beyond 64 GiB");
        let mut sealed = Vec::with_capacity(HEADER_BYTES + body.len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(&slot.to_be_bytes());
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    /// `None`: its key was erased.
    pub fn open_sealed(&self, context: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(slot) = slot_of(sealed) else {
            return Err(trouble(
                format!("The sealed value of {context} is of a format that this version does not know."),
                REBUILD,
            ));
        };
        let Some(key) = self.key_in(slot)? else { return Ok(None) };
        let nonce = Nonce::try_assume_unique_for_key(&sealed[5..HEADER_BYTES]).expect("a nonce is twelve bytes");
        let mut body = sealed[HEADER_BYTES..].to_vec();
        let opened = key.open_in_place(nonce, Aad::from(context.as_bytes()), &mut body).map(|plain| plain.len());
        let length = opened.map_err(|_| trouble(format!("The sealed value of {context} was changed or moved."), REBUILD))?;
        body.truncate(length);
        Ok(Some(body))
    }

    /// Whether the key of a sealed value was erased, without opening it.
    pub fn is_erased(&self, sealed: &[u8]) -> bool {
        slot_of(sealed).is_some_and(|slot| self.ring().erased.contains(&slot))
    }

    /// Makes new slots durable; a frame that uses them may be written only after this.
    pub fn sync(&self) -> Result<(), StoreError> {
        if !self.unsynced.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        self.file.sync_all().map_err(|error| disk_failed("cannot write", &self.path, error))
    }

    /// Whether a slot could not be written; then the process must end.
    pub fn have_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    #[cfg(test)]
    pub fn has_unsynced_slots(&self) -> bool {
        self.unsynced.load(Ordering::Acquire)
    }

    /// Destroys a contact's key. False: he has none.
    pub fn erase(&self, contact: &ContactId) -> Result<bool, StoreError> {
        let mut ring = self.ring();
        let Some(slot) = ring.slots.get(&name_of(contact.as_str())?).copied() else { return Ok(false) };
        let zeroed = self.file.write_all_at(&[0; SLOT_BYTES], offset_of(slot)).and_then(|()| self.file.sync_data());
        zeroed.map_err(|error| disk_failed("cannot erase a key in", &self.path, error))?;
        ring.slots.retain(|_, held| *held != slot);
        ring.young.remove(&slot);
        ring.old.remove(&slot);
        ring.erased.insert(slot);
        Ok(true)
    }

    fn key_for(&self, contact: &ContactId) -> Result<(u32, Arc<RandomizedNonceKey>), StoreError> {
        let name = name_of(contact.as_str())?;
        let held = self.ring().slots.get(&name).copied();
        if let Some(slot) = held
            && let Some(key) = self.key_in(slot)?
        {
            return Ok((slot, key));
        }
        let mut ring = self.ring();
        if let Some(slot) = ring.slots.get(&name).copied() {
            drop(ring);
            let key = self.key_in(slot)?.expect("a slot on the list is not erased");
            return Ok((slot, key));
        }
        let slot = ring.next;
        let (bytes, key) = fresh_slot(name);
        let written = self.file.write_all_at(&bytes, offset_of(slot));
        written.map_err(|error| {
            self.failed.store(true, Ordering::Release);
            disk_failed("cannot write", &self.path, error)
        })?;
        self.unsynced.store(true, Ordering::Release);
        ring.next += 1;
        ring.slots.insert(name, slot);
        Ok((slot, ring.keep(slot, key)))
    }

    /// The key in a slot, `None` if it was erased. Reads happen under the lock, so that an erased key is not cached anew.
    fn key_in(&self, slot: u32) -> Result<Option<Arc<RandomizedNonceKey>>, StoreError> {
        let mut ring = self.ring();
        if let Some(key) = ring.cached(slot) {
            return Ok(Some(key));
        }
        let mut bytes: Slot = [0; SLOT_BYTES];
        let read = self.file.read_exact_at(&mut bytes, offset_of(slot));
        read.map_err(|error| disk_failed("cannot read a key in", &self.path, error))?;
        match read_slot(&bytes) {
            SlotState::Held { key, .. } => Ok(Some(ring.keep(slot, key))),
            SlotState::Erased => Ok(None),
            SlotState::Damaged => {
                let what = format!("The key at offset {} of {} is damaged.", offset_of(slot), self.path.display());
                Err(trouble(what, KEYS_ARE_LOST))
            }
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().expect("nothing panics while it holds the keys")
    }
}

const REBUILD: &str = "Stop, remove the folder `view` and start again; if the message comes back, restore from a backup.";

impl Ring {
    fn cached(&mut self, slot: u32) -> Option<Arc<RandomizedNonceKey>> {
        if let Some(key) = self.young.get(&slot) {
            return Some(key.clone());
        }
        let key = self.old.remove(&slot)?;
        Some(self.hold(slot, key))
    }

    fn keep(&mut self, slot: u32, key: [u8; KEY_BYTES]) -> Arc<RandomizedNonceKey> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, &key).expect("the key has the length of the cipher");
        self.hold(slot, Arc::new(key))
    }

    /// Two generations: what was not asked for while the young one filled is forgotten with the old one.
    fn hold(&mut self, slot: u32, key: Arc<RandomizedNonceKey>) -> Arc<RandomizedNonceKey> {
        if self.young.len() >= CACHED_KEYS {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(slot, key.clone());
        key
    }
}

enum SlotState {
    Held { name: Name, key: [u8; KEY_BYTES] },
    Erased,
    Damaged,
}

fn read_slot(slot: &Slot) -> SlotState {
    if slot.iter().all(|byte| *byte == 0) {
        return SlotState::Erased;
    }
    let (content, checksum) = slot.split_at(SLOT_BYTES - 4);
    if crc32fast::hash(content).to_be_bytes() != checksum {
        return SlotState::Damaged;
    }
    let name = content[..NAME_BYTES].try_into().expect("a slot begins with a name");
    let key = content[NAME_BYTES..NAME_BYTES + KEY_BYTES].try_into().expect("the key follows the name");
    SlotState::Held { name, key }
}

fn fresh_slot(name: Name) -> (Slot, [u8; KEY_BYTES]) {
    let key = random_bytes();
    let mut slot = [0; SLOT_BYTES];
    slot[..NAME_BYTES].copy_from_slice(&name);
    slot[NAME_BYTES..NAME_BYTES + KEY_BYTES].copy_from_slice(&key);
    let checksum = crc32fast::hash(&slot[..SLOT_BYTES - 4]);
    slot[SLOT_BYTES - 4..].copy_from_slice(&checksum.to_be_bytes());
    (slot, key)
}

fn random_bytes() -> [u8; KEY_BYTES] {
    let mut bytes = [0; KEY_BYTES];
    rand::fill(&mut bytes).expect("the machine's source of randomness works");
    bytes
}

fn make(folder: &Path) -> Result<(), StoreError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| disk_failed("cannot create", folder, error))?;
    sync_folder(folder.parent().expect("the keys lie inside the data folder"))?;
    if !pepper_path(folder).exists() {
        write_whole(&pepper_path(folder), &random_bytes())?;
    }
    if !keys_path(folder).exists() {
        write_whole(&keys_path(folder), &fresh_slot(name_of(FIRM_NAME)?).0)?;
    }
    Ok(())
}

fn name_of(contact: &str) -> Result<Name, StoreError> {
    let mut name = [0; NAME_BYTES];
    let Some(start) = name.get_mut(..contact.len()).filter(|start| !start.is_empty()) else {
        return Err(trouble(
            format!("A contact id of {} bytes has no place among the keys.", contact.len()),
            "This is a mistake in Liaison.",
        ));
    };
    start.copy_from_slice(contact.as_bytes());
    Ok(name)
}

fn slot_of(sealed: &[u8]) -> Option<u32> {
    let is_whole = sealed.len() >= HEADER_BYTES + TAG_BYTES && sealed[0] == FORMAT;
    is_whole.then(|| u32::from_be_bytes(sealed[1..5].try_into().expect("a slot number is four bytes")))
}

fn offset_of(slot: u32) -> u64 {
    u64::from(slot) * SLOT_BYTES as u64
}
fn keys_path(folder: &Path) -> PathBuf {
    folder.join("contacts.keys")
}
fn pepper_path(folder: &Path) -> PathBuf {
    folder.join("pepper")
}
fn lost(path: &Path, error: std::io::Error) -> StoreError {
    trouble(format!("Liaison cannot read {}: {error}.", path.display()), KEYS_ARE_LOST)
}
