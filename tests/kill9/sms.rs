//! The same by SMS: killed between a webhook and what it leads to, while webhooks come to nobody, and while an advisor writes.
use crate::real::{JANE, PATIENCE, World, code, part, until};
use crate::{DRAINED_WITHIN, Told, number_from, seed};
use liaison::sandbox::twilio::Texted;
use std::time::{Duration, Instant};

/// Somebody who texts; until anybody completes him his number is the name of his room.
struct Texting {
    number: String,
    said: Vec<String>,
    told: Vec<String>,
}

impl Texting {
    /// Each with a prefix of his own: a flood of one prefix would be held back.
    fn new(nth: usize) -> Texting {
        Texting { number: format!("+4915{nth:02}1234567"), said: Vec::new(), told: Vec::new() }
    }

    fn texts(&mut self, world: &World) {
        let text = format!("C-{}-{}", self.number, self.said.len());
        world.twilio.text(&self.number, Texted { text: text.clone(), ..Texted::default() }).unwrap();
        self.said.push(text);
    }

    async fn is_told(&mut self, world: &World, nth: usize) {
        until("his room", PATIENCE, async || world.room_named(&self.number).is_some()).await;
        let room = world.room_named(&self.number).unwrap();
        let text = format!("A-K{nth:03}-{:03}", self.told.len());
        world.pod.post_as(world.user(JANE), &room, &text).unwrap();
        self.told.push(text);
    }

    /// What the firm wrote to his phone.
    fn got(&self, world: &World) -> Vec<String> {
        world.twilio.messages(&self.number).into_iter().filter(|shown| shown.direction == "in").map(|shown| shown.text).collect()
    }

    fn wrong(&self, world: &World, told: &Told) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut expect = |holds: bool, what: String| {
            if !holds {
                wrong.push(format!("{}: {what}", self.number));
            }
        };
        let rooms = world.pod.all_rooms().into_iter().filter(|room| room.name.starts_with(&self.number)).collect::<Vec<_>>();
        expect(rooms.len() == 1, format!("{} rooms", rooms.len()));
        let [room] = rooms.as_slice() else { return wrong };
        let (lines, got) = (world.bot_lines(&room.id), self.got(world));
        let shown =
            |wanted: &str, message: &str| lines.iter().any(|line| code(line) == wanted && part(line, "message") == message);
        for text in &self.said {
            let relayed =
                lines.iter().filter(|line| code(line) == "client_message" && line.text.ends_with(text.as_str())).count();
            expect(relayed == 1, format!("{text} stands {relayed} times in the room, doubled if more than once"));
        }
        let welcomes = got.iter().filter(|text| text.contains("this is Jane Doe")).count();
        let doubted = lines.iter().any(|line| code(line) == "unconfirmed");
        expect(welcomes == 1 || (welcomes == 0 && doubted), format!("{welcomes} welcomes, doubled if more than one"));
        for text in &self.told {
            let times = got.iter().filter(|got| *got == text).count();
            expect(times <= 1, format!("{text} is doubled: {times} times on the phone"));
            let accepted = told.accepted.get(text).map_or(&[][..], Vec::as_slice);
            let [message] = accepted else {
                expect(false, format!("{text} was accepted {} times", accepted.len()));
                continue;
            };
            expect(times == 1 || shown("unconfirmed", message), format!("{text} ({message}) is nowhere"));
        }
        wrong
    }
}

fn wrong_with_all(world: &World, clients: &[Texting]) -> Vec<String> {
    let journal = world.journal();
    let told = Told::read(&journal);
    let mut wrong: Vec<String> = clients.iter().flat_map(|client| client.wrong(world, &told)).collect();
    let created = journal.iter().filter(|line| line["kind"] == "contact.created").count();
    if created != clients.len() {
        wrong.push(format!("{created} contacts of {} clients", clients.len()));
    }
    wrong
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_or_doubled_by_sms_when_the_bot_is_killed_between_webhook_and_send() {
    let (rounds, seed) = (number_from("KILL_SMS_ROUNDS", 4) as usize, seed());
    let mut random = fastrand::Rng::with_seed(seed);
    let world = World::new().await;
    let mut clients: Vec<Texting> = Vec::new();
    let mut running = world.run();
    world.ready(&mut running).await;
    for round in 0..rounds {
        let (mut heard, mut missed) = (Texting::new(2 * round), Texting::new(2 * round + 1));
        heard.texts(&world);
        let taken = async || world.twilio.messages(&heard.number).iter().any(|shown| shown.status == "sent");
        until("the webhook is taken", PATIENCE, taken).await;
        tokio::time::sleep(Duration::from_millis(random.u64(..150))).await;
        running.kill_9();
        // Twilio tells once, and nobody is there: its list must bring it.
        missed.texts(&world);
        let lost = async || world.twilio.messages(&missed.number).iter().any(|shown| shown.status == "lost");
        until("the webhook is lost", PATIENCE, lost).await;
        running = world.run();
        world.ready(&mut running).await;
        heard.is_told(&world, 2 * round).await;
        missed.texts(&world);
        missed.is_told(&world, 2 * round + 1).await;
        tokio::time::sleep(Duration::from_millis(random.u64(..1_500))).await;
        running.kill_9();
        running = world.run();
        world.ready(&mut running).await;
        clients.extend([heard, missed]);
    }
    let end = Instant::now() + DRAINED_WITHIN;
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let wrong = wrong_with_all(&world, &clients);
        if wrong.is_empty() {
            break;
        }
        let is_over = Instant::now() > end || wrong.iter().any(|what| what.contains("is doubled"));
        assert!(!is_over, "KILL_SEED={seed}\n{}\n{}", wrong.join("\n"), running.told());
    }
    // It stays so: nothing comes twice a little later.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let wrong = wrong_with_all(&world, &clients);
    assert!(wrong.is_empty(), "KILL_SEED={seed}\n{}", wrong.join("\n"));
    running.stop().await;
}
