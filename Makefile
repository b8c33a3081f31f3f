# What one does with this project. Every target runs from a fresh clone; `make test` is what must pass.
.PHONY: test lint rust-test page-test contract-test symphony-contract whatsapp-contract twilio-contract picture bench campaign

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
campaign: export CROWDS := $(or $(CROWDS),20000)
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

# Others hold both sides to their word: the platforms' own documents and clients that others wrote.
CONTRACTS := tests/contracts
CONTRACT_TOOLS := $(CONTRACTS)/node_modules $(CONTRACTS)/venv/tools/installed
CONTRACT_PYTHON := PYTHONPATH=$(CONTRACTS) $(CONTRACTS)/venv/tools/bin/python
contract-test: symphony-contract whatsapp-contract twilio-contract

SYMPHONY := tests/symphony_contract
symphony-contract: $(CONTRACT_TOOLS) $(SYMPHONY)/venv/bdk-2/installed $(SYMPHONY)/venv/bdk-3/installed
	cargo test --locked $(FEATURES) --no-run --test symphony_contract
	$(CONTRACT_PYTHON) $(SYMPHONY)/run.py $(PROGRAM) \
	  "cargo test --locked $(FEATURES) --test symphony_contract -- --ignored" \
	  $(SYMPHONY)/venv/bdk-2/bin/python $(SYMPHONY)/venv/bdk-3/bin/python

# A test's build makes the program too.
WHATSAPP := tests/whatsapp_contract
whatsapp-contract: $(CONTRACT_TOOLS) $(WHATSAPP)/venv/pywa/installed
	cargo test --locked $(FEATURES) --no-run --test whatsapp_groups
	$(CONTRACT_PYTHON) $(WHATSAPP)/run.py $(PROGRAM) $(WHATSAPP)/venv/pywa/bin/python \
	  "cargo test --locked $(FEATURES) --test whatsapp_groups -- --ignored"

TWILIO := tests/twilio_contract
twilio-contract: $(CONTRACT_TOOLS) $(TWILIO)/node_modules $(TWILIO)/venv/twilio/installed
	cargo test --locked $(FEATURES) --no-run --test symphony_contract
	$(CONTRACT_PYTHON) $(TWILIO)/run.py $(PROGRAM) $(TWILIO)/venv/twilio/bin/python

$(CONTRACTS)/node_modules $(TWILIO)/node_modules: %/node_modules: %/package-lock.json
	cd $* && npm ci --no-audit --no-fund
	touch $@

# One rule for each of the folders, since a pattern stands for one part only.
define venv
$(1)/venv/%/installed: $(1)/requirements-%.txt
	python3 -m venv --clear $$(@D)
	$$(@D)/bin/pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r $$<
	touch $$@
endef
$(foreach folder,$(CONTRACTS) $(SYMPHONY) $(WHATSAPP) $(TWILIO),$(eval $(call venv,$(folder))))

bench:
	cargo bench --locked --bench bench
