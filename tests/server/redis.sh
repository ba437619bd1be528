#!/usr/bin/env bash
# Installs Debian's Redis for the tests of several gateways, where this machine lets us; says why where it does not.
set -euo pipefail

if command -v redis-server >/dev/null; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "==> There is no Redis, and this user cannot install it: the tests of several gateways are skipped."
    exit 0
fi
echo "==> Installing Debian's Redis for the tests of several gateways"
install() { DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends redis-server >/dev/null 2>&1; }
install || { apt-get update >/dev/null 2>&1 && install; } ||
    echo "==> Redis could not be installed: the tests of several gateways are skipped."
