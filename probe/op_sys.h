// Operations of the controller: files, control groups, memory blocks, and what the kernel shows.
#ifndef PROBE_OP_SYS_H
#define PROBE_OP_SYS_H
#include "words.h"

static int sys_move(const char *name) {
  int t = task_number(word(2));
  char path[300], pid[16];
  (void)name;
  snprintf(path, sizeof path, "%s/cgroup.procs", word(3));
  snprintf(pid, sizeof pid, "%d", tasks[t].pid);
  return out_done(spit(path, pid));
}

static int sys_write(const char *name) {
  (void)name;
  remember_knob(word(2));
  if (strstr(word(2), "drop_caches") != NULL) empty_batches();
  long ret = spit(word(2), rest_after(3));
  // A limit may have killed a task, which is gone only when it has run again.
  if (strstr(word(2), "/memory.") != NULL) usleep(30000);
  return out_done(ret);
}

static int sys_mkdir(const char *name) {
  (void)name;
  return out_done(mkdir(word(2), 0755) == 0 ? 0 : -errno);
}

static int sys_rmdir(const char *name) {
  (void)name;
  return out_done(rmdir(word(2)) == 0 ? 0 : -errno);
}

static int sys_drop_caches(const char *name) {
  (void)name;
  drop_caches();
  return out_done(0);
}

static int sys_sleep(const char *name) {
  (void)name;
  long until = now_ms() + atol(word(2));
  for (long left; (left = until - now_ms()) > 0;) usleep((useconds_t)(left * 1000));
  return out_done(0);
}

static int sys_swapon(const char *name) {
  (void)name;
  return out_done(swap_on(atol(word(2)), is_number(word(3)) ? atoi(word(3)) : -1));
}

static int sys_read(const char *name) {
  (void)name;
  spit("/proc/sys/vm/stat_refresh", "1"); // what CPUs have counted for themselves is added up
  long n = slurp_named(word(2));
  out_ret(n < 0 ? n : 0);
  if (n < 0) return 1;
  out_f(",\"value\":");
  out_string(file_text);
  return 1;
}

static int sys_online(const char *name) {
  int at = 3, to_online = strcmp(name, "online_node") == 0;
  const char *state = to_online ? "online" : "offline";
  if (strcmp(word(3), "KERNEL") == 0) at++, state = "online_kernel";
  else if (strcmp(word(3), "MOVABLE") == 0) at++, state = "online_movable";
  change_blocks(atoi(word(2)), to_online, state, is_number(word(at)) ? atoi(word(at)) : 0);
  return 1;
}

/** The DIMM of ACPI that a memory block belongs to; -1 when there is none. */
static int dimm_of_block(int number) {
  char path[96], target[256], name[32];
  snprintf(name, sizeof name, "/memory%d", number);
  for (int i = 0; i < 32; i++)
    for (int j = 0; j < 64; j++) {
      char node[24] = "physical_node";
      if (j > 0) snprintf(node, sizeof node, "physical_node%d", j);
      snprintf(path, sizeof path, "/sys/bus/acpi/devices/PNP0C80:%02x/%s", (unsigned)i, node);
      ssize_t n = readlink(path, target, sizeof target - 1);
      if (n < 0) break;
      target[n] = '\0';
      char *slash = strrchr(target, '/');
      if (slash != NULL && strcmp(slash, name) == 0) return i;
    }
  return -1;
}

/** Milliseconds that a DIMM has to leave in. */
#define EJECT_MS 8000

/** `sys remove_node N`: ejects the DIMMs of a node, as a hypervisor does that takes memory back. */
static int sys_remove_node(const char *name) {
  struct block blocks[MAX_BLOCKS], left[MAX_BLOCKS];
  char path[96];
  int node = atoi(word(2)), n = node_blocks(node, blocks), nr_left = n;
  (void)name;
  if (n == 0) return out_done(-ENODEV);
  for (int i = 0; i < n; i++) {
    int dimm = dimm_of_block(blocks[i].number);
    if (dimm < 0) continue;
    snprintf(path, sizeof path, "/sys/bus/acpi/devices/PNP0C80:%02x/eject", (unsigned)dimm);
    spit(path, "1");
    long until = now_ms() + EJECT_MS;
    while (dimm_of_block(blocks[i].number) == dimm && now_ms() < until) usleep(20000);
  }
  // Its directory goes a little later than the blocks do, unless it has CPUs.
  snprintf(path, sizeof path, "/sys/devices/system/node/node%d", node);
  long until = now_ms() + 500;
  while (access(path, F_OK) == 0 && now_ms() < until) usleep(20000);
  nr_left = node_blocks(node, left);
  out_ret(nr_left > 0 ? -EBUSY : 0);
  out_f(",\"blocks\":%d,\"changed\":%d,\"already\":0", n, n - nr_left);
  return 1;
}

// ---- what the kernel shows ----------------------------------------------------------------------

/** Begins the one field of an operation that shows something. */
static void begin_shown(const char *key) {
  out_f("\"ret\":0,\"%s\":", key);
}

static void out_vmstat(void) {
  static char keys[4096];
  int n = 0;
  snprintf(keys, sizeof keys, "%s", word(2));
  spit("/proc/sys/vm/stat_refresh", "1");
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

static int sys_zones(const char *name) {
  (void)name;
  begin_shown("zones");
  out_zones(1);
  return 1;
}

static int sys_free(const char *name) {
  (void)name;
  begin_shown("free");
  out_zones(0);
  return 1;
}

static int sys_numastat(const char *name) {
  (void)name;
  begin_shown("numastat");
  out_numastat();
  return 1;
}

static int sys_hugetlb(const char *name) {
  (void)name;
  begin_shown("hugetlb");
  out_hugetlb(has_word("1G") ? "1048576" : "2048");
  return 1;
}

static int sys_states(const char *name) {
  (void)name;
  begin_shown("nodeStates");
  out_states();
  return 1;
}

static int sys_fallback(const char *name) {
  (void)name;
  begin_shown("fallbackOrder");
  drain_log();
  out_fallback();
  return 1;
}

static int sys_vmstat(const char *name) {
  (void)name;
  begin_shown("vmstat");
  out_vmstat();
  return 1;
}

static int sys_tasks(const char *name) {
  (void)name;
  begin_shown("tasks");
  reap();
  out_tasks();
  return 1;
}
#endif
