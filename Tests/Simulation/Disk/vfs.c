#include "disk.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

// SQLite's way to the simulated disk, as SQLite's own for Unix is to a real one: the same locks, the same order of
// operations, the same claim that a write harms nothing beside it (powersafe overwrite).

enum { slots = 8, region_limit = 256 };

typedef struct shared_memory {
    void *regions[region_limit];
    int count;
    int shared[slots];
    bool exclusive[slots];
    int users;
} shared_memory;

typedef struct open_file {
    sqlite3_file base;
    inode *file;  // NULL when the process that opened it has ended
    struct open_file *next;
    int lock;
    bool keeps_log;
    bool is_read_only;
    bool uses_shared_memory;
    uint16_t shared_mask, exclusive_mask;
} open_file;

static int last_error;

static int refused(int error, int code) {
    last_error = error;
    return error == ENOSPC ? SQLITE_FULL : code;
}

static void leave_shared_memory(open_file *f) {
    shared_memory *shm = f->file ? f->file->shared_memory : NULL;
    if (!shm || !f->uses_shared_memory) return;
    for (int i = 0; i < slots; i++) {
        if (f->shared_mask >> i & 1) shm->shared[i]--;
        if (f->exclusive_mask >> i & 1) shm->exclusive[i] = false;
    }
    f->shared_mask = f->exclusive_mask = 0;
    f->uses_shared_memory = false;
    if (--shm->users > 0) return;
    for (int i = 0; i < shm->count; i++) free(shm->regions[i]);
    free(shm);
    f->file->shared_memory = NULL;
}

static int x_close(sqlite3_file *base) {
    open_file *f = (open_file *)base;
    if (!f->file) return SQLITE_OK;
    leave_shared_memory(f);
    for (open_file **at = (open_file **)&f->file->handles; *at; at = &(*at)->next)
        if (*at == f) {
            *at = f->next;
            break;
        }
    f->file = NULL;
    return SQLITE_OK;
}

void vfs_process_ended(void) {
    for (inode *file = disk_files(); file; file = file->next) {
        for (open_file *f = file->handles; f; f = f->next) {
            leave_shared_memory(f);
            f->file = NULL;
        }
        file->handles = NULL;
    }
}

static int x_read(sqlite3_file *base, void *bytes, int length, sqlite3_int64 at) {
    open_file *f = (open_file *)base;
    if (!f->file) return SQLITE_IOERR_READ;
    int64_t count = disk_read(f->file, bytes, length, at);
    if (count == length) return SQLITE_OK;
    memset((char *)bytes + count, 0, (size_t)(length - count));
    return SQLITE_IOERR_SHORT_READ;
}

static int x_write(sqlite3_file *base, const void *bytes, int length, sqlite3_int64 at) {
    open_file *f = (open_file *)base;
    if (!f->file) return SQLITE_IOERR_WRITE;
    int error = disk_write(f->file, bytes, length, at);
    return error ? refused(error, SQLITE_IOERR_WRITE) : SQLITE_OK;
}

static int x_truncate(sqlite3_file *base, sqlite3_int64 size) {
    open_file *f = (open_file *)base;
    if (!f->file) return SQLITE_IOERR_TRUNCATE;
    int error = disk_resize(f->file, size);
    return error ? refused(error, SQLITE_IOERR_TRUNCATE) : SQLITE_OK;
}

