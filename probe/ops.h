// The operations of the language, by name. A new one is a function in the file of its kind (or in a
// file of its own, op_KIND.h) and a row here.
// Models   An operation of a task has its task and its name, and the words of the line (words.h);
//          it begins and ends its result. One of the controller puts out its fields alone, `ret`
//          among them. Both answer 0 only for a line that they do not understand.
#ifndef PROBE_OPS_H
#define PROBE_OPS_H
#include "op_hold.h"
#include "op_files.h"
#include "op_life.h"
#include "op_memory.h"
#include "op_pages.h"
#include "op_policy.h"
#include "op_services.h"
#include "op_sys.h"

static const struct {
  const char *name;
  int (*run)(int t, const char *name);
} TASK_OPS[] = {
    {"mmap", op_mmap},
    {"munmap", op_range_call},
    {"mlock", op_range_call},
    {"munlock", op_range_call},
    {"mlockall", op_lock_all},
    {"munlockall", op_lock_all},
    {"pin", op_pin},
    {"unpin", op_pin},
    {"madvise", op_range_call},
    {"touch", op_touch},
    {"read", op_touch},
    {"tables", op_touch},
    {"work", op_use},
    {"fill", op_use},
    {"mbind", op_mbind},
    {"set_home", op_set_home},
    {"set_mempolicy", op_set_mempolicy},
    {"get_mempolicy", op_get},
    {"policy_at", op_get},
    {"node_at", op_get},
    {"next_node", op_get},
    {"mems_allowed", op_get},
    {"get_raw", op_get},
    {"cpu", op_cpu},
    {"where", op_where},
    {"move_pages", op_move_pages},
    {"migrate_pages", op_migrate_pages},
    {"swrite", op_swrite},
    {"readfile", op_rw_file},
    {"writefile", op_rw_file},
    {"fadvise", op_file_call},
    {"fsync", op_file_call},
    {"exit", op_exit},
};

static const struct {
  const char *name;
  int (*run)(const char *name);
} SYS_OPS[] = {
    {"write", sys_write},
    {"mkdir", sys_mkdir},
    {"rmdir", sys_rmdir},
    {"move", sys_move},
    {"drop_caches", sys_drop_caches},
    {"swapon", sys_swapon},
    {"sleep", sys_sleep},
    {"ksm_scans", sys_ksm_scans},
    {"read", sys_read},
    {"online_node", sys_online},
    {"remove_node", sys_remove_node},
    {"offline_node", sys_online},
    {"mkfile", sys_mkfile},
    {"rmfile", sys_rmfile},
    {"truncate", sys_truncate},
    {"cached", sys_cached},
    {"sync", sys_sync},
    {"zones", sys_zones},
    {"free", sys_free},
    {"numastat", sys_numastat},
    {"hugetlb", sys_hugetlb},
    {"states", sys_states},
    {"fallback", sys_fallback},
    {"vmstat", sys_vmstat},
    {"tasks", sys_tasks},
    {"poison", sys_break},
    {"soft_offline", sys_break},
};

static int op_task(void) {
  int t = task_number(word(0));
  if (t < 0) return not_understood();
  if (tell_absent(t)) return 1;
  for (size_t i = 0; i < sizeof TASK_OPS / sizeof *TASK_OPS; i++)
    if (strcmp(word(1), TASK_OPS[i].name) == 0) return TASK_OPS[i].run(t, word(1));
  return not_understood();
}

static int op_sys(void) {
  for (size_t i = 0; i < sizeof SYS_OPS / sizeof *SYS_OPS; i++) {
    if (strcmp(word(1), SYS_OPS[i].name) != 0) continue;
    if (strcmp(word(1), "move") == 0) {
      int t = task_number(word(2));
      if (t < 0) return not_understood();
      if (tell_absent(t)) return 1;
    }
    begin_result();
    if (!SYS_OPS[i].run(word(1))) return not_understood();
    end_result();
    return 1;
  }
  return not_understood();
}

static int has_forked; // in this case

/** Does one line of a case. */
static void do_op(const char *line) {
  take_words(line);
  reset_log();
  if (strcmp(word(0), "fork") == 0) has_forked = 1;
  else if (has_forked && strcmp(word(0), "sys") != 0) drain_lru();
  if (strcmp(word(0), "sys") == 0) op_sys();
  else if (strcmp(word(0), "fork") == 0) {
    int t = task_number(word(1));
    if (t < 0) not_understood();
    else if (!tell_absent(t)) op_fork();
  } else op_task();
}
#endif
