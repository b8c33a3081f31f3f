# What one does with this project. Every target runs from a fresh clone; `make test` is what must pass.
.PHONY: test lint rust-test page-test picture bench campaign

# The deliberate defects belong to the test build; the lint reads the same code.
FEATURES := --features planted-faults
PROGRAM := $(or $(CARGO_TARGET_DIR),target)/debug/liaison

test: lint rust-test page-test

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets $(FEATURES) -- -D warnings

rust-test:
	cargo test --locked $(FEATURES)

# The same tests, run much longer.
campaign: export VOYAGES := $(or $(VOYAGES),1000000)
campaign: export KILL_ROUNDS := $(or $(KILL_ROUNDS),1000)
campaign: rust-test

# The first conversation of the README in a real browser, against the real program.
# A test's build makes the program too; a build of its own would choose other features of the crates and build them anew.
page-test: tests/page/node_modules
	cargo test --locked $(FEATURES) --no-run --test page_api
	tests/page/run.sh $(PROGRAM)

# The README's picture, made anew by the same conversation.
picture: export SCREENSHOT := $(CURDIR)/docs/sandbox.png
picture: page-test

tests/page/node_modules: tests/page/package-lock.json
	cd tests/page && npm ci --no-audit --no-fund
	touch $@

bench:
	cargo bench --locked --bench bench
