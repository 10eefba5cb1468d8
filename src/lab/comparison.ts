// What a comparison is: one scenario on one machine under several designs, as data. Tables, pages
// and --json are drawn from this.

import type { DeviceMemoryType } from '../hooks/design.ts';
import type { MoveCause } from '../kernel/migrate.ts';
import type { PolicyFrom, Purpose } from '../kernel/placement_count.ts';
import type { DecisionStep } from '../mm/decision_log.ts';
import type { AgentWindow } from '../scenario/run_agent.ts';
import type { JudgedClaim } from './claim.ts';
import type { Estimate } from './cost/estimate.ts';
import type { Death } from './deaths.ts';

/** Pages placed on device nodes by one kind of request. */
export interface DevicePlacement {
  readonly purpose: Purpose;
  /** Where the policy of the request came from. */
  readonly from: PolicyFrom;
  /** A policy or the request itself named the node. */
  readonly isAsked: boolean;
  readonly nid: number;
  readonly nrPages: number;
}

export interface Move {
  readonly cause: MoveCause;
  readonly from: number;
  readonly to: number;
  readonly nrPages: number;
}

/** An operation that a design refused, or that a task did not survive. */
export interface Refusal {
  /** Number of the step, from 0; people are shown it from 1. */
  readonly step: number;
  readonly text: string;
  /** `EINVAL`, `KILLED`, `LIVELOCK`, ... */
  readonly ret: string;
  /** The page that could not be had, where the operation stopped at one. */
  readonly page?: PageName | undefined;
}

/** A task that died in an operation of somebody else, or for somebody else's request. */
export interface ComparedDeath extends Death {
  /** Number of the step, from 0; people are shown it from 1. */
  readonly step: number;
  readonly text: string;
  /** Line of the scenario's file, from 1; absent for operations that stand in no file. */
  readonly line?: number | undefined;
  /** A page of the operation's range, whose explanation tells of the kill. */
  readonly page?: PageName | undefined;
}

/** A page as people name it: `app` `buf` 17. */
export interface PageName {
  readonly task: string;
  readonly region: string;
  /** Pages from the region's start. */
  readonly index: number;
}

/** A page that came to a device node, worth asking about: the first of its region. */
export interface PageExample extends PageName {
  /** Number of the step after which it was there, from 0. */
  readonly step: number;
  readonly nid: number;
}

/** Pages of a region by node, after a step. Nodes without pages are left out. */
export interface RegionSnapshot {
  readonly task: string;
  readonly region: string;
  readonly byNode: Readonly<Record<string, number>>;
}

export interface ComparedStep {
  readonly index: number;
  readonly text: string;
  readonly ret: string | number;
  /** All regions after the step. */
  readonly regions: readonly RegionSnapshot[];
}

export interface DesignOutcome {
  readonly design: string;
  readonly title: string;
  readonly summary: string;
  readonly promise: string;
  /** Pages placed on device nodes, asked for and not; kinds without pages left out. */
  readonly onDevice: readonly DevicePlacement[];
  readonly nrAsked: number;
  readonly nrNotAsked: number;
  /** Pages on device nodes when the run ended. */
  readonly nrOnDeviceAtEnd: number;
  readonly refusals: readonly Refusal[];
  /** Who died in the operations of others; who died in its own is among the refusals. */
  readonly deaths?: readonly ComparedDeath[] | undefined;
  /** Operations asked of tasks that had died, or never came to be; not among the refusals. */
  readonly nrAfterDeath?: number | undefined;
  /** The first page of each region that came to a device node. */
  readonly examples?: readonly PageExample[] | undefined;
  /** Pages that wanted a device node and landed in system memory. */
  readonly nrSpilled: number;
  readonly moves: readonly Move[];
  readonly nrMovedToDevice: number;
  readonly nrMovedFromDevice: number;
  /** Times in which an agent had not answered yet, where the design has one and pages leaked. */
  readonly windows?: readonly AgentWindow[] | undefined;
  /** Page requests decided, and zones looked at for them. */
  readonly nrRequests: number;
  readonly nrZonesLookedAt: number;
  /** Estimated time, where a cost model with sources exists for the machine; else absent. */
  readonly estimatedTimeNs?: number | undefined;
  /** The estimate with its figures and their sources, and what it lacks. */
  readonly estimate?: Estimate | undefined;
  readonly failedExpectations: readonly { readonly step: number; readonly text: string }[];
  /** What the model does not do and the scenario needs; the run stopped there. */
  readonly notModelled?: string | undefined;
  readonly steps: readonly ComparedStep[];
  readonly zonelists: readonly NodeZonelists[];
  readonly stateHash: string;
}

export interface ZoneLabel {
  readonly nid: number;
  /** `Movable`. */
  readonly zone: string;
}

export interface NodeZonelists {
  readonly nid: number;
  readonly isCoherentDevice: boolean;
  /** Its memory is kept by a driver, as what the design says; absent elsewhere. */
  readonly keptAs?: DeviceMemoryType | undefined;
  /** The node has private memory, which is not N_MEMORY. */
  readonly isPrivate?: boolean | undefined;
  readonly fallback: readonly ZoneLabel[];
  readonly noFallback: readonly ZoneLabel[];
  /** The list of requests that ask for private memory, where the design has one. */
  readonly private?: readonly ZoneLabel[] | undefined;
}

export interface MachineSummary {
  readonly name: string;
  readonly note: string;
  readonly arch: string;
  readonly pageBytes: number;
  readonly nodes: readonly {
    readonly id: number;
    readonly cpus: readonly number[];
    readonly sizeBytes: number;
    readonly device?: string | undefined;
    readonly memoryZone: string;
  }[];
  readonly distances: readonly (readonly number[])[];
}

export interface Comparison {
  readonly scenario: { readonly name: string; readonly title: string; readonly source: string };
  readonly parameters: Readonly<Record<string, string>>;
  readonly machine: MachineSummary;
  readonly outcomes: readonly DesignOutcome[];
  /** What the run shows of a claim that the scenario is about. */
  readonly claim?: JudgedClaim | undefined;
}

/** One zone of a walk, in words. */
export interface ExplainedZone {
  readonly nid: number;
  readonly zone: string;
  readonly verdict: string;
  readonly freePages: number;
  readonly watermarkPages?: number | undefined;
}

export type { DecisionStep };
