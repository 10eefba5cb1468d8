// Errno numbers and names of Linux (asm-generic, the same on x86, arm64 and POWER for these).
// Kernel outcomes are returned as negative numbers; nothing in the model throws them.

export const EPERM = 1;
export const ENOENT = 2;
export const ESRCH = 3;
export const EINTR = 4;
export const EIO = 5;
export const ENXIO = 6;
export const EBADF = 9;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const EFAULT = 14;
export const EBUSY = 16;
export const EEXIST = 17;
export const ENODEV = 19;
export const ENOTDIR = 20;
export const EINVAL = 22;
export const ENOSPC = 28;
export const ERANGE = 34;
export const ENOTEMPTY = 39;
export const EOPNOTSUPP = 95;
export const EHWPOISON = 133;
export const ETIMEDOUT = 110;

const NAMES: Readonly<Record<number, string>> = {
  [EPERM]: 'EPERM',
  [ENOENT]: 'ENOENT',
  [ESRCH]: 'ESRCH',
  [EINTR]: 'EINTR',
  [EIO]: 'EIO',
  [ENXIO]: 'ENXIO',
  [EBADF]: 'EBADF',
  [EAGAIN]: 'EAGAIN',
  [ENOMEM]: 'ENOMEM',
  [EACCES]: 'EACCES',
  [EFAULT]: 'EFAULT',
  [EBUSY]: 'EBUSY',
  [EEXIST]: 'EEXIST',
  [ENODEV]: 'ENODEV',
  [ENOTDIR]: 'ENOTDIR',
  [EINVAL]: 'EINVAL',
  [ENOSPC]: 'ENOSPC',
  [ERANGE]: 'ERANGE',
  [ENOTEMPTY]: 'ENOTEMPTY',
  [EOPNOTSUPP]: 'EOPNOTSUPP',
  [EHWPOISON]: 'EHWPOISON',
  [ETIMEDOUT]: 'ETIMEDOUT',
};

/** All errno names that the model can return, for checking expectations in scenarios. */
export const ERRNO_NAMES: readonly string[] = Object.values(NAMES);

/** The name of a (positive or negative) errno: `errnoName(-22)` is `EINVAL`. */
export const errnoName = (e: number): string => NAMES[Math.abs(e)] ?? `E${Math.abs(e)}`;
