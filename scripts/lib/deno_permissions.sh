# shellcheck shell=sh
# Deno permissions: what a command may touch, and nothing else.
#
# Sourced by `scripts/zoolet` when Deno runs it; sets `reads`, `writes` and `runs` to whole flags. The
# network and the environment are needed by every command, loading libraries by none. A server writes to
# the data directories that its configuration names, `dev` to its own, the shell nowhere. Only `dev` runs
# anything: this script again, once for each of its peers.
#
# Where a configuration cannot be understood here (an escape, no directory at all) the server gets
# the file system and says itself what is wrong: a guess that is too narrow would look like a bug.

add_read() { without_comma "$1" && read_list=$read_list,$allowed; }
add_write() { without_comma "$1" && read_list=$read_list,$allowed && write_list=$write_list,$allowed; }

# A data directory that is there is all that is written to. One that is not is made, and each new name
# made durable in the directory that holds it: then the topmost new one is written, and the one above
# it read.
add_directory() {
  made=${1%/}
  if [ -d "$1" ] || [ -z "$made" ]; then
    add_write "$1"
    return
  fi
  while :; do
    case $made in
      */*) above=${made%/*} ;;
      *) above=. ;;
    esac
    [ -n "$above" ] || above=/
    if [ -d "$above" ]; then break; fi
    made=$above
  done
  add_write "$made"
  add_read "$above"
}

# Commas separate the paths of a flag and cannot be quoted, so a path with one is allowed by its
# nearest directory above that has none.
without_comma() {
  allowed=$1
  case $1 in *,*) ;; *) return 0 ;; esac
  allowed=${1%%,*}
  case $allowed in
    */*) allowed=${allowed%/*}/ ;;
    *) allowed=. ;;
  esac
}

# The directories and files that a configuration names: `dataDir=…` of a properties file and
# `data_dir = "…"` of TOML alike. Fails when it names no data directory, unless it is that of an
# observer which keeps its data in memory.
read_config() {
  named=
  lines=0
  blanks=$(printf '\t\r')
  tab=${blanks%?}
  return_mark=${blanks#?}
  while IFS="= :$tab" read -r key value || [ -n "$key" ]; do
    lines=$((lines + 1))
    [ "$lines" -le 2000 ] || return 1
    case $key in
      dataDir | dataLogDir | data_dir | log_dir | storage.data_dir | storage.log_dir) kind=directory ;;
      observe | ensemble.observe | zoolet.observe)
        named=1
        continue
        ;;
      *[Ll]ocation | *File | *_file | *Path) kind=file ;;
      *) continue ;;
    esac
    value=${value%"$return_mark"}
    case $value in
      \"*\"*) value=${value#\"} value=${value%%\"*} ;;
      \'*\'*) value=${value#\'} value=${value%%\'*} ;;
    esac
    # Escapes, and bytes that the two formats read differently.
    case $value in
      *\\* | *[!\ -~]*) return 1 ;;
      '') continue ;;
    esac
    if [ "$kind" = file ]; then
      add_read "$value"
    else
      add_directory "$value"
      named=1
    fi
  done <"$1"
  [ -n "$named" ]
}

# permissions_for ARGUMENTS…
permissions_for() {
  sys=hostname,osRelease,osUptime,loadavg,cpus,systemMemoryInfo,uid,gid,homedir,userInfo,statfs
  read_list=
  write_list=
  wide=
  runs=
  add_read "$root/src"
  add_read "$root/node_modules"
  add_read "$root/package.json"
  # For the name of the user, which `envi` and the log tell.
  add_read /etc/passwd
  # Options may stand before the command, and between it and its file; those with a value take it along.
  command=
  config=
  data=.zoolet
  peers=
  while [ $# -gt 0 ]; do
    case $1 in
      --data | -data)
        data=${2-}
        [ $# -lt 2 ] || shift
        ;;
      --data=* | -data=*) data=${1#*=} ;;
      --peers | -peers)
        peers=${2-}
        [ $# -lt 2 ] || shift
        ;;
      --peers=* | -peers=*) peers=${1#*=} ;;
      --log-format | --log-level | -log-format | -log-level | --port | -port | --admin-port | -admin-port | \
        --sync | -sync)
        [ $# -lt 2 ] || shift
        ;;
      -*) ;;
      *) if [ -z "$command" ]; then command=$1; else config=${config:-$1}; fi ;;
    esac
    [ "$command" != cli ] || break
    shift
  done
  case $command in
    dev)
      [ -z "$data" ] || add_directory "$data"
      [ "$peers" = 1 ] || allow_peers
      ;;
    server) server_permissions "$config" ;;
  esac
  if [ -n "$wide" ]; then
    reads=--allow-read
    writes=--allow-write
  else
    reads=--allow-read=${read_list#,}
    writes=${write_list:+--allow-write=${write_list#,}}
  fi
}

# A comma would end the path, and there is no directory to allow instead.
allow_peers() {
  case $root in
    *,*) runs=--allow-run ;;
    *) runs=--allow-run=$root/scripts/zoolet ;;
  esac
}

server_permissions() {
  # Files can also be named in Java's own way.
  case ${SERVER_JVMFLAGS-}${JVMFLAGS-} in *ocation* | *[Ff]ile* | *[Pp]ath* | *Dir*) wide=1 ;; esac
  if [ -z "$1" ]; then
    # Without a file a server has the settings of `dev`.
    add_directory .zoolet
  elif [ -f "$1" ] && read_config "$1"; then
    add_read "$1"
  else
    wide=1
  fi
}