static int x_sync(sqlite3_file *base, int flags) {
    (void)flags;
    open_file *f = (open_file *)base;
    if (!f->file) return SQLITE_IOERR_FSYNC;
    int error = disk_sync(f->file);
    if (error) last_error = error;
    return error ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int x_size(sqlite3_file *base, sqlite3_int64 *size) {
    open_file *f = (open_file *)base;
    if (!f->file) return SQLITE_IOERR_FSTAT;
    *size = f->file->size;
    return SQLITE_OK;
}

static int strongest_other(open_file *f) {
    int strongest = SQLITE_LOCK_NONE;
    for (open_file *other = f->file->handles; other; other = other->next)
        if (other != f && other->lock > strongest) strongest = other->lock;
    return strongest;
}

static int x_lock(sqlite3_file *base, int level) {
    open_file *f = (open_file *)base;
    if (!f->file) return SQLITE_IOERR_LOCK;
    if (f->lock >= level) return SQLITE_OK;
    int other = strongest_other(f);
    if (level == SQLITE_LOCK_SHARED && other >= SQLITE_LOCK_PENDING) return SQLITE_BUSY;
    if (level >= SQLITE_LOCK_RESERVED && other >= SQLITE_LOCK_RESERVED) return SQLITE_BUSY;
    if (level == SQLITE_LOCK_EXCLUSIVE && other >= SQLITE_LOCK_SHARED) {
        f->lock = SQLITE_LOCK_PENDING;
        return SQLITE_BUSY;
    }
    f->lock = level;
    return SQLITE_OK;
}

static int x_unlock(sqlite3_file *base, int level) {
    open_file *f = (open_file *)base;
    if (f->lock > level) f->lock = level;
    return SQLITE_OK;
}

static int x_check_reserved(sqlite3_file *base, int *result) {
    open_file *f = (open_file *)base;
    *result = f->file && (f->lock >= SQLITE_LOCK_RESERVED || strongest_other(f) >= SQLITE_LOCK_RESERVED);
    return SQLITE_OK;
}

static int x_control(sqlite3_file *base, int what, void *argument) {
    open_file *f = (open_file *)base;
    if (what != SQLITE_FCNTL_PERSIST_WAL) return SQLITE_NOTFOUND;
    int *flag = argument;
    if (*flag < 0) *flag = f->keeps_log; else f->keeps_log = *flag != 0;
    return SQLITE_OK;
}

static int x_sector_size(sqlite3_file *base) { (void)base; return 4096; }
static int x_characteristics(sqlite3_file *base) { (void)base; return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

static int x_map(sqlite3_file *base, int region, int size, int extend, void volatile **result) {
    open_file *f = (open_file *)base;
    *result = NULL;
    if (!f->file || region >= region_limit) return SQLITE_IOERR_SHMMAP;
    shared_memory *shm = f->file->shared_memory;
    if (!shm) f->file->shared_memory = shm = calloc(1, sizeof *shm);
    if (!f->uses_shared_memory) shm->users++;
    f->uses_shared_memory = true;
    if (region >= shm->count && !extend) return SQLITE_OK;
    while (shm->count <= region) shm->regions[shm->count++] = calloc(1, (size_t)size);
    *result = shm->regions[region];
    return SQLITE_OK;
}

static int x_shm_lock(sqlite3_file *base, int first, int count, int flags) {
    open_file *f = (open_file *)base;
    shared_memory *shm = f->file ? f->file->shared_memory : NULL;
    if (!shm) return SQLITE_IOERR_SHMLOCK;
    uint16_t mask = (uint16_t)(((1 << count) - 1) << first);
    if (flags & SQLITE_SHM_UNLOCK) {
        for (int i = first; i < first + count; i++) {
            if (f->shared_mask >> i & 1) shm->shared[i]--;
            if (f->exclusive_mask >> i & 1) shm->exclusive[i] = false;
        }
        f->shared_mask &= (uint16_t)~mask;
        f->exclusive_mask &= (uint16_t)~mask;
        return SQLITE_OK;
    }
    bool exclusive = flags & SQLITE_SHM_EXCLUSIVE;
    for (int i = first; i < first + count; i++) {
        if (shm->exclusive[i] && !(f->exclusive_mask >> i & 1)) return SQLITE_BUSY;
        if (exclusive && shm->shared[i] > (f->shared_mask >> i & 1)) return SQLITE_BUSY;
    }
    for (int i = first; i < first + count; i++) {
        if (exclusive) shm->exclusive[i] = true;
        else if (!(f->shared_mask >> i & 1)) shm->shared[i]++;
    }
    if (exclusive) f->exclusive_mask |= mask; else f->shared_mask |= mask;
    return SQLITE_OK;
}

static void x_barrier(sqlite3_file *base) { (void)base; }

static int x_unmap(sqlite3_file *base, int delete) {
    (void)delete;
    leave_shared_memory((open_file *)base);
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2, .xClose = x_close, .xRead = x_read, .xWrite = x_write, .xTruncate = x_truncate, .xSync = x_sync,
    .xFileSize = x_size, .xLock = x_lock, .xUnlock = x_unlock, .xCheckReservedLock = x_check_reserved,
    .xFileControl = x_control, .xSectorSize = x_sector_size, .xDeviceCharacteristics = x_characteristics,
    .xShmMap = x_map, .xShmLock = x_shm_lock, .xShmBarrier = x_barrier, .xShmUnmap = x_unmap,
};

static int x_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags, int *given) {
    (void)vfs;
    open_file *f = (open_file *)base;
    memset(f, 0, sizeof *f);
    bool writes = flags & SQLITE_OPEN_READWRITE;
    if (path && writes && disk_refuses_writing(path)) {
        flags = (flags & ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)) | SQLITE_OPEN_READONLY;
        f->is_read_only = true;
        last_error = EROFS;
    }
    inode *file = path ? disk_find(path) : disk_anonymous();
    if (!file) {
        int error = flags & SQLITE_OPEN_CREATE ? disk_create(path, &file) : f->is_read_only ? EROFS : ENOENT;
        if (error) return refused(error, SQLITE_CANTOPEN);
    }
    f->file = file;
    f->next = file->handles;
    file->handles = f;
    f->base.pMethods = &methods;
    if (given) *given = flags;
    return SQLITE_OK;
}

