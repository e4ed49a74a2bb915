#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

// The daemon's own calls of the operating system. The linker sends each here (--wrap); what does not concern the
// simulated disk goes on to the real one.

enum { first_descriptor = 1 << 20, descriptor_limit = 64 };

typedef struct { inode *file; int64_t at; bool is_used; bool is_directory; } descriptor;
static descriptor descriptors[descriptor_limit];
static int64_t (*pass_time)(int64_t);
static bool was_reached;

void calls_process_ended(void) { memset(descriptors, 0, sizeof descriptors); }
void disk_set_waiting(int64_t (*pass)(int64_t)) { pass_time = pass; }

static bool is_ours(const char *path) { return strncmp(path, "/simulated/", 11) == 0; }
static descriptor *ours(int fd) {
    int index = fd - first_descriptor;
    return index >= 0 && index < descriptor_limit && descriptors[index].is_used ? &descriptors[index] : NULL;
}
// A descriptor of a process that has ended since: nothing may reach the real one of that number.
static bool is_stale(int fd) { return fd >= first_descriptor && !ours(fd); }

static int fail(int error) {
    errno = error;
    return -1;
}

static int give(inode *file, bool is_directory) {
    for (int i = 0; i < descriptor_limit; i++)
        if (!descriptors[i].is_used) {
            descriptors[i] = (descriptor){file, 0, true, is_directory};
            return first_descriptor + i;
        }
    return fail(EMFILE);
}

static int open_ours(const char *path, int flags) {
    was_reached = true;
    if (flags & O_DIRECTORY) return give(NULL, true);
    inode *file = disk_find(path);
    bool writes = (flags & O_ACCMODE) != O_RDONLY;
    if (writes && disk_refuses_writing(path)) return fail(EROFS);
    if (file && flags & O_EXCL && flags & O_CREAT) return fail(EEXIST);
    if (!file) {
        if (!(flags & O_CREAT)) return fail(ENOENT);
        int error = disk_create(path, &file);
        if (error) return fail(error);
    } else if (flags & O_TRUNC) {
        int error = disk_resize(file, 0);
        if (error) return fail(error);
    }
    return give(file, false);
}

static int open_boot(void) {
    char text[40];
    int length = snprintf(text, sizeof text, "%016llx-simulated\n", (unsigned long long)disk_boot);
    inode *file = disk_anonymous();
    disk_write(file, text, length, 0);
    return give(file, false);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? (mode_t)va_arg(arguments, int) : 0;
    va_end(arguments);
    if (is_ours(path)) return open_ours(path, flags);
    if (strcmp(path, "/proc/sys/kernel/random/boot_id") == 0) return open_boot();
    return __real_open(path, flags, mode);
}

#define WRAP(type, name, ...) \
    type __real_##name(__VA_ARGS__); \
    type __wrap_##name(__VA_ARGS__); \
    type __wrap_##name(__VA_ARGS__)

WRAP(int, close, int fd) {
    descriptor *d = ours(fd);
    if (!d) return is_stale(fd) ? fail(EBADF) : __real_close(fd);
    if (d->file && d->file->flock_holder == fd) d->file->flock_holder = 0;
    *d = (descriptor){0};
    return 0;
}

WRAP(ssize_t, read, int fd, void *bytes, size_t length) {
    descriptor *d = ours(fd);
    if (!d) return is_stale(fd) ? fail(EBADF) : __real_read(fd, bytes, length);
    int64_t count = disk_read(d->file, bytes, (int64_t)length, d->at);
    d->at += count;
    return count;
}

WRAP(ssize_t, write, int fd, const void *bytes, size_t length) {
    descriptor *d = ours(fd);
    if (!d) return is_stale(fd) ? fail(EBADF) : __real_write(fd, bytes, length);
    int error = disk_write(d->file, bytes, (int64_t)length, d->at);
    if (error) return fail(error);
    d->at += (int64_t)length;
    return (ssize_t)length;
}

WRAP(ssize_t, pwrite, int fd, const void *bytes, size_t length, off_t at) {
    descriptor *d = ours(fd);
    if (!d) return is_stale(fd) ? fail(EBADF) : __real_pwrite(fd, bytes, length, at);
    int error = disk_write(d->file, bytes, (int64_t)length, at);
    return error ? fail(error) : (ssize_t)length;
}

static int sync_ours(descriptor *d) {
    int error = disk_sync(d->file);
    return error ? fail(error) : 0;
}

