#!/usr/bin/env bash
# Makes what compose.yaml mounts as secrets, in secrets/: a key for you, one for Prometheus, Grafana's password; and the
# password of Redis on Kubernetes.
# What is there is kept. winnow itself sees digests of the keys only.
set -euo pipefail
cd "$(dirname "$0")"

random() { LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom | head -c 40 || true; }
make() { [ -s "secrets/$1" ] || printf '%s' "$2" >"secrets/$1"; }
digest() { sha256sum "secrets/$1" | cut -d ' ' -f 1; }

# Compose mounts the files as they are, for users of other numbers in the containers: it is the folder that is closed.
mkdir -p -m 700 secrets
umask 022
make api-key "sk-$(random)"
make metrics-key "sk-$(random)"
make grafana-password "$(random)"
make store-password "$(random)"
make keys.yaml "- {name: me, sha256: \"$(digest api-key)\"}
- {name: prometheus, sha256: \"$(digest metrics-key)\"}
"
echo "deploy/secrets: your key is in api-key, Grafana's password (user admin) in grafana-password."
