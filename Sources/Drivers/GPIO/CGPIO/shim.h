#pragma once
// One small interface over libgpiod 1.x and 2.x, whose own interfaces have nothing in common. Every difference between
// the two is in this file. A negative result is an errno value with its sign turned. Nothing here blocks.

#include <errno.h>
#include <gpiod.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef GPIOD_LINE_BULK_MAX_LINES
#define LARM_GPIOD_1 1
#else
#define LARM_GPIOD_1 0
#include <dirent.h>
#endif

// The kernel's own limit for the names of chips, lines and consumers, with the closing zero.
#define GPIO_NAME_SIZE 32

enum gpio_bias { gpio_bias_as_is, gpio_bias_disabled, gpio_bias_pull_up, gpio_bias_pull_down };

// One change of a line. `at` is nanoseconds of CLOCK_MONOTONIC (kernel 5.7 and later). `after_gap`: edges before it were
// lost.
struct gpio_edge {
    int64_t at;
    bool rising, after_gap;
};

static inline void gpio_copy_name(char *to, const char *from) { snprintf(to, GPIO_NAME_SIZE, "%s", from ? from : ""); }

static inline int gpio_failure(void) { return errno ? -errno : -EIO; }

// 1 when the line has edges to read, 0 when not. A removed chip is told by POLLERR and POLLHUP (libgpiod's own wait
// calls it "ready").
static inline int gpio_ready(int fd) {
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    int count = poll(&waiting, 1, 0);
    if (count < 0) return errno == EINTR ? 0 : gpio_failure();
    if (count > 0 && (waiting.revents & (POLLERR | POLLHUP | POLLNVAL))) return -ENODEV;
    return count > 0 ? 1 : 0;
}

#if LARM_GPIOD_1

// The kernel keeps the oldest 16 unread edges of a line and drops the newest.
static const int gpio_unread_edges = 16;

static inline const char *gpio_library_version(void) { return gpiod_version_string(); }

struct gpio_input {
    struct gpiod_line *line;
};

// Opens every chip; the caller closes each with `gpiod_chip_close`.
static inline int gpio_open_chips(struct gpiod_chip **chips, int capacity) {
    errno = 0;
    struct gpiod_chip_iter *each = gpiod_chip_iter_new();
    if (!each) return gpio_failure();
    int count = 0;
    struct gpiod_chip *chip;
    while ((chip = gpiod_chip_iter_next_noclose(each))) {
        if (count < capacity)
            chips[count++] = chip;
        else
            gpiod_chip_close(chip);
    }
    gpiod_chip_iter_free_noclose(each);
    return count;
}

// The number of the chip's lines, and its names.
static inline int gpio_chip_about(struct gpiod_chip *chip, char *name, char *label) {
    gpio_copy_name(name, gpiod_chip_name(chip));
    gpio_copy_name(label, gpiod_chip_label(chip));
    return (int)gpiod_chip_num_lines(chip);
}

// 1 when somebody holds the line, 0 when it is free. Names that the kernel does not know are empty.
static inline int gpio_line_about(struct gpiod_chip *chip, unsigned offset, char *name, char *consumer) {
    errno = 0;
    struct gpiod_line *line = gpiod_chip_get_line(chip, offset);
    if (!line || gpiod_line_update(line) != 0) return gpio_failure();
    gpio_copy_name(name, gpiod_line_name(line));
    gpio_copy_name(consumer, gpiod_line_consumer(line));
    return gpiod_line_is_used(line) ? 1 : 0;
}

static inline int gpio_input_open(struct gpio_input *input, struct gpiod_chip *chip, unsigned offset,
                                  const char *consumer, bool active_low, enum gpio_bias bias) {
    int flags = active_low ? GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW : 0;
    if (bias == gpio_bias_disabled) flags |= GPIOD_LINE_REQUEST_FLAG_BIAS_DISABLE;
    if (bias == gpio_bias_pull_up) flags |= GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_UP;
    if (bias == gpio_bias_pull_down) flags |= GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_DOWN;
    errno = 0;
    input->line = gpiod_chip_get_line(chip, offset);
    if (!input->line) return gpio_failure();
    if (gpiod_line_request_both_edges_events_flags(input->line, consumer, flags) != 0) {
        int failure = gpio_failure();
        input->line = NULL;
        return failure;
    }
    return 0;
}

static inline void gpio_input_close(struct gpio_input *input) {
    if (input->line) gpiod_line_release(input->line);
    input->line = NULL;
}

static inline int gpio_input_fd(struct gpio_input *input) { return gpiod_line_event_get_fd(input->line); }

// 1 or 0, after `active_low`.
static inline int gpio_input_level(struct gpio_input *input) {
    errno = 0;
    int level = gpiod_line_get_value(input->line);
    return level < 0 ? gpio_failure() : level;
}

