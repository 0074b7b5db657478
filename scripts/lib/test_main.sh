# shellcheck shell=sh
# What `scripts/test` and `scripts/ok` share: both runtimes found or fetched, then the runner, on the
# first of them. Sourced with `root` set and the runner's arguments in "$@".

. "$root/scripts/lib/runtime.sh"

# Whatever goes wrong before the runner counts is a failure, and counted as one.
trap 'echo "0 passed, 1 failed, 0 skipped"' EXIT

wanted=
for argument; do
  case $argument in
    --bun) wanted="$wanted bun" ;;
    --deno) wanted="$wanted deno" ;;
    --checks) checks=1 ;;
  esac
done
[ -n "$wanted" ] && [ -z "${checks-}" ] || wanted='bun deno'

# Tests may also start a runtime by its name: one that is not on the PATH is put there.
names=$root/node_modules/.zoolet/bin
for name in $wanted; do
  use_runtime "$name"
  need_packages
  if ! search_path "$name"; then
    mkdir -p "$names" && ln -sf "$exe" "$names/$name" || exit 1
  fi
  case $name in
    bun) export ZOOLET_TEST_BUN="$exe" ;;
    deno) export ZOOLET_TEST_DENO="$exe" ;;
  esac
done
export PATH="$PATH:$names"

trap - EXIT
runner=$root/scripts/lib/run_tests.ts
cd "$root" || exit 1
case ${wanted# } in
  bun*) exec "$ZOOLET_TEST_BUN" --no-env-file --no-install "$runner" "$@" ;;
  *) exec "$ZOOLET_TEST_DENO" run --quiet --allow-all --no-lock --cached-only "$runner" "$@" ;;
esac
