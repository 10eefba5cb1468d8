// The test program: the first process of a guest, which does operations on the kernel it runs on
// and says on the serial line what came of them.
// Models   The operations of the scenario language, one result a line; see README.md.
// Notes    This process is the controller: it is under no policy and in no tested cpuset. What a
//          task does, a process of its own does (task.h).
// Holds    One line of output is one write(); a case leaves nothing behind for the next.
#include "machine.h"
#include "services.h"
#include <linux/mempolicy.h>
#include <sys/reboot.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>

#define MAX_WORDS 24
#define UNSET (-100000)
#define LIST_PAGES (4u << 20)
#define MAX_NODE_BITS 1024
#define CALL_SET_HOME 450
#define MODE_PREFERRED_MANY 5
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

// ---- words of an operation ----------------------------------------------------------------------

static const char *list_name(int value) {
  return value == UNSET ? "unset" : errno_name(value);
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

static void end_result(void) {
  drain_log();
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

/** Where page 0 of a region is. A shift moves the mapping, not what offsets count from. */
static uintptr_t region_base(int region) {
  return (64 + (uintptr_t)region) * REGION_STEP;
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
  place->address = region_base(region) + (uintptr_t)(place->offset * is->page_bytes);
  return 1;
}

// ---- operations of a task -----------------------------------------------------------------------

static void out_inode(int t, uintptr_t address) {
  if (slurp_f("/proc/%d/maps", tasks[t].pid) < 0) return;
  for (char *line = strtok(file_text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    unsigned long from, to, inode;
    if (sscanf(line, "%lx-%lx %*s %*s %*s %lu", &from, &to, &inode) == 3 && from == address)
      out_f(",\"ino\":%lu", inode);
  }
}

static int op_mmap(int t) {
  struct place place;
  const char *kind = word(4);
  int is_huge = strstr(kind, "hugetlb") != NULL, is_shm = strncmp(kind, "shm", 3) == 0;
  if (!place_of(t, 2, &place) || !is_number(word(3))) return not_understood();
  long flags = MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE | (is_huge ? MAP_HUGETLB : 0);
  int is_shared = is_shm || strcmp(kind, "shared") == 0 || strcmp(kind, "hugetlb-shared") == 0;
  if (strcmp(kind, "anon-populate") == 0) flags |= MAP_POPULATE;
  else if (strcmp(kind, "anon-locked") == 0) flags |= MAP_LOCKED;
  else if (strcmp(kind, "anon") != 0 && strcmp(kind, "hugetlb-noreserve") != 0 && !is_shared &&
           strcmp(kind, "hugetlb") != 0)
    return not_understood();
  if (is_huge && strcmp(kind, "hugetlb-noreserve") != 0) flags &= ~(long)MAP_NORESERVE;
  struct region region = {atol(word(3)), is_huge ? 2l << 20 : 4096, option("shift", 0)};
  uintptr_t start = region_base(place.region) + (uintptr_t)(region.shift * region.page_bytes);
  enum outcome outcome;
  if (is_shm) {
    shared->verb = VERB_SHM;
    shared->address = start;
    shared->count = region.pages * region.page_bytes;
    shared->args[0] = 0600 | 01000 /* IPC_CREAT */ | (is_huge ? 04000 : 010000 /* NORESERVE */);
    shared->args[1] = 040000; // SHM_REMAP
    shared->args[2] = segment_key(place.region, is_huge);
    outcome = run(t);
  } else {
    flags |= is_shared ? MAP_SHARED : MAP_PRIVATE;
    outcome = run_call(t, SYS_mmap, (long)start, region.pages * region.page_bytes,
                       PROT_READ | PROT_WRITE, flags, -1, 0);
  }
  int is_made = outcome == DONE && shared->ret == (long)start;
  if (is_made) shared->ret = 0;
  begin_result();
  if (out_outcome(t, outcome) && is_made) {
    *place.is = region;
    out_f(",\"pageBytes\":%ld", region.page_bytes);
    if (is_shared) out_inode(t, start);
  }
  end_result();
  return 1;
}

static int op_range_call(int t, const char *name) {
  static const struct {
    const char *name;
    long advice;
  } ADVICES[] = {{"normal", 0},     {"random", 1},      {"sequential", 2},  {"willneed", 3},
                 {"dontneed", 4},   {"free", 8},        {"remove", 9},      {"dontfork", 10},
                 {"dofork", 11},    {"mergeable", 12},  {"unmergeable", 13}, {"hugepage", 14},
                 {"nohugepage", 15}, {"wipeonfork", 18}, {"keeponfork", 19}, {"cold", 20},
                 {"pageout", 21},   {"populate_read", 22}, {"populate_write", 23},
                 {"collapse", 25}};
  struct place place;
  long nr = SYS_munmap, advice = 0;
  if (!place_of(t, 2, &place)) return not_understood();
  if (strcmp(name, "mlock") == 0) nr = SYS_mlock;
  if (strcmp(name, "munlock") == 0) nr = SYS_munlock;
  if (strcmp(name, "madvise") == 0) {
    int i = 0;
    nr = SYS_madvise;
    while (i < 20 && strcmp(word(5), ADVICES[i].name) != 0) i++;
    if (i == 20 && !is_number(word(5))) return not_understood();
    advice = i < 20 ? ADVICES[i].advice : atol(word(5));
  }
  enum outcome outcome = run_call(t, nr, (long)place.address, place.pages * place.page_bytes,
                                  advice, 0, 0, 0);
  begin_result();
  out_outcome(t, outcome);
  end_result();
  return 1;
}

static int op_touch(int t, const char *name) {
  struct place place;
  int is_tables = strcmp(name, "tables") == 0, is_write = strcmp(name, "touch") == 0;
  const char *key = is_tables ? NULL : is_write ? "touched" : "read";
  if (!place_of(t, 2, &place)) return not_understood();
  shared->verb = is_write ? VERB_TOUCH : VERB_READ;
  shared->address = place.address;
  shared->count = is_tables ? (place.pages + 511) / 512 : place.pages;
  shared->step = place.page_bytes * (is_tables ? 512 : 1);
  enum outcome outcome = run(t);
  begin_result();
  if (outcome != DONE) out_lost(t, outcome, key);
  else {
    out_outcome(t, outcome);
    out_f(",\"%s\":%ld", is_tables ? "zeroPages" : key, shared->progress);
  }
  end_result();
  return 1;
}

/** Works on a range for some time, or fills it with a number. */
static int op_use(int t, enum verb verb) {
  struct place place;
  if (!place_of(t, 2, &place) || !is_number(word(5))) return not_understood();
  shared->verb = verb;
  shared->address = place.address;
  shared->count = place.pages;
  shared->step = place.page_bytes;
  shared->args[0] = atol(word(5));
  enum outcome outcome = run(t);
  begin_result();
  if (outcome != DONE) out_lost(t, outcome, "touched");
  else {
    out_outcome(t, outcome);
    out_f(",\"touched\":%ld", shared->progress);
  }
  end_result();
  return 1;
}

static int op_mbind(int t) {
  struct place place;
  if (!place_of(t, 2, &place) || nr_words < 7) return not_understood();
  long mask = mask_of(word(6), shared->mask);
  long flags = option("flags", 0) | has_word("strict") | has_word("move") << 1 |
               has_word("moveall") << 2 | has_word("lazy") << 3;
  enum outcome outcome =
      run_call(t, SYS_mbind, (long)place.address + option("addroff", 0),
               place.pages * place.page_bytes, mode_of(word(5)), mask, maxnode_of(mask), flags);
  begin_result();
  out_outcome(t, outcome);
  end_result();
  return 1;
}

static int op_set_home(int t) {
  struct place place;
  if (!place_of(t, 2, &place) || !is_number(word(5))) return not_understood();
  enum outcome outcome = run_call(t, CALL_SET_HOME, (long)place.address + option("addroff", 0),
                                  place.pages * place.page_bytes, atol(word(5)),
                                  option("flags", 0), 0, 0);
  begin_result();
  out_outcome(t, outcome);
  end_result();
  return 1;
}

static int op_set_mempolicy(int t) {
  long mask = mask_of(word(3), shared->mask);
  long maxnode = maxnode_of(mask);
  enum outcome outcome =
      run_call(t, SYS_set_mempolicy, (int)mode_of(word(2)), mask, maxnode, 0, 0, 0);
  begin_result();
  out_outcome(t, outcome);
  end_result();
  return 1;
}

static void out_policy(long mode) {
  static const char *const FLAGS[] = {"static", "relative", "numa_balancing"};
  static const int BITS[] = {FLAG_STATIC, FLAG_RELATIVE, FLAG_BALANCING};
  long bare = mode & ~(long)(FLAG_STATIC | FLAG_RELATIVE | FLAG_BALANCING);
  int n = 0;
  out_f(",\"mode\":\"%s\",\"flags\":[", bare >= 0 && bare < 6 ? MODES[bare] : "unknown");
  for (int i = 0; i < 3; i++)
    if (mode & BITS[i]) out_f("%s\"%s\"", n++ > 0 ? "," : "", FLAGS[i]);
  out_f("],\"nodes\":");
  out_mask(shared->mask);
}

/** The forms of get_mempolicy. */
static int op_get(int t, const char *name) {
  struct place place = {0};
  int is_at = strcmp(name, "policy_at") == 0, is_node_at = strcmp(name, "node_at") == 0;
  int is_next = strcmp(name, "next_node") == 0, is_mems = strcmp(name, "mems_allowed") == 0;
  int is_raw = strcmp(name, "get_raw") == 0;
  long flags = is_at ? MPOL_F_ADDR : is_node_at ? MPOL_F_NODE | MPOL_F_ADDR : is_next ? MPOL_F_NODE
               : is_mems ? MPOL_F_MEMS_ALLOWED : is_raw ? strtol(word(2), NULL, 0) : 0;
  long maxnode = is_raw ? atol(word(3)) : MAX_NODE_BITS;
  if ((is_at || is_node_at) && !place_of(t, 2, &place)) return not_understood();
  if (is_raw && nr_words > 4 && !place_of(t, 4, &place)) return not_understood();
  memset(shared->mask, 0, MASK_BYTES);
  shared->number = 0;
  int has_mask = is_node_at || is_next ? 0 : maxnode > 0;
  enum outcome outcome =
      run_call(t, SYS_get_mempolicy, (long)&shared->number, has_mask ? (long)shared->mask : 0,
               has_mask ? maxnode : 0, (long)place.address, flags, 0);
  begin_result();
  if (out_outcome(t, outcome) && shared->ret >= 0 && !is_raw) {
    if (is_node_at || is_next) out_f(",\"node\":%d", shared->number);
    else if (!is_mems) out_policy(shared->number);
    else {
      out_f(",\"nodes\":");
      out_mask(shared->mask);
      slurp_f("/proc/%d/status", tasks[t].pid);
      char *at = strstr(file_text, "Mems_allowed_list:");
      out_f(",\"status\":");
      out_list(at == NULL ? "" : at + strlen("Mems_allowed_list:") + 1);
    }
  }
  end_result();
  return 1;
}

static int op_cpu(int t) {
  cpu_set_t *cpus = (cpu_set_t *)shared->mask;
  memset(cpus, 0, sizeof *cpus);
  if (!is_number(word(2))) return not_understood();
  CPU_SET((size_t)atol(word(2)), cpus);
  shared->verb = VERB_CALL2;
  shared->nr = SYS_sched_setaffinity;
  memcpy(shared->args, (long[6]){0, sizeof *cpus, (long)cpus}, sizeof shared->args);
  shared->nr2 = SYS_getcpu;
  memcpy(shared->args2, (long[6]){(long)&shared->number, (long)&shared->number2},
         sizeof shared->args2);
  enum outcome outcome = run(t);
  begin_result();
  if (out_outcome(t, outcome) && shared->ret >= 0)
    out_f(",\"cpu\":%d,\"node\":%d", shared->number, shared->number2);
  end_result();
  return 1;
}

/** Process of `pid=`: a task's (dead ones too: the kernel is to refuse), or a number. */
static long pid_option(int t) {
  for (int i = 0; i < nr_words; i++) {
    if (strncmp(words[i], "pid=", 4) != 0) continue;
    int other = task_number(words[i] + 4);
    if (other < 0) return atol(words[i] + 4);
    return tasks[other].pid > 0 ? tasks[other].pid : 4000000;
  }
  return tasks[t].pid;
}

static int op_where(int t) {
  struct place place;
  if (!place_of(t, 2, &place) || place.pages > (long)LIST_PAGES) return not_understood();
  long ret = 0;
  for (long done = 0; done < place.pages && ret >= 0; done += MOVE_CHUNK) {
    long n = place.pages - done < MOVE_CHUNK ? place.pages - done : MOVE_CHUNK;
    for (long i = 0; i < n; i++)
      shared->pages[i] = (void *)(place.address + (uintptr_t)((done + i) * place.page_bytes));
    ret = call6(SYS_move_pages, tasks[t].pid, n, (long)shared->pages, 0, (long)(list + done), 0);
  }
  begin_result();
  out_ret(ret);
  if (ret >= 0) {
    out_f(",\"where\":");
    out_runs(list, (size_t)place.pages, list_name);
    out_f(",\"counts\":");
    out_counts(list, (size_t)place.pages, list_name);
  }
  end_result();
  return 1;
}

/** The node for page `i` from a list NODE[,NODE...] that is used in turn. */
static int nodes_in_turn(const char *text, int *nodes) {
  int n = 0;
  while (*text != '\0' && n < MAX_NODES) {
    char *end;
    nodes[n++] = (int)strtol(text, &end, 10);
    if (end == text) return 0;
    text = *end == ',' ? end + 1 : end;
  }
  return n;
}

static int op_move_pages(int t) {
  struct place place;
  int nodes[MAX_NODES], nr_nodes = nodes_in_turn(word(5), nodes);
  if (!place_of(t, 2, &place) || nr_nodes == 0 || place.pages > (long)LIST_PAGES)
    return not_understood();
  long flags = option("flags", has_word("moveall") ? MPOL_MF_MOVE_ALL : MPOL_MF_MOVE);
  long pid = pid_option(t), left = 0;
  enum outcome outcome = DONE;
  for (long i = 0; i < place.pages; i++) list[i] = UNSET;
  for (long done = 0; outcome == DONE && (done < place.pages || done == 0); done += MOVE_CHUNK) {
    long n = place.pages - done < MOVE_CHUNK ? place.pages - done : MOVE_CHUNK;
    for (long i = 0; i < n; i++) {
      shared->pages[i] = (void *)(place.address + (uintptr_t)((done + i) * place.page_bytes));
      shared->nodes[i] = nodes[(done + i) % nr_nodes];
      shared->status[i] = UNSET;
    }
    outcome = run_call(t, SYS_move_pages, pid, n, (long)shared->pages, (long)shared->nodes,
                       (long)shared->status, flags);
    memcpy(list + done, shared->status, (size_t)n * sizeof *list);
    if (outcome == DONE && shared->ret < 0) break;
    left += shared->ret;
    shared->ret = left;
  }
  begin_result();
  if (out_outcome(t, outcome)) {
    out_f(",\"status\":");
    out_runs(list, (size_t)place.pages, list_name);
  }
  end_result();
  return 1;
}

static int op_migrate_pages(int t) {
  long from = mask_of(word(2), shared->mask), to = mask_of(word(3), shared->mask2);
  enum outcome outcome = run_call(t, SYS_migrate_pages, pid_option(t),
                                  option("maxnode", MAX_NODE_BITS), from, to, 0, 0);
  begin_result();
  out_outcome(t, outcome);
  end_result();
  return 1;
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

static int op_swrite(int t) {
  snprintf(shared->path, sizeof shared->path, "%s", word(2));
  snprintf(shared->data, sizeof shared->data, "%s", rest_after(3));
  remember_knob(word(2));
  shared->verb = VERB_WRITE;
  enum outcome outcome = run(t);
  begin_result();
  out_outcome(t, outcome);
  end_result();
  return 1;
}

static int op_exit(int t) {
  enum outcome outcome = run_call(t, SYS_exit_group, 0, 0, 0, 0, 0, 0);
  begin_result();
  if (outcome == KILLED && tasks[t].life == LIFE_EXITED) out_f("\"ret\":0,\"exit\":0");
  else out_outcome(t, outcome);
  end_result();
  return 1;
}

static int op_fork(void) {
  int from = task_number(word(1)), to = task_number(word(2));
  if (from < 0 || to < 0) return not_understood();
  enum outcome outcome = fork_task(from, to);
  int is_made = outcome == DONE && shared->ret > 0;
  if (is_made) shared->ret = 0;
  begin_result();
  out_outcome(from, outcome);
  if (is_made) out_f(",\"task\":\"T%d\"", to);
  end_result();
  return 1;
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

static int op_task(void) {
  int t = task_number(word(0));
  const char *name = word(1);
  if (t < 0) return not_understood();
  if (tell_absent(t)) return 1;
  if (strcmp(name, "mmap") == 0) return op_mmap(t);
  if (strcmp(name, "touch") == 0 || strcmp(name, "read") == 0 || strcmp(name, "tables") == 0)
    return op_touch(t, name);
  if (strcmp(name, "work") == 0) return op_use(t, VERB_WORK);
  if (strcmp(name, "fill") == 0) return op_use(t, VERB_FILL);
  if (strcmp(name, "munmap") == 0 || strcmp(name, "mlock") == 0 || strcmp(name, "munlock") == 0 ||
      strcmp(name, "madvise") == 0)
    return op_range_call(t, name);
  if (strcmp(name, "mbind") == 0) return op_mbind(t);
  if (strcmp(name, "set_home") == 0) return op_set_home(t);
  if (strcmp(name, "set_mempolicy") == 0) return op_set_mempolicy(t);
  if (strcmp(name, "get_mempolicy") == 0 || strcmp(name, "policy_at") == 0 ||
      strcmp(name, "node_at") == 0 || strcmp(name, "next_node") == 0 ||
      strcmp(name, "mems_allowed") == 0 || strcmp(name, "get_raw") == 0)
    return op_get(t, name);
  if (strcmp(name, "cpu") == 0) return op_cpu(t);
  if (strcmp(name, "where") == 0) return op_where(t);
  if (strcmp(name, "move_pages") == 0) return op_move_pages(t);
  if (strcmp(name, "migrate_pages") == 0) return op_migrate_pages(t);
  if (strcmp(name, "swrite") == 0) return op_swrite(t);
  if (strcmp(name, "exit") == 0) return op_exit(t);
  return not_understood();
}

// ---- operations of the controller ---------------------------------------------------------------

static long sys_move(void) {
  int t = task_number(word(2));
  char path[300], pid[16];
  snprintf(path, sizeof path, "%s/cgroup.procs", word(3));
  snprintf(pid, sizeof pid, "%d", tasks[t].pid);
  return spit(path, pid);
}

static void out_vmstat(void) {
  char keys[400];
  int n = 0;
  snprintf(keys, sizeof keys, "%s", word(2));
  slurp("/proc/vmstat");
  out_f("{");
  for (char *key = strtok(keys, ","); key != NULL; key = strtok(NULL, ","))
    out_f("%s\"%s\":%ld", n++ > 0 ? "," : "", key, number_of(key));
  out_f("}");
}

static void out_tasks(void) {
  int n = 0;
  out_f("{");
  for (int t = 0; t < MAX_TASKS; t++) {
    if (tasks[t].life == LIFE_NONE) continue;
    out_f("%s\"T%d\":\"%s\"", n++ > 0 ? "," : "", t,
          tasks[t].life == LIFE_ALIVE    ? "alive"
          : tasks[t].life == LIFE_EXITED ? "exited"
                                         : signal_name(tasks[t].signal));
  }
  out_f("}");
}

/** Operations that show something; 0 if the name is none of them. */
static int sys_show(const char *name) {
  out_f("\"ret\":0");
  if (strcmp(name, "zones") == 0) out_f(",\"zones\":"), out_zones(1);
  else if (strcmp(name, "free") == 0) out_f(",\"free\":"), out_zones(0);
  else if (strcmp(name, "numastat") == 0) out_f(",\"numastat\":"), out_numastat();
  else if (strcmp(name, "hugetlb") == 0) out_f(",\"hugetlb\":"), out_hugetlb();
  else if (strcmp(name, "states") == 0) out_f(",\"nodeStates\":"), out_states();
  else if (strcmp(name, "fallback") == 0) out_f(",\"fallbackOrder\":"), drain_log(), out_fallback();
  else if (strcmp(name, "vmstat") == 0) out_f(",\"vmstat\":"), out_vmstat();
  else if (strcmp(name, "tasks") == 0) out_f(",\"tasks\":"), reap(), out_tasks();
  else return 0;
  return 1;
}

static int sys_read(void) {
  long n = slurp(word(2));
  out_ret(n < 0 ? n : 0);
  if (n < 0) return 1;
  out_f(",\"value\":");
  out_string(file_text);
  return 1;
}

static int sys_online(int to_online) {
  int at = 3;
  const char *state = to_online ? "online" : "offline";
  if (strcmp(word(3), "KERNEL") == 0) at++, state = "online_kernel";
  else if (strcmp(word(3), "MOVABLE") == 0) at++, state = "online_movable";
  change_blocks(atoi(word(2)), to_online, state, is_number(word(at)) ? atoi(word(at)) : 0);
  return 1;
}

/** Does the operation and puts out its fields; 0 if it is not understood. */
static int sys_verb(const char *name) {
  if (strcmp(name, "read") == 0) return sys_read();
  if (strcmp(name, "offline_node") == 0) return sys_online(0);
  if (strcmp(name, "online_node") == 0) return sys_online(1);
  if (strcmp(name, "write") == 0) {
    remember_knob(word(2));
    out_ret(spit(word(2), rest_after(3)));
  } else if (strcmp(name, "mkdir") == 0) out_ret(mkdir(word(2), 0755) == 0 ? 0 : -errno);
  else if (strcmp(name, "rmdir") == 0) out_ret(rmdir(word(2)) == 0 ? 0 : -errno);
  else if (strcmp(name, "move") == 0) out_ret(sys_move());
  else if (strcmp(name, "drop_caches") == 0) drop_caches(), out_ret(0);
  else if (strcmp(name, "ksm_scans") == 0) out_ret(wait_for_ksm(atol(word(2))));
  else if (strcmp(name, "sleep") == 0) {
    long until = now_ms() + atol(word(2));
    for (long left; (left = until - now_ms()) > 0;) usleep((useconds_t)(left * 1000));
    out_ret(0);
  } else return sys_show(name);
  return 1;
}

static int op_sys(void) {
  const char *name = word(1);
  if (strcmp(name, "move") == 0) {
    int t = task_number(word(2));
    if (t < 0) return not_understood();
    if (tell_absent(t)) return 1;
  }
  begin_result();
  if (!sys_verb(name)) return not_understood();
  end_result();
  return 1;
}

// ---- cases --------------------------------------------------------------------------------------

static void do_op(const char *line) {
  static char copy[1024];
  op_line = line;
  snprintf(copy, sizeof copy, "%s", line);
  nr_words = 0;
  for (char *part = strtok(copy, " \t"); part != NULL; part = strtok(NULL, " \t"))
    if (nr_words < MAX_WORDS) words[nr_words++] = part;
  reset_log();
  if (strcmp(word(0), "sys") == 0) op_sys();
  else if (strcmp(word(0), "fork") == 0) {
    int t = task_number(word(1));
    if (t < 0) not_understood();
    else if (!tell_absent(t)) op_fork();
  } else op_task();
}

static char boot_zones[16384];

static long read_number(const char *path) {
  return slurp(path) < 0 ? 0 : atol(file_text);
}

/** MAX_NUMNODES, as the width of the mask in /proc/self/status tells it. */
static long max_nodes(void) {
  char *at = slurp("/proc/self/status") < 0 ? NULL : strstr(file_text, "Mems_allowed:");
  long digits = 0;
  if (at == NULL) return 0;
  for (at += strlen("Mems_allowed:"); *at != '\n' && *at != '\0'; at++)
    digits += isxdigit((unsigned char)*at) != 0;
  return digits * 4;
}

static void tell_start(int is_first) {
  out_f("@{\"case\":%d,\"start\":{\"zonesAtStart\":", case_number);
  out_zones(1);
  if (is_first) {
    out_f(",\"zonesAtBoot\":");
    out_used += (size_t)sprintf(out_text + out_used, "%s", boot_zones);
  }
  out_f(",\"fallbackOrder\":");
  drain_log();
  out_fallback();
  out_f(",\"nodeStates\":");
  out_states();
  out_f(",\"distances\":");
  out_distances();
  out_f(",\"maxNodes\":%ld", max_nodes());
  slurp("/sys/devices/system/memory/block_size_bytes");
  out_f(",\"blockBytes\":\"0x%s\"", file_text);
  out_f(",\"minFreeKbytes\":%ld", read_number("/proc/sys/vm/min_free_kbytes"));
  out_f(",\"sysctl\":{\"zoneReclaimMode\":%ld", read_number("/proc/sys/vm/zone_reclaim_mode"));
  out_f(",\"watermarkBoostFactor\":%ld", read_number("/proc/sys/vm/watermark_boost_factor"));
  out_f(",\"overcommitMemory\":%ld}}}", read_number("/proc/sys/vm/overcommit_memory"));
  out_line();
}

/** Value of `key=` in a line of words; "" if it is not there. */
static const char *value_in(const char *line, const char *key) {
  static char value[64];
  const char *at = strstr(line, key);
  value[0] = '\0';
  if (at == NULL) return value;
  at += strlen(key);
  copy_between(value, sizeof value, at, at + strcspn(at, " \n"));
  return value;
}

static void begin_case(const char *line, const char *cmdline, int is_first) {
  const char *cpuset = value_in(line, " cpuset=");
  if (*cpuset == '\0') cpuset = value_in(cmdline, "probe.cpuset=");
  case_number = atoi(line + strlen("#case "));
  op_number = 0;
  mount_cpuset(cpuset);
  start_first_task();
  tell_start(is_first);
}

static void end_case(long begin) {
  reset_ksm();
  undo_all();
  reset_ksm();
  out_f("@{\"case\":%d,\"end\":true,\"ms\":%ld}", case_number, now_ms() - begin);
  out_line();
}

static void run_cases(char *text, const char *cmdline) {
  int nr_cases = 0;
  long begin = 0;
  for (char *line = text, *next; line != NULL; line = next) {
    next = strchr(line, '\n');
    if (next != NULL) *next++ = '\0';
    line += strspn(line, " \t");
    line[strcspn(line, "\r")] = '\0';
    if (strncmp(line, "#case ", 6) == 0) {
      if (nr_cases > 0) end_case(begin);
      begin = now_ms();
      begin_case(line, cmdline, nr_cases++ == 0);
    } else if (*line != '\0' && *line != '#' && nr_cases > 0) {
      do_op(line);
      op_number++;
    }
  }
  if (nr_cases > 0) end_case(begin);
}

// ---- the start ----------------------------------------------------------------------------------

static void on_alarm(int number) {
  (void)number; // only to interrupt a write
}

static void *arena(size_t bytes) {
  void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  madvise(at, bytes, MADV_DONTFORK);
  return at;
}

static void make_places(void) {
  out_text = arena(OUT_BYTES);
  file_text = arena(TEXT_BYTES);
  list = arena(LIST_PAGES * sizeof *list);
  shared = mmap((void *)SHARED_AT, sizeof *shared, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (shared == MAP_FAILED)
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  memset(shared, 0, sizeof *shared);
}

static void mount_all(void) {
  mount("proc", "/proc", "proc", 0, NULL);
  mount("sysfs", "/sys", "sysfs", 0, NULL);
  mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
  mknod("/dev/null", S_IFCHR | 0666, makedev(1, 3));
  mknod("/dev/kmsg", S_IFCHR | 0600, makedev(1, 11));
  mknod("/dev/ttyS0", S_IFCHR | 0600, makedev(4, 64));
  mknod("/dev/console", S_IFCHR | 0600, makedev(5, 1));
  out_serial = open("/dev/ttyS0", O_WRONLY | O_NOCTTY);
  if (out_serial < 0) out_serial = open("/dev/console", O_WRONLY | O_NOCTTY);
  log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
  spit("/proc/sys/kernel/printk", "1");
}

static char *read_ops(void) {
  if (slurp("/ops") < 0) file_text[0] = '\0';
  size_t bytes = strlen(file_text) + 1;
  char *text = arena(bytes);
  memcpy(text, file_text, bytes);
  return text;
}

int main(void) {
  static char cmdline[4096];
  struct utsname name;
  struct sigaction action = {.sa_handler = on_alarm};
  make_places();
  mount_all();
  sigaction(SIGALRM, &action, NULL);
  prctl(PR_SET_NAME, "probe");
  drain_log();
  slurp("/proc/cmdline");
  snprintf(cmdline, sizeof cmdline, "%s", file_text);
  uname(&name);
  out_f("@{\"probe\":1,\"kernel\":\"%s\",\"cmdline\":", name.release);
  out_string(cmdline);
  out_f("}");
  out_line();
  const char *settle = value_in(cmdline, "probe.settle=");
  sleep((unsigned)atoi(settle));
  drop_caches();
  note_blocks();
  note_huge_pages();
  out_zones(1);
  snprintf(boot_zones, sizeof boot_zones, "%.*s", (int)out_used, out_text);
  out_used = 0;
  run_cases(read_ops(), cmdline);
  out_f("@{\"done\":true}");
  out_line();
  fsync(out_serial);
  usleep(100000);
  reboot(RB_AUTOBOOT);
  return 0;
}
