#!/bin/sh
# Runs the demo: "Build a REST API for user management, with tests", through a real captain, real workers and the real opencode
# in the sandbox. With ANTHROPIC_API_KEY or OPENAI_API_KEY set the model is that provider's; else it is the rehearsal model.
# The merged result is in out/. Nothing else is left: captain, workers and state live as long as the demo.
set -eu
cd "$(dirname "$0")/.."

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
programs=${CARGO_TARGET_DIR:-target}/debug

say "Building (some minutes the first time)"
cargo build --locked --quiet --package captain --package worker --package rehearsal

state=$(mktemp -d)
model=
cleanup() {
    [ -z "$model" ] || kill "$model" 2>/dev/null || true
    rm -rf "$state"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

if [ -n "${ANTHROPIC_API_KEY:-}${OPENAI_API_KEY:-}" ]; then
    say "The model is your provider's"
    set --
else
    (umask 077 && head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$state/key")
    REHEARSAL_KEY=$(cat "$state/key") "$programs/rehearsal" >"$state/model" &
    model=$!
    until grep -q http "$state/model"; do
        kill -0 "$model" 2>/dev/null || { say "the rehearsal model did not start"; exit 69; }
        sleep 0.1
    done
    url=$(sed 's/.* on //' "$state/model")
    say "No provider key is set: the rehearsal model plays the model's part, everything else is real"
    set -- --api-provider custom --model rehearsal --base-url "$url" --api-key-file "$state/key"
fi

rm -rf out
"$programs/captain" run --state-dir "$state/captain" --agent-bin "$(readlink -f .opencode/bin/opencode)" "$@" \
    --file examples/user-api.toml --out out

say "The result is in out/. Try: (cd out && python3 -B -m unittest)"
