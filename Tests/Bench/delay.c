// A long line: a TCP relay that hands on every byte after half a round trip, in order, as many at a time as come. It holds
// nothing up but time: what the line itself can carry is measured by floors that go through it.
//
//   delay PORT TARGET MILLISECONDS   from PORT to TARGET, both on this computer; there and back take so long

#include "bench.h"

enum { max_ways = 256 };

struct chunk {
    struct chunk *next;
    nanoseconds due;
    ssize_t size;  // 0: the end
    char bytes[];
};

// One direction of a connection; the other is its neighbour, at the index with the last bit turned.
struct way {
    int from, to;
    struct chunk *first, **end;
};

static struct way ways[max_ways];
static int way_count;

static void open_way(int from, int to) {
    struct way *way = &ways[way_count++];
    *way = (struct way){.from = from, .to = to};
}

static void hang_up(int index) {
    int base = index & ~1;
    close(ways[base].to);
    close(ways[base + 1].to);
    for (int i = base; i < base + 2; i++)
        for (struct chunk *chunk = ways[i].first, *next; chunk; chunk = next) {
            next = chunk->next;
            free(chunk);
        }
    way_count -= 2;
    if (base == way_count) return;
    ways[base] = ways[way_count];
    ways[base + 1] = ways[way_count + 1];
}

static void take_in(struct way *way, nanoseconds delay) {
    static char bytes[65536];
    ssize_t count = recv(way->from, bytes, sizeof bytes, 0);
    if (count < 0) count = 0;
    struct chunk *chunk = malloc(sizeof *chunk + (size_t)count);
    if (!chunk) die("memory");
    *chunk = (struct chunk){.due = now() + delay, .size = count};
    memcpy(chunk->bytes, bytes, (size_t)count);
    if (!way->first) way->end = &way->first;
    *way->end = chunk;
    way->end = &chunk->next;
    if (!count) way->from = -way->from - 1;  // listened to no more
}

static int listened(const struct way *way) { return way->from < 0 ? -1 : way->from; }

// What is due goes on. False when the end has come.
static bool hand_on(struct way *way, nanoseconds time) {
    while (way->first && way->first->due <= time) {
        struct chunk *chunk = way->first;
        bool isEnd = !chunk->size || send(way->to, chunk->bytes, (size_t)chunk->size, MSG_NOSIGNAL) != chunk->size;
        way->first = chunk->next;
        free(chunk);
        if (isEnd) return false;
    }
    return true;
}

int main(int count, char **words) {
    if (count != 4) {
        fprintf(stderr, "usage: delay PORT TARGET MILLISECONDS\n");
        return 2;
    }
    int listener = listen_on(atoi(words[1])), target = atoi(words[2]);
    nanoseconds delay = (nanoseconds)(atof(words[3]) * 1e6 / 2);
    puts("ready");
    fflush(stdout);
    while (true) {
        struct pollfd polled[max_ways + 2] = {{0, POLLIN, 0}, {listener, POLLIN, 0}};
        nanoseconds next = now() + 1000000000;
        int polled_count = way_count;
        for (int i = 0; i < polled_count; i++) {
            polled[i + 2] = (struct pollfd){listened(&ways[i]), POLLIN, 0};
            if (ways[i].first && ways[i].first->due < next) next = ways[i].first->due;
        }
        nanoseconds rest = next - now();
        struct timespec time = {rest > 0 ? rest / 1000000000 : 0, rest > 0 ? rest % 1000000000 : 0};
        if (ppoll(polled, (nfds_t)polled_count + 2, &time, NULL) < 0) die("poll");
        if (polled[0].revents) command(false);  // ends with whoever started it
        for (int i = 0; i < polled_count; i++)
            if (polled[i + 2].revents) take_in(&ways[i], delay);
        nanoseconds moment = now();
        for (int i = way_count - 1; i >= 0; i--)
            if (i < way_count && !hand_on(&ways[i], moment)) hang_up(i);
        if (polled[1].revents && way_count + 2 <= max_ways) {
            int near = accept_from(listener);
            struct sockaddr_in address;
            int far = tcp_socket(target, &address);
            if (near >= 0 && !connect(far, (struct sockaddr *)&address, sizeof address)) {
                open_way(near, far);
                open_way(far, near);
            } else {
                close(near);
                close(far);
            }
        }
    }
}
