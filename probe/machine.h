// What the controller does to the machine, and how it is undone after a case.
// Models   Files written, control groups made, memory blocks taken offline or brought back.
// Holds    After undo_all() every written knob has its old value, no group of a case is left, each
//          block is as it was, and there are no huge pages beyond those of the boot.
#ifndef PROBE_MACHINE_H
#define PROBE_MACHINE_H
#include "pins.h"
#include "swap.h"
#include <ftw.h>
#include <sys/mount.h>

#define MAX_KNOBS 64
#define MAX_BLOCKS 1024
#define BLOCK_PATIENCE_S 10

static struct {
  char path[256], value[256];
} knobs[MAX_KNOBS];
static int nr_knobs;

/** State of a memory block: the node it belongs to and the zone it was online in. */
struct block {
  int node, number, is_online, is_movable;
};

static struct block blocks_at_boot[MAX_BLOCKS];
static int nr_blocks_at_boot;

static const char *errno_name(int value) {
  const char *name = strerrorname_np(-value);
  return name == NULL ? "EUNKNOWN" : name;
}

/** Remembers what a knob held before a case first wrote to it. */
static void remember_knob(const char *path) {
  if (strncmp(path, "/sys/fs/cgroup/", 15) == 0 || strncmp(path, "/cpuset/", 8) == 0) return;
  for (int i = 0; i < nr_knobs; i++)
    if (strcmp(knobs[i].path, path) == 0) return;
  if (nr_knobs == MAX_KNOBS || slurp(path) < 0) return;
  // A choice is shown with its words, `always [madvise] never`, and written as one of them.
  char *chosen = strchr(file_text, '['), *end = strchr(file_text, ']');
  if (chosen != NULL && end != NULL) *end = '\0';
  snprintf(knobs[nr_knobs].path, sizeof knobs[0].path, "%s", path);
  snprintf(knobs[nr_knobs].value, sizeof knobs[0].value, "%s", chosen != NULL ? chosen + 1 : file_text);
  nr_knobs++;
}

// ---- memory blocks ------------------------------------------------------------------------------

static int by_number(const void *a, const void *b) {
  return ((const struct block *)a)->number - ((const struct block *)b)->number;
}

/** Blocks of a node from the lowest up. */
static int node_blocks(int node, struct block *into) {
  char path[64];
  int n = 0, number;
  snprintf(path, sizeof path, "%s/node%d", NODE_DIR, node);
  DIR *folder = opendir(path);
  if (folder == NULL) return 0;
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    if (sscanf(entry->d_name, "memory%d", &number) != 1 || n == MAX_BLOCKS) continue;
    struct block block = {.node = node, .number = number};
    slurp_f("/sys/devices/system/memory/memory%d/state", number);
    block.is_online = strcmp(file_text, "online") == 0;
    slurp_f("/sys/devices/system/memory/memory%d/valid_zones", number);
    block.is_movable = strncmp(file_text, "Movable", 7) == 0;
    into[n++] = block;
  }
  closedir(folder);
  qsort(into, (size_t)n, sizeof *into, by_number);
  return n;
}

static void note_blocks(void) {
  int nodes[MAX_NODES], count = online_nodes(nodes);
  for (int i = 0; i < count; i++) {
    struct block *end = blocks_at_boot + nr_blocks_at_boot;
    struct block found[MAX_BLOCKS];
    int n = node_blocks(nodes[i], found);
    if (nr_blocks_at_boot + n > MAX_BLOCKS) return;
    memcpy(end, found, (size_t)n * sizeof *found);
    nr_blocks_at_boot += n;
  }
}

/** Writes a block's state; a block that cannot be emptied is given up after a while (EINTR). */
static long write_block(int number, const char *state) {
  char path[96];
  snprintf(path, sizeof path, "/sys/devices/system/memory/memory%d/state", number);
  alarm(BLOCK_PATIENCE_S);
  long ret = spit(path, state);
  alarm(0);
  return ret;
}

