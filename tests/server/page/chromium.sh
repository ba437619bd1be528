#!/usr/bin/env bash
# Installs Debian's Chromium for the tests of the page, where this machine lets us; says why where it does not.
set -euo pipefail

for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then exit 0; fi
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "==> There is no Chromium, and this user cannot install it: the tests of the page are skipped."
    exit 0
fi
echo "==> Installing Debian's Chromium for the tests of the page"
install() { DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends chromium >/dev/null 2>&1; }
install || { apt-get update >/dev/null 2>&1 && install; } ||
    echo "==> Chromium could not be installed: the tests of the page are skipped."
