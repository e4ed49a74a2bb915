#pragma once
#include "include/CSimulatedDisk.h"

#include <stddef.h>

// One write that is not synced yet, or one change of the length.
typedef struct change {
    int64_t at;
    int64_t length;
    uint8_t *bytes;  // NULL: the file is `at` bytes long from here on
} change;

typedef struct inode {
    uint8_t *now;
    int64_t size, room;
    uint8_t *kept;
    int64_t kept_size, kept_room;
    change *changes;
    int count, space;
    bool is_on_disk;
    int flock_holder;      // a descriptor, or 0
    void *handles;         // SQLite's open files
    void *shared_memory;   // SQLite's index of the log
    struct inode *next;
} inode;

// Errors are the operating system's numbers; 0 is success.
inode *disk_find(const char *path);
inode *disk_anonymous(void);
int disk_create(const char *path, inode **made);
int disk_unlink(const char *path);
int disk_rename(const char *from, const char *to);
int disk_write(inode *file, const void *bytes, int64_t length, int64_t at);
int64_t disk_read(inode *file, void *bytes, int64_t length, int64_t at);
int disk_resize(inode *file, int64_t size);
int disk_sync(inode *file);  // NULL: a directory
bool disk_refuses_writing(const char *path);
uint64_t disk_lot(void);
inode *disk_files(void);

void vfs_register(void);
void vfs_process_ended(void);
void calls_process_ended(void);
extern uint64_t disk_boot;
