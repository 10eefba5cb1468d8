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
  out_hugetlb();
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
