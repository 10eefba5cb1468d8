// The test program: the first process of a guest, which does operations on the kernel it runs on
// and says on the serial line what came of them.
// Models   The operations of the scenario language, one result a line; see README.md.
// Notes    This process is the controller: it is under no policy and in no tested cpuset. What a
//          task does, a process of its own does (task.h).
// Holds    One line of output is one write(); a case leaves nothing behind for the next.
#include "cases.h"
#include <sys/reboot.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>

static void on_alarm(int number) {
  (void)number; // only to interrupt a write
}

static void *arena(size_t bytes) {
  void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  madvise(at, bytes, MADV_DONTFORK);
  return at;
}

static void make_places(void) {
  out_text = arena(OUT_BYTES);
  file_text = arena(TEXT_BYTES);
  list = arena(LIST_PAGES * sizeof *list);
  shared = mmap((void *)SHARED_AT, sizeof *shared, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (shared == MAP_FAILED)
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  memset(shared, 0, sizeof *shared);
}

static void mount_all(void) {
  mount("proc", "/proc", "proc", 0, NULL);
  mount("sysfs", "/sys", "sysfs", 0, NULL);
  mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
  mknod("/dev/null", S_IFCHR | 0666, makedev(1, 3));
  mknod("/dev/kmsg", S_IFCHR | 0600, makedev(1, 11));
  mknod("/dev/ttyS0", S_IFCHR | 0600, makedev(4, 64));
  mknod("/dev/console", S_IFCHR | 0600, makedev(5, 1));
  out_serial = open("/dev/ttyS0", O_WRONLY | O_NOCTTY);
  if (out_serial < 0) out_serial = open("/dev/console", O_WRONLY | O_NOCTTY);
  log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
  spit("/proc/sys/kernel/printk", "1");
}

static char *read_ops(void) {
  if (slurp("/ops") < 0) file_text[0] = '\0';
  size_t bytes = strlen(file_text) + 1;
  char *text = arena(bytes);
  memcpy(text, file_text, bytes);
  return text;
}

int main(void) {
  static char cmdline[4096];
  struct utsname name;
  struct sigaction action = {.sa_handler = on_alarm};
  make_places();
  mount_all();
  sigaction(SIGALRM, &action, NULL);
  prctl(PR_SET_NAME, "probe");
  drain_log();
  slurp("/proc/cmdline");
  snprintf(cmdline, sizeof cmdline, "%s", file_text);
  uname(&name);
  out_f("@{\"probe\":1,\"kernel\":\"%s\",\"cmdline\":", name.release);
  out_string(cmdline);
  out_f("}");
  out_line();
  const char *settle = value_in(cmdline, "probe.settle=");
  sleep((unsigned)atoi(settle));
  drop_caches();
  make_rings();
  note_blocks();
  note_huge_pages();
  out_zones(1);
  snprintf(boot_zones, sizeof boot_zones, "%.*s", (int)out_used, out_text);
  out_used = 0;
  run_cases(read_ops(), cmdline);
  out_f("@{\"done\":true}");
  out_line();
  fsync(out_serial);
  usleep(100000);
  reboot(RB_AUTOBOOT);
  return 0;
}
