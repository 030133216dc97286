/*
 * load: closed-loop load on one server on 127.0.0.1, the same work in three protocols.
 * generator.ts compiles it, runs it, and reads the one line of JSON that it prints.
 *   load MODE PROTOCOL PORT CLIENTS FLIGHT MS KEYS VALUE WRITES FIRST
 *   MODE      run      requests at random keys for a time
 *             absent   the same, but each asks for a key that nobody stores
 *             fill     every key stored once
 *             connect  all clients at once, each from its connect() to its first reply
 *   PROTOCOL  keyline, redis (RESP) or memcached (text)
 *   FLIGHT    requests in flight for each client
 *   MS        milliseconds at most; VALUE: bytes of each value; WRITES: percent of the requests
 *   FIRST     the number of the first of the keys
 *
 * Closed loop: a client sends a batch of FLIGHT requests with one write, waits for all of
 * the replies, and sends the next batch. It times the round trip of a batch.
 *
 * A batch is good if its first reply begins as it should and the whole has the expected number of
 * lines and of bytes (all values have the same length). A bad batch makes the exit code 1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { KEY_DIGITS = 10, READ_BYTES = 1 << 18, EVENTS_MAX = 256, DRAIN_MS = 10000 };
enum mode { RUN, ABSENT, FILL, CONNECT, MODES };

/* A request ready to be copied: only the digits of its key change. */
struct request {
  const char *text;
  size_t length, key_at;
  const char *head;
  long lines, bytes;
};

/* One connection, its batch, and what it still expects. */
struct client {
  int fd;
  bool wrong;
  char *out;
  const char *head;
  size_t out_length, out_sent;
  long batch, lines_due, bytes_due;
  uint64_t sent_ns;
};

static enum mode mode;
static long port, clients, flight, ms, keys, value, writes, first;
static struct request get, put, miss;
static struct client *all;
static char *incoming;
static int poller;
static long unsent, next_key, busy, answered, bad;

static void fail(const char *why) {
  fprintf(stderr, "load: %s\n", why);
  exit(1);
}

static uint64_t clock_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}
static uint64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

/* xorshift64: good enough to pick keys, and nearly free beside a request. */
static uint64_t random_number(void) {
  static uint64_t state = 0x9e3779b97f4a7c15;
  state ^= state << 13, state ^= state >> 7;
  return state ^= state << 17;
}

/* Round trips are counted in 64 buckets to each power of two nanoseconds: 1.6 % off at most. */
static uint64_t buckets[64 * 59], timed, longest_ns;

static void count_ns(uint64_t ns) {
  int shift = 57 - __builtin_clzll(ns | 64);
  buckets[ns < 64 ? ns : 64 * (shift + 1) + (ns >> shift) % 64]++;
  timed++, longest_ns = ns > longest_ns ? ns : longest_ns;
}

static double percentile_us(double share) {
  uint64_t seen = 0, i = 0;
  while ((seen += buckets[i]) <= share * timed) i++;
  return (i < 64 ? i : (64 + i % 64) << (i / 64 - 1)) / 1e3;
}

/* Its text around the key; how its reply begins, and the lines and bytes of that reply. */
static struct request request(const char *before, const char *after, const char *head, long lines,
                              long bytes) {
  char *text = malloc(strlen(before) + KEY_DIGITS + strlen(after) + 1);
  size_t length = sprintf(text, "%s%0*d%s", before, KEY_DIGITS, 0, after);
  return (struct request){text, length, strlen(before), head, lines, bytes};
}

static void speak(const char *protocol) {
  char *text = calloc(value + 1, 1), *after = malloc(value + 64);
  long digits = snprintf(NULL, 0, "%ld", value);
  memset(text, 'v', value);
  if (!strcmp(protocol, "keyline")) {
    sprintf(after, " %s\r\n", text);
    get = request("GET key:", "\r\n", "200", 1, 9 + value);
    put = request("PUT key:", after, "200", 1, 8);
    miss = request("GET nil:", "\r\n", "404", 1, 15);
  } else if (!strcmp(protocol, "redis")) {
    sprintf(after, "\r\n$%ld\r\n%s\r\n", value, text);
    get = request("*2\r\n$3\r\nGET\r\n$14\r\nkey:", "\r\n", "$", 2, 5 + digits + value);
    put = request("*3\r\n$3\r\nSET\r\n$14\r\nkey:", after, "+OK", 1, 5);
    miss = request("*2\r\n$3\r\nGET\r\n$14\r\nnil:", "\r\n", "$-1", 1, 5);
  } else if (!strcmp(protocol, "memcached")) {
    sprintf(after, " 0 0 %ld\r\n%s\r\n", value, text);
    get = request("get key:", "\r\n", "VAL", 3, 32 + digits + value);
    put = request("set key:", after, "STO", 1, 8);
    miss = request("get nil:", "\r\n", "END", 1, 5);
  } else fail("unknown protocol");
}

static void watch(struct client *c, int operation, uint32_t events) {
  struct epoll_event e = {.events = events, .data.ptr = c};
  if (epoll_ctl(poller, operation, c->fd, &e)) fail(strerror(errno));
}

/* Waits until it is connected, but not in the mode that measures just this. */
static void open_client(struct client *c) {
  struct sockaddr_in to = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {0}};
  c->fd = socket(AF_INET, SOCK_STREAM | (mode == CONNECT ? SOCK_NONBLOCK : 0), 0);
  if (c->fd < 0 || (connect(c->fd, (void *)&to, sizeof to) && errno != EINPROGRESS))
    fail(strerror(errno));
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

