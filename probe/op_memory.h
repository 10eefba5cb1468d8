// Operations of a task on its regions: map, unmap, touch, advise, lock.
// Models   Regions are anonymous, shared, SysV, of huge pages, or of a file (op_files.h).
#ifndef PROBE_OP_MEMORY_H
#define PROBE_OP_MEMORY_H
#include "op_files.h"
#include "words.h"

/** The kind of a region without `-1G`, which says that its pages have 1 GiB: is it there? */
static int base_kind(char *kind, size_t room, const char *said) {
  size_t length = strlen(said);
  int is_large = length > 3 && strcmp(said + length - 3, "-1G") == 0;
  snprintf(kind, room, "%.*s", (int)(is_large ? length - 3 : length), said);
  return is_large;
}

static int op_mmap(int t, const char *name) {
  (void)name;
  struct place place;
  char kind[64];
  int is_large = base_kind(kind, sizeof kind, word(4));
  int is_huge = strstr(kind, "hugetlb") != NULL, is_shm = strncmp(kind, "shm", 3) == 0;
  if (!place_of(t, 2, &place) || !is_number(word(3))) return not_understood();
  if (strchr(kind, ':') != NULL) return op_mmap_file(t, &place, kind);
  long flags = MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE | (is_huge ? MAP_HUGETLB : 0);
  long size_bits = is_large ? 30l << 26 /* MAP_HUGE_1GB, SHM_HUGE_1GB */ : 0;
  int is_shared = is_shm || strcmp(kind, "shared") == 0 || strcmp(kind, "hugetlb-shared") == 0;
  if (strcmp(kind, "anon-populate") == 0) flags |= MAP_POPULATE;
  else if (strcmp(kind, "anon-locked") == 0) flags |= MAP_LOCKED;
  else if (strcmp(kind, "anon") != 0 && strcmp(kind, "hugetlb-noreserve") != 0 && !is_shared &&
           strcmp(kind, "hugetlb") != 0)
    return not_understood();
  if (is_huge && strcmp(kind, "hugetlb-noreserve") != 0) flags &= ~(long)MAP_NORESERVE;
  long page_bytes = is_large ? 1l << 30 : is_huge ? 2l << 20 : 4096;
  struct region region = {atol(word(3)), page_bytes, option("shift", 0), 0};
  region.base = region_base(place.region, (region.pages + region.shift) * page_bytes, page_bytes);
  uintptr_t start = region.base + (uintptr_t)(region.shift * region.page_bytes);
  enum outcome outcome;
  if (is_shm) {
    shared->verb = VERB_SHM;
    shared->address = start;
    shared->count = region.pages * region.page_bytes;
    shared->args[0] = 0600 | 01000 /* IPC_CREAT */ | (is_huge ? 04000 : 010000 /* NORESERVE */) |
                      size_bits;
    shared->args[1] = 040000; // SHM_REMAP
    shared->args[2] = segment_key(place.region, is_huge + is_large);
    outcome = run(t);
  } else {
    flags |= (is_shared ? MAP_SHARED : MAP_PRIVATE) | size_bits;
    outcome = run_call(t, SYS_mmap, (long)start, region.pages * region.page_bytes,
                       PROT_READ | PROT_WRITE, flags, -1, 0);
  }
  int is_made = outcome == DONE && shared->ret == (long)start;
  if (is_made) shared->ret = 0;
  begin_result();
  if (out_outcome(t, outcome) && is_made) {
    *place.is = region;
    out_f(",\"pageBytes\":%ld", region.page_bytes);
    if (is_shared) out_inode(t, start);
  }
  end_result();
  return 1;
}

static int op_range_call(int t, const char *name) {
  static const struct {
    const char *name;
    long advice;
  } ADVICES[] = {{"normal", 0},     {"random", 1},      {"sequential", 2},  {"willneed", 3},
                 {"dontneed", 4},   {"free", 8},        {"remove", 9},      {"dontfork", 10},
                 {"dofork", 11},    {"mergeable", 12},  {"unmergeable", 13}, {"hugepage", 14},
                 {"nohugepage", 15}, {"wipeonfork", 18}, {"keeponfork", 19}, {"cold", 20},
                 {"pageout", 21},   {"populate_read", 22}, {"populate_write", 23},
                 {"dontneed_locked", 24}, {"collapse", 25}, {"hwpoison", 100},
                 {"soft_offline", 101}};
  struct place place;
  long nr = SYS_munmap, advice = 0;
  if (!place_of(t, 2, &place)) return not_understood();
  if (strcmp(name, "mlock") == 0) nr = SYS_mlock;
  if (strcmp(name, "munlock") == 0) nr = SYS_munlock;
  if (strcmp(name, "mlock") == 0 && has_word("onfault")) nr = SYS_mlock2, advice = 1;
  if (strcmp(name, "madvise") == 0) {
    int i = 0, nr_advices = sizeof ADVICES / sizeof *ADVICES;
    nr = SYS_madvise;
    while (i < nr_advices && strcmp(word(5), ADVICES[i].name) != 0) i++;
    if (i == nr_advices && !is_number(word(5))) return not_understood();
    advice = i < nr_advices ? ADVICES[i].advice : atol(word(5));
  }
  enum outcome outcome = run_call(t, nr, (long)place.address, place.pages * place.page_bytes,
                                  advice, 0, 0, 0);
  return tell_outcome(t, outcome);
}

static int op_touch(int t, const char *name) {
  struct place place;
  int is_tables = strcmp(name, "tables") == 0, is_write = strcmp(name, "touch") == 0;
  const char *key = is_tables ? NULL : is_write ? "touched" : "read";
  if (!place_of(t, 2, &place)) return not_understood();
  shared->verb = is_write ? VERB_TOUCH : VERB_READ;
  shared->address = place.address;
  shared->count = is_tables ? (place.pages + 511) / 512 : place.pages;
  shared->step = place.page_bytes * (is_tables ? 512 : 1);
  enum outcome outcome = run(t);
  begin_result();
  if (outcome != DONE) out_lost(t, outcome, key);
  else {
    out_outcome(t, outcome);
    out_f(",\"%s\":%ld", is_tables ? "zeroPages" : key, shared->progress);
  }
  end_result();
  return 1;
}
#endif
