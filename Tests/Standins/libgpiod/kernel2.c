// A stand-in for the kernel's GPIO character devices (version 2 of the interface, linux/gpio.h), under libgpiod 2.x's own
// source: the library is compiled with open, close, read and ioctl of these names, and is otherwise itself. README.md
// beside this file tells how to drive it. For tests only.
//
// As the kernel does: an unread line keeps its newest edges, as many as were asked for, and numbers them; a removed chip
// answers POLLERR and ENODEV, on old handles for ever; a held line answers EBUSY and tells its consumer; times are
// CLOCK_MONOTONIC. One line a request, and no debouncing: to ask for it is an error here.

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "board.h"
#include "uapi/gpio.h"

enum { max_requests = 256 };

struct request {
    struct sim_request line;  // first: put_edge is given this
    unsigned kept, number;
};

struct open_chip {
    int fd;  // 0: none
    struct sim_chip *sim;
    unsigned generation;
};

static struct open_chip open_chips[max_requests];
static struct request *requests[max_requests];

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void put_edge(struct sim_request *line, int level) {
    struct request *request = (struct request *)line;
    struct gpio_v2_line_event event = {.timestamp_ns = (uint64_t)now(), .offset = request->line.offset};
    bool rising = (level != 0) != request->line.active_low;
    event.id = rising ? GPIO_V2_LINE_EVENT_RISING_EDGE : GPIO_V2_LINE_EVENT_FALLING_EDGE;
    event.seqno = event.line_seqno = ++request->number;
    if (request->line.unread >= (int)request->kept) {
        struct gpio_v2_line_event oldest;
        if (recv(request->line.ends[0], &oldest, sizeof oldest, MSG_DONTWAIT) > 0) request->line.unread--;
    }
    if (send(request->line.ends[1], &event, sizeof event, MSG_NOSIGNAL) == (ssize_t)sizeof event)
        request->line.unread++;
}

// How the shim finds the chips.
int scandir(const char *directory, struct dirent ***list, int (*filter)(const struct dirent *),
            int (*order)(const struct dirent **, const struct dirent **)) {
    if (strcmp(directory, "/dev") != 0) {
        int (*real)(const char *, struct dirent ***, int (*)(const struct dirent *),
                    int (*)(const struct dirent **, const struct dirent **)) = dlsym(RTLD_NEXT, "scandir");
        return real ? real(directory, list, filter, order) : (errno = ENOSYS, -1);
    }
    pthread_once(&once, start);
    pthread_mutex_lock(&lock);
    if (!pausing) apply_new(true);
    struct dirent **found = calloc(max_chips, sizeof *found);
    int count = 0;
    for (unsigned i = 0; found && i < chip_count; i++) {
        if (!chips[i].present) continue;
        struct dirent *entry = calloc(1, sizeof *entry);
        if (!entry) break;
        memcpy(entry->d_name, chips[i].name, name_size);
        found[count++] = entry;
    }
    pthread_mutex_unlock(&lock);
    *list = found;
    return found ? count : -1;
}

bool gpiod_check_gpiochip_device(const char *path, bool set_errno) {
    pthread_once(&once, start);
    pthread_mutex_lock(&lock);
    struct sim_chip *chip = strncmp(path, "/dev/", 5) == 0 ? chip_named(path + 5) : NULL;
    bool there = chip && chip->present;
    pthread_mutex_unlock(&lock);
    errno = there || !set_errno ? 0 : ENOENT;
    return there;
}

