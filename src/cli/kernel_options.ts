// Options of the verbs that boot a guest: which kernel, with which design, how.
import type { Command } from 'commander';
import { UserError } from '../base/assert.ts';
import { findDesign } from '../designs/index.ts';
import { type Accel, type GuestTools, guestTools } from '../guest/host.ts';
import { readNumber } from './options.ts';

/** Options that say which kernel a guest boots, and how. */
export interface KernelOptions {
  readonly kernel?: string;
  readonly accel?: string;
  readonly append?: string;
  readonly design: string;
  readonly designAppend?: string;
  readonly maxNodes?: number;
}

/** Adds them. */
export function addKernelOptions(command: Command): Command {
  return command
    .option('--kernel <FILE>', "a kernel image of your own; Debian's when left out")
    .option('--append <TEXT>', "words at the end of the kernel's command line")
    .option('--design <D>', 'the design that the kernel has', 'stock')
    .option(
      '--design-append <TEXT>',
      'words that switch it on in this kernel; {device} becomes the device nodes, as 2,3',
    )
    .option('--accel <A>', 'kvm or tcg; what works when left out')
    .option('--max-nodes <N>', 'MAX_NUMNODES of the kernel; told from its name', readNumber);
}

/** Reads them. @throws UserError for what does not fit together, and for what is missing. */
export function readKernelOptions(options: KernelOptions): {
  design: string;
  append: string;
  tools: GuestTools;
} {
  const design = findDesign(options.design).id;
  if (options.accel !== undefined && options.accel !== 'kvm' && options.accel !== 'tcg') {
    throw new UserError(`--accel ${options.accel}: expected kvm or tcg`);
  }
  if (design !== 'stock' && options.designAppend === undefined) {
    throw new UserError(
      `--design ${design} needs a kernel that has it: --kernel FILE, and --design-append TEXT ` +
        'with the boot parameters that switch it on',
    );
  }
  const append = [options.append, options.designAppend].filter((text) => text !== undefined);
  const tools = guestTools({
    kernel: options.kernel,
    accel: options.accel as Accel | undefined,
  });
  return { design, append: append.join(' '), tools };
}
