// The words of an operation, and the parts of results that operations have in common.
// Models   A line is words; `R OFF PAGES` is a place, MODE[+FLAG...] a mode, NODES a mask. A result
//          is what lies between begin_result() and end_result().
#ifndef PROBE_WORDS_H
#define PROBE_WORDS_H
#include "machine.h"

#define MAX_WORDS 24
#define UNSET (-100000)
#define LIST_PAGES (4u << 20)
#define MAX_NODE_BITS 1024
#define CALL_SET_HOME 450
#define FLAG_STATIC 0x8000
#define FLAG_RELATIVE 0x4000
#define FLAG_BALANCING 0x2000

static int *list;           // one int a page of the region that is being told
static char *words[MAX_WORDS];
static int nr_words;
static const char *op_line; // the operation as it was written
static int case_number, op_number;

static const char *const MODES[] = {"default",    "preferred", "bind",
                                    "interleave", "local",     "preferred_many"};

static const char *list_name(int value) {
  return value == UNSET ? "unset" : errno_name(value);
}

/** Takes a line apart. */
static void take_words(const char *line) {
  static char copy[1024];
  op_line = line;
  snprintf(copy, sizeof copy, "%s", line);
  nr_words = 0;
  for (char *part = strtok(copy, " \t"); part != NULL; part = strtok(NULL, " \t"))
    if (nr_words < MAX_WORDS) words[nr_words++] = part;
}

static const char *word(int i) {
  return i < nr_words ? words[i] : "";
}

static int has_word(const char *text) {
  for (int i = 0; i < nr_words; i++)
    if (strcmp(words[i], text) == 0) return 1;
  return 0;
}

/** Value of `key=NUMBER` among the words. */
static int get_option(const char *key, long *value) {
  size_t n = strlen(key);
  for (int i = 0; i < nr_words; i++) {
    if (strncmp(words[i], key, n) != 0 || words[i][n] != '=') continue;
    *value = strtol(words[i] + n + 1, NULL, 0);
    return 1;
  }
  return 0;
}

static long option(const char *key, long otherwise) {
  get_option(key, &otherwise);
  return otherwise;
}

static int is_number(const char *text) {
  return isdigit((unsigned char)*text) || (*text == '-' && isdigit((unsigned char)text[1]));
}

static int task_number(const char *text) {
  int t;
  return sscanf(text, "T%d", &t) == 1 && t >= 0 && t < MAX_TASKS ? t : -1;
}

/** MODE[+FLAG...] as the kernel's number; a number stands for itself. */
static long mode_of(const char *text) {
  char copy[128];
  long mode = 0;
  snprintf(copy, sizeof copy, "%s", text);
  for (char *part = strtok(copy, "+"); part != NULL; part = strtok(NULL, "+")) {
    if (strcmp(part, "static") == 0) mode |= FLAG_STATIC;
    else if (strcmp(part, "relative") == 0) mode |= FLAG_RELATIVE;
    else if (strcmp(part, "numa_balancing") == 0) mode |= FLAG_BALANCING;
    else if (is_number(part)) mode |= strtol(part, NULL, 0);
    for (int i = 0; i < 6; i++)
      if (strcmp(part, MODES[i]) == 0) mode |= i;
  }
  return mode;
}

/** Fills a mask from NODES; answers the address to hand over: nothing for `none`. */
static long mask_of(const char *text, unsigned char *mask) {
  int nodes[MASK_BYTES];
  memset(mask, 0, MASK_BYTES);
  if (strcmp(text, "badptr") == 0) return 8;
  if (strcmp(text, "none") == 0 || *text == '\0') return 0;
  int n = parse_list(text, nodes, MASK_BYTES);
  for (int i = 0; i < n; i++)
    if (nodes[i] < MASK_BYTES * 8) mask[nodes[i] / 8] |= (unsigned char)(1 << nodes[i] % 8);
  return (long)mask;
}

static long maxnode_of(long mask) {
  return option("maxnode", mask == 0 ? 0 : MAX_NODE_BITS);
}

static void out_mask(const unsigned char *mask) {
  int n = 0;
  out_f("[");
  for (int i = 0; i < MAX_NODE_BITS; i++)
    if (mask[i / 8] >> i % 8 & 1) out_f(n++ > 0 ? ",%d" : "%d", i);
  out_f("]");
}

/** The text after the first `n` words, without quotes. */
static const char *rest_after(int n) {
  static char text[512];
  const char *at = op_line;
  for (int i = 0; i < n; i++) {
    at += strspn(at, " ");
    at += strcspn(at, " ");
  }
  at += strspn(at, " ");
  snprintf(text, sizeof text, "%s", at);
  size_t used = strlen(text);
  if (used >= 2 && text[0] == '"' && text[used - 1] == '"') {
    text[used - 1] = '\0';
    memmove(text, text + 1, used - 1);
  }
  if (text[0] == '\0') strcpy(text, "\n"); // a write of nothing would not reach the kernel
  return text;
}

