// The gateway's surroundings, quick enough not to be what is measured: a centre, fire panels, an input module.
// Each obeys commands on standard input, and answers each with one line (`dump` with several).
//
//   peers receiver PORT          a DC-09 receiver over TCP that checks every frame and says ACK at once; stores nothing
//        reset                   forgets what it has heard
//        wait COUNT SECONDS      until so many events have been heard since: "COUNT FIRST LAST", times in nanoseconds
//        dump                    every event heard since: "TIME SIZE DATA", then "end"
//        close, open             stops listening and hangs up; listens again
//   peers panels LINK...         ESPA 4.4.4 panels, each on a pseudo-terminal that LINK leads to
//        call TEXT               the first panel calls: "BEGIN ACKNOWLEDGED", BEGIN when its last byte was written
//        calls COUNT             every panel calls so often, as fast as it is answered: "COUNT FIRST LAST"
//   peers modbus PORT INPUTS     a Modbus TCP module with discrete inputs, all of them at rest
//        toggle COUNT            each of the next COUNT reads finds every input changed: "COUNT FIRST LAST", from the
//                                first such answer to the request after the last, which says that they are stored

#include "bench.h"
#include <pty.h>
#include <termios.h>

enum { max_connections = 64, max_panels = 32 };

// MARK: The centre

struct heard {
    nanoseconds time;
    int size;
    char data[96];
};

struct connection {
    int socket;
    size_t used;
    char buffer[8192];
};

static struct heard *events;
static size_t event_count, event_room;

static void remember(const char *body, size_t length, nanoseconds time) {
    if (event_count == event_room) {
        event_room = event_room ? event_room * 2 : 4096;
        if (!(events = realloc(events, event_room * sizeof *events))) die("memory");
    }
    struct heard *event = &events[event_count++];
    *event = (struct heard){.time = time, .size = (int)length + 10};
    const char *data = memchr(body, '[', length);
    const char *end = data ? memchr(data, ']', (size_t)(body + length - data)) : NULL;
    if (end) snprintf(event->data, sizeof event->data, "%.*s", (int)(end - data - 1), data + 1);
}

// Judges one frame, LF to CR, and answers it. What is not DC-09 is not answered.
static void answer(int socket, const char *frame, size_t size) {
    unsigned crc, length;
    char reply[256], body[200];
    if (size < 10 || sscanf(frame + 1, "%4X0%3X", &crc, &length) != 2 || length + 10 != size) return;
    const char *text = frame + 9;
    if (crc16(text, length) != crc || text[0] != '"') return;
    const char *header = memchr(text + 1, '"', length - 1), *data = memchr(text, '[', length);
    if (!header || !data || data < header || data - header > 100) return;
    int said = snprintf(body, sizeof body, "\"ACK\"%.*s[]", (int)(data - header - 1), header + 1);
    send_all(socket, reply, make_frame(reply, body, (size_t)said));
    if (memcmp(text, "\"NULL\"", 6)) remember(text, length, now());
}

// False when the connection is over.
static bool hear(struct connection *one) {
    ssize_t count = recv(one->socket, one->buffer + one->used, sizeof one->buffer - one->used, 0);
    if (count <= 0) return false;
    one->used += (size_t)count;
    char *begin = one->buffer, *limit = one->buffer + one->used, *end;
    while ((end = memchr(begin, '\r', (size_t)(limit - begin)))) {
        answer(one->socket, begin, (size_t)(end - begin) + 1);
        begin = end + 1;
    }
    memmove(one->buffer, begin, one->used = (size_t)(limit - begin));
    return one->used < sizeof one->buffer;
}

static struct connection connections[max_connections];
static int connection_count;

static void hang_up(int index) {
    close(connections[index].socket);
    connections[index] = connections[--connection_count];
}