int board_open(const char *path, int flags, ...) {
    (void)flags;
    pthread_mutex_lock(&lock);
    struct sim_chip *chip = chip_named(path + 5);
    int fd = chip && chip->present ? eventfd(0, EFD_CLOEXEC) : (errno = ENOENT, -1);
    for (int i = 0; fd >= 0 && i < max_requests; i++) {
        if (open_chips[i].fd) continue;
        open_chips[i] = (struct open_chip){.fd = fd, .sim = chip, .generation = chip->generation};
        break;
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

static struct open_chip *chip_of(int fd) {
    for (int i = 0; i < max_requests; i++)
        if (open_chips[i].fd == fd) return &open_chips[i];
    return NULL;
}

static struct request **request_of(int fd) {
    for (int i = 0; i < max_requests; i++)
        if (requests[i] && requests[i]->line.ends[0] == fd) return &requests[i];
    return NULL;
}

int board_close(int fd) {
    pthread_mutex_lock(&lock);
    struct open_chip *chip = chip_of(fd);
    struct request **request = request_of(fd);
    if (chip) {
        chip->fd = 0;
        close(fd);
    }
    if (request) {
        let_line_go(&(*request)->line);
        free(*request);
        *request = NULL;
    }
    pthread_mutex_unlock(&lock);
    return chip || request ? 0 : (errno = EBADF, -1);
}

// As many whole edges as fit. Blocks while there is nothing to read, as the kernel does.
ssize_t board_read(int fd, void *buffer, size_t size) {
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    if (poll(&waiting, 1, -1) < 0) return -1;
    pthread_mutex_lock(&lock);
    struct request **found = request_of(fd);
    int failure = !found ? EBADF : lost(&(*found)->line) ? ENODEV : 0;
    const size_t edge = sizeof(struct gpio_v2_line_event);
    size_t count = 0;
    while (!failure && (count + 1) * edge <= size && (*found)->line.unread > 0 &&
           recv(fd, (char *)buffer + count * edge, edge, MSG_DONTWAIT) == (ssize_t)edge) {
        (*found)->line.unread--;
        count++;
    }
    pthread_mutex_unlock(&lock);
    return failure ? (errno = failure, -1) : (ssize_t)(count * edge);
}

static int take(struct open_chip *chip, struct gpio_v2_line_request *wanted) {
    if (wanted->num_lines != 1 || wanted->offsets[0] >= chip->sim->lines) return EINVAL;
    struct request *request = calloc(1, sizeof *request);
    int place = 0;
    while (place < max_requests && requests[place]) place++;
    if (!request || place == max_requests) return free(request), ENOMEM;
    uint64_t flags = wanted->config.flags, value = 0;
    for (unsigned i = 0; i < wanted->config.num_attrs; i++) {
        struct gpio_v2_line_config_attribute *one = &wanted->config.attrs[i];
        if (!(one->mask & 1)) continue;
        if (one->attr.id == GPIO_V2_LINE_ATTR_ID_FLAGS) flags = one->attr.flags;
        if (one->attr.id == GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES) value = one->attr.values & 1;
        if (one->attr.id == GPIO_V2_LINE_ATTR_ID_DEBOUNCE) return free(request), EINVAL;
    }
    request->kept = wanted->event_buffer_size ? wanted->event_buffer_size : 16;
    request->line = (struct sim_request){
        .chip = chip->sim, .generation = chip->generation, .offset = wanted->offsets[0], .ends = {-1, -1},
        .active_low = flags & GPIO_V2_LINE_FLAG_ACTIVE_LOW};
    bool is_output = flags & GPIO_V2_LINE_FLAG_OUTPUT;
    const uint64_t biases = GPIO_V2_LINE_FLAG_BIAS_DISABLED | GPIO_V2_LINE_FLAG_BIAS_PULL_UP |
                            GPIO_V2_LINE_FLAG_BIAS_PULL_DOWN;
    int failure = take_line(&request->line, wanted->consumer, is_output, flags & biases, value != 0);
    if (failure) return free(request), failure;
    // An output has no edges: its descriptor only stands for it.
    if (is_output) request->line.ends[0] = eventfd(0, EFD_CLOEXEC);
    requests[place] = request;
    wanted->fd = request->line.ends[0];
    return 0;
}

static int ask_chip(struct open_chip *chip, unsigned long what, void *argument) {
    if (gone(chip->sim, chip->generation)) return ENODEV;
    if (what == GPIO_GET_CHIPINFO_IOCTL) {
        struct gpiochip_info *info = argument;
        snprintf(info->name, sizeof info->name, "%s", chip->sim->name);
        snprintf(info->label, sizeof info->label, "%s", chip->sim->label);
        return info->lines = chip->sim->lines, 0;
    }
    if (what == GPIO_V2_GET_LINEINFO_IOCTL) {
        struct gpio_v2_line_info *info = argument;
        if (info->offset >= chip->sim->lines) return EINVAL;
        struct sim_line *line = &chip->sim->line[info->offset];
        snprintf(info->name, sizeof info->name, "%s", line->name);
        snprintf(info->consumer, sizeof info->consumer, "%s", line->held ? line->consumer : "");
        info->flags = GPIO_V2_LINE_FLAG_INPUT | (line->held ? GPIO_V2_LINE_FLAG_USED : 0);
        return 0;
    }
    return what == GPIO_V2_GET_LINE_IOCTL ? take(chip, argument) : EINVAL;
}

static int ask_line(struct request *request, unsigned long what, struct gpio_v2_line_values *values) {
    if (lost(&request->line)) return ENODEV;
    if (what == GPIO_V2_LINE_SET_VALUES_IOCTL) return set_output(&request->line, values->bits & values->mask & 1);
    if (what != GPIO_V2_LINE_GET_VALUES_IOCTL) return EINVAL;
    return values->bits = level_of(&request->line) ? 1 : 0, 0;
}

int board_ioctl(int fd, unsigned long asked, ...) {
    // The kernel takes 32 bits of it; the library's comes through an int, with its sign.
    const unsigned what = (unsigned)asked;
    va_list arguments;
    va_start(arguments, asked);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    pthread_mutex_lock(&lock);
    struct open_chip *chip = chip_of(fd);
    struct request **request = request_of(fd);
    int failure = chip ? ask_chip(chip, what, argument) : request ? ask_line(*request, what, argument) : EBADF;
    pthread_mutex_unlock(&lock);
    return failure ? (errno = failure, -1) : 0;
}
