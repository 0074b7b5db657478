# shellcheck shell=sh
# Deno permissions: what a command may touch, and nothing else.
#
# Sourced by `scripts/zoolet` when Deno runs it; sets `reads` and `writes` to whole flags. The network
# and the environment are needed by every command, running other programs and loading libraries by
# none. A server writes to the data directories that its configuration names, `dev` to its own, the
# CLI to its history file.
#
# Where a configuration cannot be understood here (an escape, no directory at all) the server gets
# the file system and says itself what is wrong: a guess that is too narrow would look like a bug.

# Commas separate the paths of a flag; a doubled one stands for itself.
add_read() { escape "$1" && read_list=$read_list,$escaped; }
add_write() { add_read "$1" && write_list=$write_list,$escaped; }
escape() {
  escaped=$1
  case $1 in *,*) ;; *) return 0 ;; esac
  escaped=
  rest=$1
  while :; do
    case $rest in *,*) ;; *) break ;; esac
    escaped=$escaped${rest%%,*},,
    rest=${rest#*,}
  done
  escaped=$escaped$rest
}

# The directories and files that a configuration names: `dataDir=…` of a properties file and
# `data_dir = "…"` of TOML alike. Fails when it names no data directory.
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
      *[Ll]ocation | *File | *_file | *Path) kind=file ;;
      *) continue ;;
    esac
    value=${value%"$return_mark"}
    case $value in
      \"*\"*) value=${value#\"} value=${value%%\"*} ;;
      \'*\'*) value=${value#\'} value=${value%%\'*} ;;
    esac
    case $value in
      *\\*) return 1 ;;
      '') continue ;;
    esac
    if [ "$kind" = file ]; then
      add_read "$value"
    else
      add_write "$value"
      named=1
    fi
  done <"$1"
  [ -n "$named" ]
}

# permissions_for COMMAND ARGUMENTS…
permissions_for() {
  sys=hostname,osRelease,osUptime,loadavg,cpus,systemMemoryInfo,uid,gid,homedir,userInfo,statfs
  read_list=
  write_list=
  wide=
  add_read "$root/src"
  add_read "$root/node_modules"
  add_read "$root/package.json"
  # For the name of the user, which `srvr` and the log tell.
  add_read /etc/passwd
  case ${1-} in
    dev) permissions_for_data .zoolet "$@" ;;
    server) permissions_for_server "$@" ;;
    cli) add_write "${HOME:-.}/.zoolet_history" ;;
    *) wide=1 ;;
  esac
  if [ -n "$wide" ]; then
    reads=--allow-read
    writes=--allow-write
  else
    reads=--allow-read=${read_list#,}
    writes=--allow-write=${write_list#,}
  fi
}

# The directory of `--data`, or the standard one.
permissions_for_data() {
  data=$1
  shift 2
  while [ $# -gt 0 ]; do
    case $1 in
      --data) data=${2:-$data} ;;
      --data=*) data=${1#--data=} ;;
    esac
    shift
  done
  add_write "$data"
}

permissions_for_server() {
  shift
  config=
  for argument; do
    case $argument in -*) ;; *)
      config=$argument
      break
      ;;
    esac
  done
  # Files can also be named in Java's own way.
  case ${SERVER_JVMFLAGS-}${JVMFLAGS-} in *ocation* | *[Ff]ile* | *Dir*) wide=1 ;; esac
  if [ -f "$config" ] && read_config "$config"; then add_read "$config"; else wide=1; fi
}
