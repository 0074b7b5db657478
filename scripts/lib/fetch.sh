# shellcheck shell=sh
# Fetch: brings a runtime or the packages onto this machine. Only the first start comes here.
#
# A runtime comes as the npm package that holds its binary for this platform, at a fixed version,
# through whichever of Bun, Deno and npm is there. No install script is run: nothing but the binary
# is wanted, and npm no longer runs them by itself. All output goes to standard error, and only when
# something failed is there more of it than a line.

say() { echo "zoolet: $*" >&2; }

# at_least VERSION OLDEST, both compared by their first two numbers.
at_least() {
  have_rest=${1#*.}
  [ "${1%%.*}" -gt "${2%%.*}" ] ||
    { [ "${1%%.*}" -eq "${2%%.*}" ] && [ "${have_rest%%.*}" -ge "${2#*.}" ]; }
}

# Asks a runtime for its version and its own path. From / and without configuration, so that no file
# of the current directory has a say.
ask() {
  case $1 in
    bun) (cd / && "$2" --no-env-file -e 'console.log(process.versions.bun + "\n" + process.execPath)') ;;
    deno) (cd / && DENO_NO_UPDATE_CHECK=1 "$2" eval --no-config --no-lock \
      'console.log(Deno.version.deno + "\n" + Deno.execPath())') ;;
  esac </dev/null 2>/dev/null
}

# ask_runtime bun|deno PATH: sets `exe`, or fails for one that does not run or is too old.
ask_runtime() {
  answer=$(ask "$1" "$2") || answer=
  exe=${answer#*
}
  version=${answer%%
*}
  eval "oldest=\$${1}_oldest"
  case $version in
    [0-9]*.[0-9]*.[0-9]*) ;;
    *)
      say "$2 does not run; looking for another runtime"
      return 1
      ;;
  esac
  if ! at_least "$version" "$oldest"; then
    say "$2 is $1 $version and zoolet needs $oldest or newer; looking for another runtime"
    return 1
  fi
  [ -x "$exe" ] || return 1
  # Kept for the next start. A directory that cannot be written is no reason not to start.
  if mkdir -p "$state" 2>/dev/null && [ -w "$state" ]; then
    printf '%s\n%s\n' "$2" "$exe" >"$state/$1.found.$$" && mv -f "$state/$1.found.$$" "$state/$1.found"
  fi
  return 0
}

# Alpine, and the like: the C library is musl and nothing else.
is_musl() {
  [ -e /etc/alpine-release ] && return
  for loader in /lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1; do [ -e "$loader" ] && return 1; done
  for loader in /lib/ld-musl-*.so.1; do [ -e "$loader" ] && return; done
  return 1
}

# Names the package with the binary for this machine, and the binary in it.
platform_package() {
  system=$(uname -s)
  machine=$(uname -m)
  case $machine in
    x86_64 | amd64) machine=x64 ;;
    aarch64 | arm64) machine=arm64 ;;
  esac
  # A translated shell on Apple silicon says x86_64; the native binary is the better one.
  if [ "$system" = Darwin ] && [ "$(sysctl -n sysctl.proc_translated 2>/dev/null)" = 1 ]; then machine=arm64; fi
  libc=
  if [ "$system" = Linux ] && is_musl; then libc=-musl; fi
  # The usual x64 build of Bun asks for AVX2.
  old=
  if [ "$system-$machine" = Linux-x64 ] && ! grep -q -w avx2 /proc/cpuinfo 2>/dev/null; then old=-baseline; fi
  case $1-$system-$machine in
    bun-Linux-x64) package=@oven/bun-linux-x64$libc$old binary=bin/bun ;;
    bun-Linux-arm64) package=@oven/bun-linux-aarch64$libc binary=bin/bun ;;
    bun-Darwin-x64) package=@oven/bun-darwin-x64 binary=bin/bun ;;
    bun-Darwin-arm64) package=@oven/bun-darwin-aarch64 binary=bin/bun ;;
    deno-Linux-x64) package=@deno/linux-x64-glibc binary=deno ;;
    deno-Linux-arm64) package=@deno/linux-arm64-glibc binary=deno ;;
    deno-Darwin-x64) package=@deno/darwin-x64 binary=deno ;;
    deno-Darwin-arm64) package=@deno/darwin-arm64 binary=deno ;;
    *) return 1 ;;
  esac
  [ "$1$libc" != deno-musl ]
}

