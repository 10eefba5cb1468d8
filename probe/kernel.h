// What the kernel shows of itself: files under /proc and /sys, and its log.
// Models   The figures as the records have them: counts of pages, lists of nodes.
// Omits    Zones without present pages.
#ifndef PROBE_KERNEL_H
#define PROBE_KERNEL_H
#include "out.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#define TEXT_BYTES (1u << 20)
#define MAX_NODES 64
#define MAX_LOG 24

static char *file_text;
static const char *NODE_DIR = "/sys/devices/system/node";

/** Reads a whole file into `file_text`; its errno (negative) if that fails. */
static long slurp(const char *path) {
  size_t used = 0;
  int fd = open(path, O_RDONLY);
  if (fd < 0) return -errno;
  for (;;) {
    ssize_t n = read(fd, file_text + used, TEXT_BYTES - 1 - used);
    if (n < 0) {
      int why = errno;
      close(fd);
      return -why;
    }
    if (n == 0) break;
    used += (size_t)n;
  }
  close(fd);
  file_text[used] = '\0';
  while (used > 0 && isspace((unsigned char)file_text[used - 1])) file_text[--used] = '\0';
  return (long)used;
}

static long slurp_f(const char *format, ...) {
  char path[512];
  va_list values;
  va_start(values, format);
  vsnprintf(path, sizeof path, format, values);
  va_end(values);
  return slurp(path);
}

/** Writes text to a file with one write(): 0 or a negative errno. */
static long spit(const char *path, const char *value) {
  int fd = open(path, O_WRONLY);
  if (fd < 0) return -errno;
  ssize_t n = write(fd, value, strlen(value));
  long ret = n < 0 ? -errno : 0;
  close(fd);
  return ret;
}

/** A list such as `0-2,5` as numbers, `[0,1,2,5]`. */
static int parse_list(const char *text, int *into, int room) {
  int n = 0;
  while (isdigit((unsigned char)*text)) {
    char *end;
    long from = strtol(text, &end, 10), to = from;
    if (*end == '-') to = strtol(end + 1, &end, 10);
    for (; from <= to && n < room; from++) into[n++] = (int)from;
    text = *end == ',' ? end + 1 : end;
  }
  return n;
}

static void out_numbers(const int *numbers, int count) {
  out_f("[");
  for (int i = 0; i < count; i++) out_f(i > 0 ? ",%d" : "%d", numbers[i]);
  out_f("]");
}

static void out_list(const char *text) {
  int numbers[1024];
  out_numbers(numbers, parse_list(text, numbers, 1024));
}

static int online_nodes(int *into) {
  if (slurp_f("%s/online", NODE_DIR) < 0) return 0;
  return parse_list(file_text, into, MAX_NODES);
}

static void out_states(void) {
  static const char *const FILES[] = {"possible", "online", "has_memory", "has_normal_memory",
                                      "has_cpu", "is_cdm_node"};
  static const char *const NAMES[] = {"possible", "online", "hasMemory", "hasNormalMemory",
                                      "hasCpu", "cdm"};
  out_f("{");
  for (int i = 0; i < 6; i++) {
    if (slurp_f("%s/%s", NODE_DIR, FILES[i]) < 0) continue;
    out_f("%s\"%s\":", i > 0 ? "," : "", NAMES[i]);
    out_list(file_text);
  }
  out_f("}");
}

static void out_distances(void) {
  int nodes[MAX_NODES], count = online_nodes(nodes);
  out_f("[");
  for (int i = 0; i < count; i++) {
    out_f(i > 0 ? ",[" : "[");
    if (slurp_f("%s/node%d/distance", NODE_DIR, nodes[i]) > 0)
      for (char *at = file_text; *at != '\0'; at++) out_f("%c", isspace(*at) ? ',' : *at);
    out_f("]");
  }
  out_f("]");
}

struct zone {
  int node;
  char name[16], protection[256];
  long spanned, present, managed, free, pcp, min, low, high, boost, start;
};

