//! The verbs of the command line.
use clap::{Parser, Subcommand};
use liaison::adapters::clock::SystemClock;
use liaison::adapters::store::{Filter, JournalLine, read_journal};
use liaison::adapters::wording::load_all;
use liaison::app::doctor;
use liaison::app::journal::contact_named;
use liaison::app::sandbox::{self, SandboxOptions};
use liaison::app::start::{self, Bot};
use liaison::app::templates;
use liaison::domain::time::{Span, Timestamp};
use liaison::{config, telemetry};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// A commit is many small pieces of memory that one thread makes and another frees; the system's own allocator spends a
/// quarter of the processor on that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "liaison", version, about = "Advisors talk with clients on WhatsApp and SMS from their own chat platform.")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// The whole system in one process on embedded defaults, with a page to try it.
    Sandbox {
        #[arg(long, default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
        /// Keeps the state here; otherwise it lives in a temporary folder.
        #[arg(long)]
        data: Option<PathBuf>,
        /// Prints one line of JSON when ready.
        #[arg(long)]
        json: bool,
        /// Another receiver of WhatsApp webhooks, besides the bot.
        #[arg(long)]
        whatsapp_callback: Option<String>,
        /// Another receiver of Twilio webhooks, besides the bot.
        #[arg(long)]
        twilio_callback: Option<String>,
        /// Listen on an address that others can reach. Nothing here has a password.
        #[arg(long)]
        expose: bool,
    },
    /// The bot alone, against the addresses in the configuration.
    Run {
        #[arg(long, default_value = "bot-config.toml")]
        config: PathBuf,
    },
    /// Reads configuration and templates and prints every mistake at once; touches no network.
    Check {
        #[arg(long, default_value = "bot-config.toml")]
        config: PathBuf,
    },
    /// Tries each connection, token, number and template and says what to do; good only if `run` would work.
    Doctor {
        #[arg(long, default_value = "bot-config.toml")]
        config: PathBuf,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Message templates: what the account has, how our files differ, submitting the missing ones, taking over what is new.
    Templates {
        act: templates::Act,
        #[arg(long, default_value = "bot-config.toml")]
        config: PathBuf,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        /// With sync: write the files.
        #[arg(long)]
        write: bool,
    },
    /// What is in the journal, oldest first, one entry a line; also while the bot runs.
    Journal {
        #[arg(long, default_value = "bot-config.toml")]
        config: PathBuf,
        /// A short id (c-…), a phone number, an e-mail address, or a name that no other contact has.
        #[arg(long)]
        contact: Option<String>,
        /// A time (2026-11-20T14:00:00Z), a day (2026-11-20) or a length back from now (24h).
        #[arg(long)]
        since: Option<String>,
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    telemetry::init_logs();
    // One provider of cryptography for the whole process; a second call would only say that it is there.
    let _there = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("The system gives us no threads: {error}.")),
    };
    runtime.block_on(async {
        match arguments.verb {
            Verb::Sandbox { listen, data, json, whatsapp_callback, twilio_callback, expose } => {
                run_sandbox(SandboxOptions { listen, data, json, whatsapp_callback, twilio_callback, expose }).await
            }
            Verb::Run { config } => run(&config).await,
            Verb::Check { config } => check(&config),
            Verb::Doctor { config, json } => {
                if doctor::doctor(&config, json).await {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::from(1)
                }
            }
            Verb::Templates { act, config, json, write } => account_templates(act, &config, json, write).await,
            Verb::Journal { config, contact, since, json } => journal(&config, contact.as_deref(), since.as_deref(), json),
        }
    })
}

fn fail(why: &str) -> ExitCode {
    eprintln!("liaison: {why}");
    ExitCode::from(1)
}

fn wrong_call(why: &str) -> ExitCode {
    eprintln!("liaison: {why}");
    ExitCode::from(2)
}

async fn run_sandbox(options: SandboxOptions) -> ExitCode {
    let json = options.json;
    let (mut asked_to_end, mut start) = (std::pin::pin!(asked_to_end()), std::pin::pin!(sandbox::start(options)));
    // Whoever ends it before it is ready leaves no temporary folder with keys behind: only a start that is done can be undone.
    let (started, is_over) = tokio::select! {
        // In this order: signals are heard from before the first file is written.
        biased;
        () = &mut asked_to_end => (start.await, true),
        started = &mut start => (started, false),
    };
    let sandbox = match started {
        Ok(sandbox) => sandbox,
        Err(error) => return fail(&error.to_string()),
    };
    if is_over {
        sandbox.stop().await;
        return ExitCode::SUCCESS;
    }
    let told = if json { sandbox.addresses.ready_line().to_string() } else { sandbox.addresses.told() };
    println!("{told}");
    // Whoever reads a pipe may have gone away; the sandbox does not mind.
    let _gone = std::io::stdout().flush();
    asked_to_end.await;
    sandbox.stop().await;
    ExitCode::SUCCESS
}

