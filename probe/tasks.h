// The controller's side of the tested tasks: starts them, gives commands, notices how they end.
// Models   How an operation ends: answered, task killed or exited, fault retried for ever, or late.
// Notes    A fault that is retried for ever leaves three marks: no progress, processor time that
//          runs, and the kernel's line about a leaked VM_FAULT_OOM (which it rate-limits, so that
//          long enough without progress counts as well).
#ifndef PROBE_TASKS_H
#define PROBE_TASKS_H
#include "kernel.h"
#include "task.h"
#include <sys/wait.h>

#define MAX_REGIONS 32
#define REGION_STEP (840ul * 5 * (2ul << 20))
#define LARGE_STEP (1ul << 43)
#define POLL_MS 20

enum life { LIFE_NONE, LIFE_ALIVE, LIFE_KILLED, LIFE_EXITED };
enum outcome { DONE, KILLED, LIVELOCK, LATE };

struct region {
  long pages, page_bytes, shift;
  uintptr_t base; // where page 0 is; 0 for the slot's own place
};

struct task {
  enum life life;
  int pid, signal, is_told;
  struct region regions[MAX_REGIONS];
};

static struct task tasks[MAX_TASKS];

static long now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/** Reads /proc/T<n>/FILE of a tested task, or any other file, into `file_text`; see slurp. */
static long slurp_named(const char *path) {
  int t, at = 0;
  if (sscanf(path, "/proc/T%d/%n", &t, &at) != 1 || at == 0) return slurp(path);
  if (t < 0 || t >= MAX_TASKS || tasks[t].life != LIFE_ALIVE) return -ENOENT;
  return slurp_f("/proc/%d/%s", tasks[t].pid, path + at);
}

static void note_end(struct task *task, int status) {
  task->life = WIFSIGNALED(status) ? LIFE_KILLED : LIFE_EXITED;
  task->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/** How the child of a fork ended that has no slot yet; -1 as long as it lives. */
static int child_end;

/** Takes note of tasks that have ended. */
static void reap(void) {
  int status, pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    if (pid == shared->child) child_end = status;
    for (int t = 0; t < MAX_TASKS; t++)
      if (tasks[t].life == LIFE_ALIVE && tasks[t].pid == pid) note_end(&tasks[t], status);
  }
}

/** Waits for tasks that the OOM killer took: a large one gives back much before it is gone. */
static void await_victims(void) {
  for (int i = 0; i < nr_kills; i++)
    for (int t = 0; t < MAX_TASKS; t++)
      for (int n = 0; n < 1000 && tasks[t].life == LIFE_ALIVE && tasks[t].pid == log_victims[i];
           n++) {
        usleep(10000);
        reap();
      }
}

static void kill_task(int t) {
  if (tasks[t].life != LIFE_ALIVE) return;
  kill(tasks[t].pid, SIGKILL);
  for (int i = 0; i < 500 && tasks[t].life == LIFE_ALIVE; i++) {
    usleep(10000);
    reap();
  }
}

