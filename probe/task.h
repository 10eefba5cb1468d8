// The tested tasks: each is a process that does one command at a time for the controller.
// Models   A task waits on a futex in memory that all share, does its command, and answers there.
// Notes    The shared block lies in the same 2 MiB as the program's data: page tables of that part
//          are copied by fork, so that talking to the controller makes a task allocate nothing
//          (which would move its interleave position or die under a narrow policy). For the same
//          reason system calls are made directly, without the C library's errno.
// Holds    One command runs at a time, of one task.
#ifndef PROBE_TASK_H
#define PROBE_TASK_H
#include "out.h"
#include <linux/futex.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#define MAX_TASKS 16
#define MASK_BYTES 8192
#define MOVE_CHUNK 24576
#define FILE_CHUNK (128l << 10)
#define SHARED_AT 0x560000ul

enum verb { VERB_CALL, VERB_CALL2, VERB_TOUCH, VERB_READ, VERB_FORK, VERB_SHM, VERB_WRITE,
            VERB_READ_FILE, VERB_WRITE_FILE, VERB_FILE_CALL, VERB_WORK, VERB_FILL };

struct slot {
  int go;
  int is_ready;
};

/** What controller and tasks share. */
struct shared {
  struct slot slots[MAX_TASKS];
  int current;
  int done;
  enum verb verb;
  long nr, args[6];   // a system call
  long nr2, args2[6]; // a second one, made if the first succeeds
  long ret;
  int signal;
  int child; // process that a fork made; 0 as long as there is none
  volatile long progress;
  uintptr_t address;
  long count, step;
  sigjmp_buf escape;
  int number; // where calls leave an int
  int number2;
  char name[16];
  char path[512], data[512];
  unsigned char mask[MASK_BYTES], mask2[MASK_BYTES];
  void *pages[MOVE_CHUNK];
  int nodes[MOVE_CHUNK], status[MOVE_CHUNK];
};

static struct shared *shared;

static inline long call6(long nr, long a, long b, long c, long d, long e, long f) {
  long ret;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(ret)
                   : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return ret;
}

static void futex_wake(int *word) {
  call6(SYS_futex, (long)word, FUTEX_WAKE, 64, 0, 0, 0);
}

static void futex_wait(int *word, int value, long ms) {
  struct timespec limit = {ms / 1000, ms % 1000 * 1000000};
  call6(SYS_futex, (long)word, FUTEX_WAIT, value, ms < 0 ? 0 : (long)&limit, 0, 0);
}

static void on_fault(int number) {
  shared->signal = number;
  siglongjmp(shared->escape, 1);
}

/** Writes or reads a byte in each page, in order. */
static void do_touch(int is_write) {
  for (long i = 0; i < shared->count; i++) {
    volatile char *page = (volatile char *)(shared->address + (uintptr_t)(i * shared->step));
    if (is_write) *page = 1;
    else (void)*page;
    shared->progress = i + 1;
  }
}

