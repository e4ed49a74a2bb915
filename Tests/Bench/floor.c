// The floors: the least that any program could do on this disk and this network, for the gateway's figures to
// stand beside. Plain system calls, no queue, no database.
//
//   floor serve FILE PORT SIZE   commands on standard input, times in nanoseconds on one line each:
//        append COUNT BYTES      BYTES are written into FILE and synced, COUNT times
//        trips COUNT             a frame of SIZE bytes goes to the receiver at PORT and its answer comes, COUNT times
//        pair                    one append of a page and one trip: two times
//   floor first FILE PORT SIZE   once: open, append, connect, one trip; what a start cannot do without
//   floor poll PORT INTERVAL     asks a Modbus TCP server for 64 inputs every INTERVAL milliseconds, for ever

#include "bench.h"

// What a write-ahead log writes for one page: its header of 24 bytes and 4096.
enum { page = 4120, file_size = 16 << 20 };

// A file with all its blocks in place, as a log that is written round and round. Only data is synced, never a new size.
static int open_log(const char *name) {
    int file = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) die(name);
    if (lseek(file, 0, SEEK_END) >= file_size) return file;
    static char zeros[1 << 20];
    for (int part = 0; part < file_size / (int)sizeof zeros; part++)
        if (pwrite(file, zeros, sizeof zeros, (off_t)part * (off_t)sizeof zeros) != sizeof zeros) die(name);
    if (fsync(file)) die(name);
    return file;
}

static nanoseconds append(int file, size_t bytes) {
    static off_t at;
    static char data[file_size / 2];
    if (bytes > sizeof data) bytes = sizeof data;
    nanoseconds begin = now();
    memset(data, (int)begin, bytes);
    if (at + (off_t)bytes > file_size) at = 0;
    if (pwrite(file, data, bytes, at) != (ssize_t)bytes || fdatasync(file)) die("append");
    at += (off_t)bytes;
    return now() - begin;
}

// One frame out and its answer in. Each frame is another event, with the next sequence number, so that a receiver that
// knows repeats stores each of them; the texts differ between processes too.
static nanoseconds trip(int socket, size_t size) {
    static int number;
    static int sequence;
    static unsigned text;
    if (!number) text = (unsigned)now() ^ (unsigned)getpid() << 20;
    number++;
    sequence = sequence % 9999 + 1;
    char body[1024], frame[1100], answer[256], stamp[32];
    time_t seconds = time(NULL);
    nanoseconds begin = now();
    strftime(stamp, sizeof stamp, "_%H:%M:%S,%m-%d-%Y", gmtime(&seconds));
    int length = snprintf(
        body, sizeof body, "\"SIA-DCS\"%04dL0#4711[#4711|NFA1|AFLOOR %08x %d", sequence, text, number);
    int rest = (int)size - 10 - length - (int)strlen(stamp) - 1;
    length += snprintf(
        body + length, sizeof body - (size_t)length, "%*s]%s", rest > 0 && rest < 500 ? rest : 0, "", stamp);
    send_all(socket, frame, make_frame(frame, body, (size_t)length));
    for (size_t used = 0;;) {
        ssize_t count = recv(socket, answer + used, sizeof answer - used, 0);
        if (count <= 0) die("no answer");
        used += (size_t)count;
        if (memchr(answer, '\r', used)) break;
        if (used == sizeof answer) die("an answer that never ends");
    }
    nanoseconds end = now();
    if (!strstr(answer, "\"ACK\"")) {
        fprintf(stderr, "the receiver did not say ACK but %.60s\n", answer);
        exit(1);
    }
    return end - begin;
}

static void serve(const char *name, int port, size_t size) {
    int file = open_log(name), socket = -1;
    while (true) {
        long count = 1, bytes = page;
        char *line = command(true);
        bool isPair = !strcmp(line, "pair"), isTrips = sscanf(line, "trips %ld", &count) == 1;
        if (!isPair && !isTrips) sscanf(line, "append %ld %ld", &count, &bytes);
        if ((isPair || isTrips) && socket < 0) {
            socket = connect_to(port);
            trip(socket, size);  // the first on a connection pays for more than a trip
        }
        for (long i = 0; i < count; i++) {
            if (isPair) printf("%lld ", (long long)append(file, page));
            printf("%lld ", (long long)(isPair || isTrips ? trip(socket, size) : append(file, (size_t)bytes)));
        }
        printf("\n");
        fflush(stdout);
    }
}

static void poll_for_ever(int port, int interval) {
    int socket = connect_to(port);
    const unsigned char request[] = {0, 1, 0, 0, 0, 6, 1, 2, 0, 0, 0, 64};
    char answer[260];
    while (true) {
        send_all(socket, (const char *)request, sizeof request);
        if (recv(socket, answer, sizeof answer, 0) <= 0) exit(0);
        poll(NULL, 0, interval);
    }
}

int main(int count, char **words) {
    if (count == 5 && !strcmp(words[1], "serve")) {
        serve(words[2], atoi(words[3]), (size_t)atoi(words[4]));
    } else if (count == 5 && !strcmp(words[1], "first")) {
        int file = open(words[2], O_RDWR | O_CLOEXEC);
        if (file < 0) die(words[2]);
        append(file, page);
        trip(connect_to(atoi(words[3])), (size_t)atoi(words[4]));
    } else if (count == 4 && !strcmp(words[1], "poll")) {
        poll_for_ever(atoi(words[2]), atoi(words[3]));
    } else {
        fprintf(stderr, "usage: floor serve|first FILE PORT SIZE, floor poll PORT MILLISECONDS\n");
        return 2;
    }
}
