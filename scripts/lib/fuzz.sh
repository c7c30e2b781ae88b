#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs every target of tests/fuzz for a while, two at a time.
#
#   scripts/lib/fuzz.sh BUILD-FOLDER RESULTS
#
# The targets are built in BUILD-FOLDER, and what they find stays below
# BUILD-FOLDER/found: NAME.corpus is where the next run goes on from, NAME.log
# and NAME-crash-* tell of a failure. RESULTS gets one line of JSON a target,
# as meson's testlog.json has for a test; scripts/lib/summary.py reads it.
#
#   GODWIT_FUZZ_SECONDS   how long each target runs [60]; 0 skips them
set -euo pipefail
cd -- "$(dirname -- "$0")/../.."
. scripts/lib/common.sh

dir=$1 results=$2
seconds=${GODWIT_FUZZ_SECONDS:-60}
jobs=2

# result NAME OK|SKIP|FAIL TEXT
result() {
    python3 -c 'import json, sys
words = [word.encode(errors="replace").decode() for word in sys.argv[1:]]
print(json.dumps(dict(zip(("name", "result", "stdout"), words))))' \
        "fuzz-$1" "$2" "$3" >>"$results"
}

skip_all() {
    for name in "${names[@]}"; do
        result "$name" SKIP "$1"
    done
    exit 0
}

fuzz() {
    local name=$1 log=$dir/found/$1.log
    mkdir -p "$dir/found/$name.corpus"
    # Devices warn of what a guest does to them, thousands of times.
    if "$dir/tests/fuzz/fuzz-$name" -max_total_time="$seconds" -timeout=20 \
            -artifact_prefix="$dir/found/$name-" "$dir/found/$name.corpus" \
            "tests/fuzz/seeds/$name" 2>&1 | grep -av '^godwit: warning: ' >"$log"; then
        result "$name" OK "$(tail -n 1 "$log")"
    else
        result "$name" FAIL "$(tail -n 60 "$log")"
    fi
}

names=()
for folder in tests/fuzz/seeds/*/; do
    names+=("$(basename "$folder")")
done
: >"$results"
[ "$seconds" -gt 0 ] || skip_all "GODWIT_FUZZ_SECONDS is 0"
echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return *d && n; }' |
    clang -x c -fsanitize=fuzzer,address - -o /dev/null 2>/dev/null ||
    skip_all "clang or its fuzzer run-time (libclang-rt-14-dev) is missing"
build "$dir" --enable-fuzzing -- -Doptimization=1

say "fuzzing ${#names[@]} targets, $seconds s each"
mkdir -p "$dir/found"
for name in "${names[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
        wait -n
    done
    fuzz "$name" &
done
wait
