/*
 * flood: what one client that floods a server does to polite ones, each of which sends a GET every
 * so often and waits for the reply. flood.ts compiles it, runs it, and reads the one line of JSON
 * that it prints.
 *   flood PORT PID MS HELLO FLOOD UNIT
 *   PID    the server, whose main thread serves
 *   MS     for how many milliseconds to measure
 *   HELLO  what polite clients send first, which has one short reply
 *   FLOOD  what the flooding client sends first; empty: nothing
 *   UNIT   what it repeats, in hexadecimal; empty: there is no flood
 *
 * Each round trip is timed twice: by the clock, and by how long the server's main thread was
 * running meanwhile (/proc/PID/task/PID/schedstat). The second is the server's own time: other
 * programs on the machine add nothing to it, and neither do these clients.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS = 50, GET_EVERY_MS = 50, TRIPS_MAX = 1 << 18, READ_BYTES = 1 << 18 };
enum { RATE_BYTES_PER_MS = 1500, PACKET_BYTES = 16384, FLOOD_FIRST_MS = 1000 };
static const char GET[] = "GET key:0000000001\n";

/* A polite client: when it asks next, and when and at which own time it asked. */
struct client {
  int fd;
  bool waits;
  double due_ms, asked_ms, asked_own_ms;
};

static int port, schedstat;
static const char *flood_hello;
static char packet[PACKET_BYTES];
static size_t packet_bytes;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static double now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

/* How long the server's main thread has run. */
static double own_ms(void) {
  char text[128] = "";
  if (pread(schedstat, text, sizeof text - 1, 0) <= 0) fail("read schedstat");
  return strtoull(text, NULL, 10) / 1e6;
}

static int connected(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
  struct sockaddr_in to = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) fail("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  return fd;
}

static void send_all(int fd, const char *bytes, size_t length) {
  for (size_t sent = 0; sent < length;) {
    ssize_t more = write(fd, bytes + sent, length - sent);
    if (more <= 0) fail("write");
    sent += more;
  }
}

static void take_reply(int fd) {
  char reply[4096];
  if (read(fd, reply, sizeof reply) <= 0 || reply[0] != '2') fail("no reply of 200");
}

/* Takes what comes, and looks at none of it. */
static void *drain(void *fd) {
  static char bytes[READ_BYTES];
  while (read(*(int *)fd, bytes, sizeof bytes) > 0) continue;
  return NULL;
}

static void *flood(void *unused) {
  static int fd;
  pthread_t drainer;
  fd = connected();
  pthread_create(&drainer, NULL, drain, &fd);
  send_all(fd, flood_hello, strlen(flood_hello));
  double started_ms = now_ms();
  for (double sent = 0;; sent += packet_bytes) {
    double early_ms = sent / RATE_BYTES_PER_MS - (now_ms() - started_ms);
    if (early_ms > 0) usleep(early_ms * 1e3);
    send_all(fd, packet, packet_bytes);
  }
  return unused;
}

static int by_size(const void *a, const void *b) {
  double difference = *(const double *)a - *(const double *)b;
  return difference < 0 ? -1 : difference > 0;
}

static void print(const char *name, double *times, size_t count) {
  qsort(times, count, sizeof *times, by_size);
  printf("\"%s\": {\"p50\": %.3f, \"p99\": %.3f, \"longest\": %.3f}", name, times[count / 2],
         times[count * 99 / 100], times[count - 1]);
}

int main(int count, char **args) {
  if (count != 7) return fputs("usage: flood PORT PID MS HELLO FLOOD UNIT\n", stderr), 2;
  static double trips[TRIPS_MAX], own[TRIPS_MAX];
  static struct client all[CLIENTS];
  char path[64];
  signal(SIGPIPE, SIG_IGN);
  port = atoi(args[1]);
  snprintf(path, sizeof path, "/proc/%d/task/%d/schedstat", atoi(args[2]), atoi(args[2]));
  if ((schedstat = open(path, O_RDONLY)) < 0) fail(path);
  flood_hello = args[5];
  size_t unit = strlen(args[6]) / 2;
  for (; unit > 0 && packet_bytes + unit <= PACKET_BYTES; packet_bytes += unit)
    for (size_t i = 0; i < unit; i++) sscanf(args[6] + 2 * i, "%2hhx", &packet[packet_bytes + i]);
  for (int i = 0; i < CLIENTS; i++) {
    all[i].fd = connected();
    send_all(all[i].fd, args[4], strlen(args[4]));
    take_reply(all[i].fd);
  }
  pthread_t flooder;
  if (unit > 0) pthread_create(&flooder, NULL, flood, NULL);
  usleep(FLOOD_FIRST_MS * 1e3);
  double started_ms = now_ms();
  for (int i = 0; i < CLIENTS; i++) all[i].due_ms = started_ms + (double)GET_EVERY_MS * i / CLIENTS;
  size_t done = 0;
  while (now_ms() - started_ms < atoi(args[3]) && done < TRIPS_MAX - CLIENTS) {
    struct pollfd polled[CLIENTS];
    double next_ms = now_ms() + GET_EVERY_MS;
    for (int i = 0; i < CLIENTS; i++) {
      struct client *each = &all[i];
      if (!each->waits && each->due_ms <= now_ms()) {
        each->asked_ms = now_ms();
        each->asked_own_ms = own_ms();
        each->waits = true;
        send_all(each->fd, GET, sizeof GET - 1);
      }
      if (!each->waits && each->due_ms < next_ms) next_ms = each->due_ms;
      polled[i] = (struct pollfd){.fd = each->fd, .events = each->waits ? POLLIN : 0};
    }
    double wait_ms = next_ms - now_ms();
    struct timespec wait = {.tv_nsec = wait_ms > 0 ? wait_ms * 1e6 : 0};
    ppoll(polled, CLIENTS, &wait, NULL);
    for (int i = 0; i < CLIENTS; i++) {
      struct client *each = &all[i];
      if (!polled[i].revents) continue;
      take_reply(each->fd);
      trips[done] = now_ms() - each->asked_ms;
      own[done++] = own_ms() - each->asked_own_ms;
      each->waits = false;
      each->due_ms = each->asked_ms + GET_EVERY_MS;
    }
  }
  if (done == 0) return fputs("no reply came in time\n", stderr), 1;
  fputs("{", stdout);
  print("trips", trips, done);
  fputs(", ", stdout);
  print("own", own, done);
  puts("}");
  return 0;
}