# fetch_runtime bun|deno: sets `exe`, or ends with what was tried and what to do.
fetch_runtime() {
  wanted=$1
  eval "version=\$${wanted}_version"
  if ! platform_package "$wanted"; then
    say "Cannot fetch $wanted: there is no package of it for $(uname -s) on $(uname -m)${libc:+ with musl}"
    say "Install Bun $bun_oldest or Deno $deno_oldest, or newer, put it on the PATH and start again"
    exit 1
  fi
  lock_fetching
  if kept "$wanted"; then
    unlock_fetching
    return
  fi
  say "fetching $wanted $version, once ($package)"
  # Not below node_modules, where Deno and npm would take the project above for what is meant.
  work=$root/.fetch.$$
  log=$work/log
  tried=
  mkdir -p "$work" || give_up_writing "$work"
  printf '{ "private": true, "dependencies": { "%s": "%s" } }\n' "$package" "$version" >"$work/package.json"
  printf '{ "nodeModulesDir": "auto" }\n' >"$work/deno.json"
  for tool in bun deno npm; do
    has_tool "$tool" || continue
    tried="$tried $tool"
    printf -- '--- %s\n' "$tool" >>"$log"
    case $tool in
      bun) install_in "$work" --ignore-scripts --no-save --no-progress --no-summary ;;
      deno) install_in "$work" --quiet --no-lock ;;
      npm) install_in "$work" --prefix . --ignore-scripts --no-audit --no-fund --no-package-lock \
        --loglevel=error --fetch-retries=1 --fetch-retry-mintimeout=1000 ;;
    esac >>"$log" 2>&1 || continue
    got=$work/node_modules/$package/$binary
    chmod +x "$got" 2>>"$log" || continue
    if "$got" --version </dev/null >>"$log" 2>&1; then
      rm -rf "$state/$wanted-"*
      kept "$wanted"
      mkdir -p "${exe%/*}" && mv -f "$got" "$exe" || give_up_writing "$state"
      rm -rf "$work"
      unlock_fetching
      return
    fi
    echo "the binary does not run on this machine" >>"$log"
  done
  if [ -z "$tried" ]; then
    say "Cannot fetch $wanted $version: none of bun, deno and npm is on the PATH to do it with"
  else
    say "Cannot fetch $wanted $version: tried$tried, and this came back:"
    show_log
  fi
  say "Check that the npm registry can be reached from here and start again,"
  say "or install Bun $bun_oldest or Deno $deno_oldest, or newer, and put it on the PATH"
  rm -rf "$work"
  unlock_fetching
  exit 1
}

# install_in DIRECTORY OPTIONS…: `install` of the tool that `exe` is. It may trust the certificates that
# this system trusts: behind a company's proxy the tools' own lists are not enough.
install_in() (
  cd "$1" || exit 1
  shift
  for bundle in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem ''; do
    [ ! -r "$bundle" ] || break
  done
  export NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:-$bundle}" DENO_TLS_CA_STORE="${DENO_TLS_CA_STORE:-mozilla,system}"
  export DENO_NO_UPDATE_CHECK=1 NO_COLOR=1
  "$exe" install "$@" </dev/null
)

show_log() { sed -e '/^$/d' "$log" | tail -n 20 >&2; }

# Sets `exe` for bun and deno. What is on the PATH may be too old to run zoolet and still fetch.
has_tool() {
  if [ "$1" != npm ] && kept "$1"; then return; fi
  search_path "$1" && exe=$found
}

# Packages: with the lock file of the runtime that is there, to the digit.
fetch_packages() {
  lock_fetching
  if packages_ready; then
    unlock_fetching
    return
  fi
  say "fetching packages, once for this version of bun.lock"
  log=$state/packages.log
  failed=
  case $runtime in
    bun) install_in "$root" --frozen-lockfile --ignore-scripts --no-progress --no-summary ;;
    # `auto` only here: afterwards Deno takes node_modules as it finds it and never changes it.
    deno) install_in "$root" --frozen --quiet --node-modules-dir=auto ;;
  esac >"$log" 2>&1 || failed=1
  if [ -n "$failed" ]; then
    say "Cannot fetch the packages into $root/node_modules: \"$runtime install\" said:"
    show_log
    rm -f "$log"
    say "Check that the npm registry can be reached from here and start again; where it cannot,"
    say "copy node_modules, with the .zoolet in it, from a clone where this has worked"
    unlock_fetching
    exit 1
  fi
  touch -r "$lock" "$stamp" || give_up_writing "$state"
  rm -f "$log"
  unlock_fetching
}

give_up_writing() {
  say "Cannot write to $1; zoolet keeps what it fetches there. Make it writable for $(id -un) once, then start again"
  exit 1
}

# Two first starts at once wait for one another. The lock is a directory with the holder's pid in it;
# one whose holder is gone is taken away.
lock_fetching() {
  mkdir -p "$state" 2>/dev/null || give_up_writing "$root/node_modules"
  turns=0
  until mkdir "$state/fetching" 2>/dev/null; do
    holder=
    { IFS= read -r holder; } 2>/dev/null <"$state/fetching/pid" || holder=
    if { [ -n "$holder" ] && ! kill -0 "$holder" 2>/dev/null; } || [ "$turns" -ge 300 ]; then
      rm -rf "$state/fetching"
      continue
    fi
    [ -w "$state" ] || give_up_writing "$state"
    [ "$turns" -gt 0 ] || say "another start of zoolet is fetching; waiting for it"
    turns=$((turns + 1))
    sleep 1
  done
  echo $$ >"$state/fetching/pid"
  trap 'rm -rf "$state/fetching" "$root/.fetch.$$"; exit 130' INT TERM HUP
}

unlock_fetching() {
  rm -rf "$state/fetching"
  trap - INT TERM HUP
}
