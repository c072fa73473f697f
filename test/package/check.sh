#!/usr/bin/env bash
# The package as a stranger gets it: built, packed, installed into an empty folder outside the repository, type-checked and
# run there. Prints `N passed, N failed` last; each step is a check.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
export PATH="$root/node_modules/.bin:$PATH"
# The sources' condition must not reach what is tested here.
unset NODE_OPTIONS
# ONNX Runtime's own install script fetches CUDA's libraries, which nothing here uses.
export ONNXRUNTIME_NODE_INSTALL=skip
passed=0
failed=0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

check() {
  local name=$1
  shift
  echo "── package: $name"
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "package: $name failed"; fi
}

version() { node -p 'require(process.argv[1]).packages[`node_modules/${process.argv[2]}`].version' "$root/package-lock.json" "$1"; }

pack() {
  local tarball
  tarball=$(cd "$root" && npm pack --ignore-scripts --silent --pack-destination "$folder") || return 1
  mv "$folder/$tarball" "$folder/tapweight.tgz"
  tar -tzf "$folder/tapweight.tgz" | sort >"$folder/contents"
  # Nothing but what the package needs.
  ! grep -vE '^package/((dist|src)/.*|package\.json|README\.md|LICENSE|CHANGELOG\.md)$' "$folder/contents" || return 1
  for file in LICENSE CHANGELOG.md README.md dist/index.js dist/index.d.ts dist/cli/main.js dist/engines/onnx/worker.js; do
    grep -qx "package/$file" "$folder/contents" || { echo "the tarball has no $file"; return 1; }
  done
}

install() {
  mkdir "$folder/user"
  cp "$root"/test/package/{program.ts,fromCode.mts,extended.mts,tsconfig.json} "$folder/user"
  cd "$folder/user" || return 1
  echo '{ "private": true, "type": "module" }' >package.json
  npm install --loglevel=error "$folder/tapweight.tgz" "effect@$(version effect)" \
    "@tensorflow/tfjs-core@$(version @tensorflow/tfjs-core)" "@types/node@$(version @types/node)"
}

one_copy() {
  for name in effect @tensorflow/tfjs-core onnxruntime-node; do
    local copies
    copies=$(npm ls --all --parseable "$name" | sort -u)
    [ "$copies" = "$folder/user/node_modules/$name" ] || { echo "copies of $name: $copies"; return 1; }
  done
}

# TensorFlow.js's own declarations have errors (its copy of WebGPU's types, a missing one of `long`): only ours are held.
types() {
  tsc -p tsconfig.json || return 1
  ! tsc -p tsconfig.json --noEmit --skipLibCheck false | grep "node_modules/tapweight/"
}

from_code() { node fromCode.mjs; }

# The laws' own peer, which nothing else asks for.
fast_check() { npm install --loglevel=error "fast-check@$(version fast-check)"; }

extended() { node extended.mjs; }

command_line() {
  rm -f program.js
  npx --no-install tapweight plan program.ts | grep -q "tune" || return 1
  npx --no-install tapweight run program.ts --quiet --format json >result.json || return 1
  node -e '
    const { run, result } = JSON.parse(require("node:fs").readFileSync("result.json"))
    if (result.tick !== 60 || !require("node:fs").existsSync(`${run}/final.safetensors`)) throw new Error(JSON.stringify(result))
  ' || return 1
  # What is done already is told again.
  npx --no-install tapweight resume @latest --quiet --format json >resumed.json || return 1
  node -e '
    const [run, resumed] = ["result.json", "resumed.json"].map((file) => JSON.parse(require("node:fs").readFileSync(file)))
    require("node:assert/strict").deepEqual(resumed.result, run.result)
  '
}

size() {
  local all foreign
  all=$(du -sm node_modules | cut -f1)
  foreign=$(find node_modules/onnxruntime-node/bin -mindepth 3 -maxdepth 3 -type d \
    ! -path "*/$(node -p 'process.platform')/$(node -p 'process.arch')" -exec du -sm {} + | awk '{ sum += $1 } END { print sum + 0 }')
  echo "installed: $all MB, of which $foreign MB are ONNX Runtime for other systems; $(du -sm node_modules/tapweight | cut -f1) MB are TapWeight"
  # What is installed beside those is kept low: a dependency that makes it grow should be meant.
  [ $((all - foreign)) -le 200 ]
}

check "build" sh "$root/bin/build"
check "tarball" pack
check "install" install
cd "$folder/user" || exit 1
check "one copy of each peer" one_copy
check "size" size
check "install what laws need" fast_check
check "types, the declarations' own too" types
check "run from code" from_code
check "run by the command line" command_line
check "own engine, product, program and laws" extended

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
