# shellcheck shell=sh
# Versions: which Bun and which Deno are fetched where they are missing, and the oldest that will do.
#
# This is the one place that names them. A runtime on the PATH is used as it is when it is new enough.

bun_version=1.4.5
bun_oldest=1.4
deno_version=2.9.6
deno_oldest=2.9
