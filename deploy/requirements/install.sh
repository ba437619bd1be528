#!/usr/bin/env bash
# Makes .venv anew and installs the pinned packages of one device into it: install.sh PYTHON cpu|cuda|gateway [run]
# A gateway runs no model itself. "run" leaves out what only the tests and the checks need.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=$1
device=$2
purpose=${3:-develop}
log=.venv/install.log
# PyPI has no CPU build of torch. A mirror of PyTorch's index may stand in for it.
torch_index=${TORCH_CPU_INDEX:-https://download.pytorch.org/whl/cpu}

step() { echo "==> $*"; }
stop() { echo "Set-up stopped: $*" >&2; exit 1; }
has() { "$python" -c "$1" 2>/dev/null; }

require_machine() {
    [ "$(uname -sm)" = "Linux x86_64" ] || stop "the pinned packages are for Linux on x86-64, this is $(uname -sm)."
    case $device in
    cpu) step "DEVICE=cpu, for Linux on x86-64: 0.7 GB to download, 3 GB of disk" ;;
    cuda) step "DEVICE=cuda, for Linux on x86-64: several GB to download, over 10 GB of disk" ;;
    gateway) step "DEVICE=gateway, for Linux on x86-64: 40 MB to download, 0.2 GB of disk" ;;
    *) stop "there is no DEVICE=$device, take cpu, cuda or gateway." ;;
    esac
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

# Where pip as configured finds no CPU build of torch, this one package comes from PyTorch's own index.
install_torch() {
    local requirement=deploy/requirements/torch-cpu.txt
    if [ "$device" != cpu ]; then return; fi
    if finds_torch "$(sed -n 's/^torch==//p' "$requirement")"; then
        step "Installing the CPU build of torch"
        install -r "$requirement" || explain_pip
        return
    fi
    step "pip as configured finds no CPU build of torch: taking it from PyTorch's index, $torch_index"
    install --index-url "$torch_index" -r "$requirement" || explain_torch
}

finds_torch() {
    local found
    found=$(.venv/bin/python -m pip index versions torch 2>>"$log" | tr -s '(), ' '\n') || true
    grep -Fx -- "$1" <<<"$found" >/dev/null
}

explain_torch() {
    show_errors
    stop "no CPU build of torch came from $torch_index. Check the network and the proxy, name a mirror of this index" \
        "(TORCH_CPU_INDEX=URL), or a folder with the wheel (PIP_FIND_LINKS=FOLDER); then run make again."
}

install_packages() {
    step "Installing the packages"
    local locks=(-r "deploy/requirements/$device.txt")
    [ "$purpose" = run ] || locks+=(-r deploy/requirements/dev.txt)
    install "${locks[@]}" || explain_pip
}

install() {
    .venv/bin/python -m pip install --no-deps --disable-pip-version-check --no-input --progress-bar off "$@" 2>&1 |
        tee -a "$log" | show_progress
}

# Only what takes a while: packages of a megabyte or more, and unpacking.
show_progress() {
    sed -unE 's/^ *Downloading ([^-]+)-([^-]+)-.*(\([0-9.]+ [MG]B\))$/    \1 \2 \3/p; s/^Installing .*/    unpacking/p'
}

show_errors() { grep '^ERROR: [^I]' "$log" | cut -c 1-200 | tail -n 3 >&2 || true; }

explain_pip() {
    show_errors
    stop "pip failed, see $log. Check the network, the proxy and the disk space, then run make again."
}

require_machine
make_venv
provide_libnuma
install_torch
install_packages
