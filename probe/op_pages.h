// Operations that tell where pages are, and move them.
// Notes    `where` is asked from outside the task, which allocates nothing for it.
#ifndef PROBE_OP_PAGES_H
#define PROBE_OP_PAGES_H
#include "words.h"
#include <linux/mempolicy.h>

/**
 * Empties every CPU's list of pages that wait to be put on the LRU: a page on one has a reference
 * more, by which a write after a fork copies it. How far a list was filled nobody can say; asking
 * for a move that moves nothing empties all.
 */
static void drain_lru(void) {
  void *page = out_text;
  int node = 0, status = 0;
  out_text[0] = out_text[0];
  call6(SYS_move_pages, 0, 1, (long)&page, (long)&node, (long)&status, MPOL_MF_MOVE);
}

/** Process of `pid=`: a task's (dead ones too: the kernel is to refuse), or a number. */
static long pid_option(int t) {
  for (int i = 0; i < nr_words; i++) {
    if (strncmp(words[i], "pid=", 4) != 0) continue;
    int other = task_number(words[i] + 4);
    if (other < 0) return atol(words[i] + 4);
    return tasks[other].pid > 0 ? tasks[other].pid : 4000000;
  }
  return tasks[t].pid;
}

static int op_where(int t, const char *name) {
  (void)name;
  struct place place;
  if (!place_of(t, 2, &place) || place.pages > (long)LIST_PAGES) return not_understood();
  long ret = 0;
  for (long done = 0; done < place.pages && ret >= 0; done += MOVE_CHUNK) {
    long n = place.pages - done < MOVE_CHUNK ? place.pages - done : MOVE_CHUNK;
    for (long i = 0; i < n; i++)
      shared->pages[i] = (void *)(place.address + (uintptr_t)((done + i) * place.page_bytes));
    ret = call6(SYS_move_pages, tasks[t].pid, n, (long)shared->pages, 0, (long)(list + done), 0);
  }
  begin_result();
  out_ret(ret);
  if (ret >= 0) {
    out_f(",\"where\":");
    out_runs(list, (size_t)place.pages, list_name);
    out_f(",\"counts\":");
    out_counts(list, (size_t)place.pages, list_name);
  }
  end_result();
  return 1;
}

/** The node for page `i` from a list NODE[,NODE...] that is used in turn. */
static int nodes_in_turn(const char *text, int *nodes) {
  int n = 0;
  while (*text != '\0' && n < MAX_NODES) {
    char *end;
    nodes[n++] = (int)strtol(text, &end, 10);
    if (end == text) return 0;
    text = *end == ',' ? end + 1 : end;
  }
  return n;
}

static int op_move_pages(int t, const char *name) {
  (void)name;
  struct place place;
  int nodes[MAX_NODES], nr_nodes = nodes_in_turn(word(5), nodes);
  if (!place_of(t, 2, &place) || nr_nodes == 0 || place.pages > (long)LIST_PAGES)
    return not_understood();
  long flags = option("flags", has_word("moveall") ? MPOL_MF_MOVE_ALL : MPOL_MF_MOVE);
  long pid = pid_option(t), left = 0;
  enum outcome outcome = DONE;
  for (long i = 0; i < place.pages; i++) list[i] = UNSET;
  for (long done = 0; outcome == DONE && (done < place.pages || done == 0); done += MOVE_CHUNK) {
    long n = place.pages - done < MOVE_CHUNK ? place.pages - done : MOVE_CHUNK;
    for (long i = 0; i < n; i++) {
      shared->pages[i] = (void *)(place.address + (uintptr_t)((done + i) * place.page_bytes));
      shared->nodes[i] = nodes[(done + i) % nr_nodes];
      shared->status[i] = UNSET;
    }
    outcome = run_call(t, SYS_move_pages, pid, n, (long)shared->pages, (long)shared->nodes,
                       (long)shared->status, flags);
    memcpy(list + done, shared->status, (size_t)n * sizeof *list);
    if (outcome == DONE && shared->ret < 0) break;
    left += shared->ret;
    shared->ret = left;
  }
  begin_result();
  if (out_outcome(t, outcome)) {
    out_f(",\"status\":");
    out_runs(list, (size_t)place.pages, list_name);
  }
  end_result();
  return 1;
}

static int op_migrate_pages(int t, const char *name) {
  (void)name;
  long from = mask_of(word(2), shared->mask), to = mask_of(word(3), shared->mask2);
  enum outcome outcome = run_call(t, SYS_migrate_pages, pid_option(t),
                                  option("maxnode", MAX_NODE_BITS), from, to, 0, 0);
  return tell_outcome(t, outcome);
}
#endif
