//! Pages in `docs/` that are made from the program itself: stale ones fail; `LIAISON_REWRITE_DOCS=1` writes them anew.
#![allow(clippy::unwrap_used)] // Test helpers fail loudly.
use liaison::adapters::whatsapp::errors::{advice, advice_for, does};
use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Code and title of each error that Meta documents, by number.
fn documented() -> Vec<(i64, String)> {
    let path = root().join("../shared/contracts/whatsapp/error-codes.json");
    let contract: Value = serde_json::from_slice(&std::fs::read(path).expect("the contract lies in ../shared")).unwrap();
    let codes = contract["codes"].as_array().unwrap().iter();
    let mut codes: Vec<(i64, String)> =
        codes.map(|entry| (entry["code"].as_i64().unwrap(), entry["title"].as_str().unwrap().to_owned())).collect();
    codes.sort();
    codes
}

fn errors_page() -> String {
    let advice = advice(&root().join("templates")).unwrap();
    let mut page = String::from(
        "# Errors of the WhatsApp Cloud API\n\n\
         Made from `templates/errors/whatsapp.toml` and the program's own table by `tests/docs.rs`; do not edit it here.\n\
         A code that is not in it is tried again where WhatsApp says that it will pass, and fails otherwise. A code that rests or \
         stops the line does so in a later status, too, and the message waits with the others.\n\n\
         | code | WhatsApp's name | what the advisor reads when the message fails | what Liaison does |\n|---|---|---|---|\n",
    );
    for (code, title) in documented() {
        let does = does(code).unwrap_or_else(|| panic!("{code} has no class"));
        let reads = advice_for(&advice, &code.to_string()).unwrap_or_else(|| panic!("{code} has no advice"));
        assert!(advice.contains_key(&code.to_string()), "{code} has no advice of its own");
        let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
        let code = if code == 200 { "200 to 299".to_owned() } else { code.to_string() };
        writeln!(page, "| {code} | {} | {} | {} |", cell(&title), cell(reads), cell(&does)).unwrap();
    }
    page
}

fn is_fresh(path: &PathBuf, page: &str) {
    if std::env::var_os("LIAISON_REWRITE_DOCS").is_some() {
        std::fs::write(path, page).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(there == page, "{} is stale: run this test with LIAISON_REWRITE_DOCS=1", path.display());
}

#[test]
fn the_page_of_errors_is_what_the_program_does() {
    is_fresh(&root().join("docs/whatsapp-errors.md"), &errors_page());
}

#[test]
fn the_page_of_errors_misses_no_documented_code() {
    let page = errors_page();
    for (code, _) in documented() {
        assert!(page.contains(&format!("\n| {code} ")), "{code}");
    }
}
