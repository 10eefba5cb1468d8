// Memory policy modes and flags by number, as programs and designs name them.
// Models   linux@v6.1 include/uapi/linux/mempolicy.h; weighted interleave is that of 6.9.

export const MPOL_DEFAULT = 0;
export const MPOL_PREFERRED = 1;
export const MPOL_BIND = 2;
export const MPOL_INTERLEAVE = 3;
export const MPOL_LOCAL = 4;
export const MPOL_PREFERRED_MANY = 5;
/** Linux 6.9; refused unless the run switches the extension on. */
export const MPOL_WEIGHTED_INTERLEAVE = 6;

export const MODE_NAMES = [
  'default',
  'preferred',
  'bind',
  'interleave',
  'local',
  'preferred_many',
  'weighted_interleave',
] as const;

export const MPOL_F_NUMA_BALANCING = 1 << 13;
export const MPOL_F_RELATIVE_NODES = 1 << 14;
export const MPOL_F_STATIC_NODES = 1 << 15;

/** Flags by the names of the operation language. */
export const MODE_FLAGS: Readonly<Record<string, number>> = {
  static: MPOL_F_STATIC_NODES,
  relative: MPOL_F_RELATIVE_NODES,
  numa_balancing: MPOL_F_NUMA_BALANCING,
};
