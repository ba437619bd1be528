#!/usr/bin/env bash
# Makes .venv anew and installs the pinned packages of one device into it: install.sh PYTHON cpu|cuda|gateway [run]
# A gateway runs no model itself. "run" leaves out what only the tests and the checks need.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=$1
device=$2
purpose=${3:-develop}
log=.venv/install.log

step() { echo "==> $*"; }
stop() { echo "Set-up stopped: $*" >&2; exit 1; }
has() { "$python" -c "$1" 2>/dev/null; }

require_machine() {
    [ "$(uname -sm)" = "Linux x86_64" ] || stop "the pinned packages are for Linux on x86_64, this is $(uname -sm)."
    [[ "$device" =~ ^(cpu|cuda|gateway)$ ]] || stop "there is no DEVICE=$device, take cpu, cuda or gateway."
    [ "$device" != gateway ] || [ "$purpose" = run ] || stop "the tests need an engine: DEVICE=gateway is for running alone."
    command -v "$python" >/dev/null ||
        stop "there is no '$python'. Name one, 3.11 or newer: make setup PYTHON=python3.11"
    has 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        stop "'$python' is $("$python" -V 2>&1), 3.11 or newer is needed. Name one: make setup PYTHON=python3.11"
}

# Some Debian packages are not there on a fresh machine. Unpacked inside .venv they need no root.
unpack() {
    step "Unpacking Debian's $1 inside .venv"
    (cd .venv && apt-get download "$1" && dpkg-deb --extract "$1"_*.deb debian) >>"$log" 2>&1 ||
        stop "a system package is missing. On Debian and Ubuntu: sudo apt-get update && sudo apt-get install $2"
}

make_venv() {
    step "Making .venv with $("$python" -V)"
    if has 'import ensurepip, venv'; then
        "$python" -m venv --clear .venv
        return
    fi
    "$python" -m venv --clear --without-pip .venv
    unpack python3-pip-whl python3-venv
    local pip_wheel
    pip_wheel=$(echo .venv/debian/usr/share/python-wheels/pip-*.whl)
    .venv/bin/python "$pip_wheel/pip" install --quiet --no-index "$pip_wheel"
}

# vLLM's CPU kernels are linked with libnuma. Loaded before them, it is found wherever it lies.
provide_libnuma() {
    if [ "$device" != cpu ] || has 'import ctypes; ctypes.CDLL("libnuma.so.1")'; then return; fi
    unpack libnuma1 libnuma1
    echo "import ctypes; ctypes.CDLL('$(echo "$PWD"/.venv/debian/usr/lib/*/libnuma.so.1)')" \
        >"$(echo .venv/lib/python3.*/site-packages)/libnuma.pth"
}

install_packages() {
    step "Installing the packages for DEVICE=$device (gateway: 40 MB to download; cpu: 0.7 GB; cuda: several GB)"
    local locks=(-r "deploy/requirements/$device.txt")
    [ "$purpose" = run ] || locks+=(-r deploy/requirements/dev.txt)
    .venv/bin/python -m pip install --no-deps --disable-pip-version-check --no-input --progress-bar off "${locks[@]}" 2>&1 |
        tee -a "$log" | show_progress || explain_pip
}

# Only what takes a while: packages of a megabyte or more, and unpacking.
show_progress() {
    sed -unE 's/^ *Downloading ([^-]+)-([^-]+)-.*(\([0-9.]+ [MG]B\))$/    \1 \2 \3/p; s/^Installing .*/    unpacking/p'
}

explain_pip() {
    grep '^ERROR: [^I]' "$log" | cut -c 1-200 | tail -n 3 >&2 || true
    if grep -q 'No matching distribution found for torch==.*+cpu' "$log"; then
        stop "pip found no CPU build of torch, which the PyTorch CPU index has: see Set-up in README.md."
    fi
    stop "pip failed, see $log. Check the network, the proxy and the disk space, then run make again."
}

require_machine
make_venv
provide_libnuma
install_packages