static int x_delete(sqlite3_vfs *vfs, const char *path, int sync) {
    (void)vfs;
    int error = disk_unlink(path);
    if (error == ENOENT) return SQLITE_IOERR_DELETE_NOENT;
    if (!error && sync) error = disk_sync(NULL);
    return error ? refused(error, SQLITE_IOERR_DELETE) : SQLITE_OK;
}

static int x_access(sqlite3_vfs *vfs, const char *path, int flags, int *result) {
    (void)vfs;
    inode *file = disk_find(path);
    // As SQLite's own: a file without content does not exist, when that is asked.
    *result = file && (flags != SQLITE_ACCESS_EXISTS || file->size > 0);
    if (flags == SQLITE_ACCESS_READWRITE && disk_refuses_writing(path)) *result = 0;
    return SQLITE_OK;
}

static int x_full_path(sqlite3_vfs *vfs, const char *path, int length, char *result) {
    (void)vfs;
    return sqlite3_snprintf(length, result, "%s", path) ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int x_randomness(sqlite3_vfs *vfs, int length, char *bytes) {
    (void)vfs;
    for (int i = 0; i < length; i++) bytes[i] = (char)disk_lot();
    return length;
}

static int x_sleep(sqlite3_vfs *vfs, int microseconds) { (void)vfs; return microseconds; }

static int x_time(sqlite3_vfs *vfs, sqlite3_int64 *time) {
    (void)vfs;
    *time = 212648544000000;  // nobody asks SQLite for the time
    return SQLITE_OK;
}

static int x_last_error(sqlite3_vfs *vfs, int length, char *words) {
    (void)vfs; (void)length; (void)words;
    return last_error;
}

static sqlite3_vfs vfs = {
    .iVersion = 2, .szOsFile = sizeof(open_file), .mxPathname = 160, .zName = "simulated", .xOpen = x_open,
    .xDelete = x_delete, .xAccess = x_access, .xFullPathname = x_full_path, .xRandomness = x_randomness,
    .xSleep = x_sleep, .xGetLastError = x_last_error, .xCurrentTimeInt64 = x_time,
};

void vfs_register(void) {
    sqlite3_vfs_register(&vfs, 1);
    // Forgets what it has drawn, so that the next is drawn from our lots.
    sqlite3_randomness(0, NULL);
}
