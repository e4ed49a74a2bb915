#include "disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { name_length = 160, name_limit = 64, sector = 512 };

typedef struct { char path[name_length]; inode *file; } name;
typedef struct { name entries[name_limit]; int count; } names;
// A name made (`file`), removed (`file` NULL), or changed to another (`to`).
typedef struct { char path[name_length]; char to[name_length]; inode *file; } name_change;

static names names_now, names_kept;
static name_change *name_changes;
static int name_change_count, name_change_space;
static inode *files;
static uint64_t lots;
static int64_t operations, die_after = -1, fault_left;
static bool is_dead;
static int fault;
uint64_t disk_boot;

uint64_t disk_lot(void) {
    uint64_t z = (lots += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

inode *disk_files(void) { return files; }
bool disk_is_dead(void) { return is_dead; }
int64_t disk_operations(void) { return operations; }
void disk_die_after(int64_t count) { die_after = count; }
void disk_kill(void) { is_dead = true; }
void disk_set_boot(uint64_t boot) { disk_boot = boot; }
int disk_current_fault(void) { return fault; }

void disk_set_fault(int kind, int64_t count) {
    fault = kind;
    fault_left = count;
}

static bool is_on_disk(const char *path) { return strncmp(path, "/simulated/state", 16) == 0; }

static void forget_changes(inode *file) {
    for (int i = 0; i < file->count; i++) free(file->changes[i].bytes);
    file->count = 0;
}

void disk_begin(uint64_t seed) {
    disk_process_ended();
    while (files) {
        inode *next = files->next;
        forget_changes(files);
        free(files->changes);
        free(files->now);
        free(files->kept);
        free(files);
        files = next;
    }
    names_now.count = names_kept.count = name_change_count = 0;
    lots = seed;
    operations = 0;
    die_after = -1;
    is_dead = false;
    fault = disk_sound;
    fault_left = 0;
    vfs_register();
}

// MARK: Names

static name *look_up(names *list, const char *path) {
    for (int i = 0; i < list->count; i++)
        if (strcmp(list->entries[i].path, path) == 0) return &list->entries[i];
    return NULL;
}

static void set_name(names *list, const char *path, inode *file) {
    name *entry = look_up(list, path);
    if (!file) {
        if (entry) *entry = list->entries[--list->count];
        return;
    }
    if (!entry) {
        if (list->count == name_limit) abort();
        entry = &list->entries[list->count++];
        strncpy(entry->path, path, name_length - 1);
        entry->path[name_length - 1] = 0;
    }
    entry->file = file;
}

static void apply(names *list, const name_change *change) {
    if (change->to[0]) {
        name *entry = look_up(list, change->path);
        inode *file = entry ? entry->file : NULL;
        if (!file) return;
        set_name(list, change->path, NULL);
        set_name(list, change->to, file);
    } else {
        set_name(list, change->path, change->file);
    }
}

static void note_name(const char *path, const char *to, inode *file) {
    name_change change = {0};
    strncpy(change.path, path, name_length - 1);
    if (to) strncpy(change.to, to, name_length - 1);
    change.file = file;
    apply(&names_now, &change);
    if (name_change_count == name_change_space) {
        name_change_space = name_change_space ? 2 * name_change_space : 32;
        name_changes = realloc(name_changes, (size_t)name_change_space * sizeof *name_changes);
    }
    name_changes[name_change_count++] = change;
}

static void keep_names(int count) {
    for (int i = 0; i < count; i++) apply(&names_kept, &name_changes[i]);
    name_change_count = 0;
}

inode *disk_find(const char *path) {
    name *entry = look_up(&names_now, path);
    return entry ? entry->file : NULL;
}

bool disk_has(const char *path) { return disk_find(path) != NULL; }

// MARK: Operations that change something

// Whether the operation about to happen does not, and why.
static int obstacle(bool disk, bool grows) {
    if (!is_dead) {
        operations++;
        if (die_after == 0) is_dead = true;
        if (die_after > 0) die_after--;
    }
    if (is_dead) return EIO;
    if (!disk || fault == disk_sound || (fault == disk_full && !grows)) return 0;
    int error = fault == disk_full ? ENOSPC : fault == disk_read_only ? EROFS : EIO;
    if (fault_left > 0 && --fault_left == 0) fault = disk_sound;
    return error;
}

bool disk_refuses_writing(const char *path) { return is_on_disk(path) && fault == disk_read_only; }

static inode *make(bool disk) {
    inode *file = calloc(1, sizeof *file);
    file->is_on_disk = disk;
    file->next = files;
    files = file;
    return file;
}

inode *disk_anonymous(void) { return make(false); }

int disk_create(const char *path, inode **made) {
    int error = obstacle(is_on_disk(path), true);
    if (error) return error;
    *made = make(is_on_disk(path));
    note_name(path, NULL, *made);
    return 0;
}

int disk_unlink(const char *path) {
    name *entry = look_up(&names_now, path);
    if (!entry) return ENOENT;
    int error = obstacle(is_on_disk(path), false);
    if (error) return error;
    note_name(path, NULL, NULL);
    return 0;
}

int disk_rename(const char *from, const char *to) {
    if (!look_up(&names_now, from)) return ENOENT;
    int error = obstacle(is_on_disk(from), false);
    if (error) return error;
    note_name(from, to, NULL);
    return 0;
}

static void fit(uint8_t **bytes, int64_t *room, int64_t size) {
    if (size <= *room) return;
    int64_t larger = *room * 2 > size ? *room * 2 : (size + 4095) / 4096 * 4096;
    *bytes = realloc(*bytes, (size_t)larger);
    memset(*bytes + *room, 0, (size_t)(larger - *room));
    *room = larger;
}

static void put(uint8_t **bytes, int64_t *size, int64_t *room, const change *change) {
    if (!change->bytes) {
        fit(bytes, room, change->at);
        // What lies behind the end reads as zeros when the file grows again.
        if (change->at < *size) memset(*bytes + change->at, 0, (size_t)(*size - change->at));
        *size = change->at;
        return;
    }
    fit(bytes, room, change->at + change->length);
    memcpy(*bytes + change->at, change->bytes, (size_t)change->length);
    if (change->at + change->length > *size) *size = change->at + change->length;
}

static void note(inode *file, change change) {
    put(&file->now, &file->size, &file->room, &change);
    if (!file->is_on_disk) {
        free(change.bytes);
        return;
    }
    if (file->count == file->space) {
        file->space = file->space ? 2 * file->space : 16;
        file->changes = realloc(file->changes, (size_t)file->space * sizeof *file->changes);
    }
    file->changes[file->count++] = change;
}

int disk_write(inode *file, const void *bytes, int64_t length, int64_t at) {
    int error = obstacle(file->is_on_disk, at + length > file->size);
    if (error) return error;
    if (length == 0) return 0;
    uint8_t *copy = malloc((size_t)length);
    memcpy(copy, bytes, (size_t)length);
    note(file, (change){at, length, copy});
    return 0;
}

int disk_resize(inode *file, int64_t size) {
    if (size == file->size) return 0;
    int error = obstacle(file->is_on_disk, size > file->size);
    if (error) return error;
    note(file, (change){size, 0, NULL});
    return 0;
}

int64_t disk_read(inode *file, void *bytes, int64_t length, int64_t at) {
    int64_t count = file->size - at < length ? file->size - at : length;
    if (count <= 0) return 0;
    memcpy(bytes, file->now + at, (size_t)count);
    return count;
}

int disk_sync(inode *file) {
    bool disk = !file || file->is_on_disk;
    int error = obstacle(disk, false);
    if (error) return error;
    if (!disk) return 0;
    if (file) {
        for (int i = 0; i < file->count; i++)
            put(&file->kept, &file->kept_size, &file->kept_room, &file->changes[i]);
        forget_changes(file);
    }
    keep_names(name_change_count);
    return 0;
}

// MARK: The end

void disk_process_ended(void) {
    vfs_process_ended();
    calls_process_ended();
    for (inode *file = files; file; file = file->next) file->flock_holder = 0;
    is_dead = false;
    die_after = -1;
}

// Some sectors of one write get to the disk; of 256, so many.
static void keep_part(inode *file, const change *whole, uint64_t chance) {
    if (!whole->bytes) {
        if (disk_lot() % 256 < chance) put(&file->kept, &file->kept_size, &file->kept_room, whole);
        return;
    }
    for (int64_t from = whole->at; from < whole->at + whole->length;) {
        int64_t to = (from / sector + 1) * sector;
        if (to > whole->at + whole->length) to = whole->at + whole->length;
        change part = {from, to - from, whole->bytes + (from - whole->at)};
        if (disk_lot() % 256 < chance) put(&file->kept, &file->kept_size, &file->kept_room, &part);
        from = to;
    }
}

void disk_power_cut(void) {
    // All, none, most or some of what was on its way.
    static const uint64_t chances[] = {0, 256, 250, 128, 20};
    uint64_t chance = chances[disk_lot() % 5];
    for (inode *file = files; file; file = file->next) {
        if (!file->is_on_disk) continue;
        for (int i = 0; i < file->count; i++) keep_part(file, &file->changes[i], chance);
        forget_changes(file);
        fit(&file->now, &file->room, file->kept_size);
        if (file->size > file->kept_size)
            memset(file->now + file->kept_size, 0, (size_t)(file->size - file->kept_size));
        if (file->kept_size) memcpy(file->now, file->kept, (size_t)file->kept_size);
        file->size = file->kept_size;
    }
    int survive = name_change_count ? (int)(disk_lot() % (uint64_t)(name_change_count + 1)) : 0;
    keep_names(survive);
    names_now = names_kept;
    for (int i = 0; i < names_now.count;)
        if (names_now.entries[i].file->is_on_disk) i++;
        else names_now.entries[i] = names_now.entries[--names_now.count];
    names_kept = names_now;
}
