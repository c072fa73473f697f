#!/bin/sh
# All that bench/gpu/run.sh needs beside Python, for a machine without a registry: sh bench/gpu/pack.sh [card.tar.xz]
# Node, the sources, the built package and its few dependencies, Betty if pip has it; below 60 MiB. Then there:
#   mkdir card && tar -xJf card.tar.xz -C card && sh card/bench/gpu/run.sh
set -e
root=$(cd "$(dirname "$0")/../.." && pwd)
out=$(cd "$(dirname "${1:-card.tar.xz}")" && pwd)/$(basename "${1:-card.tar.xz}")
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
cd "$root"
[ -d dist ] || sh bin/build
mkdir -p "$stage/bin" "$stage/node_modules"
cp -L "$(node -p process.execPath 2>/dev/null || echo node_modules/.bin/node)" "$stage/bin/node"
strip "$stage/bin/node" 2>/dev/null || true
cp -r src bench examples dist package.json "$stage/"
rm -rf "$stage/bench/.venv"
# What the library is run by, with what that needs in turn; of ONNX Runtime nothing, whose engine is not measured here.
node -e '
const { readFileSync, existsSync } = require("node:fs")
const own = Object.keys(JSON.parse(readFileSync("package.json", "utf8")).dependencies)
const peers = ["effect", "@effect/platform-node", "@tensorflow/tfjs-core", "koffi", "@koromix/koffi-linux-x64", "fast-check"]
const wanted = [...own.filter((name) => name !== "onnxruntime-node"), ...peers]
const seen = new Set()
const add = (name) => {
  const file = `node_modules/${name}/package.json`
  if (seen.has(name) || !existsSync(file)) return
  seen.add(name)
  for (const need of Object.keys(JSON.parse(readFileSync(file, "utf8")).dependencies ?? {})) add(need)
}
wanted.forEach(add)
console.log([...seen].join("\n"))' | while read -r name; do
  mkdir -p "$stage/node_modules/$name"
  cp -r "node_modules/$name/." "$stage/node_modules/$name/"
done
# Not what nobody imports: maps, declarations, sources, other forms of the same.
find "$stage/node_modules" \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.md' \) -type f -delete
rm -rf "$stage/node_modules/effect/src" "$stage/node_modules/@tensorflow"/*/src
find "$stage/node_modules/@tensorflow" -path '*/dist/*' \( -name '*.min.js' -o -name '*fesm*' -o -name '*.es2017*' -o -name '*_test.js' \) -type f -delete
# The package by its own name, as its examples import it.
ln -s .. "$stage/node_modules/tapweight"
python3 -m pip install --quiet --no-deps --target "$stage/python" betty-ml==0.1.1 2>/dev/null || echo "without Betty, which pip does not have here: PyTorch's part will say so" >&2
tar -C "$stage" -cf - . | xz -6 -T0 >"$out"
size=$(wc -c <"$out")
echo "$out: $((size / 1048576)) MiB"
[ "$size" -lt 62914560 ] || { echo "error  it is larger than 60 MiB" >&2; exit 1; }
