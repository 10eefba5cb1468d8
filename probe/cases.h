// Cases: what is told when one begins, its operations, and that it leaves nothing behind.
#ifndef PROBE_CASES_H
#define PROBE_CASES_H
#include "ops.h"

static char boot_zones[16384];

static long read_number(const char *path) {
  return slurp(path) < 0 ? 0 : atol(file_text);
}

/** MAX_NUMNODES, as the width of the mask in /proc/self/status tells it. */
static long max_nodes(void) {
  char *at = slurp("/proc/self/status") < 0 ? NULL : strstr(file_text, "Mems_allowed:");
  long digits = 0;
  if (at == NULL) return 0;
  for (at += strlen("Mems_allowed:"); *at != '\n' && *at != '\0'; at++)
    digits += isxdigit((unsigned char)*at) != 0;
  return digits * 4;
}

static void tell_start(int is_first) {
  out_f("@{\"case\":%d,\"start\":{\"zonesAtStart\":", case_number);
  out_zones(1);
  if (is_first) {
    out_f(",\"zonesAtBoot\":");
    out_used += (size_t)sprintf(out_text + out_used, "%s", boot_zones);
  }
  out_f(",\"fallbackOrder\":");
  drain_log();
  out_fallback();
  out_f(",\"nodeStates\":");
  out_states();
  out_f(",\"distances\":");
  out_distances();
  out_f(",\"maxNodes\":%ld", max_nodes());
  slurp("/sys/devices/system/memory/block_size_bytes");
  out_f(",\"blockBytes\":\"0x%s\"", file_text);
  out_f(",\"minFreeKbytes\":%ld", read_number("/proc/sys/vm/min_free_kbytes"));
  out_f(",\"sysctl\":{\"zoneReclaimMode\":%ld", read_number("/proc/sys/vm/zone_reclaim_mode"));
  out_f(",\"watermarkBoostFactor\":%ld", read_number("/proc/sys/vm/watermark_boost_factor"));
  out_f(",\"overcommitMemory\":%ld}}}", read_number("/proc/sys/vm/overcommit_memory"));
  out_line();
}

/** Value of `key=` in a line of words; "" if it is not there. */
static const char *value_in(const char *line, const char *key) {
  static char value[64];
  const char *at = strstr(line, key);
  value[0] = '\0';
  if (at == NULL) return value;
  at += strlen(key);
  copy_between(value, sizeof value, at, at + strcspn(at, " \n"));
  return value;
}

static void begin_case(const char *line, const char *cmdline, int is_first) {
  const char *cpuset = value_in(line, " cpuset=");
  if (*cpuset == '\0') cpuset = value_in(cmdline, "probe.cpuset=");
  case_number = atoi(line + strlen("#case "));
  op_number = 0;
  has_forked = 0;
  mount_cpuset(cpuset);
  start_first_task();
  tell_start(is_first);
}

static void end_case(long begin) {
  undo_all();
  out_f("@{\"case\":%d,\"end\":true,\"ms\":%ld}", case_number, now_ms() - begin);
  out_line();
}

static void run_cases(char *text, const char *cmdline) {
  int nr_cases = 0;
  long begin = 0;
  for (char *line = text, *next; line != NULL; line = next) {
    next = strchr(line, '\n');
    if (next != NULL) *next++ = '\0';
    line += strspn(line, " \t");
    line[strcspn(line, "\r")] = '\0';
    if (strncmp(line, "#case ", 6) == 0) {
      if (nr_cases > 0) end_case(begin);
      begin = now_ms();
      begin_case(line, cmdline, nr_cases++ == 0);
    } else if (*line != '\0' && *line != '#' && nr_cases > 0) {
      do_op(line);
      op_number++;
    }
  }
  if (nr_cases > 0) end_case(begin);
}
#endif
