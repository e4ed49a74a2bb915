// What the programs of the benchmark share: a clock, an end, DC-09 frames, lines of commands on standard input.

#ifndef BENCH_H
#define BENCH_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef int64_t nanoseconds;

// The same clock in every process of the machine, so that times of two of them can be subtracted.
static inline nanoseconds now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (nanoseconds)time.tv_sec * 1000000000 + time.tv_nsec;
}

static inline void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

// CRC-16/ARC (DC-09, 5.5.1.2), by a table as any transmitter would.
static inline unsigned crc16(const char *bytes, size_t count) {
    static uint16_t table[256];
    if (!table[1])
        for (unsigned byte = 0; byte < 256; byte++) {
            unsigned value = byte;
            for (int bit = 0; bit < 8; bit++) value = value & 1 ? value >> 1 ^ 0xA001 : value >> 1;
            table[byte] = (uint16_t)value;
        }
    unsigned crc = 0;
    for (size_t i = 0; i < count; i++) crc = crc >> 8 ^ table[(crc ^ (unsigned char)bytes[i]) & 255];
    return crc;
}

// LF, CRC, length, body, CR. Returns the frame's length; `frame` has room for the body and 10 bytes more.
static inline size_t make_frame(char *frame, const char *body, size_t length) {
    snprintf(frame, 10, "\n%04X0%03X", crc16(body, length), (unsigned)length);
    memcpy(frame + 9, body, length);
    frame[9 + length] = '\r';
    return length + 10;
}

static inline void send_all(int socket, const char *bytes, size_t count) {
    while (count) {
        ssize_t sent = send(socket, bytes, count, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) die("send");
        if (sent > 0) bytes += sent, count -= (size_t)sent;
    }
}

static inline int tcp_socket(int port, struct sockaddr_in *address) {
    int one = 1, socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket_ < 0) die("socket");
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return socket_;
}

static inline int connect_to(int port) {
    struct sockaddr_in address;
    int socket_ = tcp_socket(port, &address);
    if (connect(socket_, (struct sockaddr *)&address, sizeof address)) die("connect");
    return socket_;
}

static inline int listen_on(int port) {
    struct sockaddr_in address;
    int socket_ = tcp_socket(port, &address);
    if (bind(socket_, (struct sockaddr *)&address, sizeof address) || listen(socket_, 64)) die("listen");
    return socket_;
}

static inline int accept_from(int listener) {
    int one = 1, socket_ = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (socket_ >= 0) setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return socket_;
}

// The next whole line of standard input, without its end; NULL when none is there yet. At its end the program ends:
// whoever gave the commands is gone.
static inline char *command(bool wait) {
    static char buffer[4096];
    static size_t used, given;
    memmove(buffer, buffer + given, used -= given);
    given = 0;
    while (true) {
        char *end = memchr(buffer, '\n', used);
        if (end) {
            *end = 0;
            given = (size_t)(end - buffer) + 1;
            return buffer;
        }
        struct pollfd input = {0, POLLIN, 0};
        if (!wait && poll(&input, 1, 0) <= 0) return NULL;
        ssize_t count = used < sizeof buffer ? read(0, buffer + used, sizeof buffer - used) : 0;
        if (count <= 0) exit(0);
        used += (size_t)count;
    }
}

#endif
