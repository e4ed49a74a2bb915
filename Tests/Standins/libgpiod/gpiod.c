// A stand-in for libgpiod 1.6 (libgpiod.so.2): the part of its interface that Larmnod uses, over a text file instead of
// a kernel. README.md beside this file tells how to drive it. For tests only.
//
// As the kernel does: an unread line keeps its oldest 16 edges and drops the newest; a removed chip answers POLLERR and
// ENODEV, on old handles for ever; a held line answers EBUSY and tells its consumer; times are CLOCK_MONOTONIC.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <gpiod.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <time.h>
#include <poll.h>
#include <unistd.h>

enum { max_chips = 32, max_lines = 512, name_size = 32, kept_edges = 16 };

struct sim_line {
    char name[name_size], consumer[name_size];
    int level;       // the voltage: before active-low
    int stuck;       // the voltage is this whatever drives it, less one; 0: it is not stuck
    bool held;
    struct gpiod_line *taken_by;
};

struct sim_chip {
    char name[name_size], label[name_size];
    unsigned lines;
    bool present, no_bias;
    unsigned generation;  // how many times it was inserted
    struct sim_line line[max_lines];
};

struct gpiod_chip {
    struct sim_chip *sim;
    unsigned generation;
    struct gpiod_line *lines[max_lines];
};

struct gpiod_line {
    struct gpiod_chip *chip;
    unsigned offset;
    char name[name_size], consumer[name_size];  // as of the last update
    bool used, requested, active_low, is_output;
    int ends[2];  // edges go in at 1 and are read at 0
    int unread;
};