static void receiver(int port) {
    int listener = listen_on(port);
    size_t awaited = 0;
    nanoseconds patience = 0;
    puts("ready");
    while (true) {
        fflush(stdout);
        struct pollfd polled[max_connections + 2] = {{0, POLLIN, 0}, {listener, POLLIN, 0}};
        for (int i = 0; i < connection_count; i++) polled[i + 2] = (struct pollfd){connections[i].socket, POLLIN, 0};
        int polled_count = connection_count;
        poll(polled, (nfds_t)polled_count + 2, patience ? 20 : -1);
        for (int i = polled_count - 1; i >= 0; i--)
            if (polled[i + 2].revents && !hear(&connections[i])) hang_up(i);
        if (polled[1].revents && connection_count < max_connections) {
            int socket = accept_from(listener);
            if (socket >= 0) connections[connection_count++] = (struct connection){.socket = socket};
        }
        if (patience && (event_count >= awaited || now() >= patience)) {
            printf("%zu %lld %lld\n", event_count, event_count ? (long long)events[0].time : 0LL,
                event_count ? (long long)events[event_count - 1].time : 0LL);
            patience = 0;
        }
        double seconds;
        for (char *line; polled[0].revents && !patience && (line = command(false));) {
            if (!strcmp(line, "reset")) {
                event_count = 0;
                puts("ok");
            } else if (sscanf(line, "wait %zu %lf", &awaited, &seconds) == 2) {
                patience = now() + (nanoseconds)(seconds * 1e9);
            } else if (!strcmp(line, "dump")) {
                for (size_t i = 0; i < event_count; i++)
                    printf("%lld %d %s\n", (long long)events[i].time, events[i].size, events[i].data);
                puts("end");
            } else if (!strcmp(line, "close")) {
                close(listener);
                listener = -1;
                while (connection_count) hang_up(0);
                puts("ok");
            } else if (!strcmp(line, "open")) {
                listener = listen_on(port);
                puts("ok");
            }
        }
    }
}

// MARK: The panels

struct panel {
    int terminal, left, number, tries;
    enum { resting, selecting, calling } state;
    char text[80];
    nanoseconds deadline, begun, acknowledged;
};

static struct panel panels[max_panels];

static void write_all(int file, const char *bytes, size_t count) {
    while (count) {
        ssize_t written = write(file, bytes, count);
        if (written < 0 && errno != EINTR) die("pseudo-terminal");
        if (written > 0) bytes += written, count -= (size_t)written;
    }
}

// End of what was, "1 ENQ": a call is coming, "2 ENQ": for you (ESPA 4.4.4, 3.2).
static void select_station(struct panel *panel) {
    panel->state = selecting;
    panel->deadline = now() + 2000000000;
    write_all(panel->terminal, "\x04" "1\x05" "2\x05", 5);
}

static void send_block(struct panel *panel) {
    char block[160];
    int length = snprintf(
        block, sizeof block, "\x01" "1\x02" "1\x1f" "999\x1e" "2\x1f%s\x1e" "6\x1f" "1\x03", panel->text);
    char sum = 0;
    for (int i = 1; i < length; i++) sum ^= block[i];
    block[length++] = sum;
    panel->state = calling;
    panel->deadline = now() + 10000000000;
    write_all(panel->terminal, block, (size_t)length);
    panel->begun = now();
}

// The panel's next step; false when it has nothing more to say.
static bool next_call(struct panel *panel, int index) {
    if (panel->left == 0) {
        panel->state = resting;
        write_all(panel->terminal, "\x04", 1);
        return false;
    }
    panel->left--;
    snprintf(panel->text, sizeof panel->text, "PANEL %d CALL %d", index + 1, ++panel->number);
    select_station(panel);
    return true;
}

static void listen_to(struct panel *panel) {
    char bytes[64];
    ssize_t count = read(panel->terminal, bytes, sizeof bytes);
    for (ssize_t i = 0; i < count; i++) {
        if (panel->state == resting) continue;
        if (bytes[i] == 0x06 && panel->state == selecting) {
            send_block(panel);
        } else if (bytes[i] == 0x06) {
            panel->acknowledged = now();
            panel->tries = 0;
            panel->state = resting;
        } else if (bytes[i] == 0x15 || bytes[i] == 0x04) {
            panel->deadline = now() + 50000000;  // refused: soon again
        }
    }
    if (count <= 0) poll(NULL, 0, 10);  // nobody has the other end open
}

// Lets the panels speak until all of them rest. Returns when the last call was acknowledged.
static nanoseconds speak(int count, int *done) {
    nanoseconds last = 0;
    struct pollfd polled[max_panels];
    for (int busy = 1; busy && count > 0 && count <= max_panels;) {
        for (int i = 0; i < count; i++) polled[i] = (struct pollfd){panels[i].terminal, POLLIN, 0};
        poll(polled, (nfds_t)count, 20);
        busy = 0;
        for (int i = 0; i < count; i++) {
            struct panel *panel = &panels[i];
            bool wasBusy = panel->state != resting;
            if (polled[i].revents) listen_to(panel);
            if (wasBusy && panel->state == resting) {
                last = panel->acknowledged;
                ++*done;
                if (next_call(panel, i)) busy++;
            } else if (panel->state != resting) {
                busy++;
                if (now() > panel->deadline) {
                    if (++panel->tries > 10) {
                        fprintf(stderr, "panel %d is not answered\n", i + 1);
                        exit(1);
                    }
                    select_station(panel);
                }
            }
        }
    }
    return last;
}

