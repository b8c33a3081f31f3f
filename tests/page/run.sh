#!/usr/bin/env bash
# The page in a real browser: run.sh PROGRAM starts a sandbox, drives it, looks at hostile markup, and ends it.
# SCREENSHOT keeps what the page looked like at the end; CHROMIUM names another browser.
set -euo pipefail
program=$(realpath "$1")
cd "$(dirname "$0")/../.."

scratch=$(mktemp -d)
sandbox=
finish() {
  if [ -n "$sandbox" ]; then
    kill "$sandbox" 2> /dev/null || true
    wait "$sandbox" 2> /dev/null || true
  fi
  rm -rf "$scratch"
}
trap finish EXIT

"$program" sandbox --listen 127.0.0.1:0 --data "$scratch/data" --json > "$scratch/ready" 2> "$scratch/log" &
sandbox=$!
for _ in $(seq 300); do
  [ -s "$scratch/ready" ] && break
  if ! kill -0 "$sandbox" 2> /dev/null; then
    sandbox=
    break
  fi
  sleep 0.1
done
if [ ! -s "$scratch/ready" ]; then
  echo "the sandbox did not get ready:" >&2
  cat "$scratch/log" >&2
  exit 1
fi
address() {
  node -p 'JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"))[process.argv[2]]' "$scratch/ready" "$1"
}
page=$(address page)

picture=${SCREENSHOT:-$scratch/page.png}
CHROMIUM=${CHROMIUM:-$(command -v chromium)}
export CHROMIUM
if ! node tests/page/first-conversation.mjs "$page" "$picture"; then
  echo "the sandbox said:" >&2
  tail -n 50 "$scratch/log" >&2
  exit 1
fi
node tests/page/second-conversation.mjs "$page" ${SMS_SCREENSHOT:+"$SMS_SCREENSHOT"}
node tests/page/hostile-markup.mjs "$page"
node tests/page/groups.mjs "$page" "$(address whatsapp)"