static void out_zone(const struct zone *zone, int is_full, int *nr_out) {
  if (zone->name[0] == '\0' || zone->present == 0) return;
  out_f("%s{\"node\":%d,\"zone\":\"%s\",", (*nr_out)++ > 0 ? "," : "", zone->node, zone->name);
  if (is_full)
    out_f("\"spanned\":%ld,\"present\":%ld,\"managed\":%ld,", zone->spanned, zone->present,
          zone->managed);
  out_f("\"free\":%ld,\"pcp\":%ld", zone->free, zone->pcp);
  if (is_full)
    out_f(",\"min\":%ld,\"low\":%ld,\"high\":%ld,\"boost\":%ld,\"startPfn\":%ld,"
          "\"protection\":[%s]",
          zone->min, zone->low, zone->high, zone->boost, zone->start, zone->protection);
  out_f("}");
}

static void read_zone_line(struct zone *zone, char *line) {
  char word[64];
  long number;
  if (sscanf(line, " protection: (%255[^)])", zone->protection) == 1) return;
  if (sscanf(line, " count: %ld", &number) == 1) zone->pcp += number;
  else if (sscanf(line, " start_pfn: %ld", &number) == 1) zone->start = number;
  else if (sscanf(line, " pages free %ld", &number) == 1) zone->free = number;
  else if (sscanf(line, " %63[a-z_] %ld", word, &number) == 2) {
    static const char *const WORDS[] = {"boost", "min", "low", "high", "spanned", "present",
                                        "managed", "nr_free_pages"};
    long *const places[] = {&zone->boost, &zone->min, &zone->low, &zone->high, &zone->spanned,
                            &zone->present, &zone->managed, &zone->free};
    for (int i = 0; i < 8; i++)
      if (strcmp(word, WORDS[i]) == 0) *places[i] = number;
  }
}