/** Takes up to `limit` blocks of a node offline or online; puts out the fields of the result. */
static void change_blocks(int node, int to_online, const char *state, int limit) {
  struct block blocks[MAX_BLOCKS];
  int n = node_blocks(node, blocks), changed = 0, already = 0, nr_errors = 0;
  long last = 0;
  out_f("\"errors\":{");
  for (int k = 0; k < n && (limit == 0 || changed < limit); k++) {
    int at = to_online ? k : n - 1 - k;
    if (blocks[at].is_online == to_online) {
      already++;
      continue;
    }
    long ret = write_block(blocks[at].number, state);
    if (ret == 0) changed++;
    else {
      out_f("%s\"block%d\":\"%s\"", nr_errors++ > 0 ? "," : "", at, errno_name((int)ret));
      last = ret;
    }
  }
  out_f("},\"ret\":");
  if (last == 0) out_f("0");
  else out_string(errno_name((int)last));
  out_f(",\"blocks\":%d,\"changed\":%d,\"already\":%d", n, changed, already);
}

static void restore_blocks(void) {
  for (int i = 0; i < nr_blocks_at_boot; i++) {
    const struct block *was = &blocks_at_boot[i];
    if (slurp_f("/sys/devices/system/memory/memory%d/state", was->number) < 0) continue;
    int is_online = strcmp(file_text, "online") == 0;
    slurp_f("/sys/devices/system/memory/memory%d/valid_zones", was->number);
    int is_movable = strncmp(file_text, "Movable", 7) == 0;
    if (is_online && (!was->is_online || is_movable != was->is_movable)) {
      if (write_block(was->number, "offline") != 0) continue;
      is_online = 0;
    }
    if (!is_online && was->is_online)
      write_block(was->number, was->is_movable ? "online_movable" : "online_kernel");
  }
}

// ---- control groups -----------------------------------------------------------------------------

static char mounted_cpuset[8];

static int remove_group(const char *path, const struct stat *info, int type, struct FTW *walk) {
  (void)info;
  if (type == FTW_DP && walk->level > 0) rmdir(path);
  return 0;
}

static const char *cpuset_root(void) {
  return strcmp(mounted_cpuset, "v1") == 0 ? "/cpuset" : "/sys/fs/cgroup";
}

/** Mounts the hierarchy a case asks for (`v2`, `v1` or none) in place of another. */
static void mount_cpuset(const char *version) {
  if (strcmp(mounted_cpuset, version) == 0) return;
  if (mounted_cpuset[0] != '\0') {
    if (strcmp(mounted_cpuset, "v2") == 0) spit("/sys/fs/cgroup/cgroup.subtree_control", "-cpuset");
    umount2(cpuset_root(), MNT_DETACH);
    usleep(200000);
  }
  snprintf(mounted_cpuset, sizeof mounted_cpuset, "%s", version);
  for (int i = 0; i < 20; i++) {
    if (strcmp(version, "v1") == 0) {
      mkdir("/cpuset", 0755);
      if (mount("cpuset", "/cpuset", "cgroup", 0, "cpuset") == 0) return;
    } else if (strcmp(version, "v2") == 0) {
      if (access("/sys/fs/cgroup/cgroup.procs", F_OK) != 0)
        mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL);
      if (spit("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset") == 0) return;
    } else return;
    usleep(100000);
  }
}

// ---- undoing ------------------------------------------------------------------------------------

/** Pages of the pools at the start, by size and node; -1 where there is no such pool. */
static long huge_at_boot[2][MAX_NODES];
static const char *const HUGE_SIZES[2] = {"2048", "1048576"};

static void huge_path(char *path, size_t room, int size, int node) {
  snprintf(path, room, "%s/node%d/hugepages/hugepages-%skB/nr_hugepages", NODE_DIR, node,
           HUGE_SIZES[size]);
}

static void note_huge_pages(void) {
  for (int size = 0; size < 2; size++) {
    for (int node = 0; node < MAX_NODES; node++) {
      char path[160];
      huge_path(path, sizeof path, size, node);
      huge_at_boot[size][node] = slurp(path) < 0 ? -1 : atol(file_text);
    }
  }
}

