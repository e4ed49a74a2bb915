#pragma once
#include <stdbool.h>
#include <stdint.h>

// A disk in memory, for one process: what has been written and what has been synced are kept apart, so that a power cut
// can take what was not. SQLite reaches it as its default VFS (vfs.c), the daemon's own calls of the operating system by
// the linker's --wrap (calls.c). Everything below /simulated/state lies on the disk, everything below /simulated/run in
// memory that a power cut empties (tmpfs).
//
// What it promises is what ext4, f2fs and the SD cards below them promise, and no more:
// - A sync makes durable what was written to that file before, and every name that was made, changed or removed before
//   (one journal for all names, in order).
// - A power cut keeps any part of what was written since: whole sectors of 512 bytes, in any combination; of the changes
//   of names, those before some point.
// - kill -9 loses nothing that was written.

enum disk_fault {
    disk_sound = 0,
    // Every write and sync: EIO.
    disk_input_output_error = 1,
    // Nothing may grow: ENOSPC.
    disk_full = 2,
    // EROFS.
    disk_read_only = 3,
};

// An empty disk, and everything that is drawn by lot from this seed. Registers the VFS.
void disk_begin(uint64_t seed);
// This boot's number, as /proc/sys/kernel/random/boot_id gives it.
void disk_set_boot(uint64_t boot);
// - operations: how many are refused before the disk is sound again; 0: until told otherwise.
void disk_set_fault(int fault, int64_t operations);
int disk_current_fault(void);
// The process dies before the operation that follows so many others; -1: it does not. What it still does when it is dead
// comes to nothing.
void disk_die_after(int64_t operations);
// It dies now.
void disk_kill(void);
bool disk_is_dead(void);
// Operations that changed something, so far.
int64_t disk_operations(void);
// The process has ended: its descriptors and locks are gone, its memory too.
void disk_process_ended(void);
// Call disk_process_ended first.
void disk_power_cut(void);
// Whether a file exists, now.
bool disk_has(const char *path);
// Whether the daemon's own calls reach this disk: they do in a program that is linked with --wrap and the static
// standard library.
bool disk_reaches_everything(void);

// Who waits for a semaphore is given this instead of sleep: lets at most so many milliseconds of simulated time pass;
// returns how many did, or -1 when there are none left.
void disk_set_waiting(int64_t (*pass)(int64_t milliseconds));