/** Populated zones of /proc/zoneinfo, as a list; the short form has free pages only. */
static void out_zones(int is_full) {
  struct zone zone = {0};
  int nr_out = 0;
  out_f("[");
  if (slurp("/proc/zoneinfo") < 0) file_text[0] = '\0';
  for (char *line = strtok(file_text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    int node;
    char name[16];
    if (sscanf(line, "Node %d, zone %15s", &node, name) == 2) {
      out_zone(&zone, is_full, &nr_out);
      zone = (struct zone){.node = node};
      strcpy(zone.name, name);
    } else read_zone_line(&zone, line);
  }
  out_zone(&zone, is_full, &nr_out);
  out_f("]");
}

static void out_numastat(void) {
  int nodes[MAX_NODES], count = online_nodes(nodes), nr_out = 0;
  out_f("{");
  for (int i = 0; i < count; i++) {
    if (slurp_f("%s/node%d/numastat", NODE_DIR, nodes[i]) < 0) continue;
    out_f("%s\"%d\":{", nr_out++ > 0 ? "," : "", nodes[i]);
    int nr_keys = 0;
    for (char *line = strtok(file_text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
      char key[64];
      long number;
      if (sscanf(line, "%63s %ld", key, &number) == 2)
        out_f("%s\"%s\":%ld", nr_keys++ > 0 ? "," : "", key, number);
    }
    out_f("}");
  }
  out_f("}");
}

/** One number of a text of `key value` lines; 0 if it is not there. */
static long number_of(const char *key) {
  for (char *at = strstr(file_text, key); at != NULL; at = strstr(at + 1, key)) {
    char *after = at + strlen(key);
    if ((at == file_text || isspace((unsigned char)at[-1])) && (*after == ' ' || *after == ':'))
      return strtol(after + 1, NULL, 10);
  }
  return 0;
}

static long huge_number(const char *kb, const char *name) {
  if (slurp_f("/sys/kernel/mm/hugepages/hugepages-%skB/%s", kb, name) < 0) return 0;
  return atol(file_text);
}

static long huge_number_of(int node, const char *kb, const char *name) {
  if (slurp_f("%s/node%d/hugepages/hugepages-%skB/%s", NODE_DIR, node, kb, name) < 0) return 0;
  return atol(file_text);
}

/** Pools of a node, of 2 MiB as its meminfo has them: a node may have no directory of pools. */
static void out_pool_of(int node, const char *kb) {
  if (strcmp(kb, "2048") == 0) {
    if (slurp_f("%s/node%d/meminfo", NODE_DIR, node) < 0) file_text[0] = '\0';
    out_f("{\"nr\":%ld", number_of("HugePages_Total"));
    out_f(",\"free\":%ld", number_of("HugePages_Free"));
    out_f(",\"surplus\":%ld", number_of("HugePages_Surp"));
    return;
  }
  out_f("{\"nr\":%ld", huge_number_of(node, kb, "nr_hugepages"));
  out_f(",\"free\":%ld", huge_number_of(node, kb, "free_hugepages"));
  out_f(",\"surplus\":%ld", huge_number_of(node, kb, "surplus_hugepages"));
}

static void out_hugetlb(const char *kb) {
  int nodes[MAX_NODES], count = online_nodes(nodes);
  out_f("{\"nr\":%ld", huge_number(kb, "nr_hugepages"));
  out_f(",\"free\":%ld", huge_number(kb, "free_hugepages"));
  out_f(",\"resv\":%ld", huge_number(kb, "resv_hugepages"));
  out_f(",\"surplus\":%ld", huge_number(kb, "surplus_hugepages"));
  out_f(",\"overcommit\":%ld,\"nodes\":{", huge_number(kb, "nr_overcommit_hugepages"));
  for (int i = 0; i < count; i++) {
    char path[256];
    snprintf(path, sizeof path, "%s/node%d/hugepages/hugepages-%skB", NODE_DIR, nodes[i], kb);
    out_f("%s\"%d\":", i > 0 ? "," : "", nodes[i]);
    out_pool_of(nodes[i], kb);
    out_f(",\"sysfs\":%s}", access(path, F_OK) == 0 ? "true" : "false");
  }
  out_f("}}");
}

// ---- the kernel's log ---------------------------------------------------------------------------

static int log_fd = -1;
static char log_fallback[MAX_NODES][256];
static char log_failures[MAX_LOG][300];
static int nr_failures;
static char log_kills[MAX_LOG][1200];
static int nr_kills;
static int log_victims[MAX_LOG];
static int nr_fault_retries;

/** The kill that is being told: who asked, and the free pages so far. */
static struct {
  int is_open;
  char by[32], gfp[200], free[500];
} kill_draft;

static void copy_between(char *into, size_t room, const char *from, const char *to) {
  size_t n = to == NULL ? strlen(from) : (size_t)(to - from);
  if (n >= room) n = room - 1;
  memcpy(into, from, n);
  into[n] = '\0';
}

/** The value after `key`, up to `next` (values themselves may hold commas). */
static void log_value(char *into, size_t room, const char *text, const char *key,
                      const char *next) {
  const char *at = strstr(text, key);
  into[0] = '\0';
  if (at == NULL) return;
  at += strlen(key);
  copy_between(into, room, at, strstr(at, next));
}

static void end_kill(const char *text) {
  char constraint[40], nodemask[80], cpuset[80], mems[80], task[32];
  const char *end = strstr(text, ",global_oom") != NULL ? ",global_oom" : ",task_memcg=";
  log_value(constraint, sizeof constraint, text, "constraint=", ",nodemask=");
  log_value(nodemask, sizeof nodemask, text, ",nodemask=", ",cpuset=");
  log_value(cpuset, sizeof cpuset, text, ",cpuset=", ",mems_allowed=");
  log_value(mems, sizeof mems, text, ",mems_allowed=", end);
  log_value(task, sizeof task, text, ",task=", ",pid=");
  const char *pid = strstr(text, ",pid=");
  if (nr_kills < MAX_LOG) log_victims[nr_kills] = pid == NULL ? 0 : atoi(pid + 5);
  if (nr_kills < MAX_LOG)
    snprintf(log_kills[nr_kills++], sizeof log_kills[0],
             "{\"constraint\":\"%s\",\"nodemask\":\"%s\",\"cpuset\":\"%s\",\"memsAllowed\":\"%s\","
             "\"task\":\"%s\",\"by\":\"%s\",\"gfp\":\"%s\",\"freeAtOom\":{%s}}",
             constraint, nodemask, cpuset, mems, task, kill_draft.by, kill_draft.gfp,
             kill_draft.free);
  kill_draft.is_open = 0;
}

static void read_log_line(char *text) {
  int node, at = 0;
  long kb;
  char zone[16], *found;
  if (sscanf(text, "Fallback order for Node %d: %n", &node, &at) == 1 && at > 0) {
    if (node < MAX_NODES) copy_between(log_fallback[node], sizeof log_fallback[0], text + at, NULL);
  } else if ((found = strstr(text, " invoked oom-killer: ")) != NULL) {
    memset(&kill_draft, 0, sizeof kill_draft);
    kill_draft.is_open = 1;
    copy_between(kill_draft.by, sizeof kill_draft.by, text, found);
    log_value(kill_draft.gfp, sizeof kill_draft.gfp, text, "(", ")");
  } else if (kill_draft.is_open && sscanf(text, "Node %d %15s free:%ldkB", &node, zone, &kb) == 3) {
    size_t used = strlen(kill_draft.free);
    snprintf(kill_draft.free + used, sizeof kill_draft.free - used, "%s\"%d/%s\":%ld",
             used > 0 ? "," : "", node, zone, kb / 4);
  } else if (strncmp(text, "oom-kill:", 9) == 0) {
    end_kill(text);
  } else if (strstr(text, "page allocation failure: ") != NULL) {
    for (int i = 0; i < nr_failures; i++)
      if (strcmp(log_failures[i], text) == 0) return;
    if (nr_failures < MAX_LOG) copy_between(log_failures[nr_failures++], 300, text, NULL);
  } else if (strstr(text, "VM_FAULT_OOM leaked") != NULL) nr_fault_retries++;
}

/** Reads what the log has new. A record is `priority,number,time,flags;text`. */
static void drain_log(void) {
  char record[8192];
  for (;;) {
    ssize_t n = read(log_fd, record, sizeof record - 1);
    if (n < 0 && errno == EPIPE) continue; // older records were overwritten
    if (n <= 0) return;
    record[n] = '\0';
    char *text = strchr(record, ';');
    if (text == NULL) continue;
    char *end = strchr(text, '\n');
    if (end != NULL) *end = '\0';
    read_log_line(text + 1);
  }
}

/** Forgets what the log told before the next operation. */
static void reset_log(void) {
  drain_log();
  nr_failures = nr_kills = nr_fault_retries = 0;
}

static void out_log(void) {
  for (int i = 0; i < nr_kills; i++) out_f("%s%s", i > 0 ? "," : ",\"oom\":[", log_kills[i]);
  if (nr_kills > 0) out_f("]");
  for (int i = 0; i < nr_failures; i++) {
    out_f("%s", i > 0 ? "," : ",\"klog\":[");
    out_string(log_failures[i]);
  }
  if (nr_failures > 0) out_f("]");
}

static void out_fallback(void) {
  int nr_out = 0;
  out_f("{");
  for (int node = 0; node < MAX_NODES; node++) {
    if (log_fallback[node][0] == '\0') continue;
    int order[MAX_NODES], n = 0, used = 0, value;
    for (char *at = log_fallback[node]; sscanf(at, "%d%n", &value, &used) == 1; at += used)
      if (n < MAX_NODES) order[n++] = value;
    out_f("%s\"%d\":", nr_out++ > 0 ? "," : "", node);
    out_numbers(order, n);
  }
  out_f("}");
}
#endif
