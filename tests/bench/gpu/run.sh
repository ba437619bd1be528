#!/usr/bin/env bash
# On a GPU machine without a network: run.sh setup | smoke | table | demo | suites | report ...  (each stage in turn)
# What pack.py packed lies in .kit; logs, tables and report.md go to $OUT (default: runs/gpu). Without arguments: all but
# smoke, in at most eight minutes; each stage is stopped when its own time is over, and says so.
set -uo pipefail
cd "$(dirname "$0")/../../.."
export OUT=${OUT:-runs/gpu} SITE=${SITE:-/tmp/site} SHAPES=${SHAPES:-/tmp/shapes} PYTHONUNBUFFERED=1
POLICY_SHAPE=${POLICY_SHAPE:-llama-3.2-1b} VERIFIER_SHAPE=${VERIFIER_SHAPE:-llama-3.1-8b}
BUDGETS=${BUDGETS:-16,64,256} PROBLEMS=${PROBLEMS:-200}
export VLLM_USE_FLASHINFER_SAMPLER=0 # else flashinfer is wanted, which is not carried
export VLLM_LOGGING_STREAM=ext://sys.stderr
export PYTHONPATH=$SITE:$PWD HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 VLLM_LOGGING_LEVEL=${VLLM_LOGGING_LEVEL:-ERROR}
mkdir -p "$OUT" "$SITE"

setup() {
    # vLLM's plugins are found by the project's entry points, which need its metadata but no installation.
    mkdir -p "$SITE/winnow-0.0.0.dist-info"
    python3 - <<'PYTHON' >"$SITE/winnow-0.0.0.dist-info/entry_points.txt"
import tomllib

for group, points in tomllib.load(open("pyproject.toml", "rb"))["project"]["entry-points"].items():
    print(f"[{group}]", *(f"{name} = {value}" for name, value in points.items()), sep="\n")
PYTHON
    printf 'Metadata-Version: 2.1\nName: winnow\nVersion: 0.0.0\n' >"$SITE/winnow-0.0.0.dist-info/METADATA"
    if [ -f .kit/vllm.tar.xz ] && [ ! -d "$SITE/vllm" ]; then
        tar -xJf .kit/vllm.tar.xz -C "$SITE"
    fi
    if [ -d .kit/wheels ]; then
        python3 -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$SITE" \
            .kit/wheels/*.whl
    fi
    nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
    python3 -V
    du -sh "$SITE"
}

smoke() {
    python3 -c 'import torch, vllm; from vllm.platforms import current_platform as p; print(torch.__version__, vllm.__version__, p.device_type)'
    bounded 150 smoke python3 -m tests.bench.limit --parts efficiency --n 8 --problems 8 --most 1 --minutes 2 --out "$OUT/smoke"
}

# Weights in the shapes of ${POLICY_SHAPE} and ${VERIFIER_SHAPE}, and the searches beside bare engines and lock-step.
table() {
    bounded 60 shapes python3 -m tests.bench.gpu.shapes "$SHAPES" --policy "$POLICY_SHAPE" --verifier "$VERIFIER_SHAPE"
    bounded 240 table python3 -m tests.bench.limit --parts efficiency,lock-step --policy "$SHAPES/policy" \
        --verifier "$SHAPES/verifier" --n "$BUDGETS" --lock-step-n "${BUDGETS%,*}" --problems 8 --most 1 --minutes 3.5 --out "$OUT/table"
}

# Every strategy on the demo pair, by its recipe: accuracies as on a CPU (tests/bench/README.md).
demo() {
    WINNOW_RECIPE=deploy/recipes/demo.yaml bounded 80 demo python3 -c 'from server.cli.main import main; main()' \
        eval --held-out "$PROBLEMS" --n 1,16 --subsample --concurrency 32 --out "$OUT/outcomes.jsonl"
}

suites() {
    bounded ${SUITES_S:-80} suites python3 -m pytest -q -x -p no:cacheprovider -k "not Remote and not remote" \
        tests/models/policy/test_policies.py tests/models/prm/test_verifiers.py tests/models/prm/test_winnow.py
}

# What all stages printed, in one file.
report() {
    local stage
    for stage in smoke table demo suites; do
        [ -f "$OUT/$stage.log" ] && printf '## %s\n\n' "$stage" && grep -v '^$' "$OUT/$stage.log"
    done >"$OUT/report.md"
    wc "$OUT/report.md"
}

# bounded SECONDS NAME COMMAND...: run a command, keep what it prints on stdout, and stop it when its time is over.
bounded() {
    local seconds=$1 name=$2
    shift 2
    timeout --kill-after 5 "$seconds" "$@" 2>"$OUT/$name.err" | tee "$OUT/$name.log" | cut -c 1-400
    local status=${PIPESTATUS[0]}
    if [ "$status" -ne 0 ]; then
        echo "$name ended with $status ($([ "$status" -ge 124 ] && echo "its $seconds s were over"))" | tee -a "$OUT/$name.log"
        tail -n 15 "$OUT/$name.err"
    fi
}

[ $# -gt 0 ] || set -- setup table demo suites report
for stage in "$@"; do
    echo "=== $stage ($(date +%T))"
    "$stage"
done
echo "=== end ($(date +%T))"
