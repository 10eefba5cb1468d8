// Operations on files: made on the disk or in a tmpfs of their own, read, written, mapped, advised
// about, and looked at.
// Models   A file has the same name in every task. The disk is the first block device that is
//          there, with a file system on it, mounted when a case first needs it.
// Notes    `cached` maps the file in the controller and touches what mincore() says is there, in
//          areas marked so that no readahead starts and no page is taken for used.
#ifndef PROBE_OP_FILES_H
#define PROBE_OP_FILES_H
#include "modules.h"
#include "words.h"
#include <linux/fadvise.h>
#include <sys/sysmacros.h>

static void file_path(char *path, size_t room, const char *name) {
  snprintf(path, room, TMPFS_DIR "/%s/f", name);
  if (access(path, F_OK) != 0) snprintf(path, room, DISK_DIR "/%s", name);
}

/** Finds the first of the disks that a guest may have and mounts its file system. */
static long mount_disk(void) {
  static const char *const DISKS[] = {"nvme0n1", "vda", "sda", "ram0"};
  static int is_mounted;
  unsigned major, minor;
  if (is_mounted) return 0;
  load_disk_modules();
  for (size_t i = 0; i < sizeof DISKS / sizeof *DISKS; i++) {
    if (slurp_f("/sys/block/%s/dev", DISKS[i]) < 0) continue;
    if (sscanf(file_text, "%u:%u", &major, &minor) != 2) continue;
    mknod("/dev/disk", S_IFBLK | 0600, makedev(major, minor));
    mkdir(DISK_DIR, 0755);
    if (mount("/dev/disk", DISK_DIR, "ext4", MS_NOATIME, NULL) != 0) return -errno;
    is_mounted = 1;
    return 0;
  }
  return -ENODEV;
}

/** `mpol=` as a mount has it, from MODE[+FLAG...][:NODES]. */
static void mount_policy(char *into, size_t room, const char *text) {
  static const char *const NAMES[] = {"default", "prefer", "bind", "interleave", "local",
                                      "prefer (many)"};
  char mode[64], *nodes = NULL, *flags;
  snprintf(mode, sizeof mode, "%s", text);
  if ((nodes = strchr(mode, ':')) != NULL) *nodes++ = '\0';
  if ((flags = strchr(mode, '+')) != NULL) *flags++ = '\0';
  const char *name = mode;
  for (int i = 0; i < 6; i++)
    if (strcmp(mode, MODES[i]) == 0) name = NAMES[i];
  snprintf(into, room, "size=0,mpol=%s%s%s%s%s", name, flags == NULL ? "" : "=",
           flags == NULL ? "" : flags, nodes == NULL ? "" : ":", nodes == NULL ? "" : nodes);
}

static long make_tmpfs(const char *name) {
  char path[128], options[160] = "size=0";
  for (int i = 0; i < nr_words; i++)
    if (strncmp(words[i], "mpol=", 5) == 0) mount_policy(options, sizeof options, words[i] + 5);
  snprintf(path, sizeof path, TMPFS_DIR "/%s", name);
  mkdir(TMPFS_DIR, 0755);
  if (mkdir(path, 0755) != 0) return -errno;
  if (mount("tmpfs", path, "tmpfs", 0, options) == 0) return 0;
  long why = -errno;
  rmdir(path);
  return why;
}

/** Answers as the two operations that make and resize a file do. */
static long size_file(int fd, long pages) {
  return ftruncate(fd, pages * 4096) == 0 ? 0 : -errno;
}

static int sys_mkfile(const char *name) {
  char path[128];
  struct stat info;
  (void)name;
  file_path(path, sizeof path, word(2));
  long ret = access(path, F_OK) == 0 ? -EEXIST
             : has_word("tmpfs")     ? make_tmpfs(word(2))
                                     : mount_disk();
  if (ret != 0) return out_done(ret);
  if (has_word("tmpfs")) snprintf(path, sizeof path, TMPFS_DIR "/%s/f", word(2));
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (fd < 0) return out_done(-errno);
  ret = size_file(fd, atol(word(3)));
  if (ret == 0) {
    fsync(fd);
    fstat(fd, &info);
    remember_file(word(2));
  }
  close(fd);
  out_ret(ret);
  if (ret == 0) out_f(",\"ino\":%lu", (unsigned long)info.st_ino);
  return 1;
}

static int sys_rmfile(const char *name) {
  (void)name;
  return out_done(remove_file(word(2)));
}

static int sys_truncate(const char *name) {
  char path[128];
  (void)name;
  file_path(path, sizeof path, word(2));
  int fd = open(path, O_RDWR);
  if (fd < 0) return out_done(-errno);
  long ret = size_file(fd, atol(word(3)));
  close(fd);
  return out_done(ret);
}

static int sys_sync(const char *name) {
  (void)name;
  sync();
  return out_done(0);
}

static sigjmp_buf broken_page;

/** The controller met a page that is broken: where it was to be looked at, it is not there. */
static void on_broken_page(int number) {
  siglongjmp(broken_page, number);
}

