#!/usr/bin/env bash
# On a GPU machine without a network: run.sh setup | smoke | table | demo | suites ...  (each stage in turn)
# What pack.py packed lies in .kit; logs and tables go to $OUT (default: runs/gpu).
set -uo pipefail
cd "$(dirname "$0")/../../.."
export OUT=${OUT:-runs/gpu} SITE=${SITE:-/tmp/site} SHAPES=${SHAPES:-/tmp/shapes} PYTHONUNBUFFERED=1
export VLLM_USE_FLASHINFER_SAMPLER=0 # else flashinfer is wanted, which is not carried
export PYTHONPATH=$SITE:$PWD HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 VLLM_LOGGING_LEVEL=${VLLM_LOGGING_LEVEL:-WARNING}
mkdir -p "$OUT" "$SITE"

winnow() { python3 -c 'from server.cli.main import main; main()' "$@"; }

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
    timeout 150 python3 -m tests.bench.limit --n 8 --problems 8 --repeats 1 2>&1 | tee "$OUT/smoke.log" | tail -60
}

table() {
    timeout 120 python3 -m tests.bench.gpu.shapes "$SHAPES" "$@" || return
    timeout 330 python3 -m tests.bench.limit --policy "$SHAPES/policy" --verifier "$SHAPES/verifier" --n 16,64,256 \
        --problems 16 --repeats 1 --seconds 170 --out "$OUT/limit.json" 2>&1 | tee "$OUT/limit.log" | tail -80
}

demo() {
    timeout 120 python3 -c 'from server.cli.main import main; main()' eval --held-out 200 --n 1,16 --subsample \
        --concurrency 32 2>&1 | tee "$OUT/demo.log" | tail -40
}

suites() {
    timeout 150 python3 -m pytest -q -x -p no:cacheprovider -k "not remote" tests/models/policy/test_policies.py \
        tests/models/policy/test_engine_policy.py tests/models/prm/test_verifiers.py tests/models/prm/test_winnow.py \
        2>&1 | tee "$OUT/suites.log" | tail -30
}

for stage in "$@"; do
    echo "=== $stage ($(date +%T))"
    "$stage"
done
echo "=== end ($(date +%T))"