/** Processor time of a task in ms. */
static long cpu_ms(int pid) {
  long user = 0, system = 0;
  if (slurp_f("/proc/%d/stat", pid) < 0) return 0;
  char *at = strrchr(file_text, ')');
  if (at != NULL)
    sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &system);
  return (user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

/**
 * Has a task to do with pages of 1 GiB? An emulated machine takes seconds to find, clear or copy one.
 */
static int has_large_pages(int t) {
  if (shared->verb == VERB_WRITE && strstr(shared->path, "1048576kB") != NULL) return 1;
  for (int i = 0; i < MAX_REGIONS; i++)
    if (tasks[t].regions[i].page_bytes >= 1l << 30) return 1;
  return 0;
}

/** Waits until `word` is set or task `t` ends; kills a task that gets nowhere. */
static enum outcome await(int t, int *word, int may_retry) {
  long begin = now_ms(), moved = begin, progress = shared->progress;
  long cpu = cpu_ms(tasks[t].pid), polled = begin, scale = has_large_pages(t) ? 40 : 1;
  for (;;) {
    if (__atomic_load_n(word, __ATOMIC_ACQUIRE)) return DONE;
    futex_wait(word, 0, POLL_MS);
    if (__atomic_load_n(word, __ATOMIC_ACQUIRE)) return DONE;
    reap();
    if (tasks[t].life != LIFE_ALIVE) return KILLED;
    long now = now_ms();
    if (now - polled < 200) continue;
    polled = now;
    drain_log();
    if (shared->progress != progress) {
      progress = shared->progress;
      moved = now;
      nr_fault_retries = 0;
      cpu = cpu_ms(tasks[t].pid);
    }
    long still = now - moved, used = cpu_ms(tasks[t].pid) - cpu;
    int is_retried = (nr_fault_retries > 1 && still > 1500) || still > 8000 * scale;
    if (may_retry && nr_kills == 0 && is_retried && used > still / 4) {
      kill_task(t);
      return LIVELOCK;
    }
    if (still > 15000 * scale) {
      kill_task(t);
      return LATE;
    }
  }
}

/** Gives the command in `shared` to a task. */
static enum outcome run(int t) {
  enum verb verb = shared->verb;
  shared->current = t;
  shared->signal = 0;
  shared->progress = 0;
  shared->ret = 0;
  shared->done = 0;
  __atomic_add_fetch(&shared->slots[t].go, 1, __ATOMIC_ACQ_REL);
  futex_wake(&shared->slots[t].go);
  int may_retry = verb == VERB_TOUCH || verb == VERB_READ || verb == VERB_FORK ||
                  verb == VERB_WORK || verb == VERB_FILL;
  return await(t, &shared->done, may_retry);
}

/** Lets a task make one system call. */
static enum outcome run_call(int t, long nr, long a, long b, long c, long d, long e, long f) {
  const long args[6] = {a, b, c, d, e, f};
  shared->verb = VERB_CALL;
  shared->nr = nr;
  memcpy(shared->args, args, sizeof args);
  return run(t);
}

/** Starts T0 as a child of the controller. */
static void start_first_task(void) {
  memset(tasks, 0, sizeof tasks);
  memset(shared->slots, 0, sizeof shared->slots);
  int pid = fork();
  if (pid == 0) task_begin();
  tasks[0] = (struct task){.life = LIFE_ALIVE, .pid = pid};
  await(0, &shared->slots[0].is_ready, 0);
}

/**
 * Turns T`from` into T`from` and T`to`; 0 or an errno in `shared->ret`. The child is there even if
 * the parent did not live to tell of it.
 */
static enum outcome fork_task(int from, int to) {
  shared->slots[to] = (struct slot){0};
  shared->verb = VERB_FORK;
  shared->count = to;
  shared->child = 0;
  child_end = -1;
  snprintf(shared->name, sizeof shared->name, "T%d", to);
  enum outcome outcome = run(from);
  if (shared->child == 0) return outcome;
  tasks[to] = (struct task){.life = LIFE_ALIVE, .pid = shared->child};
  memcpy(tasks[to].regions, tasks[from].regions, sizeof tasks[to].regions);
  if (child_end >= 0) {
    note_end(&tasks[to], child_end);
    return outcome;
  }
  // Whether the child gets going is its own affair: its end shows in the list of those who died.
  await(to, &shared->slots[to].is_ready, 1);
  return outcome;
}

static const char *signal_name(int number) {
  static char name[32];
  const char *abbreviation = sigabbrev_np(number);
  snprintf(name, sizeof name, "SIG%s", abbreviation == NULL ? "?" : abbreviation);
  return name;
}

/** Tasks that ended since the last time it was told. */
static void out_died(void) {
  int nr_out = 0;
  reap();
  for (int t = 0; t < MAX_TASKS; t++) {
    if (tasks[t].life < LIFE_KILLED || tasks[t].is_told) continue;
    tasks[t].is_told = 1;
    if (tasks[t].life == LIFE_EXITED) continue;
    out_f("%s\"T%d\"", nr_out++ > 0 ? "," : ",\"died\":[", t);
  }
  if (nr_out > 0) out_f("]");
}
#endif
