# shellcheck shell=sh
# Deno permissions: what a command may touch, and nothing else.
#
# Sourced by `scripts/zoolet` when Deno runs it; sets `sys`, and `reads`, `writes` and `runs` to whole flags. The
# network and the environment are needed by every command, loading libraries by none. Which files and
# directories a server needs is asked of the code that reads its configuration (`src/permissions.ts`, which may
# only read). The shell needs no more than the clone, and is not made to wait for that.

# permissions_for ARGUMENTS…
permissions_for() {
  sys=hostname,osRelease,osUptime,loadavg,cpus,systemMemoryInfo,uid,gid,homedir,userInfo,statfs
  reads=
  writes=
  runs=
  if [ "${1-}" = cli ]; then
    case $root in
      *,*) reads=--allow-read ;;
      *) reads=--allow-read=$root/src,$root/node_modules,$root/package.json,/etc/passwd ;;
    esac
    return
  fi
  asked=$("$exe" run --quiet --no-prompt --config "$root/deno.json" --no-lock --no-remote --cached-only \
    --allow-read --allow-env --allow-sys="$sys" "$root/src/permissions.ts" "$root" "$@") || exit 1
  {
    read -r reads
    read -r writes
    read -r runs
  } <<EOF
$asked
EOF
}
