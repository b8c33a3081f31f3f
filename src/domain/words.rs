//! What a client's words mean: yes, stop, help, perhaps a stop, or nothing of the kind (COMMANDS §4).
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Nobody asks for an end of messages behind so many words, and the cost grows with each of them.
const MOST_WORDS_READ: usize = 1_000;
/// Words that may stand between two neighbouring parts of a phrase.
const SLACK: usize = 1;
/// Words that may stand in place of "..".
const GAP: usize = 4;
/// A phrase of courtesy in Japanese has so many characters. In words.
const LONGEST_COURTESY: usize = 8;
/// The keywords to which Twilio answers by itself, unless it was asked not to (its documentation of opt-out keywords).
const PROVIDERS_OWN: [(Meaning, &[&str]); 3] = [
    (Meaning::Stop, &["stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"]),
    (Meaning::Yes, &["start", "yes", "unstop"]),
    (Meaning::Help, &["help", "info"]),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meaning {
    Yes,
    Stop,
    Help,
    /// A sentence that seems to ask for an end of messages: a person decides.
    PossibleStop,
    Ordinary,
}

/// The word lists of all languages (`templates/keywords.toml`).
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "BTreeMap<String, Language>")]
pub struct Words {
    whole: HashMap<Vec<String>, Meaning>,
    /// Words of the longest of them: a longer message is not looked up.
    longest_whole: usize,
    courtesy: HashSet<Vec<String>>,
    /// The first words of these: all other words are passed over at the price of one look.
    courtesy_begins: HashSet<String>,
    possible_stop: Phrases,
    unless: Phrases,
}

/// One language as it stands in the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Language {
    yes: Vec<String>,
    stop: Vec<String>,
    help: Vec<String>,
    courtesy: Vec<String>,
    possible_stop: Vec<String>,
    unless: Vec<String>,
}

impl Words {
    /// The error is a sentence for the owner of the file.
    pub fn parse(toml_text: &str) -> Result<Words, String> {
        toml::from_str(toml_text).map_err(|error| error.to_string())
    }

    pub fn meaning(&self, text: &str) -> Meaning {
        let words = words_of(text);
        if let Some(meaning) = self.whole_message(&words) {
            return meaning;
        }
        if self.without_courtesy(&words).is_some_and(|words| self.whole_message(&words) == Some(Meaning::Stop)) {
            return Meaning::PossibleStop;
        }
        let asks = sentences_of(text).iter().any(|sentence| self.asks_for_an_end(sentence));
        if asks { Meaning::PossibleStop } else { Meaning::Ordinary }
    }

    /// What a pressed button says; counts before its text. `None` for a payload that is not about consent.
    pub fn of_payload(payload: &str) -> Option<Meaning> {
        match payload.trim() {
            "consent:yes" => Some(Meaning::Yes),
            "consent:stop" => Some(Meaning::Stop),
            _ => None,
        }
    }

    /// What the SMS provider itself takes the message for, and has answered already. It knows single words only, as they are:
    /// for "STOP PLEASE", "Stop!" or "opt out" the answer is ours.
    pub fn the_provider_answers(text: &str) -> Option<Meaning> {
        let word = text.trim();
        let own = PROVIDERS_OWN.iter().find(|(_, words)| words.iter().any(|own| own.eq_ignore_ascii_case(word)));
        own.map(|(meaning, _)| *meaning)
    }

    fn asks_for_an_end(&self, sentence: &[String]) -> bool {
        let edges = self.edges(sentence);
        self.possible_stop.any_is_in(sentence, edges) && !self.unless.any_is_in(sentence, edges)
    }

    /// Where a sentence begins and ends when courtesy is left aside.
    fn edges(&self, sentence: &[String]) -> (usize, usize) {
        let (mut first, mut last, mut at) = (None, 0, 0);
        while at < sentence.len() {
            let polite = self.courtesy_at(&sentence[at..]);
            if polite == 0 {
                first = first.or(Some(at));
                last = at + 1;
            }
            at += polite.max(1);
        }
        (first.unwrap_or(sentence.len()), last)
    }

    fn whole_message(&self, words: &[String]) -> Option<Meaning> {
        if words.len() > self.longest_whole { None } else { self.whole.get(words).copied() }
    }

