// A kernel that says whether somebody steers the clock as a file tells it, and a record of every attempt to set it.
// Loaded before the C library (LD_PRELOAD):
//
//   LARMNOD_CLOCK_STEERED   a file: while it exists, the clock is synchronised
//   LARMNOD_CLOCK_SET       a file that gets a line for each call that would set or steer the clock; none does

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

static int refuse(const char *what) {
    const char *name = getenv("LARMNOD_CLOCK_SET");
    int file = name ? open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (file >= 0) {
        dprintf(file, "%s\n", what);
        close(file);
    }
    errno = EPERM;
    return -1;
}

static int (*real_access)(const char *, int);

static int is_steered(void) {
    const char *name = getenv("LARMNOD_CLOCK_STEERED");
    if (!real_access) real_access = (int (*)(const char *, int))dlsym(RTLD_NEXT, "access");
    return name && real_access(name, F_OK) == 0;
}

int clock_settime(clockid_t clock, const struct timespec *time) {
    (void)clock, (void)time;
    return refuse("clock_settime");
}

int settimeofday(const struct timeval *time, const struct timezone *zone) {
    (void)time, (void)zone;
    return refuse("settimeofday");
}

int adjtime(const struct timeval *change, struct timeval *left) {
    if (change) return refuse("adjtime");
    memset(left, 0, sizeof *left);
    return 0;
}

static int ask(struct timex *status, const char *name) {
    if (status->modes) return refuse(name);
    memset(status, 0, sizeof *status);
    status->status = is_steered() ? 0 : STA_UNSYNC;
    return is_steered() ? TIME_OK : TIME_ERROR;
}

int adjtimex(struct timex *status) { return ask(status, "adjtimex"); }
int ntp_adjtime(struct timex *status) { return ask(status, "ntp_adjtime"); }

int clock_adjtime(clockid_t clock, struct timex *status) {
    (void)clock;
    return ask(status, "clock_adjtime");
}

// systemd-timesyncd's sign that it has set the clock.
int access(const char *name, int mode) {
    if (!real_access) real_access = (int (*)(const char *, int))dlsym(RTLD_NEXT, "access");
    if (!strcmp(name, "/run/systemd/timesync/synchronized")) {
        errno = ENOENT;
        return is_steered() ? 0 : -1;
    }
    return real_access(name, mode);
}
