// Settings under /proc/sys/vm that can be read and have the value that they have after boot.
// Models   linux@v6.1 kernel/sysctl.c: vm_table, as Debian configures it.
// Omits    settings whose value follows from the size of memory, but for min_free_kbytes; those
//          that can only be written.
// Holds    PRC14 a setting of this table reads as a kernel reads it that nobody has written to.

/** Values by name, as the file shows them without the line end. */
export const SYSCTL_DEFAULTS: Readonly<Record<string, string>> = {
  dirty_background_bytes: '0',
  dirty_background_ratio: '10',
  dirty_bytes: '0',
  dirty_expire_centisecs: '3000',
  dirty_ratio: '20',
  dirty_writeback_centisecs: '500',
  hugetlb_shm_group: '0',
  laptop_mode: '0',
  lowmem_reserve_ratio: '256\t256\t32\t0\t0',
  max_map_count: '65530',
  min_slab_ratio: '5',
  min_unmapped_ratio: '1',
  numa_stat: '1',
  numa_zonelist_order: 'Node',
  oom_dump_tasks: '1',
  oom_kill_allocating_task: '0',
  overcommit_kbytes: '0',
  overcommit_memory: '0',
  overcommit_ratio: '50',
  'page-cluster': '3',
  panic_on_oom: '0',
  percpu_pagelist_high_fraction: '0',
  stat_interval: '1',
  swappiness: '60',
  vfs_cache_pressure: '100',
  watermark_scale_factor: '10',
};
