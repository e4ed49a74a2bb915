// A stand-in for libgpiod 1.6 (libgpiod.so.2): the part of its interface that Larmnod uses, over a text file instead of
// a kernel. README.md beside this file tells how to drive it. For tests only.
//
// As the kernel does: an unread line keeps its oldest 16 edges and drops the newest; a removed chip answers POLLERR and
// ENODEV, on old handles for ever; a held line answers EBUSY and tells its consumer; times are CLOCK_MONOTONIC.

#define _GNU_SOURCE
#include <gpiod.h>

#include "board.h"

enum { kept_edges = 16 };

struct gpiod_chip {
    struct sim_chip *sim;
    unsigned generation;
    struct gpiod_line *lines[max_lines];
};

struct gpiod_line {
    struct sim_request taken;
    char name[name_size], consumer[name_size];  // as of the last update
    bool used;
};

struct gpiod_chip_iter {
    struct gpiod_chip *found[max_chips];
    unsigned count, next;
};

static void put_edge(struct sim_request *request, int level) {
    struct gpiod_line_event event = {0};
    if (request->unread >= kept_edges) return;
    clock_gettime(CLOCK_MONOTONIC, &event.ts);
    bool rising = (level != 0) != request->active_low;
    event.event_type = rising ? GPIOD_LINE_EVENT_RISING_EDGE : GPIOD_LINE_EVENT_FALLING_EDGE;
    if (send(request->ends[1], &event, sizeof event, MSG_NOSIGNAL) == (ssize_t)sizeof event) request->unread++;
}

const char *gpiod_version_string(void) { return "1.6.3 (stand-in)"; }

struct gpiod_chip_iter *gpiod_chip_iter_new(void) {
    pthread_once(&once, start);
    struct gpiod_chip_iter *each = calloc(1, sizeof *each);
    pthread_mutex_lock(&lock);
    if (!pausing) apply_new(true);
    for (unsigned i = 0; each && i < chip_count; i++) {
        if (!chips[i].present) continue;
        struct gpiod_chip *chip = calloc(1, sizeof *chip);
        if (!chip) break;
        chip->sim = &chips[i];
        chip->generation = chips[i].generation;
        each->found[each->count++] = chip;
    }
    pthread_mutex_unlock(&lock);
    return each;
}

struct gpiod_chip *gpiod_chip_iter_next_noclose(struct gpiod_chip_iter *each) {
    return each->next < each->count ? each->found[each->next++] : NULL;
}

void gpiod_chip_iter_free_noclose(struct gpiod_chip_iter *each) { free(each); }

void gpiod_chip_close(struct gpiod_chip *chip) {
    for (unsigned i = 0; i < max_lines; i++) {
        if (!chip->lines[i]) continue;
        gpiod_line_release(chip->lines[i]);
        free(chip->lines[i]);
    }
    free(chip);
}

const char *gpiod_chip_name(struct gpiod_chip *chip) { return chip->sim->name; }
const char *gpiod_chip_label(struct gpiod_chip *chip) { return chip->sim->label; }
unsigned gpiod_chip_num_lines(struct gpiod_chip *chip) { return chip->sim->lines; }

struct gpiod_line *gpiod_chip_get_line(struct gpiod_chip *chip, unsigned offset) {
    if (offset >= chip->sim->lines) return errno = EINVAL, NULL;
    if (!chip->lines[offset]) {
        struct gpiod_line *line = calloc(1, sizeof *line);
        if (!line) return NULL;
        line->taken = (struct sim_request){
            .chip = chip->sim, .generation = chip->generation, .offset = offset, .ends = {-1, -1}};
        chip->lines[offset] = line;
    }
    return gpiod_line_update(chip->lines[offset]) == 0 ? chip->lines[offset] : NULL;
}

int gpiod_line_update(struct gpiod_line *line) {
    pthread_mutex_lock(&lock);
    bool failed = lost(&line->taken);
    if (!failed) {
        struct sim_line *sim = &line->taken.chip->line[line->taken.offset];
        memcpy(line->name, sim->name, name_size);
        memcpy(line->consumer, sim->consumer, name_size);
        line->used = sim->held;
    }
    pthread_mutex_unlock(&lock);
    return failed ? (errno = ENODEV, -1) : 0;
}

const char *gpiod_line_name(struct gpiod_line *line) { return line->name[0] ? line->name : NULL; }
const char *gpiod_line_consumer(struct gpiod_line *line) { return line->used ? line->consumer : NULL; }
bool gpiod_line_is_used(struct gpiod_line *line) { return line->used; }

static int take(struct gpiod_line *line, const char *consumer, int flags, bool is_output, int value) {
    const int biases = GPIOD_LINE_REQUEST_FLAG_BIAS_DISABLE | GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_DOWN |
                       GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_UP;
    pthread_mutex_lock(&lock);
    line->taken.active_low = flags & GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW;
    int failure = take_line(&line->taken, consumer, is_output, flags & biases, value);
    pthread_mutex_unlock(&lock);
    return failure ? (errno = failure, -1) : 0;
}

int gpiod_line_request_both_edges_events_flags(struct gpiod_line *line, const char *consumer, int flags) {
    return take(line, consumer, flags, false, 0);
}

int gpiod_line_request_output_flags(struct gpiod_line *line, const char *consumer, int flags, int value) {
    return take(line, consumer, flags, true, value);
}

int gpiod_line_set_value(struct gpiod_line *line, int value) {
    pthread_mutex_lock(&lock);
    int failure = set_output(&line->taken, value);
    pthread_mutex_unlock(&lock);
    return failure ? (errno = failure, -1) : 0;
}

void gpiod_line_release(struct gpiod_line *line) {
    pthread_mutex_lock(&lock);
    let_line_go(&line->taken);
    pthread_mutex_unlock(&lock);
}

int gpiod_line_get_value(struct gpiod_line *line) {
    pthread_mutex_lock(&lock);
    int failure = lost(&line->taken) ? ENODEV : line->taken.requested ? 0 : EPERM;
    int level = level_of(&line->taken);
    pthread_mutex_unlock(&lock);
    return failure ? (errno = failure, -1) : level;
}

int gpiod_line_event_get_fd(struct gpiod_line *line) {
    return line->taken.requested ? line->taken.ends[0] : (errno = EPERM, -1);
}

// Blocks while there is nothing to read, as the real one does.
int gpiod_line_event_read_multiple(struct gpiod_line *line, struct gpiod_line_event *events, unsigned capacity) {
    struct pollfd waiting = {.fd = gpiod_line_event_get_fd(line), .events = POLLIN};
    if (waiting.fd < 0 || poll(&waiting, 1, -1) < 0) return -1;
    pthread_mutex_lock(&lock);
    unsigned count = 0;
    bool failed = lost(&line->taken);
    while (!failed && count < capacity && line->taken.unread > 0 &&
           recv(waiting.fd, &events[count], sizeof *events, MSG_DONTWAIT) == (ssize_t)sizeof *events) {
        line->taken.unread--;
        count++;
    }
    pthread_mutex_unlock(&lock);
    return failed ? (errno = ENODEV, -1) : (int)count;
}
