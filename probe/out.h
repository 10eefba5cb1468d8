// Text that grows in one buffer: JSON for the serial line, made piece by piece.
// Notes    One line leaves with one write(), so that nothing of ours is torn apart.
// Omits    Escapes beyond quotes, backslashes and control characters: the kernel writes ASCII.
#ifndef PROBE_OUT_H
#define PROBE_OUT_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OUT_BYTES (4u << 20)

static char *out_text;
static size_t out_used;
static int out_serial = 1;

static void out_f(const char *format, ...) {
  va_list values;
  va_start(values, format);
  if (out_used < OUT_BYTES - 4096)
    out_used += (size_t)vsnprintf(out_text + out_used, 2048, format, values);
  va_end(values);
}

static void out_string(const char *text) {
  out_f("\"");
  for (; *text != '\0' && out_used < OUT_BYTES - 4096; text++) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') out_text[out_used++] = '\\';
    if (c < ' ') out_used += (size_t)sprintf(out_text + out_used, "\\u%04x", c);
    else out_text[out_used++] = (char)c;
  }
  out_f("\"");
}

/** Sends the line that was collected and begins the next. */
static void out_line(void) {
  size_t sent = 0;
  out_text[out_used++] = '\n';
  while (sent < out_used) {
    ssize_t n = write(out_serial, out_text + sent, out_used - sent);
    if (n <= 0) break;
    sent += (size_t)n;
  }
  out_used = 0;
}

/**
 * Values as a list of runs: `[value, count]`, or `[[v, v, ...], times]` for a pattern that repeats.
 * A negative value is an errno and goes out by `name`.
 */
static void out_value(int value, const char *(*name)(int)) {
  if (value < 0) out_string(name(value));
  else out_f("%d", value);
}

static size_t run_length(const int *values, size_t left, size_t period) {
  size_t n = period;
  while (n < left && values[n] == values[n - period]) n++;
  return n / period;
}

static void out_runs(const int *values, size_t count, const char *(*name)(int)) {
  size_t i = 0;
  out_f("[");
  while (i < count) {
    size_t times = run_length(values + i, count - i, 1), period = 1;
    // A run of one may be the beginning of a pattern, as interleaving leaves it.
    for (size_t p = 2; times < 2 && p <= 64 && 2 * p <= count - i; p++) {
      if (run_length(values + i, count - i, p) < 2) continue;
      period = p;
      times = run_length(values + i, count - i, p);
    }
    out_f(i == 0 ? "[" : ",[");
    if (period > 1) out_f("[");
    for (size_t k = 0; k < period; k++) {
      if (k > 0) out_f(",");
      out_value(values[i + k], name);
    }
    if (period > 1) out_f("]");
    out_f(",%zu]", times);
    i += period * times;
  }
  out_f("]");
}

static void out_counts(const int *values, size_t count, const char *(*name)(int)) {
  int seen[256];
  size_t nr_seen = 0;
  out_f("{");
  for (size_t i = 0; i < count; i++) {
    size_t k = 0, total = 0;
    while (k < nr_seen && seen[k] != values[i]) k++;
    if (k < nr_seen || nr_seen == 256) continue;
    seen[nr_seen++] = values[i];
    for (size_t j = i; j < count; j++) total += values[j] == values[i];
    out_f(k > 0 ? ",\"" : "\"");
    if (values[i] < 0) out_f("%s", name(values[i]));
    else out_f("%d", values[i]);
    out_f("\":%zu", total);
  }
  out_f("}");
}
#endif
