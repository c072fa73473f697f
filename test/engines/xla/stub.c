// A PJRT plugin that computes nothing: its buffers count, and its n-th call fails. For tests of what becomes of errors.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int calls, failing, buffers, events, executables, clients, count;

void stub_devices(int n) { count = n; }
void stub_fail_at(int n) { calls = 0; failing = n; }
int stub_calls(void) { return calls; }
int stub_alive(int what) { return what == 0 ? buffers : what == 1 ? events : what == 2 ? executables : clients; }

typedef uint64_t word;
#define AT(args, offset) (*(word *)((char *)(args) + (offset)))
#define INT(args, offset) (*(int32_t *)((char *)(args) + (offset)))
static const char refusal[] = "the stub fails here";

static void *fail(void) { return malloc(1); }
#define CALL() if (++calls == failing) return fail()

static void *error_destroy(void *a) { free((void *)AT(a, 16)); return 0; }
static void *error_message(void *a) { AT(a, 24) = (word)refusal; AT(a, 32) = sizeof refusal - 1; return 0; }
static void *error_code(void *a) { INT(a, 24) = 13; return 0; }
static void *initialize(void *a) { (void)a; CALL(); return 0; }
static void *event_destroy(void *a) { (void)a; events--; CALL(); return 0; }
static void *event_ready(void *a) { (void)a; CALL(); return 0; }
static void *event_await(void *a) { (void)a; CALL(); return 0; }
static void *client_create(void *a) { CALL(); clients++; AT(a, 64) = 1; return 0; }
static void *client_destroy(void *a) { (void)a; clients--; CALL(); return 0; }
static void *platform(void *a) { CALL(); AT(a, 24) = (word)"stub"; AT(a, 32) = 4; return 0; }
static word device[4] = {1, 2, 3, 4};
static void *devices(void *a) {
  CALL();
  const char *named = getenv("STUB_DEVICES");
  if (count == 0) count = named ? atoi(named) : 1;
  AT(a, 24) = (word)device; AT(a, 32) = count; return 0; }
static void *description(void *a) { CALL(); AT(a, 24) = AT(a, 16); return 0; }
static void *device_id(void *a) { CALL(); INT(a, 24) = AT(a, 16) - 1; return 0; }

// The number of results, which a stub cannot know: the commas of the last line that returns, and one.
static void *compile(void *a) {
  CALL();
  char *code = (char *)AT(AT(a, 24), 16);
  word size = AT(AT(a, 24), 24), last = 0, results = 0;
  for (word i = 0; i + 11 < size; i++) if (!memcmp(code + i, "    return ", 11)) last = i + 11;
  if (last) for (results = 1; last < size && code[last] != ':'; last++) results += code[last] == ',';
  executables++;
  AT(a, 48) = results + 1;
  return 0;
}
static void *executable_destroy(void *a) { (void)a; executables--; CALL(); return 0; }
static void *upload(void *a) { CALL(); buffers++; events++; AT(a, 104) = 1; AT(a, 112) = 1; return 0; }
static void *execute(void *a) {
  CALL();
  word results = AT(a, 16) - 1;
  word devices = AT(a, 40);
  for (word d = 0; d < devices; d++) {
    word *made = ((word **)AT(a, 56))[d];
    for (word i = 0; i < results; i++) made[i] = 1;
  }
  buffers += (int)(devices * results);
  return 0;
}
static void *buffer_destroy(void *a) { (void)a; buffers--; CALL(); return 0; }
static void *to_host(void *a) {
  CALL();
  memset((void *)AT(a, 32), 0, AT(a, 40));
  events++;
  AT(a, 48) = 1;
  return 0;
}

static struct { word size, extension, version[3]; void *functions[128]; } api;

void *GetPjrtApi(void) {
  api.size = sizeof api;
  ((int32_t *)&api)[8] = 0;
  ((int32_t *)&api)[9] = 115;
  void **f = api.functions;
  f[0] = error_destroy; f[1] = error_message; f[2] = error_code; f[3] = initialize; f[5] = event_destroy;
  f[6] = event_ready; f[8] = event_await; f[10] = client_create; f[11] = client_destroy; f[12] = platform;
  f[14] = platform; f[16] = devices; f[20] = compile; f[22] = upload; f[23] = device_id; f[29] = description; f[50] = executable_destroy;
  f[55] = execute; f[58] = buffer_destroy; f[70] = to_host;
  return &api;
}
