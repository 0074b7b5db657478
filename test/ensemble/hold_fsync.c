/*
 * A disk that is silent: while the file that HOLD_FSYNC names is there, no fsync returns.
 *
 * Loaded with LD_PRELOAD. SQLite goes through these functions on both runtimes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_while_held(void) {
  const char *file = getenv("HOLD_FSYNC");
  while (file != NULL && access(file, F_OK) == 0) usleep(5000);
}

int fsync(int fd) {
  static int (*real)(int);
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  wait_while_held();
  return real(fd);
}

int fdatasync(int fd) {
  static int (*real)(int);
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  wait_while_held();
  return real(fd);
}
