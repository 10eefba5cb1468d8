// Operations about what moves pages by itself: tasks that use their processor, and ksmd.
// Models   Working on a range for some processor time; filling pages with a number; waiting until
//          ksmd has been through all memory.
#ifndef PROBE_OP_SERVICES_H
#define PROBE_OP_SERVICES_H
#include "words.h"

#define KSM_PATIENCE_MS 20000

/** Works on a range for some time, or fills it with a number. */
static int op_use(int t, const char *name) {
  struct place place;
  if (!place_of(t, 2, &place) || !is_number(word(5))) return not_understood();
  shared->verb = strcmp(name, "work") == 0 ? VERB_WORK : VERB_FILL;
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

/** Waits for full scans of ksmd; 0, or an errno where none come. */
static long wait_for_ksm(long scans) {
  if (ksm_number("run") != 1) return -EINVAL;
  long until = ksm_number("full_scans") + scans, begin = now_ms();
  while (ksm_number("full_scans") < until) {
    if (now_ms() - begin > KSM_PATIENCE_MS) return -ETIMEDOUT;
    usleep(5000);
  }
  return 0;
}

static int sys_ksm_scans(const char *name) {
  (void)name;
  out_ret(wait_for_ksm(atol(word(2))));
  return 1;
}
#endif