/** Nodes of `pages` pages of an open file from `offset` on, into `list`; 0 or an errno. */
static long look_at_file(int fd, long offset, long pages) {
  size_t bytes = (size_t)pages * 4096;
  unsigned char *is_there = malloc((size_t)pages);
  volatile char *at = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, offset * 4096);
  long ret = 0;
  if (at == MAP_FAILED) return -errno;
  madvise((void *)at, bytes, MADV_RANDOM);
  mincore((void *)at, bytes, is_there);
  signal(SIGBUS, on_broken_page);
  for (volatile long i = 0; i < pages; i++) {
    list[i] = -ENOENT;
    if (is_there[i] & 1 && sigsetjmp(broken_page, 1) == 0) (void)at[i * 4096];
  }
  signal(SIGBUS, SIG_DFL);
  for (long done = 0; done < pages && ret >= 0; done += MOVE_CHUNK) {
    long n = pages - done < MOVE_CHUNK ? pages - done : MOVE_CHUNK;
    for (long i = 0; i < n; i++) shared->pages[i] = (void *)(at + (done + i) * 4096);
    ret = call6(SYS_move_pages, 0, n, (long)shared->pages, 0, (long)(list + done), 0);
  }
  for (long i = 0; i < pages; i++)
    if (!(is_there[i] & 1)) list[i] = -ENOENT;
  madvise((void *)at, bytes, MADV_SEQUENTIAL);
  munmap((void *)at, bytes);
  free(is_there);
  return ret < 0 ? ret : 0;
}

static int sys_cached(const char *name) {
  char path[128];
  struct stat info;
  (void)name;
  file_path(path, sizeof path, word(2));
  int fd = open(path, O_RDWR);
  if (fd < 0) return out_done(-errno);
  fstat(fd, &info);
  long offset = is_number(word(3)) ? atol(word(3)) : 0, size = (info.st_size + 4095) / 4096;
  long pages = is_number(word(4)) ? atol(word(4)) : size - offset;
  long ret = pages > 0 && pages <= (long)LIST_PAGES ? look_at_file(fd, offset, pages) : 0;
  close(fd);
  out_ret(ret);
  if (ret < 0) return 1;
  if (pages < 0) pages = 0;
  out_f(",\"where\":");
  out_runs(list, (size_t)pages, list_name);
  out_f(",\"counts\":");
  out_counts(list, (size_t)pages, list_name);
  return 1;
}

// ---- of a task ----------------------------------------------------------------------------------

static int op_rw_file(int t, const char *name) {
  int is_write = strcmp(name, "writefile") == 0;
  file_path(shared->path, sizeof shared->path, word(2));
  shared->verb = is_write ? VERB_WRITE_FILE : VERB_READ_FILE;
  shared->args[0] = is_number(word(3)) ? atol(word(3)) : 0;
  shared->args[1] = is_number(word(4)) ? atol(word(4)) : -1;
  enum outcome outcome = run(t);
  const char *key = is_write ? "written" : "read";
  begin_result();
  if (outcome != DONE) out_lost(t, outcome, key);
  else {
    out_outcome(t, outcome);
    if (shared->ret != -ENOENT) out_f(",\"%s\":%ld", key, shared->progress);
  }
  end_result();
  return 1;
}

/** A call on a file that a task opens for it. */
static int op_file_call(int t, const char *name) {
  int is_sync = strcmp(name, "fsync") == 0;
  file_path(shared->path, sizeof shared->path, word(2));
  shared->verb = VERB_FILE_CALL;
  shared->nr = is_sync ? SYS_fsync : SYS_fadvise64;
  long advice = strcmp(word(5), "dontneed") == 0 ? POSIX_FADV_DONTNEED : POSIX_FADV_WILLNEED;
  memcpy(shared->args, (long[6]){0, atol(word(3)) * 4096, atol(word(4)) * 4096, advice},
         sizeof shared->args);
  return tell_outcome(t, run(t));
}

/** Maps a file, for the kinds that name one. */
static int op_mmap_file(int t, struct place *place, const char *kind) {
  const char *colon = strchr(kind, ':');
  int is_shared = strncmp(kind, "file:", 5) == 0, is_text = strncmp(kind, "text:", 5) == 0;
  struct region region = {atol(word(3)), 4096, option("shift", 0), 0};
  region.base = region_base(place->region, (region.pages + region.shift) * 4096, 4096);
  uintptr_t start = region.base + (uintptr_t)(region.shift * 4096);
  file_path(shared->path, sizeof shared->path, colon + 1);
  shared->verb = VERB_FILE_CALL;
  shared->nr = SYS_mmap;
  long rights = is_text ? PROT_READ | PROT_EXEC : PROT_READ | PROT_WRITE;
  long flags = MAP_FIXED | MAP_NORESERVE | (is_shared ? MAP_SHARED : MAP_PRIVATE);
  memcpy(shared->args,
         (long[6]){(long)start, region.pages * 4096, rights, flags, 0, option("at", 0) * 4096},
         sizeof shared->args);
  enum outcome outcome = run(t);
  int is_made = outcome == DONE && shared->ret == (long)start;
  if (is_made) shared->ret = 0;
  begin_result();
  if (out_outcome(t, outcome) && is_made) {
    *place->is = region;
    out_f(",\"pageBytes\":4096");
    out_inode(t, start);
  }
  end_result();
  return 1;
}
#endif
