#!/usr/bin/env bash
# Fetches the page's libraries anew from npm packages, by the versions and hashes of packages.txt:
#   refresh.sh         stops where a package is not the one that was pinned
#   refresh.sh --pin   takes the versions as they are written and pins what npm gives
set -euo pipefail
cd "$(dirname "$0")"
pin=${1:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

hash_of() { sha256sum "$1" | cut -d' ' -f1; }
stop() { echo "refresh.sh: $*" >&2; exit 1; }

# Browsers import modules: a library that is none is given what it looks for, and hands its names on.
as_module() {
    case $2 in
    module) cat "$1" ;;
    global:*) cat "$1" && printf '\nexport default %s;\n' "${2#global:}" ;;
    umd:*) printf 'const exports = {}, module = { exports };\n' && cat "$1" &&
        printf '\nexport const { %s } = exports;\n' "${2#umd:}" ;;
    *) stop "packages.txt: $2 is no form" ;;
    esac | sed '/^\/\/# sourceMappingURL=/d'
}

grep '^#' packages.txt >"$work/packages.txt"
while read -r package source target form tarball ours; do
    [ -n "$package" ] && [ "${package#\#}" = "$package" ] || continue
    (cd "$work" && npm pack --silent "$package" >/dev/null)
    packed=$(ls "$work"/*.tgz)
    [ "$pin" = --pin ] || [ "$(hash_of "$packed")" = "$tarball" ] || stop "$package is not the package that was pinned"
    tarball=$(hash_of "$packed")
    tar -xzf "$packed" -C "$work"
    if [ "$form" = licence ]; then # of what another package has inside
        printf '\n%s\n\n' "$package, inside of it:" | cat - "$work/package/$source" >>"$target"
    else
        as_module "$work/package/$source" "$form" >"$target"
        cp "$work"/package/LICEN[SC]E* "${target%.js}.LICENSE.txt"
    fi
    [ "$pin" = --pin ] || [ "$(hash_of "$target")" = "$ours" ] || stop "$target is not what was pinned"
    echo "$package $source $target $form $tarball $(hash_of "$target")" >>"$work/packages.txt"
    rm -rf "$packed" "$work/package"
done <packages.txt
cp "$work/packages.txt" packages.txt