// ---- results ------------------------------------------------------------------------------------

static void begin_result(void) {
  out_f("@{\"case\":%d,\"i\":%d,\"result\":{", case_number, op_number);
}

static void out_ret(long ret) {
  out_f("\"ret\":");
  if (ret < 0 && ret > -4096) out_string(errno_name((int)ret));
  else out_f("%ld", ret);
}

/** A task that did not come back from an operation. `progress` names its count of pages, if any. */
static void out_lost(int t, enum outcome outcome, const char *progress) {
  if (outcome == LIVELOCK)
    out_f("\"ret\":\"LIVELOCK\",\"note\":\"the page fault is retried for ever (allocation fails "
          "without an OOM kill); task killed by the probe\"");
  else if (outcome == LATE) out_f("\"ret\":\"ETIMEOUT\"");
  else out_f("\"ret\":\"KILLED\",\"killedBy\":\"%s\"", signal_name(tasks[t].signal));
  if (progress != NULL) out_f(",\"%s\":%ld", progress, shared->progress);
}

/** Tells the outcome of a call whose return value is all there is; 1 if it came back. */
static int out_outcome(int t, enum outcome outcome) {
  if (outcome != DONE) out_lost(t, outcome, NULL);
  else if (shared->signal != 0) out_f("\"ret\":\"%s\"", signal_name(shared->signal));
  else out_ret(shared->ret);
  return outcome == DONE && shared->signal == 0;
}

/** Answers 1, as an operation of the controller that was understood does. */
static int out_done(long ret) {
  out_ret(ret);
  return 1;
}

static void end_result(void) {
  drain_log();
  drop_pins(0);
  await_victims();
  out_died();
  out_log();
  out_f("}}");
  out_line();
}

static int not_understood(void) {
  out_used = 0;
  out_f("@{\"case\":%d,\"i\":%d,\"error\":", case_number, op_number);
  char text[300];
  snprintf(text, sizeof text, "not understood: %s", op_line);
  out_string(text);
  out_f("}");
  out_line();
  return 0;
}

// ---- places -------------------------------------------------------------------------------------

/** The words R OFF PAGES from word `at` on. */
struct place {
  int region;
  struct region *is;
  uintptr_t address;
  long offset, pages, page_bytes;
};

/**
 * Where page 0 of a region is. A shift moves the mapping, not what offsets count from. A region
 * that is too long for its slot lies above all slots.
 */
static uintptr_t region_base(int region, long bytes, long page_bytes) {
  uintptr_t small = (64 + (uintptr_t)region) * REGION_STEP;
  int has_room = bytes <= (long)REGION_STEP && small % (uintptr_t)page_bytes == 0;
  return has_room ? small : (4 + (uintptr_t)region) * LARGE_STEP;
}

static int place_of(int t, int at, struct place *place) {
  int region;
  if (sscanf(word(at), "R%d", &region) != 1 || region < 0 || region >= MAX_REGIONS) return 0;
  struct region *is = &tasks[t].regions[region];
  if (is->page_bytes == 0) is->page_bytes = 4096;
  place->region = region;
  place->is = is;
  place->page_bytes = is->page_bytes;
  place->offset = is_number(word(at + 1)) ? atol(word(at + 1)) : is->shift;
  place->pages = is_number(word(at + 2)) ? atol(word(at + 2))
                                         : is->pages - (place->offset - is->shift);
  place->address = (is->base == 0 ? region_base(region, 0, 1) : is->base) +
                   (uintptr_t)(place->offset * is->page_bytes);
  return 1;
}

/** Tells the inode number of what is mapped at an address. */
static void out_inode(int t, uintptr_t address) {
  if (slurp_f("/proc/%d/maps", tasks[t].pid) < 0) return;
  for (char *line = strtok(file_text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    unsigned long from, to, inode;
    if (sscanf(line, "%lx-%lx %*s %*s %*s %lu", &from, &to, &inode) == 3 && from == address)
      out_f(",\"ino\":%lu", inode);
  }
}

/** Answers for a task that is not there; 1 if it did. */
static int tell_absent(int t) {
  if (tasks[t].life == LIFE_ALIVE) return 0;
  begin_result();
  if (tasks[t].life == LIFE_NONE) out_f("\"ret\":\"ENOTASK\"");
  else if (tasks[t].life == LIFE_EXITED) out_f("\"ret\":\"DEAD\"");
  else out_f("\"ret\":\"DEAD\",\"killedBy\":\"%s\"", signal_name(tasks[t].signal));
  end_result();
  return 1;
}

/**
 * Tells the outcome of a call whose return value is all there is to tell: the whole of most
 * operations' results.
 */
static int tell_outcome(int t, enum outcome outcome) {
  begin_result();
  out_outcome(t, outcome);
  end_result();
  return 1;
}
#endif
