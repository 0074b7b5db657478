# shellcheck shell=sh
# Runtime: finds the program that runs zoolet, and sees to it that its packages are there.
#
# Sourced by `scripts/zoolet`, `scripts/test` and `scripts/ok` with `root` set to the absolute path of
# this clone. On every start but the first it costs a few built-ins: what was found out once about a
# runtime is kept in `node_modules/.zoolet/`, and all that fetches is in `fetch.sh`, read when needed.
#
# Always true: nothing here writes to standard output, and `exe` is the runtime's own binary, never a
# script in front of it. So the process that somebody started is, after `exec`, the server.

. "$root/scripts/lib/versions.sh"

state=$root/node_modules/.zoolet

# use_runtime bun|deno|'': sets `runtime` and `exe`, fetching what is not there.
use_runtime() {
  case $1 in
    '')
      for runtime in bun deno; do on_path "$runtime" && return; done
      for runtime in bun deno; do kept "$runtime" && return; done
      runtime=bun
      ;;
    bun | deno)
      runtime=$1
      { on_path "$runtime" || kept "$runtime"; } && return
      ;;
    *)
      echo "zoolet: ZOOLET_RUNTIME is \"$1\"; set it to bun or deno, or leave it out" >&2
      exit 2
      ;;
  esac
  . "$root/scripts/lib/fetch.sh"
  fetch_runtime "$runtime"
}

# The runtime on the PATH, if it is new enough. A package manager may have put a script of its own
# there, which would stay in front of the server as its parent; so the runtime was asked once for
# its own path, and is asked again only when another one stands on the PATH.
on_path() {
  search_path "$1" || return 1
  known=
  if [ -r "$state/$1.found" ]; then
    # A file that was cut short reads as one that is not there.
    { IFS= read -r known && IFS= read -r exe; } <"$state/$1.found" || known=
  fi
  [ "$known" = "$found" ] && [ -x "$exe" ] && return
  . "$root/scripts/lib/fetch.sh"
  ask_runtime "$1" "$found"
}

# What `command -v` would say, without the process that catches its answer. Relative entries of the
# PATH are passed over: another directory would mean another program.
search_path() {
  found=
  set -f
  IFS=:
  for entry in $PATH; do
    found=$entry/$1
    case $entry in /*) [ -f "$found" ] && [ -x "$found" ] && break ;; esac
    found=
  done
  unset IFS
  set +f
  [ -n "$found" ]
}

# The one that was fetched earlier.
kept() {
  case $1 in
    bun) exe=$state/bun-$bun_version/bun ;;
    deno) exe=$state/deno-$deno_version/deno ;;
  esac
  [ -x "$exe" ]
}

# The packages of the lock file are in node_modules. The stamp carries the lock file's own time, so a
# newer and an older lock file are both noticed, and no process is started to find that out.
packages_ready() {
  [ -e "$stamp" ] && ! [ "$lock" -nt "$stamp" ] && ! [ "$lock" -ot "$stamp" ]
}

need_packages() {
  lock=$root/bun.lock
  stamp=$state/packages
  packages_ready && return
  . "$root/scripts/lib/fetch.sh"
  fetch_packages
}