    /// `None` where too much is left for a whole message of the lists.
    fn without_courtesy(&self, words: &[String]) -> Option<Vec<String>> {
        let mut left = Vec::new();
        let mut at = 0;
        while at < words.len() {
            let polite = self.courtesy_at(&words[at..]);
            if polite == 0 {
                left.push(words[at].clone());
            }
            if left.len() > self.longest_whole {
                return None;
            }
            at += polite.max(1);
        }
        Some(left)
    }

    /// How many words of courtesy the text begins with.
    fn courtesy_at(&self, words: &[String]) -> usize {
        if words.first().is_none_or(|first| !self.courtesy_begins.contains(first)) {
            return 0;
        }
        (1..=words.len().min(LONGEST_COURTESY)).rev().find(|length| self.courtesy.contains(&words[..*length])).unwrap_or(0)
    }
}

impl TryFrom<BTreeMap<String, Language>> for Words {
    type Error = String;

    fn try_from(languages: BTreeMap<String, Language>) -> Result<Words, String> {
        let mut words = Words {
            whole: HashMap::new(),
            longest_whole: 0,
            courtesy: HashSet::new(),
            courtesy_begins: HashSet::new(),
            possible_stop: Phrases::default(),
            unless: Phrases::default(),
        };
        for (name, language) in &languages {
            for (list, meaning) in
                [(&language.yes, Meaning::Yes), (&language.stop, Meaning::Stop), (&language.help, Meaning::Help)]
            {
                words.take_in(name, list, meaning)?;
            }
            words.courtesy.extend(language.courtesy.iter().map(|word| words_of(word)).filter(|word| !word.is_empty()));
            words.possible_stop.take_in(phrases(name, &language.possible_stop)?);
            words.unless.take_in(phrases(name, &language.unless)?);
        }
        words.longest_whole = words.whole.keys().map(Vec::len).max().unwrap_or_default();
        words.courtesy_begins = words.courtesy.iter().filter_map(|row| row.first()).cloned().collect();
        for (meaning, name) in [(Meaning::Yes, "yes"), (Meaning::Stop, "stop")] {
            if !words.whole.values().any(|known| *known == meaning) {
                return Err(format!("no language has a word for `{name}`"));
            }
        }
        Ok(words)
    }
}

impl Words {
    /// A word that means two things in two languages is refused, since nobody knows which language a client writes.
    fn take_in(&mut self, language: &str, list: &[String], meaning: Meaning) -> Result<(), String> {
        for entry in list {
            let words = words_of(entry);
            if words.is_empty() {
                return Err(format!("[{language}] has an entry without a letter: `{entry}`"));
            }
            if self.whole.insert(words, meaning).is_some_and(|before| before != meaning) {
                return Err(format!("[{language}] `{entry}` stands in two lists of different meaning"));
            }
        }
        Ok(())
    }
}

fn phrases(language: &str, list: &[String]) -> Result<Vec<Phrase>, String> {
    list.iter().map(|text| Phrase::parse(text).ok_or_else(|| format!("[{language}] `{text}` is no phrase"))).collect()
}

/// Many phrases, found by the words with which they can begin: most of them share no word with most sentences.
#[derive(Clone, Debug, Default)]
struct Phrases {
    all: Vec<Phrase>,
    begun_by: HashMap<String, Vec<usize>>,
}

impl Phrases {
    fn take_in(&mut self, phrases: Vec<Phrase>) {
        for phrase in phrases {
            let place = self.all.len();
            for first in phrase.parts.first().into_iter().flat_map(|part| &part.either).filter_map(|words| words.first()) {
                self.begun_by.entry(first.clone()).or_default().push(place);
            }
            self.all.push(phrase);
        }
    }

    fn any_is_in(&self, sentence: &[String], edges: (usize, usize)) -> bool {
        let begun = sentence.iter().filter_map(|word| self.begun_by.get(word)).flatten();
        begun.into_iter().any(|place| self.all[*place].is_in(sentence, edges))
    }
}

/// Parts that follow each other in a sentence.
#[derive(Clone, Debug)]
struct Phrase {
    at_start: bool,
    at_end: bool,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
struct Part {
    /// How many words may stand between the part before and this one.
    slack: usize,
    /// Each a row of words side by side.
    either: Vec<Vec<String>>,
}

impl Phrase {
    fn parse(text: &str) -> Option<Phrase> {
        let mut phrase = Phrase { at_start: false, at_end: false, parts: Vec::new() };
        let mut slack = SLACK;
        for token in text.split_whitespace() {
            match token {
                "^" if phrase.parts.is_empty() => phrase.at_start = true,
                "$" => phrase.at_end = true,
                ".." => slack = GAP,
                _ if phrase.at_end => return None,
                _ => {
                    let either: Vec<Vec<String>> = token.split('|').map(words_of).collect();
                    if either.iter().any(Vec::is_empty) {
                        return None;
                    }
                    phrase.parts.push(Part { slack, either });
                    slack = SLACK;
                }
            }
        }
        (!phrase.parts.is_empty()).then_some(phrase)
    }

