/* Stands before the system's calls, and fails those on files of a log as the files in PBLINK_TEST_FAULTS say:
 * full, quota, too-large: nothing grows; fsync: no fsync succeeds; fsync-once: the next one that a commit waits for does not. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static int is_set(const char *name, int once) {
    const char *folder = getenv("PBLINK_TEST_FAULTS");
    char path[4096];
    if (!folder) return 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return once ? unlink(path) == 0 : access(path, F_OK) == 0;
}

/* Returns true if the name of a file has one of these in it. */
static int is_one_of(int fd, const char *const *names, unsigned count) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len < 0) return 0;
    path[len] = 0;
    for (unsigned at = 0; at < count; at++)
        if (strstr(path, names[at])) return 1;
    return 0;
}

/* The log and what is beside it, but not the faults themselves, nor pipes. */
static int is_ours(int fd) {
    static const char *const names[] = {"/reserve", "/log.db", "/pblink-probe", "/nonce", "/backup"};
    return is_one_of(fd, names, sizeof names / sizeof *names);
}

static int is_wal(int fd) {
    static const char *const names[] = {"/log.db-wal"};
    return is_one_of(fd, names, 1);
}

/* True while the write-ahead log has bytes that no fsync followed. A single failed fsync must be one that a commit waits
 * for: SQLite makes up for one of a checkpoint by itself, without a word, and a file with nothing to write does not fail. */
static atomic_int is_unwritten;

static int fails_to_grow(int fd, off_t at, size_t len) {
    int saved = errno;
    int error = is_set("full", 0) ? ENOSPC : is_set("quota", 0) ? EDQUOT : is_set("too-large", 0) ? EFBIG : 0;
    struct stat data;
    int fails = error && is_ours(fd) && fstat(fd, &data) == 0 && at + (off_t)len > data.st_size;
    errno = fails ? error : saved;
    return fails;
}

static int fails_to_sync(int fd) {
    int saved = errno;
    int committing = is_wal(fd) && atomic_exchange(&is_unwritten, 0);
    int fails = is_ours(fd) && ((committing && is_set("fsync-once", 1)) || is_set("fsync", 0));
    errno = fails ? EIO : saved;
    return fails;
}

static void note_write(int fd) {
    int saved = errno;
    if (is_wal(fd)) atomic_store(&is_unwritten, 1);
    errno = saved;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t len) {
    int saved = errno;
    off_t at = lseek(fd, 0, SEEK_CUR);
    errno = saved;
    if (at >= 0 && fails_to_grow(fd, at, len)) return -1;
    return NEXT(write)(fd, data, len);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at) {
    if (fails_to_grow(fd, at, len)) return -1;
    note_write(fd);
    return NEXT(pwrite)(fd, data, len, at);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at) {
    if (fails_to_grow(fd, at, len)) return -1;
    note_write(fd);
    return NEXT(pwrite64)(fd, data, len, at);
}

int fsync(int fd) { return fails_to_sync(fd) ? -1 : NEXT(fsync)(fd); }

int fdatasync(int fd) { return fails_to_sync(fd) ? -1 : NEXT(fdatasync)(fd); }
