// Operations that hold pages of a task, or take them away for good: locks, pins, broken memory.
// Notes    Broken memory is had from the kernel's own means of testing: the advices of madvise, and
//          the files hard_offline_page and soft_offline_page of memory blocks, which take the
//          physical address that pagemap tells. A page taken so never comes back in this boot.
#ifndef PROBE_OP_HOLD_H
#define PROBE_OP_HOLD_H
#include "words.h"

static int op_lock_all(int t, const char *name) {
  long flags = has_word("current") | has_word("future") << 1 | has_word("onfault") << 2;
  int is_lock = strcmp(name, "mlockall") == 0;
  return tell_outcome(t, run_call(t, is_lock ? SYS_mlockall : SYS_munlockall, flags, 0, 0, 0, 0, 0));
}

static int op_pin(int t, const char *name) {
  struct place place;
  int is_pin = strcmp(name, "pin") == 0;
  if (!place_of(t, 2, &place) || (is_pin && !has_word("longterm"))) return not_understood();
  long bytes = place.pages * place.page_bytes;
  return tell_outcome(t, is_pin ? pin_range(t, place.address, bytes)
                                : unpin_range(t, place.address, bytes));
}

/** Physical address of a page of a task; 0 when it has none. */
static unsigned long physical(int t, uintptr_t address) {
  char path[64];
  uint64_t entry = 0;
  snprintf(path, sizeof path, "/proc/%d/pagemap", tasks[t].pid);
  int file = open(path, O_RDONLY);
  if (file < 0) return 0;
  if (pread(file, &entry, sizeof entry, (off_t)(address / 4096 * 8)) != sizeof entry) entry = 0;
  close(file);
  return entry >> 63 ? (entry & ((1ull << 55) - 1)) * 4096 : 0;
}

/** `sys poison T R OFF` and `sys soft_offline T R OFF`. */
static int sys_break(const char *name) {
  struct place place;
  char path[96], value[32];
  int t = task_number(word(2));
  if (t < 0 || !place_of(t, 3, &place)) return 0;
  unsigned long at = tasks[t].life == LIFE_ALIVE ? physical(t, place.address) : 0;
  snprintf(path, sizeof path, "/sys/devices/system/memory/%s_offline_page",
           strcmp(name, "poison") == 0 ? "hard" : "soft");
  snprintf(value, sizeof value, "0x%lx", at);
  out_ret(tasks[t].life != LIFE_ALIVE ? -ESRCH : at == 0 ? -EFAULT : spit(path, value));
  return 1;
}
#endif
