// The board that the stand-ins for libgpiod simulate: chips, lines and their levels, moved by a text file. README.md beside
// this file tells how to drive it. Each stand-in is one source file that includes this one, and says what an edge is.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { max_chips = 32, max_lines = 512, name_size = 32 };

struct sim_line {
    char name[name_size], consumer[name_size];
    int level;       // the voltage: before active-low
    int stuck;       // the voltage is this whatever drives it, less one; 0: it is not stuck
    bool held;
    struct sim_request *taken_by;
};

struct sim_chip {
    char name[name_size], label[name_size];
    unsigned lines;
    bool present, no_bias;
    unsigned generation;  // how many times it was inserted
    struct sim_line line[max_lines];
};

// A line that the program under test has taken.
struct sim_request {
    struct sim_chip *chip;
    unsigned generation, offset;  // the chip's when it was taken
    bool requested, active_low, is_output;
    int ends[2];  // edges go in at 1 and are read at 0
    int unread;
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

static bool gone(const struct sim_chip *chip, unsigned generation) {
    return !chip->present || generation != chip->generation;
}

static bool lost(const struct sim_request *request) { return gone(request->chip, request->generation); }

// The level of a line that is taken as input has changed. Each version of the library tells it in its own way.
static void put_edge(struct sim_request *request, int level);

static void set_level(struct sim_line *line, int level) {
    if (line->level == level) return;
    line->level = level;
    if (line->taken_by) put_edge(line->taken_by, level);
}

// Tells the test what an output's voltage is now ("0", "1"), or that it is let go ("-").
static void tell_output(struct sim_request *request, char what) {
    char path[sizeof board_path + 8], text[128];
    snprintf(path, sizeof path, "%.*sdriven", (int)(strlen(board_path) - strlen("board")), board_path);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    int length = snprintf(text, sizeof text, "%s %u %c\n", request->chip->name, request->offset, what);
    if (file < 0 || write(file, text, (size_t)length) != length) _exit(97);
    close(file);
}

static void drive(struct sim_request *request, int value) {
    struct sim_line *sim = &request->chip->line[request->offset];
    int level = (value != 0) != request->active_low;
    sim->level = level;
    tell_output(request, (char)('0' + level));
}

// Takes a line. Returns an errno value, or 0. Called with the lock held.
static int take_line(struct sim_request *request, const char *consumer, bool is_output, bool wants_bias, int value) {
    struct sim_line *sim = &request->chip->line[request->offset];
    if (lost(request)) return ENODEV;
    if (sim->held) return EBUSY;
    if (wants_bias && request->chip->no_bias) return EOPNOTSUPP;
    if (!is_output) {
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, request->ends) != 0) return errno;
        if (send(request->ends[0], "", 1, MSG_NOSIGNAL) != 1) return errno;
        sim->taken_by = request;
    }
    sim->held = request->requested = true;
    request->is_output = is_output;
    request->unread = 0;
    snprintf(sim->consumer, name_size, "%s", consumer ? consumer : "");
    if (is_output) drive(request, value);
    return 0;
}

// Called with the lock held.
static void let_line_go(struct sim_request *request) {
    struct sim_line *sim = &request->chip->line[request->offset];
    if (sim->taken_by == request || (request->is_output && !lost(request))) {
        sim->taken_by = NULL;
        sim->held = false;
    }
    if (request->is_output) tell_output(request, '-');
    for (int i = 0; i < 2; i++) {
        if (request->ends[i] >= 0) close(request->ends[i]);
        request->ends[i] = -1;
    }
    request->requested = request->is_output = false;
}

// Returns an errno value, or 0. Called with the lock held.
static int set_output(struct sim_request *request, int value) {
    if (lost(request)) return ENODEV;
    if (!request->is_output) return EPERM;
    struct sim_line *sim = &request->chip->line[request->offset];
    if (((value != 0) != request->active_low) != (sim->level != 0)) drive(request, value);
    return 0;
}

// What the line reads, after active-low. Called with the lock held.
static int level_of(const struct sim_request *request) {
    struct sim_line *sim = &request->chip->line[request->offset];
    return ((sim->stuck ? sim->stuck - 1 : sim->level) != 0) != request->active_low;
}

// The byte that the other end never reads turns the hang-up into an error: POLLERR and POLLHUP.
static void remove_chip(struct sim_chip *chip) {
    chip->present = false;
    for (unsigned i = 0; i < chip->lines; i++) {
        struct sim_request *request = chip->line[i].taken_by;
        if (request && request->ends[1] >= 0) {
            close(request->ends[1]);
            request->ends[1] = -1;
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
