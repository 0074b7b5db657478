/*
 * Records what a process does to the files below a directory, for the power-cut test.
 *
 * Loaded with LD_PRELOAD. POWERCUT_DIR names the directory, POWERCUT_TRACE the file that the records
 * are appended to. SQLite goes through these functions on both runtimes. With POWERCUT_FAIL_SYNC=n
 * the n-th fsync of a regular file there fails with EIO, and all after it.
 *
 * A record: u8 kind, u64 inode, i64 offset, u32 name bytes, u32 data bytes, name, data; little endian.
 *   C created (name)   W written (offset, data)   T truncated (offset is the length)
 *   S file synced      D directory synced         U unlinked (name)   R renamed (name to data)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char dir[1024];
static size_t dir_bytes;
static int trace = -1;
static long fail_sync;
static long syncs;
static unsigned char watched[FDS];

__attribute__((constructor)) static void start(void) {
  const char *d = getenv("POWERCUT_DIR"), *t = getenv("POWERCUT_TRACE"), *f = getenv("POWERCUT_FAIL_SYNC");
  if (d == NULL || t == NULL) return;
  strncpy(dir, d, sizeof dir - 1);
  dir_bytes = strlen(dir);
  if (f != NULL) fail_sync = atol(f);
  trace = (int)syscall(SYS_openat, AT_FDCWD, t, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

static int below(const char *path) {
  return trace >= 0 && path != NULL && strncmp(path, dir, dir_bytes) == 0 &&
         (path[dir_bytes] == '/' || path[dir_bytes] == 0);
}

static int watching(int fd) { return fd >= 0 && fd < FDS && watched[fd]; }

static void record(char kind, uint64_t inode, int64_t offset, const char *name, const void *data, uint32_t bytes) {
  unsigned char head[25];
  uint32_t name_bytes = name == NULL ? 0 : (uint32_t)strlen(name);
  struct iovec parts[3] = {{head, sizeof head}, {(void *)name, name_bytes}, {(void *)data, bytes}};
  head[0] = (unsigned char)kind;
  memcpy(head + 1, &inode, 8);
  memcpy(head + 9, &offset, 8);
  memcpy(head + 17, &name_bytes, 4);
  memcpy(head + 21, &bytes, 4);
  syscall(SYS_writev, trace, parts, 3);
}

static uint64_t inode_of(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

static int opened(int fd, const char *path, int made) {
  if (fd < 0 || fd >= FDS) return fd;
  pthread_mutex_lock(&lock);
  watched[fd] = (unsigned char)below(path);
  if (watched[fd] && made) record('C', inode_of(fd), 0, path, NULL, 0);
  pthread_mutex_unlock(&lock);
  return fd;
}

static int missing(const char *path) {
  struct stat st;
  return stat(path, &st) != 0;
}

static int do_open(int at, const char *path, int flags, mode_t mode) {
  int made = below(path) && (flags & O_CREAT) != 0 && missing(path);
  int fd = (int)syscall(SYS_openat, at, path, flags, mode);
  if (fd >= 0 && !made && below(path) && (flags & O_TRUNC) != 0) record('T', inode_of(fd), 0, NULL, NULL, 0);
  return opened(fd, path, made);
}

#define MODE mode_t mode = 0; if (flags & O_CREAT) { va_list a; va_start(a, flags); mode = va_arg(a, mode_t); va_end(a); }
int open(const char *path, int flags, ...) { MODE return do_open(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE return do_open(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int at, const char *path, int flags, ...) { MODE return do_open(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE return do_open(at, path, flags | O_LARGEFILE, mode); }

int close(int fd) {
  if (fd >= 0 && fd < FDS) watched[fd] = 0;
  return (int)syscall(SYS_close, fd);
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset) {
  if (!watching(fd)) return syscall(SYS_pwrite64, fd, data, bytes, offset);
  pthread_mutex_lock(&lock);
  ssize_t n = syscall(SYS_pwrite64, fd, data, bytes, offset);
  if (n > 0) record('W', inode_of(fd), offset, NULL, data, (uint32_t)n);
  pthread_mutex_unlock(&lock);
  return n;
}
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset) { return pwrite64(fd, data, bytes, offset); }

ssize_t write(int fd, const void *data, size_t bytes) {
  if (!watching(fd)) return syscall(SYS_write, fd, data, bytes);
  pthread_mutex_lock(&lock);
  off_t offset = lseek(fd, 0, SEEK_CUR);
  ssize_t n = syscall(SYS_write, fd, data, bytes);
  if (n > 0) record('W', inode_of(fd), offset, NULL, data, (uint32_t)n);
  pthread_mutex_unlock(&lock);
  return n;
}

int ftruncate64(int fd, off64_t length) {
  int rc = (int)syscall(SYS_ftruncate, fd, length);
  if (rc == 0 && watching(fd)) record('T', inode_of(fd), length, NULL, NULL, 0);
  return rc;
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

static int do_sync(int number, int fd) {
  struct stat st;
  if (!watching(fd) || fstat(fd, &st) != 0) return (int)syscall(number, fd);
  if (S_ISREG(st.st_mode) && fail_sync > 0 && ++syncs >= fail_sync) {
    // Linux takes the pages for clean and may drop them: they can be read, and are not on the disk.
    record('L', (uint64_t)st.st_ino, 0, NULL, NULL, 0);
    errno = EIO;
    return -1;
  }
  int rc = (int)syscall(number, fd);
  if (rc == 0) record(S_ISDIR(st.st_mode) ? 'D' : 'S', (uint64_t)st.st_ino, 0, NULL, NULL, 0);
  return rc;
}
int fsync(int fd) { return do_sync(SYS_fsync, fd); }
int fdatasync(int fd) { return do_sync(SYS_fdatasync, fd); }

int unlink(const char *path) {
  int rc = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
  if (rc == 0 && below(path)) record('U', 0, 0, path, NULL, 0);
  return rc;
}

int rename(const char *from, const char *to) {
  int rc = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
  if (rc == 0 && below(from)) record('R', 0, 0, from, to, (uint32_t)strlen(to));
  return rc;
}
