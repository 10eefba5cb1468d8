// Modules of the kernel, which the initial file system holds in /modules as far as it has them apart.
// Models   What insmod does.
#ifndef PROBE_MODULES_H
#define PROBE_MODULES_H
#include "kernel.h"
#include <sys/syscall.h>

static long load_module(const char *name, const char *options) {
  char path[80];
  snprintf(path, sizeof path, "/modules/%s.ko", name);
  int fd = open(path, O_RDONLY);
  if (fd < 0) return -errno;
  long ret = syscall(SYS_finit_module, fd, options, 0) == 0 || errno == EEXIST ? 0 : -errno;
  close(fd);
  return ret;
}

/** Loads the driver of the disk and its file system, unless the kernel has them built in. */
static void load_disk_modules(void) {
  static const char *const NAMES[] = {
      "crct10dif_common", "crc-t10dif", "crc64", "crc64-rocksoft", "t10-pi", "nvme-core", "nvme",
      "crc32c_generic",   "crc16",      "mbcache", "jbd2",         "ext4"};
  if (access("/modules/nvme.ko", F_OK) != 0) return;
  for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) load_module(NAMES[i], "");
  for (int i = 0; i < 100 && access("/sys/block/nvme0n1/dev", F_OK) != 0; i++) usleep(50000);
}
#endif