struct gpiod_chip_iter {
    struct gpiod_chip *found[max_chips];
    unsigned count, next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sim_chip chips[max_chips];
static unsigned chip_count;
static char board_path[4096];
static long applied;       // bytes of the board file that have been applied
static bool pausing;       // within a "wait"

static struct sim_chip *chip_named(const char *name) {
    for (unsigned i = 0; i < chip_count; i++)
        if (strcmp(chips[i].name, name) == 0) return &chips[i];
    return NULL;
}

static bool gone(struct gpiod_chip *chip) {
    return !chip->sim->present || chip->generation != chip->sim->generation;
}

static void put_edge(struct gpiod_line *line, int level) {
    struct gpiod_line_event event = {0};
    if (line->unread >= kept_edges) return;
    clock_gettime(CLOCK_MONOTONIC, &event.ts);
    bool rising = (level != 0) != line->active_low;
    event.event_type = rising ? GPIOD_LINE_EVENT_RISING_EDGE : GPIOD_LINE_EVENT_FALLING_EDGE;
    if (send(line->ends[1], &event, sizeof event, MSG_NOSIGNAL) == (ssize_t)sizeof event) line->unread++;
}

static void set_level(struct sim_line *line, int level) {
    if (line->level == level) return;
    line->level = level;
    if (line->taken_by) put_edge(line->taken_by, level);
}

// Tells the test what an output's voltage is now ("0", "1"), or that it is let go ("-").
static void tell_output(struct gpiod_line *line, char what) {
    char path[sizeof board_path + 8], text[128];
    snprintf(path, sizeof path, "%.*sdriven", (int)(strlen(board_path) - strlen("board")), board_path);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    int length = snprintf(text, sizeof text, "%s %u %c\n", line->chip->sim->name, line->offset, what);
    if (file < 0 || write(file, text, (size_t)length) != length) _exit(97);
    close(file);
}

static void drive(struct gpiod_line *line, int value) {
    struct sim_line *sim = &line->chip->sim->line[line->offset];
    int level = (value != 0) != line->active_low;
    sim->level = level;
    tell_output(line, (char)('0' + level));
}

// The byte that the other end never reads turns the hang-up into an error: POLLERR and POLLHUP.
static void remove_chip(struct sim_chip *chip) {
    chip->present = false;
    for (unsigned i = 0; i < chip->lines; i++) {
        struct gpiod_line *line = chip->line[i].taken_by;
        if (line && line->ends[1] >= 0) {
            close(line->ends[1]);
            line->ends[1] = -1;
        }
        chip->line[i].taken_by = NULL;
        chip->line[i].held = false;
    }
}

// Applies one line of the board file. Returns the milliseconds to wait before the next. What is not understood ends the
// program: a test with a misspelt board must not pass.
static int apply(char *text) {
    char copy[1024], name[name_size] = "", rest[name_size] = "";
    unsigned number = 0;
    int used = 0;
    snprintf(copy, sizeof copy, "%s", text);
    if (text[0] == '#' || text[strspn(text, " \t")] == 0) return 0;
    if (sscanf(text, "wait %u", &number) == 1) return (int)number;
    if (sscanf(text, "chip %31s %31s %u", name, rest, &number) == 3 && number <= max_lines && chip_count < max_chips &&
        !chip_named(name)) {
        struct sim_chip *chip = &chips[chip_count++];
        snprintf(chip->name, name_size, "%s", name);
        snprintf(chip->label, name_size, "%s", rest);
        chip->lines = number;
        chip->present = true;
        return 0;
    }
    char verb[16] = "";
    sscanf(text, "%15s %31s %u %n", verb, name, &number, &used);
    struct sim_chip *chip = chip_named(name);
    if (chip && number < chip->lines) {
        struct sim_line *line = &chip->line[number];
        if (strcmp(verb, "remove") == 0) return remove_chip(chip), 0;
        if (strcmp(verb, "insert") == 0) return chip->generation += !chip->present, chip->present = true, 0;
        if (strcmp(verb, "no-bias") == 0) return chip->no_bias = true, 0;
        if (strcmp(verb, "stick") == 0 && sscanf(text + used, "%1[01]", rest) == 1)
            return line->stuck = 1 + (rest[0] == '1'), 0;
        if (strcmp(verb, "unstick") == 0) return line->stuck = 0, 0;
        if (strcmp(verb, "free") == 0) return line->held = line->taken_by != NULL, 0;
        if (strcmp(verb, "name") == 0 && sscanf(text + used, "%31s", rest) == 1)
            return snprintf(line->name, name_size, "%s", rest), 0;
        if (strcmp(verb, "take") == 0 && sscanf(text + used, "%31s", rest) == 1)
            return line->held = true, snprintf(line->consumer, name_size, "%s", rest), 0;
        if (strcmp(verb, "set") == 0 && used > 0 && text[used]) {
            bool good = true;
            for (char *level = text + used; *level && good; level++)
                if (*level == '0' || *level == '1')
                    set_level(line, *level - '0');
                else
                    good = *level == ' ';
            if (good) return 0;
        }
    }
    fprintf(stderr, "libgpiod stand-in: %s: not understood: %s\n", board_path, copy);
    _exit(97);
}

// Applies what was appended to the board file, whole lines only, as far as the next pause. Called with the lock held.
static int apply_new(bool skip_pauses) {
    FILE *file = fopen(board_path, "re");
    if (!file) {
        fprintf(stderr, "libgpiod stand-in: cannot read %s; set LARMNOD_FAKE_GPIO to its directory\n", board_path);
        _exit(97);
    }
    char text[1024];
    int pause = 0;
    fseek(file, applied, SEEK_SET);
    while (pause == 0 && fgets(text, sizeof text, file)) {
        char *end = strchr(text, '\n');
        if (!end) break;
        applied += end - text + 1;
        *end = 0;
        pause = apply(text);
        if (skip_pauses) pause = 0;
    }
    fclose(file);
    return pause;
}

static void *follow(void *unused) {
    int watch = inotify_init1(IN_CLOEXEC);
    inotify_add_watch(watch, board_path, IN_MODIFY);
    while (true) {
        pthread_mutex_lock(&lock);
        int pause = apply_new(false);
        pausing = pause > 0;
        pthread_mutex_unlock(&lock);
        if (pausing) {
            struct timespec time = {pause / 1000, pause % 1000 * 1000000L};
            nanosleep(&time, NULL);
            continue;
        }
        char changes[4096];
        struct pollfd waiting = {.fd = watch, .events = POLLIN};
        if (poll(&waiting, 1, 200) > 0 && read(watch, changes, sizeof changes) < 0) continue;
    }
    return unused;
}

static void start(void) {
    const char *directory = getenv("LARMNOD_FAKE_GPIO");
    snprintf(board_path, sizeof board_path, "%s/board", directory ? directory : "(LARMNOD_FAKE_GPIO is not set)");
    pthread_mutex_lock(&lock);
    apply_new(true);  // what was said before we started is past: its pauses too
    pthread_mutex_unlock(&lock);
    pthread_t thread;
    if (pthread_create(&thread, NULL, follow, NULL) == 0) pthread_detach(thread);
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
        line->chip = chip;
        line->offset = offset;
        line->ends[0] = line->ends[1] = -1;
        chip->lines[offset] = line;
    }
    return gpiod_line_update(chip->lines[offset]) == 0 ? chip->lines[offset] : NULL;
}