// Reads what is unread, at most `gpio_unread_edges`, and returns how many. `lost` is set when there may have been more
// after the last.
static inline int gpio_input_edges(struct gpio_input *input, struct gpio_edge *edges, bool *lost) {
    struct gpiod_line_event events[16];
    *lost = false;
    int ready = gpio_ready(gpio_input_fd(input));
    if (ready <= 0) return ready;
    errno = 0;
    int count = gpiod_line_event_read_multiple(input->line, events, 16);
    if (count < 0) return gpio_failure();
    for (int i = 0; i < count; i++) {
        edges[i].at = (int64_t)events[i].ts.tv_sec * 1000000000 + events[i].ts.tv_nsec;
        edges[i].rising = events[i].event_type == GPIOD_LINE_EVENT_RISING_EDGE;
        edges[i].after_gap = false;
    }
    *lost = count == 16;
    return count;
}

struct gpio_output {
    struct gpiod_line *line;
};

// Takes the line as output, off from the first moment.
static inline int gpio_output_open(struct gpio_output *output, struct gpiod_chip *chip, unsigned offset,
                                   const char *consumer, bool active_low) {
    errno = 0;
    output->line = gpiod_chip_get_line(chip, offset);
    if (!output->line) return gpio_failure();
    int flags = active_low ? GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW : 0;
    if (gpiod_line_request_output_flags(output->line, consumer, flags, 0) != 0) {
        int failure = gpio_failure();
        output->line = NULL;
        return failure;
    }
    return 0;
}

static inline void gpio_output_close(struct gpio_output *output) {
    if (output->line) gpiod_line_release(output->line);
    output->line = NULL;
}

static inline int gpio_output_set(struct gpio_output *output, bool on) {
    errno = 0;
    return gpiod_line_set_value(output->line, on ? 1 : 0) == 0 ? 0 : gpio_failure();
}

// What the chip says of the line: 1 or 0, after `active_low`.
static inline int gpio_output_level(struct gpio_output *output) {
    errno = 0;
    int level = gpiod_line_get_value(output->line);
    return level < 0 ? gpio_failure() : level;
}

#else

// The kernel keeps the newest edges, and numbers them, so that a gap shows.
static const int gpio_unread_edges = 64;

static inline const char *gpio_library_version(void) { return gpiod_api_version(); }

struct gpio_input {
    struct gpiod_line_request *request;
    struct gpiod_edge_event_buffer *buffer;
    unsigned offset;
    uint32_t last_number;
};

static inline int gpio_is_chip_name(const struct dirent *entry) { return strncmp(entry->d_name, "gpiochip", 8) == 0; }

static inline int gpio_open_chips(struct gpiod_chip **chips, int capacity) {
    struct dirent **entries = NULL;
    errno = 0;
    int found = scandir("/dev", &entries, gpio_is_chip_name, alphasort);
    if (found < 0) return gpio_failure();
    int count = 0, failure = 0;
    for (int i = 0; i < found; i++) {
        char path[sizeof "/dev/" + 256];
        snprintf(path, sizeof path, "/dev/%s", entries[i]->d_name);
        free(entries[i]);
        if (count == capacity || !gpiod_is_gpiochip_device(path)) continue;
        errno = 0;
        struct gpiod_chip *chip = gpiod_chip_open(path);
        if (chip)
            chips[count++] = chip;
        else
            failure = gpio_failure();
    }
    free(entries);
    return count == 0 && failure ? failure : count;
}

static inline int gpio_chip_about(struct gpiod_chip *chip, char *name, char *label) {
    errno = 0;
    struct gpiod_chip_info *info = gpiod_chip_get_info(chip);
    if (!info) return gpio_failure();
    gpio_copy_name(name, gpiod_chip_info_get_name(info));
    gpio_copy_name(label, gpiod_chip_info_get_label(info));
    int lines = (int)gpiod_chip_info_get_num_lines(info);
    gpiod_chip_info_free(info);
    return lines;
}

static inline int gpio_line_about(struct gpiod_chip *chip, unsigned offset, char *name, char *consumer) {
    errno = 0;
    struct gpiod_line_info *info = gpiod_chip_get_line_info(chip, offset);
    if (!info) return gpio_failure();
    gpio_copy_name(name, gpiod_line_info_get_name(info));
    gpio_copy_name(consumer, gpiod_line_info_get_consumer(info));
    int used = gpiod_line_info_is_used(info) ? 1 : 0;
    gpiod_line_info_free(info);
    return used;
}

static inline void gpio_input_close(struct gpio_input *input) {
    if (input->buffer) gpiod_edge_event_buffer_free(input->buffer);
    if (input->request) gpiod_line_request_release(input->request);
    input->buffer = NULL;
    input->request = NULL;
}