WRAP(int, fsync, int fd) {
    descriptor *d = ours(fd);
    return d ? sync_ours(d) : is_stale(fd) ? fail(EBADF) : __real_fsync(fd);
}

WRAP(int, fdatasync, int fd) {
    descriptor *d = ours(fd);
    return d ? sync_ours(d) : is_stale(fd) ? fail(EBADF) : __real_fdatasync(fd);
}

WRAP(int, ftruncate, int fd, off_t size) {
    descriptor *d = ours(fd);
    if (!d) return is_stale(fd) ? fail(EBADF) : __real_ftruncate(fd, size);
    int error = disk_resize(d->file, size);
    return error ? fail(error) : 0;
}

WRAP(int, posix_fallocate, int fd, off_t at, off_t length) {
    descriptor *d = ours(fd);
    if (!d) return is_stale(fd) ? EBADF : __real_posix_fallocate(fd, at, length);
    return at + length > d->file->size ? disk_resize(d->file, at + length) : 0;
}

static int describe(inode *file, struct stat *status) {
    memset(status, 0, sizeof *status);
    status->st_mode = file ? S_IFREG | 0640 : S_IFDIR | 0750;
    status->st_size = file ? file->size : 0;
    return 0;
}

WRAP(int, fstat, int fd, struct stat *status) {
    descriptor *d = ours(fd);
    return d ? describe(d->file, status) : is_stale(fd) ? fail(EBADF) : __real_fstat(fd, status);
}

WRAP(int, stat, const char *path, struct stat *status) {
    if (!is_ours(path)) return __real_stat(path, status);
    inode *file = disk_find(path);
    return file ? describe(file, status) : fail(ENOENT);
}

WRAP(int, fstatvfs, int fd, struct statvfs *status) {
    descriptor *d = ours(fd);
    if (!d) return is_stale(fd) ? fail(EBADF) : __real_fstatvfs(fd, status);
    memset(status, 0, sizeof *status);
    status->f_frsize = 4096;
    status->f_bavail = disk_current_fault() == disk_full ? 0 : 1 << 20;
    return 0;
}

WRAP(int, access, const char *path, int mode) {
    if (!is_ours(path)) return __real_access(path, mode);
    return disk_find(path) ? 0 : fail(ENOENT);
}

WRAP(int, unlink, const char *path) {
    if (!is_ours(path)) return __real_unlink(path);
    int error = disk_unlink(path);
    return error ? fail(error) : 0;
}

WRAP(int, rename, const char *from, const char *to) {
    if (!is_ours(from)) return __real_rename(from, to);
    int error = disk_rename(from, to);
    return error ? fail(error) : 0;
}

WRAP(int, mkdir, const char *path, mode_t mode) {
    return is_ours(path) ? fail(EEXIST) : __real_mkdir(path, mode);
}

WRAP(int, flock, int fd, int operation) {
    descriptor *d = ours(fd);
    if (!d) return is_stale(fd) ? fail(EBADF) : __real_flock(fd, operation);
    if (operation & LOCK_UN) {
        d->file->flock_holder = 0;
        return 0;
    }
    if (d->file->flock_holder && d->file->flock_holder != fd) return fail(EWOULDBLOCK);
    d->file->flock_holder = fd;
    return 0;
}

// Nobody else runs whom a pause would let in.
WRAP(int, usleep, useconds_t microseconds) {
    (void)microseconds;
    return 0;
}

// The standard library's random numbers.
void __wrap_swift_stdlib_random(void *bytes, size_t length);
void __wrap_swift_stdlib_random(void *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) ((uint8_t *)bytes)[i] = (uint8_t)(disk_lot() >> 24);
}

// Whoever waits lets the simulated world go on meanwhile.
uint64_t dispatch_time(uint64_t when, int64_t nanoseconds);
WRAP(long, dispatch_semaphore_wait, void *semaphore, uint64_t until) {
    if (!pass_time) return __real_dispatch_semaphore_wait(semaphore, until);
    // Rounded, because the real clock has moved on by a hair since the time was worked out.
    int64_t left = until == UINT64_MAX ? INT64_MAX / 2 : ((int64_t)(until - dispatch_time(0, 0)) / 1000000 + 500) / 1000 * 1000;
    while (__real_dispatch_semaphore_wait(semaphore, 0) != 0) {
        int64_t passed = pass_time(left);
        if (passed < 0) return 1;
        left -= passed;
    }
    return 0;
}

bool disk_reaches_everything(void) { return was_reached; }
