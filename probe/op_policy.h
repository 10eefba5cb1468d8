// Operations of a task on memory policies: set them, ask for them.
#ifndef PROBE_OP_POLICY_H
#define PROBE_OP_POLICY_H
#include "words.h"
#include <linux/mempolicy.h>

static int op_mbind(int t, const char *name) {
  (void)name;
  struct place place;
  if (!place_of(t, 2, &place) || nr_words < 7) return not_understood();
  long mask = mask_of(word(6), shared->mask);
  long flags = option("flags", 0) | has_word("strict") | has_word("move") << 1 |
               has_word("moveall") << 2 | has_word("lazy") << 3;
  enum outcome outcome =
      run_call(t, SYS_mbind, (long)place.address + option("addroff", 0),
               place.pages * place.page_bytes, mode_of(word(5)), mask, maxnode_of(mask), flags);
  return tell_outcome(t, outcome);
}

static int op_set_home(int t, const char *name) {
  (void)name;
  struct place place;
  if (!place_of(t, 2, &place) || !is_number(word(5))) return not_understood();
  enum outcome outcome = run_call(t, CALL_SET_HOME, (long)place.address + option("addroff", 0),
                                  place.pages * place.page_bytes, atol(word(5)),
                                  option("flags", 0), 0, 0);
  return tell_outcome(t, outcome);
}

static int op_set_mempolicy(int t, const char *name) {
  (void)name;
  long mask = mask_of(word(3), shared->mask);
  long maxnode = maxnode_of(mask);
  enum outcome outcome =
      run_call(t, SYS_set_mempolicy, (int)mode_of(word(2)), mask, maxnode, 0, 0, 0);
  return tell_outcome(t, outcome);
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
#endif