    fn is_in(&self, sentence: &[String], (first, last): (usize, usize)) -> bool {
        let fits_from = |at: usize| self.fits(0, sentence, at, at, last);
        if self.at_start { fits_from(first) || first > 0 && fits_from(0) } else { (0..sentence.len()).any(fits_from) }
    }

    /// Whether the parts from `index` on fit when this one begins between `from` and `to`.
    fn fits(&self, index: usize, sentence: &[String], from: usize, to: usize, last: usize) -> bool {
        let Some(part) = self.parts.get(index) else {
            // `from` stands behind the last word that was matched.
            return !self.at_end || from == sentence.len() || from >= last;
        };
        (from..=to.min(sentence.len())).any(|at| {
            let here = part.either.iter().filter(|words| sentence[at..].starts_with(words));
            here.map(|words| at + words.len()).any(|behind| {
                let reach = self.parts.get(index + 1).map_or(0, |next| next.slack);
                self.fits(index + 1, sentence, behind, behind + reach, last)
            })
        })
    }
}

/// Cut at the marks that end a sentence, so that no phrase reaches over them.
fn sentences_of(text: &str) -> Vec<Vec<String>> {
    let ends = |c: char| matches!(c, '.' | '!' | '?' | '…' | ';' | ':' | '\n' | '\r' | '。' | '！' | '？' | '；');
    let mut left = MOST_WORDS_READ;
    let mut sentences = Vec::new();
    for sentence in text.split(ends).map(words_of).filter(|words| !words.is_empty()) {
        let taken = sentence.len().min(left);
        left -= taken;
        sentences.push(sentence[..taken].to_vec());
        if left == 0 {
            break;
        }
    }
    sentences
}

/// In small letters without accents, punctuation and emoji. Chinese and Japanese have no spaces: each of their
/// characters is a word of its own.
fn words_of(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    for c in text.chars().flat_map(plain) {
        if is_one_word(c) {
            words.push(c.to_string());
            open = false;
        } else if c.is_alphanumeric() && !is_sign(c) {
            match words.last_mut().filter(|_| open) {
                Some(word) => word.push(c),
                None => words.push(c.to_string()),
            }
            open = true;
        } else if !is_inside_a_word(c) {
            open = false;
        }
        if words.len() > MOST_WORDS_READ {
            break;
        }
    }
    words
}

/// Han, kana and their marks.
fn is_one_word(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

/// Emoji that count as letters or numbers elsewhere: ℹ, Ⓜ, 🅿, ㊙.
fn is_sign(c: char) -> bool {
    matches!(c, '\u{2139}' | '\u{2460}'..='\u{24ff}' | '\u{3200}'..='\u{33ff}' | '\u{1f100}'..='\u{1f2ff}')
}

/// Apostrophes ("don't" is "dont"), accents written as characters of their own, and what cannot be seen.
fn is_inside_a_word(c: char) -> bool {
    let apostrophe = matches!(c, '\'' | '’' | '‘' | 'ʼ' | '`' | '´' | '＇');
    let unseen = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{fe0f}' | '\u{feff}');
    apostrophe || unseen || matches!(c, '\u{300}'..='\u{36f}')
}

/// The small letters without accents that stand for a character; letters in fancy dress become ordinary ones (as far as
/// NFKC goes for letters that people answer with).
fn plain(c: char) -> impl Iterator<Item = char> {
    undressed(c).to_lowercase().flat_map(|small| {
        let folded = fold(small);
        [Some(folded), (small == 'ß').then_some('s')].into_iter().flatten()
    })
}

/// Full-width, bold, script, double-struck, circled and squared letters: keyboards and "fonts" on phones write them.
fn undressed(c: char) -> char {
    let code = c as u32;
    let (letter, begins) = match c {
        '\u{ff01}'..='\u{ff5e}' => (code - 0xff01, '!'),
        // Each style has 26 capitals and 26 small letters; a few of them stand elsewhere, below.
        '\u{1d400}'..='\u{1d6a3}' if (code - 0x1d400) % 52 < 26 => ((code - 0x1d400) % 52, 'A'),
        '\u{1d400}'..='\u{1d6a3}' => ((code - 0x1d400) % 52 - 26, 'a'),
        // Ⓜ is the sign of an underground railway.
        '\u{24b6}'..='\u{24cf}' if c != 'Ⓜ' => (code - 0x24b6, 'A'),
        '\u{24d0}'..='\u{24e9}' => (code - 0x24d0, 'a'),
        '\u{1f130}'..='\u{1f149}' => (code - 0x1f130, 'A'),
        'ℬ' => (0, 'B'),
        'ℂ' | 'ℭ' => (0, 'C'),
        'ℯ' | 'ℰ' => (0, 'E'),
        'ℱ' => (0, 'F'),
        'ℊ' => (0, 'g'),
        'ℋ' | 'ℌ' | 'ℍ' | 'ℎ' => (0, 'H'),
        'ℐ' | 'ℑ' => (0, 'I'),
        'ℒ' => (0, 'L'),
        'ℳ' => (0, 'M'),
        'ℕ' => (0, 'N'),
        'ℴ' => (0, 'o'),
        'ℙ' => (0, 'P'),
        'ℚ' => (0, 'Q'),
        'ℛ' | 'ℜ' | 'ℝ' => (0, 'R'),
        'ℤ' | 'ℨ' => (0, 'Z'),
        'ſ' => (0, 's'),
        _ => return c,
    };
    char::from_u32(begins as u32 + letter).unwrap_or(c)
}

fn fold(c: char) -> char {
    match c {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ą' => 'a',
        'ç' | 'ć' | 'č' => 'c',
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' => 'e',
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' => 'i',
        'ł' => 'l',
        'ñ' | 'ń' | 'ň' => 'n',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ő' => 'o',
        'ř' => 'r',
        'ś' | 'š' | 'ß' => 's',
        'ù' | 'ú' | 'û' | 'ü' | 'ū' | 'ű' | 'ů' => 'u',
        'ý' | 'ÿ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::Meaning::*;
    use super::*;
    use proptest::prelude::*;

    fn words() -> Words {
        Words::parse(include_str!("../../templates/keywords.toml")).expect("the shipped file is right")
    }

    fn all_mean(expected: Meaning, texts: &[&str]) {
        let words = words();
        let wrong: Vec<_> = texts.iter().map(|text| (*text, words.meaning(text))).filter(|row| row.1 != expected).collect();
        assert!(wrong.is_empty(), "not {expected:?}: {wrong:#?}");
    }

    #[test]
    fn s3_13_a_yes_is_a_whole_message() {
        all_mean(
            Yes,
            &[
                "yes",
                "YES",
                " Yes! ",
                "\u{201c}Yes.\u{201d}",
                "yes 👍",
                "👍🏽 yes",
                "Y",
                "y.",
                "START",
                "unstop",
                "opt in",
                "opt-in",
                "Oui",
                "sí",
                "Si",
                "SÍ!",
                "si\u{301}",
                "Ja",
                "ja!",
                "Sim",
                "是",
                "是的。",
                "同意",
                "ＹＥＳ",
                "yes\u{200b}",
                "\u{feff}yes",
                "Sì",
                "I agree",
                "d'accord",
                "D\u{2019}accord",
                "はい",
                "tak",
                "yes ❤️",
                "AGREE",
                "Agree.",
                "OPTIN",
                "OPT-IN",
                "“Yes”",
                "𝗬𝗘𝗦",
                "Ⓨⓔⓢ",
            ],
        );
    }

    #[test]
    fn s3_16_a_stop_is_a_whole_message() {
        all_mean(
            Stop,
            &[
                "stop",
                "STOP",
                "Stop.",
                "  stop!!! ",
                "stop 🛑",
                "🛑 STOP 🅿️",
                "\"STOP\"",
                "'stop'",
                "StopAll",
                "stop all",
                "STOP-ALL",
                "quit",
                "End",
                "revoke",
                "opt out",
                "OPT-OUT",
                "optout",
                "Opt  Out.",
                "cancel",
                "Unsubscribe",
                "arret",
                "arrêt",
                "ARRÊT",
                "arre\u{302}t",
                "Stopp",
                "abmelden",
                "désabonner",
                "desabonner",
                "alto",
                "parar",
                "cancelar",
                "basta",
                "sair",
                "stoppen",
                "uitschrijven",
                "停止",
                "退订",
                "取消订阅",
                "ＳＴＯＰ",
                "S\u{200b}TOP",
                "wypisz",
                // The words of the regulator and of the carriers, in any dress.
                "REVOKE",
                "Revoke.",
                "OPTOUT",
                "opt out",
                "Opt-Out!",
                "OPT  OUT",
                "opt\u{a0}out",
                "quit",
                "END",
                "remove",
                "Remove.",
                "ALTO",
                "Parar!",
                "“STOP”",
                "«stop»",
                "‹stop›",
                "„Stop“",
                "「停止」",
                "(STOP)",
                "*stop*",
                "STOP\n\n",
                "\u{202a}STOP\u{202c}",
                "\u{2068}stop\u{2069}",
                "𝐒𝐓𝐎𝐏",
                "𝘴𝘵𝘰𝘱",
                "𝕊𝕋𝕆ℙ",
                "ⓈⓉⓄⓅ",
                "🅂🅃🄾🄿",
                "ｓｔｏｐ",
                "S.T.O.P.",
                "S T O P",
                "STOP 🙏🏽❤️",
                "ｽﾄｯﾌﾟ",
            ],
        );
    }

    #[test]
    fn help_is_a_whole_message() {
        all_mean(
            Help,
            &[
                "help",
                "HELP!",
                "Info",
                "INFO.",
                "ℹ️ info",
                "aide",
                "AIDE",
                "Hilfe",
                "ayuda",
                "¡Ayuda!",
                "aiuto",
                "ajuda",
                "hulp",
                "帮助",
                "Help?",
                "𝐇𝐄𝐋𝐏",
            ],
        );
    }

    #[test]
    fn s3_9_a_sentence_that_asks_for_an_end_is_a_possible_stop() {
        all_mean(
            PossibleStop,
            &[
                "please stop texting me",
                "Please STOP texting me!!",
                "do not contact me again",
                "Don't contact me again.",
                "don\u{2019}t ever contact me",
                "take me off your list",
                "Take me off this mailing list please",
                "no more messages",
                "No more texts, please.",
                "No more messages please",
                "stop please",
                "Please stop",
                "please, stop",
                "STOP NOW",
                "Stop it",
                "ok stop",
                "Stop. I mean it.",
                "Hi Jane. Please stop messaging me.",
                "can you stop sending me these messages",
                "stop sending me all those texts",
                "stop contacting me",
                "quit texting me",
                "I don't want to receive any more messages from you",
                "I do not want any more texts from you",
                "I no longer wish to receive messages",
                "I do not wish to be contacted",
                "I don't want to hear from you",
                "Remove me from your list",
                "please remove my number from your database",
                "remove me please",
                "delete my number",
                "Lose my number",
                "leave me alone",
                "unsubscribe me",
                "Please unsubscribe",
                "how do I unsubscribe?",
                "I want to opt out",
                "I'd like to opt out please",
                "opt me out",
                "I want to unsubscribe from these messages",
                "I withdraw my consent",
                "I revoke my consent to be contacted",
                "never text me again",
                "Do not message me anymore",
                "don't text me any more",
                "don't send me any more messages",
                "do not text me",
                "I told you to stop",
                "I do not consent",
                "STOP texting me you idiots",
                "stop sending me stuff",
                "please do not contact me any further",
                "no more",
                "Enough!",
                "Please don't text this number",
                "Wrong number, stop",
                "I asked you to stop",
                "Kindly remove my contact from your system",
                "Not interested, please remove",
                "Please cease all communication",
                "stop all messages",
                "Stop messages",
                "stop msging me",
                "please discontinue texting",
                "I do not want texts",
                "I don't want these messages",
                "no texts please",
                "opt out please",
                "Opt-out now",
                "opt out of texts",
                "Hello, I would like to be taken off your list. Remove me from the list.",
                "I don't want you to message me",
                "don't write to me again",
                "unsubscribe me from this list",
                "could you not message me again",
                "please cancel",
                "Bitte keine Nachrichten mehr",
                "bitte nicht mehr schreiben.",
                "Schreiben Sie mir bitte nicht mehr",
                "Hören Sie auf mir zu schreiben",
                "Kontaktieren Sie mich nicht mehr",
                "Nehmen Sie mich von Ihrer Liste",
                "Ich möchte keine Nachrichten mehr erhalten",
                "Keine weiteren SMS bitte",
                "Lassen Sie mich in Ruhe",
                "Bitte stopp",
                "Ne me contactez plus",
                "arrêtez de m'écrire",
                "Arrêtez de m\u{2019}envoyer des messages svp",
                "Je ne veux plus recevoir de messages",
                "plus de messages s'il vous plaît",
                "retirez-moi de votre liste",
                "No me contacte más",
                "no más mensajes por favor",
                "No quiero recibir más mensajes",
                "deje de enviarme mensajes",
                "Quíteme de su lista",
                "no me escriban más",
                "Non scrivetemi più",
                "basta messaggi",
                "Non voglio più ricevere messaggi",
                "smettetela di scrivermi",
                "Toglietemi dalla lista",
                "Pare de me enviar mensagens",
                "Não quero mais receber mensagens",
                "não me contate mais",
                "Remova meu número",
                "Geen berichten meer alstublieft",
                "Stuur mij geen berichten meer",
                "Haal mij van de lijst",
                "Ik wil geen berichten meer ontvangen",
                "请不要再给我发短信",
                "请不要再联系我",
                "不要给我发消息",
                "别再发了",
                "我不想收到短信",
                "請停止發送訊息",
                "请停止",
                "Proszę nie pisać do mnie",
                "もう連絡しないでください",
                "STPO",
                "unsuscribe",
                "Unsubcribe please",
                "STOP ALL TEXTS",
                "end these messages",
                "cancel all messages",
                "no más",
            ],
        );
    }

    #[test]
    fn ordinary_talk_is_no_stop() {
        all_mean(
            Ordinary,
            &[
                "",
                "   ",
                "👍",
                "...",
                "ok",
                "OK 👍",
                "sure",
                "no",
                "No thanks",
                "The end of the month",
                "the end",
                "I'll stop by at 5",
                "I\u{2019}ll stop by at 5",
                "cancel my 3 pm meeting",
                "Cancel my 3 pm meeting please",
                "can you end the call with him",
                "Please cancel the order for Apple",
                "stop loss at 40",
                "I have enough",
                "Do you have enough messages to send?",
                "Don't remove me from the meeting",
                "Please stop the standing order and text me",
                "I'd like to stop my pension payments",
                "we need to stop by the bank",
                "Contact me again tomorrow",
                "Text me again when done",
                "No more questions from me",
                "no more changes please",
                "I got no messages yesterday",
                "I do not need the messages from March printed",
                "Could you contact me again",
                "Take the fee off my account",
                "how many messages do you want me to read",
                "I want to end the contract with the broker",
                "Please remove Apple from my watch list",
                "Why not call me again",
                "I stopped texting and driving",
                "do not contact my wife",
                "Don't forget to text me",
                "Do not hesitate to contact me",
                "please do not hesitate to call me again",
                "You can stop worrying",
                "Will the fund stop paying dividends?",
                "cancel that",
                "let's end it here",
                "quit smoking",
                "set a stop at 12.50",
                "Stop the transfer please",
                "don't stop texting me",
                "Please do not stop sending me messages",
                "did you stop texting me?",
                "I can't stop, text me later",
                "the bus will stop. Text me then.",
                "yes please call me at 5",
                "yes, but not before Monday",
                "Yes I saw it",
                "help me with the form please",
                "I need info on the fund",
                "do not call me before 9",
                "don't text me the password",
                "Do not sell yet",
                "I have no more messages from the bank",
                "I did not get your messages",
                "I don't have your list",
                "take me through the list",
                "Please remove the old address from my file",
                "I want to opt out of the pension plan",
                "Is there an end in sight?",
                "we quit the lease",
                "He revoked the offer",
                "Let's start on Monday",
                "I do not think he will contact me",
                "I forget my number",
                "TD",
                "good morning",
                "See you at the bus stop",
                "Am Ende des Monats",
                "Ich komme um 5 vorbei",
                "Bitte den Termin um 3 absagen",
                "Ich habe keine Nachrichten bekommen",
                "Das halte ich für richtig",
                "Ja, gerne morgen",
                "Bitte die Liste schicken",
                "À la fin du mois",
                "Je voudrais plus de détails",
                "Oui, demain",
                "Vous pouvez m'écrire demain",
                "Sí, mañana",
                "A fin de mes",
                "Para el lunes",
                "Quiero recibir más información",
                "Fine",
                "Va bene, a domani",
                "Sim, amanhã",
                "No fim do mês",
                "Ja, morgen graag",
                "Aan het einde van de maand",
                "月底",
                "好的",
                "我明天再联系你",
                "请给我发消息",
                "明日連絡してください",
                "1",
                "5.5",
                "nein",
                "non",
                "nee",
                "NO",
                "end of the month",
                "by the end of the month please",
                "I'll stop by at 5 pm",
                "I will stop by",
                "Stop by whenever you like",
                "Cancel my 3pm meeting",
                "can you cancel my 3 pm meeting?",
                "I quit my job",
                "How do I revoke the power of attorney",
                "Can I opt out of the dividend reinvestment",
                "remove the second account from the report",
                "start with the bonds",
                "The S&P, that is",
                "Ⓜ",
                "Ⓜ Potsdamer Platz",
                "🅿️",
            ],
        );
    }

    #[test]
    fn s3_9_a_payload_counts_for_itself() {
        assert_eq!(Words::of_payload("consent:yes"), Some(Yes));
        assert_eq!(Words::of_payload(" consent:stop "), Some(Stop));
        for other in ["", "yes", "stop", "consent:", "consent:yesterday", "CONSENT"] {
            assert_eq!(Words::of_payload(other), None, "{other}");
        }
    }

    #[test]
    fn the_provider_answers_single_words_of_its_list_only() {
        let rows = [
            (Some(Stop), "STOP"),
            (Some(Stop), " stop\n"),
            (Some(Stop), "StopAll"),
            (Some(Stop), "UNSUBSCRIBE"),
            (Some(Stop), "Cancel"),
            (Some(Stop), "end"),
            (Some(Stop), "QUIT"),
            (Some(Stop), "revoke"),
            (Some(Stop), "OPTOUT"),
            (Some(Yes), "START"),
            (Some(Yes), "yes"),
            (Some(Yes), "Unstop"),
            (Some(Help), "HELP"),
            (Some(Help), "info"),
        ];
        let words = words();
        for (expected, text) in rows {
            assert_eq!(Words::the_provider_answers(text), expected, "{text:?}");
            assert_eq!(Some(words.meaning(text)), expected, "{text:?} means the same to us");
        }
        for ours in ["STOP PLEASE", "Stop!", "“STOP”", "opt out", "stop all", "remove", "arrêt", "Y", "agree", "aide", "no", ""]
        {
            assert_eq!(Words::the_provider_answers(ours), None, "{ours:?}");
        }
    }

    #[test]
    fn no_word_is_a_yes_and_a_stop() {
        let wrong = Words::parse("[en]\nyes = [\"yes\", \"Stop!\"]\nstop = [\"stop\"]").expect_err("refused");
        assert!(wrong.contains("two lists"), "{wrong}");
    }

    #[test]
    fn a_wrong_file_is_refused_with_the_place() {
        let rows = [
            ("[en]\nyes = [\"yes\"]", "no language has a word for `stop`"),
            ("[en]\nyes = [\"!\"]\nstop = [\"stop\"]", "without a letter"),
            ("[en]\nyes = [\"yes\"]\nstop = [\"stop\"]\nstopp = []", "stopp"),
            ("[en]\nyes = [\"yes\"]\nstop = [\"stop\"]\npossible_stop = [\"a $ b\"]", "no phrase"),
            ("[en]\nyes = [\"yes\"]\nstop = [\"stop\"]\npossible_stop = [\"a| b\"]", "no phrase"),
            ("yes = ", "1"),
        ];
        for (file, expected) in rows {
            let error = Words::parse(file).expect_err(file);
            assert!(error.contains(expected), "{file}: {error}");
        }
    }

    #[test]
    fn a_long_text_is_read_to_its_limit() {
        let words = words();
        assert_eq!(words.meaning(&"stop ".repeat(100_000)), Ordinary);
        assert_eq!(words.meaning(&format!("x {} x", "please ".repeat(100_000))), Ordinary);
        assert_eq!(words.meaning(&format!("{} please stop texting me", "word ".repeat(500))), PossibleStop);
    }

    proptest! {
        #[test]
        fn any_text_means_something_without_a_panic(text in "\\PC{0,200}|((stop|me|please|no|more|messages|dont|bitte|不要|再|发) ?){0,60}") {
            words().meaning(&text);
        }
    }
}