/* Writes the rest of a batch; what the socket doesn't take waits for EPOLLOUT. */
static void send_rest(struct client *c) {
  bool again = c->out_sent || mode == CONNECT;
  ssize_t sent = send(c->fd, c->out + c->out_sent, c->out_length - c->out_sent, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && mode != CONNECT) fail(strerror(errno));
  bool left = (c->out_sent += sent > 0 ? sent : 0) < c->out_length;
  if (left || again) watch(c, EPOLL_CTL_MOD, left ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void add(struct client *c, const struct request *r, uint64_t key) {
  char *to = c->out + c->out_length;
  memcpy(to, r->text, r->length);
  for (int i = KEY_DIGITS; i-- > 0; key /= 10) to[r->key_at + i] = '0' + key % 10;
  if (!c->out_length) c->head = r->head;
  c->out_length += r->length;
  c->lines_due += r->lines, c->bytes_due += r->bytes;
}

/* Sends the next batch; false if there is nothing left to send. */
static bool begin(struct client *c) {
  c->batch = flight < unsent ? flight : unsent;
  if (!c->batch) return false;
  unsent -= c->batch;
  c->out_length = c->out_sent = c->lines_due = c->bytes_due = c->wrong = 0;
  for (long i = 0; i < c->batch; i++) {
    bool store = mode == FILL || (mode == RUN && (long)(random_number() % 100) < writes);
    uint64_t key = first + (mode == FILL ? (uint64_t)next_key++ : random_number() % keys);
    add(c, store ? &put : mode == RUN ? &get : &miss, key);
  }
  c->sent_ns = now_ns();
  send_rest(c);
  return true;
}

/* Reads what has arrived; true when the batch is complete, good or bad. */
static bool receive(struct client *c) {
  ssize_t got = read(c->fd, incoming, READ_BYTES);
  if (got < 0 && errno == EAGAIN) return false;
  if (got <= 0) { /* fatal, except in the mode connect, which then has one client less */
    if (mode != CONNECT) fail(got ? strerror(errno) : "the server closed a connection");
    return close(c->fd), ++bad;
  }
  size_t head = strlen(c->head);
  c->wrong |= memcmp(incoming, c->head, (size_t)got < head ? (size_t)got : head) != 0;
  c->head = "";
  for (char *p = incoming, *end = p + got; (p = memchr(p, '\n', end - p)); p++) c->lines_due--;
  c->bytes_due -= got;
  if (c->lines_due > 0) return false;
  if (c->wrong || c->lines_due || c->bytes_due)
    if (!bad++) fprintf(stderr, "load: bad reply: %.*s\n", (int)(got < 80 ? got : 80), incoming);
  count_ns(now_ns() - c->sent_ns);
  answered += c->batch;
  return true;
}

static void serve_events(int wait_ms) {
  struct epoll_event ready[EVENTS_MAX];
  int count = epoll_wait(poller, ready, EVENTS_MAX, wait_ms);
  for (struct epoll_event *e = ready; e < ready + count; e++) {
    struct client *c = e->data.ptr;
    if (e->events & EPOLLOUT && c->out_sent < c->out_length) send_rest(c);
    if (e->events & ~EPOLLOUT && receive(c) && !begin(c)) busy--;
  }
}

int main(int argc, char **argv) {
  const char *modes[] = {"run", "absent", "fill", "connect"};
  long *numbers[] = {&port, &clients, &flight, &ms, &keys, &value, &writes, &first};
  while (argc == 11 && mode < MODES && strcmp(argv[1], modes[mode])) mode++;
  if (argc != 11 || mode == MODES) fail("usage: see the top of load.c");
  for (int i = 0; i < 8; i++) *numbers[i] = atol(argv[i + 3]);
  if (clients < 1 || flight < 1 || keys < 1 || value < 1) fail("a count must be 1 at least");
  speak(argv[2]);

  alarm((ms + DRAIN_MS) / 1000 + 20); /* whatever happens, it exits */
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  setrlimit(RLIMIT_NOFILE, &(struct rlimit){files.rlim_max, files.rlim_max});
  poller = epoll_create1(0), incoming = malloc(READ_BYTES), all = calloc(clients, sizeof *all);
  for (struct client *c = all; c < all + clients; c++) {
    c->out = malloc(flight * (put.length > get.length ? put.length : get.length));
    if (mode != CONNECT) open_client(c);
  }

  uint64_t start = now_ns(), end = start + ms * 1000000, cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  unsent = mode == FILL ? keys : INT32_MAX;
  for (struct client *c = all; c < all + clients; c++) {
    uint64_t before = now_ns();
    if (mode == CONNECT) open_client(c), unsent = 1;
    busy += begin(c);
    if (mode == CONNECT) c->sent_ns = before, serve_events(0);
  }
  while (busy > 0 && now_ns() < end) serve_events(100);
  double seconds = (now_ns() - start) / 1e9, rate = answered / seconds;
  double share = (clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) / 1e9 / seconds;

  /* Batches in flight now are timed but not counted: the longest wait may be among them. */
  end += DRAIN_MS * 1000000ul;
  for (unsent = 0; busy > 0 && now_ns() < end;) serve_events(100);
  if (busy > 0) fprintf(stderr, "load: %ld clients without all of their replies\n", busy);
  if (!timed) fail("nothing was answered");
  printf("{\"seconds\":%.3f,\"requestsPerS\":%.0f,\"p50Us\":%.1f,\"p99Us\":%.1f,\"p999Us\":%.1f,"
         "\"maxUs\":%.1f,\"bad\":%ld,\"generatorCpu\":%.2f}\n",
         seconds, rate, percentile_us(.5), percentile_us(.99), percentile_us(.999),
         longest_ns / 1e3, bad + busy, share);
  return bad + busy > 0;
}
