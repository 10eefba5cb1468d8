// Swap areas: compressed memory (zram), whose modules the initial file system holds in /modules. It
// writes at once, so that what is reclaimed does not hang on the speed of a disk.
// Models   What mkswap and swapon do.
#ifndef PROBE_SWAP_H
#define PROBE_SWAP_H
#include "modules.h"
#include <sys/swap.h>
#include <sys/sysmacros.h>

#define MAX_SWAPS 4

static int nr_swaps;
static int has_zram;

/** The first page of an area of `pages` further ones, as mkswap writes it. */
static long write_swap_header(const char *device, long pages) {
  static char page[4096];
  unsigned int version = 1, last = (unsigned int)pages;
  memset(page, 0, sizeof page);
  memcpy(page + 1024, &version, sizeof version);
  memcpy(page + 1028, &last, sizeof last);
  memcpy(page + 4086, "SWAPSPACE2", 10);
  int fd = open(device, O_WRONLY);
  if (fd < 0) return -errno;
  long ret = write(fd, page, sizeof page) == sizeof page && fsync(fd) == 0 ? 0 : -errno;
  close(fd);
  return ret;
}

/** Adds an area of so many pages; a negative priority leaves it to the kernel. */
static long swap_on(long pages, int priority) {
  char path[80], device[32], value[32];
  int major = 0, minor = 0;
  if (nr_swaps == MAX_SWAPS) return -ENOSPC;
  if (!has_zram) {
    long ret = load_module("zsmalloc", "");
    if (ret == 0) ret = load_module("lzo-rle", "");
    if (ret == 0) ret = load_module("zram", "num_devices=4");
    if (ret != 0) return ret;
    has_zram = 1;
  }
  snprintf(path, sizeof path, "/sys/block/zram%d/disksize", nr_swaps);
  snprintf(value, sizeof value, "%ld", (pages + 1) * 4096);
  long ret = spit(path, value);
  if (ret != 0) return ret;
  if (slurp_f("/sys/block/zram%d/dev", nr_swaps) < 0) return -ENODEV;
  if (sscanf(file_text, "%d:%d", &major, &minor) != 2) return -ENODEV;
  snprintf(device, sizeof device, "/dev/zram%d", nr_swaps);
  mknod(device, S_IFBLK | 0600, makedev((unsigned)major, (unsigned)minor));
  ret = write_swap_header(device, pages);
  if (ret != 0) return ret;
  if (swapon(device, priority < 0 ? 0 : SWAP_FLAG_PREFER | priority) != 0) return -errno;
  nr_swaps++;
  return 0;
}

static void swap_off_all(void) {
  while (nr_swaps > 0) {
    char path[80];
    nr_swaps--;
    snprintf(path, sizeof path, "/dev/zram%d", nr_swaps);
    swapoff(path);
    snprintf(path, sizeof path, "/sys/block/zram%d/reset", nr_swaps);
    spit(path, "1");
  }
}
#endif
