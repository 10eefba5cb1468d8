// Operations about what moves pages by itself: tasks that use their processor, and ksmd.
// Models   Working on a range for some processor time; filling pages with a number; waiting until
//          ksmd has been through all memory.
#ifndef PROBE_SERVICES_H
#define PROBE_SERVICES_H
#include "tasks.h"

#define KSM "/sys/kernel/mm/ksm/"
#define KSM_PATIENCE_MS 20000

static long ksm_number(const char *name) {
  return slurp_f(KSM "%s", name) < 0 ? -1 : atol(file_text);
}

/** Waits for `scans` full scans more; 0, or an errno where none come. */
static long wait_for_ksm(long scans) {
  if (ksm_number("run") != 1) return -EINVAL;
  long until = ksm_number("full_scans") + scans, begin = now_ms();
  while (ksm_number("full_scans") < until) {
    if (now_ms() - begin > KSM_PATIENCE_MS) return -ETIMEDOUT;
    usleep(5000);
  }
  return 0;
}

/** Lets go of all merged pages, and lets the next scan begin at the first task. */
static void reset_ksm(void) {
  if (ksm_number("run") < 0) return;
  spit(KSM "run", "2");
  spit(KSM "run", "0");
}
#endif