/** Processor time of the task, ms. */
static long used_ms(void) {
  struct timespec t;
  call6(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, (long)&t, 0, 0, 0, 0);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/** Writes to the pages in turn, over and over, for so much processor time. */
static void do_work(long ms) {
  long begin = used_ms();
  do do_touch(1);
  while (used_ms() - begin < ms);
}

/** Writes a number at the start of each page. */
static void do_fill(unsigned number) {
  for (long i = 0; i < shared->count; i++) {
    *(volatile unsigned *)(shared->address + (uintptr_t)(i * shared->step)) = number;
    shared->progress = i + 1;
  }
}

/** Attaches the SysV segment of a key at the address; the first to ask makes it. */
static long do_shm(void) {
  long id = call6(SYS_shmget, shared->args[2], shared->count, shared->args[0], 0, 0, 0);
  if (id < 0) return id;
  return call6(SYS_shmat, id, (long)shared->address, shared->args[1], 0, 0, 0);
}

static long do_write(void) {
  long fd = call6(SYS_open, (long)shared->path, 1 /* O_WRONLY */, 0, 0, 0, 0);
  if (fd < 0) return fd;
  long n = call6(SYS_write, fd, (long)shared->data, (long)strlen(shared->data), 0, 0, 0);
  call6(SYS_close, fd, 0, 0, 0, 0, 0);
  return n;
}

/** Reads or writes args[1] pages from args[0] on, all when negative, 128 KiB in a call. */
static long do_rw_file(int is_write) {
  long fd = call6(SYS_open, (long)shared->path, 2 /* O_RDWR */, 0, 0, 0, 0);
  long at = shared->args[0] * 4096, ret = 1;
  if (fd < 0) return fd;
  long size = call6(SYS_lseek, fd, 0, 2 /* SEEK_END */, 0, 0, 0);
  long end = shared->args[1] < 0 ? size : at + shared->args[1] * 4096;
  while (at < end && ret > 0) {
    long bytes = end - at < FILE_CHUNK ? end - at : FILE_CHUNK;
    ret = call6(is_write ? SYS_pwrite64 : SYS_pread64, fd, (long)shared->pages, bytes, at, 0, 0);
    if (ret > 0) at += ret;
    shared->progress = (at + 4095) / 4096 - shared->args[0];
  }
  call6(SYS_close, fd, 0, 0, 0, 0, 0);
  return ret < 0 ? ret : 0;
}

/** Makes a system call on a file: its descriptor is the fifth argument of mmap, else the first. */
static long do_file_call(void) {
  long *a = shared->args;
  long fd = call6(SYS_open, (long)shared->path, 2 /* O_RDWR */, 0, 0, 0, 0);
  if (fd < 0) return fd;
  a[shared->nr == SYS_mmap ? 4 : 0] = fd;
  long ret = call6(shared->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
  call6(SYS_close, fd, 0, 0, 0, 0, 0);
  return ret;
}

static long do_verb(void) {
  const long *a = shared->args, *b = shared->args2;
  long ret = 0;
  switch (shared->verb) {
    case VERB_TOUCH:
    case VERB_READ: do_touch(shared->verb == VERB_TOUCH); return 0;
    case VERB_WORK: do_work(a[0]); return 0;
    case VERB_FILL: do_fill((unsigned)a[0]); return 0;
    case VERB_SHM: return do_shm();
    case VERB_WRITE: return do_write();
    case VERB_READ_FILE:
    case VERB_WRITE_FILE: return do_rw_file(shared->verb == VERB_WRITE_FILE);
    case VERB_FILE_CALL: return do_file_call();
    default: break;
  }
  ret = call6(shared->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
  if (shared->verb == VERB_CALL2 && ret >= 0)
    ret = call6(shared->nr2, b[0], b[1], b[2], b[3], b[4], b[5]);
  return ret;
}

/** As do_verb(), with a way out of faults. Apart, as longjmp may spoil the caller's variables. */
static void __attribute__((noinline)) do_verb_guarded(void) {
  if (sigsetjmp(shared->escape, 1) == 0) shared->ret = do_verb();
}

/** A task's life. Its number is a variable of the stack: a forked task goes on with another. */
static void task_loop(int number) {
  volatile int me = number; // on the stack, which parent and child write after a fork
  int seen = 0;
  for (;;) {
    struct slot *slot = &shared->slots[me];
    while (__atomic_load_n(&slot->go, __ATOMIC_ACQUIRE) == seen) futex_wait(&slot->go, seen, -1);
    seen = __atomic_load_n(&slot->go, __ATOMIC_ACQUIRE);
    if (shared->verb == VERB_FORK) {
      int target = (int)shared->count;
      // The kernel itself says which process it made: the parent may die before it can.
      long pid = call6(SYS_clone, CLONE_PARENT | CLONE_PARENT_SETTID | SIGCHLD, 0,
                       (long)&shared->child, 0, 0, 0);
      if (pid == 0) {
        call6(SYS_prctl, PR_SET_NAME, (long)shared->name, 0, 0, 0, 0);
        me = target;
        seen = 0;
        __atomic_store_n(&shared->slots[me].is_ready, 1, __ATOMIC_RELEASE);
        futex_wake(&shared->slots[me].is_ready);
        continue;
      }
      int same = me;
      me = same;
      shared->ret = pid;
    } else do_verb_guarded();
    __atomic_store_n(&shared->done, 1, __ATOMIC_RELEASE);
    futex_wake(&shared->done);
  }
}

/** Stack that later calls and signal frames need, made present under the default policy. */
static void __attribute__((noinline)) warm_stack(void) {
  volatile char room[48 * 1024];
  for (size_t i = 0; i < sizeof room; i += 1024) room[i] = 1;
}

/** Life of T0, in the new process. */
static void task_begin(void) {
  struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
  cpu_set_t first;
  CPU_ZERO(&first);
  CPU_SET(0, &first);
  call6(SYS_sched_setaffinity, 0, sizeof first, (long)&first, 0, 0, 0);
  sigaction(SIGBUS, &action, NULL);
  sigaction(SIGSEGV, &action, NULL);
  prctl(PR_SET_NAME, "T0");
  warm_stack();
  for (size_t i = 0; i < sizeof *shared; i += 4096) (void)((volatile char *)shared)[i];
  __atomic_store_n(&shared->slots[0].is_ready, 1, __ATOMIC_RELEASE);
  futex_wake(&shared->slots[0].is_ready);
  task_loop(0);
}
#endif
