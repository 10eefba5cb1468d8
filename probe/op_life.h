// Operations on a task itself: its CPU, its children, its end, and what it writes to files.
#ifndef PROBE_OP_LIFE_H
#define PROBE_OP_LIFE_H
#include "words.h"

static int op_cpu(int t, const char *name) {
  (void)name;
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

static int op_swrite(int t, const char *name) {
  (void)name;
  snprintf(shared->path, sizeof shared->path, "%s", word(2));
  snprintf(shared->data, sizeof shared->data, "%s", rest_after(3));
  remember_knob(word(2));
  shared->verb = VERB_WRITE;
  enum outcome outcome = run(t);
  return tell_outcome(t, outcome);
}

static int op_exit(int t, const char *name) {
  (void)name;
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
#endif