async fn run(path: &Path) -> ExitCode {
    let (config, wording) = match load_all(path, &config::environment()) {
        Ok(both) => both,
        Err(mistakes) => return tell_mistakes(&mistakes),
    };
    let metrics = match telemetry::metrics() {
        Ok(metrics) => metrics,
        Err(error) => return fail(&format!("The metrics cannot be set up: {error}.")),
    };
    let clock = Arc::new(SystemClock::new());
    let confirmed = Arc::clone(&clock);
    let bot = Bot { config, wording, clock, confirm_clock: Arc::new(move || confirmed.confirm()), metrics };
    let running = match bot.start().await {
        Ok(running) => running,
        Err(error) => return fail(&error.to_string()),
    };
    tracing::info!(webhooks = %running.address, operators = %running.ops_address, "Liaison runs");
    asked_to_end().await;
    tracing::info!("Liaison ends: no new input, effects in flight finish");
    running.stop().await;
    ExitCode::SUCCESS
}

async fn asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        // Without a handler the signal ends the process, which is safe at any moment.
        return std::future::pending().await;
    };
    tokio::select! { _ = terminate.recv() => {}, _ = tokio::signal::ctrl_c() => {} }
}

fn check(path: &Path) -> ExitCode {
    let checked = load_all(path, &config::environment());
    let mistakes = match &checked {
        Ok((config, _)) => start::check(config),
        Err(mistakes) => mistakes.clone(),
    };
    if !mistakes.is_empty() {
        return tell_mistakes(&mistakes);
    }
    if let Ok((config, _)) = checked {
        config.notes.iter().for_each(|note| println!("note: {note}"));
    }
    println!("{}: configuration and templates are in order.", path.display());
    ExitCode::SUCCESS
}

async fn account_templates(act: templates::Act, path: &Path, json: bool, write: bool) -> ExitCode {
    if write && act != templates::Act::Sync {
        return wrong_call("--write belongs to `templates sync`.");
    }
    let mut print = |line: &templates::Line| {
        let text = if json { serde_json::to_string(line).unwrap_or_default() } else { line.to_string() };
        // A reader who has seen enough closes the pipe.
        let _closed = writeln!(std::io::stdout(), "{text}");
    };
    match templates::act(act, path, &config::environment(), write, &mut print).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(mistakes) => {
            mistakes.iter().for_each(|mistake| eprintln!("{mistake}"));
            ExitCode::from(1)
        }
    }
}

fn tell_mistakes(mistakes: &[config::Mistake]) -> ExitCode {
    mistakes.iter().for_each(|mistake| eprintln!("{mistake}"));
    ExitCode::from(1)
}

fn journal(path: &Path, contact: Option<&str>, since: Option<&str>, json: bool) -> ExitCode {
    let config::Reading { config, mistakes } = config::read(path, &config::environment());
    let Some(config) = config else { return tell_mistakes(&mistakes) };
    let data = &config.bot.data_dir;
    let contact = match contact.map(|typed| contact_named(data, typed, &config.bot.default_region)).transpose() {
        Ok(contact) => contact,
        Err(why) => return fail(&why),
    };
    let since = match since.map(time_named).transpose() {
        Ok(since) => since,
        Err(why) => return wrong_call(&why),
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let shown = read_journal(data, &Filter { contact, since }, |line| {
        let text = if json { serde_json::to_string(&line).unwrap_or_default() } else { for_people(&line) };
        // A reader who has seen enough closes the pipe.
        let _closed = writeln!(out, "{text}");
    });
    let _closed = out.flush();
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn for_people(line: &JournalLine) -> String {
    let chips = [
        line.contact.as_ref().map(ToString::to_string),
        line.room.as_ref().map(ToString::to_string),
        line.message.as_ref().map(ToString::to_string),
    ];
    let chips: Vec<String> = chips.into_iter().flatten().collect();
    let detail = if line.detail.is_null() { String::new() } else { format!("  {}", line.detail) };
    format!("{:>8}  {}  {:<24} {}  {}{detail}", line.sequence, line.at, line.kind, line.actor, chips.join(" "))
}

fn time_named(typed: &str) -> Result<Timestamp, String> {
    if let Ok(at) = typed.parse::<jiff::Timestamp>() {
        return Ok(Timestamp(at.as_millisecond()));
    }
    if let Ok(day) = typed.parse::<jiff::civil::Date>()
        && let Ok(start) = day.to_zoned(jiff::tz::TimeZone::UTC)
    {
        return Ok(Timestamp(start.timestamp().as_millisecond()));
    }
    let (number, unit) = typed.split_at(typed.len().saturating_sub(1));
    let back = match (number.parse::<i64>(), unit) {
        (Ok(n), "s") => Span::seconds(n),
        (Ok(n), "m") => Span::minutes(n),
        (Ok(n), "h") => Span::hours(n),
        (Ok(n), "d") => Span::days(n),
        _ => return Err(format!("--since {typed}: write a time (2026-11-20T14:00:00Z), a day (2026-11-20) or a length (24h).")),
    };
    Ok(Timestamp(jiff::Timestamp::now().as_millisecond()) - back)
}