static void restore_pool(int size) {
  for (int node = 0; node < MAX_NODES; node++) {
    char path[160], value[24];
    if (huge_at_boot[size][node] < 0) continue;
    huge_path(path, sizeof path, size, node);
    if (slurp(path) < 0 || atol(file_text) == huge_at_boot[size][node]) continue;
    snprintf(value, sizeof value, "%ld", huge_at_boot[size][node]);
    spit(path, value);
  }
}

static void restore_huge_pages(void) {
  spit("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages", "0");
  for (int size = 1; size >= 0; size--) restore_pool(size);
  int is_none = 1;
  for (int node = 0; node < MAX_NODES; node++) is_none &= huge_at_boot[0][node] <= 0;
  if (is_none && huge_number("2048", "nr_hugepages") != 0)
    spit("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0");
}

/** A CPU holds back pages that are to join a list, and those cannot be dropped: lets all go. */
static void empty_batches(void) {
  call6(SYS_move_pages, 0, 0, 0, (long)shared->nodes, 0, 2 /* MPOL_MF_MOVE */);
}

static void drop_caches(void) {
  sync();
  empty_batches();
  spit("/proc/sys/vm/drop_caches", "3");
}

/** Key of a region's SysV segment: the region of that number is the same segment in all tasks. */
static int segment_key(int region, int sizes_above) {
  return 0x5e60000 + region + sizes_above * MAX_REGIONS;
}

static void remove_segments(void) {
  for (int i = 0; i < 3 * MAX_REGIONS; i++) {
    long id = call6(SYS_shmget, segment_key(i, 0), 0, 0, 0, 0, 0);
    if (id >= 0) call6(SYS_shmctl, id, 0 /* IPC_RMID */, 0, 0, 0, 0);
  }
}

#define KSM "/sys/kernel/mm/ksm/"

static long ksm_number(const char *name) {
  return slurp_f(KSM "%s", name) < 0 ? -1 : atol(file_text);
}

/** Lets go of all merged pages, and lets the next scan begin at the first task. */
static void reset_ksm(void) {
  if (ksm_number("run") < 0) return;
  spit(KSM "run", "2");
  spit(KSM "run", "0");
}

// ---- files --------------------------------------------------------------------------------------

#define TMPFS_DIR "/tmpfs"
#define DISK_DIR "/disk"
#define MAX_FILES 64

static char files[MAX_FILES][48];
static int nr_files;

static void remember_file(const char *name) {
  if (nr_files < MAX_FILES) snprintf(files[nr_files++], sizeof files[0], "%s", name);
}

/** Takes a file's name away, and the tmpfs that was made for it: 0 or a negative errno. */
static long remove_file(const char *name) {
  char path[128], folder[128];
  snprintf(folder, sizeof folder, TMPFS_DIR "/%s", name);
  snprintf(path, sizeof path, TMPFS_DIR "/%s/f", name);
  if (unlink(path) == 0) {
    umount2(folder, MNT_DETACH);
    return rmdir(folder) == 0 ? 0 : -errno;
  }
  snprintf(path, sizeof path, DISK_DIR "/%s", name);
  return unlink(path) == 0 ? 0 : -errno;
}

/** Brings the machine back to what it was before the case. */
static void undo_all(void) {
  drop_pins(1);
  for (int t = 0; t < MAX_TASKS; t++) kill_task(t);
  reap();
  reset_ksm();
  remove_segments();
  while (nr_files > 0) remove_file(files[--nr_files]);
  swap_off_all();
  while (nr_knobs > 0) {
    nr_knobs--;
    if (strstr(knobs[nr_knobs].path, "hugepages") == NULL)
      spit(knobs[nr_knobs].path, knobs[nr_knobs].value);
  }
  if (mounted_cpuset[0] != '\0') nftw(cpuset_root(), remove_group, 8, FTW_DEPTH | FTW_PHYS);
  if (strcmp(mounted_cpuset, "v2") == 0) spit("/sys/fs/cgroup/cgroup.subtree_control", "-memory");
  restore_blocks();
  restore_huge_pages();
  drop_caches();
}
#endif