static void panel_room(int count, char **links) {
    for (int i = 0; i < count; i++) {
        int terminal, other;
        char name[128];
        struct termios raw = {0};
        cfmakeraw(&raw);
        if (openpty(&terminal, &other, name, &raw, NULL)) die("openpty");  // `other` stays open: the line is never down
        unlink(links[i]);
        if (symlink(name, links[i])) die(links[i]);
        panels[i].terminal = terminal;
    }
    puts("ready");
    while (true) {
        fflush(stdout);
        char *line = command(true);
        int calls = 0, done = 0;
        if (!strncmp(line, "call ", 5)) {
            snprintf(panels[0].text, sizeof panels[0].text, "%.79s", line + 5);
            select_station(&panels[0]);
            speak(1, &done);
            printf("%lld %lld\n", (long long)panels[0].begun, (long long)panels[0].acknowledged);
        } else if (sscanf(line, "calls %d", &calls) == 1) {
            nanoseconds first = now();
            for (int i = 0; i < count; i++) {
                panels[i].left = calls;
                next_call(&panels[i], i);
            }
            nanoseconds last = speak(count, &done);
            printf("%d %lld %lld\n", done, (long long)first, (long long)last);
        }
    }
}

// MARK: The input module

static int toggles, toggled;
static bool level;
static nanoseconds first_toggle;

static bool serve_module(int socket, int inputs) {
    unsigned char request[260], reply[260] = {0};
    ssize_t count = recv(socket, request, sizeof request, 0);
    if (count < 12) return false;
    int start = request[8] << 8 | request[9], asked = request[10] << 8 | request[11];
    bool isRead = request[7] == 2 && asked > 0 && asked <= 2000 && start + asked <= inputs;
    if (isRead && toggles && toggled == toggles) {
        printf("%d %lld %lld\n", toggles, (long long)first_toggle, (long long)now());
        toggles = toggled = 0;
    }
    bool changes = isRead && toggles;
    if (changes) {
        level = !level;
        toggled++;
    }
    memcpy(reply, request, 8);
    int bytes = isRead ? (asked + 7) / 8 : 0;
    if (isRead) {
        reply[8] = (unsigned char)bytes;
        memset(reply + 9, level ? 0xFF : 0, (size_t)bytes);
        if (level && asked % 8) reply[8 + bytes] = (unsigned char)((1 << asked % 8) - 1);
    } else {
        reply[7] |= 0x80;
        reply[8] = request[7] == 2 ? 2 : 1;
    }
    reply[4] = (unsigned char)((3 + bytes) >> 8);
    reply[5] = (unsigned char)(3 + bytes);
    send_all(socket, (char *)reply, (size_t)(9 + bytes));
    if (changes && toggled == 1) first_toggle = now();
    return true;
}

static void module(int port, int inputs) {
    int listener = listen_on(port);
    puts("ready");
    while (true) {
        fflush(stdout);
        struct pollfd polled[max_connections + 2] = {{0, POLLIN, 0}, {listener, POLLIN, 0}};
        for (int i = 0; i < connection_count; i++) polled[i + 2] = (struct pollfd){connections[i].socket, POLLIN, 0};
        int polled_count = connection_count;
        poll(polled, (nfds_t)polled_count + 2, -1);
        for (int i = polled_count - 1; i >= 0; i--)
            if (polled[i + 2].revents && !serve_module(connections[i].socket, inputs)) hang_up(i);
        if (polled[1].revents && connection_count < max_connections) {
            int socket = accept_from(listener);
            if (socket >= 0) connections[connection_count++] = (struct connection){.socket = socket};
        }
        for (char *line; polled[0].revents && (line = command(false));) sscanf(line, "toggle %d", &toggles);
    }
}

int main(int count, char **words) {
    if (count == 3 && !strcmp(words[1], "receiver")) {
        receiver(atoi(words[2]));
    } else if (count > 2 && count < 3 + max_panels && !strcmp(words[1], "panels")) {
        panel_room(count - 2, words + 2);
    } else if (count == 4 && !strcmp(words[1], "modbus")) {
        module(atoi(words[2]), atoi(words[3]));
    } else {
        fprintf(stderr, "usage: peers receiver PORT | panels LINK... | modbus PORT INPUTS\n");
        return 2;
    }
}
