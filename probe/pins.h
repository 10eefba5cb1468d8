// Pins: what a driver holds for a device, had through fixed buffers of io_uring, which are long-term
// pins for writing (FOLL_LONGTERM | FOLL_WRITE).
// Notes    The rings are made once, before the first case, so that a pin costs a case no memory but
//          the pages that it holds. Tasks inherit them; the controller lets go what a dead task
//          had pinned, since its own copy of the ring would keep it.
// Holds    A ring has one buffer, or none.
#ifndef PROBE_PINS_H
#define PROBE_PINS_H
#include "tasks.h"
#include <linux/io_uring.h>
#include <sys/uio.h>

#define MAX_PINS 16

static struct {
  int ring, task;
  uintptr_t address;
  long bytes;
} pins[MAX_PINS];

static void make_rings(void) {
  for (int i = 0; i < MAX_PINS; i++) {
    struct io_uring_params params;
    memset(&params, 0, sizeof params);
    pins[i].ring = (int)call6(SYS_io_uring_setup, 1, (long)&params, 0, 0, 0, 0);
    pins[i].task = -1;
  }
}

static long free_ring(int i) {
  pins[i].task = -1;
  return call6(SYS_io_uring_register, pins[i].ring, IORING_UNREGISTER_BUFFERS, 0, 0, 0, 0);
}

/** Lets go what tasks that are gone had pinned; with `all` everything. */
static void drop_pins(int all) {
  for (int i = 0; i < MAX_PINS; i++)
    if (pins[i].task >= 0 && (all || tasks[pins[i].task].life != LIFE_ALIVE)) free_ring(i);
}

/** Pins a range for a task. */
static enum outcome pin_range(int t, uintptr_t address, long bytes) {
  struct iovec *buffer = (struct iovec *)shared->mask;
  int i = 0;
  while (i < MAX_PINS && (pins[i].task >= 0 || pins[i].ring < 0)) i++;
  if (i == MAX_PINS) {
    shared->signal = 0;
    shared->ret = -28; // ENOSPC: no ring is left
    return DONE;
  }
  *buffer = (struct iovec){(void *)address, (size_t)bytes};
  enum outcome outcome = run_call(t, SYS_io_uring_register, pins[i].ring, IORING_REGISTER_BUFFERS,
                                  (long)buffer, 1, 0, 0);
  if (outcome == DONE && shared->ret == 0) {
    pins[i].task = t;
    pins[i].address = address;
    pins[i].bytes = bytes;
  }
  return outcome;
}

/** Takes back the last pin of a range. */
static enum outcome unpin_range(int t, uintptr_t address, long bytes) {
  int i = MAX_PINS - 1;
  while (i >= 0 && (pins[i].task != t || pins[i].address != address || pins[i].bytes != bytes)) i--;
  if (i >= 0) pins[i].task = -1;
  return run_call(t, SYS_io_uring_register, pins[i < 0 ? MAX_PINS - 1 : i].ring,
                  IORING_UNREGISTER_BUFFERS, 0, 0, 0, 0);
}
#endif