static inline int gpio_input_open(struct gpio_input *input, struct gpiod_chip *chip, unsigned offset,
                                  const char *consumer, bool active_low, enum gpio_bias bias) {
    static const enum gpiod_line_bias biases[] = {GPIOD_LINE_BIAS_AS_IS, GPIOD_LINE_BIAS_DISABLED,
                                                  GPIOD_LINE_BIAS_PULL_UP, GPIOD_LINE_BIAS_PULL_DOWN};
    struct gpiod_line_settings *settings = gpiod_line_settings_new();
    struct gpiod_line_config *lines = gpiod_line_config_new();
    struct gpiod_request_config *config = gpiod_request_config_new();
    int failure = -ENOMEM;
    *input = (struct gpio_input){.offset = offset};
    if (settings && lines && config) {
        gpiod_line_settings_set_direction(settings, GPIOD_LINE_DIRECTION_INPUT);
        gpiod_line_settings_set_edge_detection(settings, GPIOD_LINE_EDGE_BOTH);
        gpiod_line_settings_set_bias(settings, biases[bias]);
        gpiod_line_settings_set_active_low(settings, active_low);
        gpiod_request_config_set_consumer(config, consumer);
        gpiod_request_config_set_event_buffer_size(config, (size_t)gpio_unread_edges);
        errno = 0;
        if (gpiod_line_config_add_line_settings(lines, &offset, 1, settings) == 0 &&
            (input->request = gpiod_chip_request_lines(chip, config, lines)) &&
            (input->buffer = gpiod_edge_event_buffer_new((size_t)gpio_unread_edges)))
            failure = 0;
        else
            failure = gpio_failure();
    }
    gpiod_request_config_free(config);
    gpiod_line_config_free(lines);
    gpiod_line_settings_free(settings);
    if (failure) gpio_input_close(input);
    return failure;
}

static inline int gpio_input_fd(struct gpio_input *input) { return gpiod_line_request_get_fd(input->request); }

static inline int gpio_input_level(struct gpio_input *input) {
    errno = 0;
    int level = gpiod_line_request_get_value(input->request, input->offset);
    return level < 0 ? gpio_failure() : level;
}

static inline int gpio_input_edges(struct gpio_input *input, struct gpio_edge *edges, bool *lost) {
    *lost = false;
    int ready = gpio_ready(gpio_input_fd(input));
    if (ready <= 0) return ready;
    errno = 0;
    int count = gpiod_line_request_read_edge_events(input->request, input->buffer, (size_t)gpio_unread_edges);
    if (count < 0) return gpio_failure();
    for (int i = 0; i < count; i++) {
        struct gpiod_edge_event *event = gpiod_edge_event_buffer_get_event(input->buffer, (unsigned long)i);
        uint32_t number = (uint32_t)gpiod_edge_event_get_line_seqno(event);
        edges[i].after_gap = number != (uint32_t)(input->last_number + 1);
        input->last_number = number;
        edges[i].at = (int64_t)gpiod_edge_event_get_timestamp_ns(event);
        edges[i].rising = gpiod_edge_event_get_event_type(event) == GPIOD_EDGE_EVENT_RISING_EDGE;
    }
    return count;
}

struct gpio_output {
    struct gpiod_line_request *request;
    unsigned offset;
};

static inline void gpio_output_close(struct gpio_output *output) {
    if (output->request) gpiod_line_request_release(output->request);
    output->request = NULL;
}

static inline int gpio_output_open(struct gpio_output *output, struct gpiod_chip *chip, unsigned offset,
                                   const char *consumer, bool active_low) {
    struct gpiod_line_settings *settings = gpiod_line_settings_new();
    struct gpiod_line_config *lines = gpiod_line_config_new();
    struct gpiod_request_config *config = gpiod_request_config_new();
    int failure = -ENOMEM;
    *output = (struct gpio_output){.offset = offset};
    if (settings && lines && config) {
        gpiod_line_settings_set_direction(settings, GPIOD_LINE_DIRECTION_OUTPUT);
        gpiod_line_settings_set_output_value(settings, GPIOD_LINE_VALUE_INACTIVE);
        gpiod_line_settings_set_active_low(settings, active_low);
        gpiod_request_config_set_consumer(config, consumer);
        errno = 0;
        if (gpiod_line_config_add_line_settings(lines, &offset, 1, settings) == 0 &&
            (output->request = gpiod_chip_request_lines(chip, config, lines)))
            failure = 0;
        else
            failure = gpio_failure();
    }
    gpiod_request_config_free(config);
    gpiod_line_config_free(lines);
    gpiod_line_settings_free(settings);
    return failure;
}

static inline int gpio_output_set(struct gpio_output *output, bool on) {
    errno = 0;
    enum gpiod_line_value value = on ? GPIOD_LINE_VALUE_ACTIVE : GPIOD_LINE_VALUE_INACTIVE;
    return gpiod_line_request_set_value(output->request, output->offset, value) == 0 ? 0 : gpio_failure();
}

static inline int gpio_output_level(struct gpio_output *output) {
    errno = 0;
    int level = gpiod_line_request_get_value(output->request, output->offset);
    return level < 0 ? gpio_failure() : level;
}

#endif
