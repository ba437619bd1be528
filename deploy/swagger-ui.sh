#!/bin/sh
# Renews Swagger UI, which /docs is made of, from the npm package that its project publishes:
#
#   deploy/swagger-ui.sh 5.35.0
set -eu
folder=$(cd "$(dirname "$0")/.." && pwd)/server/http/docs/swagger-ui
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT

cd "$unpacked"
npm pack --silent "swagger-ui-dist@$1" >/dev/null
tar -xzf "swagger-ui-dist-$1.tgz"
cd package
mkdir -p "$folder"
cp LICENSE NOTICE swagger-ui-bundle.js swagger-ui-bundle.js.LICENSE.txt "$folder"
sed '/^\/\*# sourceMappingURL=.*\*\/$/d' swagger-ui.css >"$folder/swagger-ui.css"
echo "swagger-ui-dist $1" >"$folder/VERSION"
