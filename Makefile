# What one does with this project. Every target runs from a fresh clone; `make test` is what must pass.
.PHONY: test lint rust-test page-test contract-test picture bench campaign

# The deliberate defects belong to the test build; the lint reads the same code.
FEATURES := --features planted-faults
PROGRAM := $(or $(CARGO_TARGET_DIR),target)/debug/liaison

test: lint rust-test page-test contract-test

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

# Symphony's own documents and its own Python client against the pod of the sandbox, and against the bot.
CONTRACT := tests/symphony_contract
CONTRACT_VENVS := $(foreach name,tools bdk-2 bdk-3,$(CONTRACT)/venv/$(name)/installed)
contract-test: $(CONTRACT)/node_modules $(CONTRACT_VENVS)
	cargo test --locked $(FEATURES) --no-run --test symphony_contract
	$(CONTRACT)/venv/tools/bin/python $(CONTRACT)/run.py $(PROGRAM) \
	  "cargo test --locked $(FEATURES) --test symphony_contract -- --ignored" \
	  $(CONTRACT)/venv/bdk-2/bin/python $(CONTRACT)/venv/bdk-3/bin/python

$(CONTRACT)/node_modules: $(CONTRACT)/package-lock.json
	cd $(CONTRACT) && npm ci --no-audit --no-fund
	touch $@

$(CONTRACT)/venv/%/installed: $(CONTRACT)/requirements-%.txt
	python3 -m venv --clear $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r $<
	touch $@

bench:
	cargo bench --locked --bench bench
