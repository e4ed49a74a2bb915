// A disk that fails from a moment on, with the error of a medium that is worn out (EIO). Loaded before the C library
// (LD_PRELOAD):
//
//   LARMNOD_BAD_DISK        a directory: files in it are on the bad disk
//   LARMNOD_BAD_DISK_FAILS  a file of three bytes, read at each call: w writes fail, s syncs fail, r reads fail; . works

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

static const char *directory;
static volatile const char *fails;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("LARMNOD_BAD_DISK_FAILS");
    directory = getenv("LARMNOD_BAD_DISK");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    void *place = file < 0 ? MAP_FAILED : mmap(NULL, 3, PROT_READ, MAP_SHARED, file, 0);
    if (place != MAP_FAILED && directory) fails = place;
    if (file >= 0) close(file);
}

static int does_fail(int file, int what, char sign) {
    if (!fails || fails[what] != sign) return 0;
    char link[32], name[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, name, sizeof name);
    size_t under = strlen(directory);
    if (length < 0 || (size_t)length <= under || strncmp(name, directory, under) || name[under] != '/') return 0;
    errno = EIO;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *bytes, size_t count) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = REAL(write);
    return does_fail(file, 0, 'w') ? -1 : real(file, bytes, count);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (!real) real = REAL(pwrite);
    return does_fail(file, 0, 'w') ? -1 : real(file, bytes, count, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (!real) real = REAL(pwrite64);
    return does_fail(file, 0, 'w') ? -1 : real(file, bytes, count, at);
}

int ftruncate(int file, off_t size) {
    static int (*real)(int, off_t);
    if (!real) real = REAL(ftruncate);
    return does_fail(file, 0, 'w') ? -1 : real(file, size);
}

int ftruncate64(int file, off64_t size) {
    static int (*real)(int, off64_t);
    if (!real) real = REAL(ftruncate64);
    return does_fail(file, 0, 'w') ? -1 : real(file, size);
}

int fsync(int file) {
    static int (*real)(int);
    if (!real) real = REAL(fsync);
    return does_fail(file, 1, 's') ? -1 : real(file);
}

int fdatasync(int file) {
    static int (*real)(int);
    if (!real) real = REAL(fdatasync);
    return does_fail(file, 1, 's') ? -1 : real(file);
}

ssize_t pread(int file, void *bytes, size_t count, off_t at) {
    static ssize_t (*real)(int, void *, size_t, off_t);
    if (!real) real = REAL(pread);
    return does_fail(file, 2, 'r') ? -1 : real(file, bytes, count, at);
}

ssize_t pread64(int file, void *bytes, size_t count, off64_t at) {
    static ssize_t (*real)(int, void *, size_t, off64_t);
    if (!real) real = REAL(pread64);
    return does_fail(file, 2, 'r') ? -1 : real(file, bytes, count, at);
}