int gpiod_line_update(struct gpiod_line *line) {
    pthread_mutex_lock(&lock);
    bool failed = gone(line->chip);
    if (!failed) {
        struct sim_line *sim = &line->chip->sim->line[line->offset];
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

int gpiod_line_request_both_edges_events_flags(struct gpiod_line *line, const char *consumer, int flags) {
    const int biases = GPIOD_LINE_REQUEST_FLAG_BIAS_DISABLE | GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_DOWN |
                       GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_UP;
    int failure = 0;
    pthread_mutex_lock(&lock);
    struct sim_line *sim = &line->chip->sim->line[line->offset];
    if (gone(line->chip)) failure = ENODEV;
    else if (sim->held) failure = EBUSY;
    else if ((flags & biases) && line->chip->sim->no_bias) failure = EOPNOTSUPP;
    else if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line->ends) != 0) failure = errno;
    else if (send(line->ends[0], "", 1, MSG_NOSIGNAL) != 1) failure = errno;
    else {
        sim->held = line->requested = true;
        sim->taken_by = line;
        line->active_low = flags & GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW;
        line->unread = 0;
        snprintf(sim->consumer, name_size, "%s", consumer ? consumer : "");
    }
    pthread_mutex_unlock(&lock);
    return failure ? (errno = failure, -1) : 0;
}

int gpiod_line_request_output_flags(struct gpiod_line *line, const char *consumer, int flags, int value) {
    int failure = 0;
    pthread_mutex_lock(&lock);
    struct sim_line *sim = &line->chip->sim->line[line->offset];
    if (gone(line->chip)) failure = ENODEV;
    else if (sim->held) failure = EBUSY;
    else {
        sim->held = line->requested = line->is_output = true;
        line->active_low = flags & GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW;
        snprintf(sim->consumer, name_size, "%s", consumer ? consumer : "");
        drive(line, value);
    }
    pthread_mutex_unlock(&lock);
    return failure ? (errno = failure, -1) : 0;
}

int gpiod_line_set_value(struct gpiod_line *line, int value) {
    pthread_mutex_lock(&lock);
    int failure = gone(line->chip) ? ENODEV : line->is_output ? 0 : EPERM;
    struct sim_line *sim = &line->chip->sim->line[line->offset];
    if (!failure && ((value != 0) != line->active_low) != (sim->level != 0)) drive(line, value);
    pthread_mutex_unlock(&lock);
    return failure ? (errno = failure, -1) : 0;
}

void gpiod_line_release(struct gpiod_line *line) {
    pthread_mutex_lock(&lock);
    struct sim_line *sim = &line->chip->sim->line[line->offset];
    if (sim->taken_by == line || (line->is_output && !gone(line->chip))) {
        sim->taken_by = NULL;
        sim->held = false;
    }
    if (line->is_output) tell_output(line, '-');
    for (int i = 0; i < 2; i++) {
        if (line->ends[i] >= 0) close(line->ends[i]);
        line->ends[i] = -1;
    }
    line->requested = line->is_output = false;
    pthread_mutex_unlock(&lock);
}

int gpiod_line_get_value(struct gpiod_line *line) {
    pthread_mutex_lock(&lock);
    int failure = gone(line->chip) ? ENODEV : line->requested ? 0 : EPERM;
    struct sim_line *sim = &line->chip->sim->line[line->offset];
    int level = ((sim->stuck ? sim->stuck - 1 : sim->level) != 0) != line->active_low;
    pthread_mutex_unlock(&lock);
    return failure ? (errno = failure, -1) : level;
}

int gpiod_line_event_get_fd(struct gpiod_line *line) {
    return line->requested ? line->ends[0] : (errno = EPERM, -1);
}

// Blocks while there is nothing to read, as the real one does.
int gpiod_line_event_read_multiple(struct gpiod_line *line, struct gpiod_line_event *events, unsigned capacity) {
    struct pollfd waiting = {.fd = gpiod_line_event_get_fd(line), .events = POLLIN};
    if (waiting.fd < 0 || poll(&waiting, 1, -1) < 0) return -1;
    pthread_mutex_lock(&lock);
    unsigned count = 0;
    bool failed = gone(line->chip);
    while (!failed && count < capacity && line->unread > 0 &&
           recv(waiting.fd, &events[count], sizeof *events, MSG_DONTWAIT) == (ssize_t)sizeof *events) {
        line->unread--;
        count++;
    }
    pthread_mutex_unlock(&lock);
    return failed ? (errno = ENODEV, -1) : (int)count;
}
